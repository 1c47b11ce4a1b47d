"""Where a character stands: lines and columns of a text."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and list positions (from 0) that lead to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, from 1."""

    line: int
    column: int


START = Place(1, 1)
_PLAIN = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Content:
    """Where the text of a string begins, after its quotes; only for one that stands in the file as it is.

    `next_column` is the column at which its further lines begin.
    """

    place: Place
    next_column: int = 1

    def at(self, value: str, offset: int) -> Place:
        """Return the place of that character of the value."""
        before = value[:offset]
        breaks = before.count("\n")
        if not breaks:
            return Place(self.place.line, self.place.column + len(before))
        return Place(self.place.line + breaks, self.next_column + len(before) - before.rindex("\n") - 1)


class Lines:
    """A text whose line breaks are line feeds."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]

    def place(self, index: int) -> Place:
        """Return the place of the character at that index."""
        line = bisect_right(self._starts, index)
        return Place(line, index - self._starts[line - 1] + 1)

    def index(self, place: Place) -> int:
        """Return the index of the character at that place, or of the end of the text."""
        if place.line > len(self._starts):
            return len(self.text)
        return min(self._starts[place.line - 1] + place.column - 1, len(self.text))

    def line(self, number: int) -> str:
        """Return the text of a line, without its break; nothing for a line that does not exist."""
        if not 1 <= number <= len(self._starts):
            return ""
        start = self._starts[number - 1]
        return self.text[start : self._starts[number] - 1 if number < len(self._starts) else len(self.text)]


def shown(path: KeyPath) -> str:
    """Return a path as people read it: `set."First name"`, `examples[1].given` (list items count from 1)."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part + 1}]")
        else:
            plain = _PLAIN.fullmatch(part)
            parts.append(("." if parts else "") + (part if plain else f'"{part}"'))
    return "".join(parts)


_SECRET_WORDS = ("secret", "password", "passwd", "token", "credential", "api_key", "apikey", "private")


def is_secret(path: KeyPath) -> bool:
    """Tell whether what stands there could be a secret, so that no message may repeat it."""
    return any(word in str(part).lower().replace("-", "_") for part in path for word in _SECRET_WORDS)
