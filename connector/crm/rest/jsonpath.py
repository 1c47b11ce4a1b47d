"""Paths into JSON: `a.b[0].c`, `[6]`, `items[*].id`. Small on purpose."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(r"\[(\d+|\*)\]|([^.\[\]]+)")
_PATH = re.compile(r"(?:\[(?:\d+|\*)\]|[^.\[\]]+)(?:\[(?:\d+|\*)\]|\.[^.\[\]]+)*")

MISSING: Any = object()
"""Stands for what is not there; null is there."""


@lru_cache(maxsize=1024)
def parse(path: str) -> tuple[str | int, ...]:
    """Return a path's parts; `*` for every item of a list. Raises ValueError for what is no path."""
    if path == "":
        return ()
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is not a path like a.b[0].c")
    parts: list[str | int] = []
    for index, name in _TOKEN.findall(path):
        if name:
            parts.append(name)
        else:
            parts.append("[*]" if index == "*" else int(index))
    return tuple(parts)


def find_all(data: Any, path: str) -> Iterator[Any]:
    """Yield every value at that path."""
    values = [data]
    for part in parse(path):
        following: list[Any] = []
        for value in values:
            if part == "[*]":
                if isinstance(value, Sequence) and not isinstance(value, str):
                    following.extend(value)
            elif isinstance(part, int):
                if isinstance(value, Sequence) and not isinstance(value, str) and part < len(value):
                    following.append(value[part])
            elif isinstance(value, Mapping) and part in value:
                following.append(value[part])
        values = following
    yield from values


def find(data: Any, path: str) -> Any:
    """Return the first value at that path, or MISSING."""
    return next(find_all(data, path), MISSING)
