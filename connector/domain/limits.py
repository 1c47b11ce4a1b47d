"""What a body may hold at most, whatever it is written in."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Pairs of a form, values of JSON, elements of XML; bytes of a form's key; nesting of all of them."""

    keys: int = 50_000
    key_bytes: int = 8 * 1024
    depth: int = 16


DEFAULT_LIMITS: Final = Limits()
LARGEST_LIMITS: Final = Limits(keys=1_000_000, key_bytes=64 * 1024, depth=100)
"""What can be configured at most: whoever has to find everything in stored bodies reads them with these."""
