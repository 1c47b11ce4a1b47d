"""One statement for many values: `IN (?, ?, …)` of a few lengths only, so that prepared statements are found again."""

from collections.abc import Collection
from typing import TypeVar

T = TypeVar("T")


def among(values: Collection[T]) -> tuple[str, tuple[T, ...]]:
    """Return the bracket and its values, which are repeated up to a power of two. There has to be one."""
    given = tuple(values)
    size = 1 << (len(given) - 1).bit_length()
    return f"IN ({','.join('?' * size)})", given + given[:1] * (size - len(given))
