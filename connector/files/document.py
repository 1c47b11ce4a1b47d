"""A YAML or TOML file as plain data, with the place of every key and value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from connector.files.problem import Problem, Severity

KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. `keys` has the place of each key (or list item), `values` that of its value."""

    file: str
    data: Mapping[str, Any]
    keys: Mapping[KeyPath, Place]
    values: Mapping[KeyPath, Place]

    def problem(
        self,
        path: Sequence[str | int],
        what: str,
        hint: str = "",
        *,
        at_key: bool = False,
        severity: Severity = Severity.ERROR,
        offset: int = 0,
    ) -> Problem:
        """Return a problem at that path, or at its nearest ancestor that stands in the file.

        `offset` moves the column into a value, for a mistake inside an expression.
        """
        raise NotImplementedError


def read(path: Path, *, shown_as: str | None = None) -> Document:
    """Read a `.yaml`, `.yml` or `.toml` file (YAML 1.2: `NO` is a word).

    Raises ProblemsError, never a parser's error.
    """
    raise NotImplementedError


def parse(text: str, *, file: str) -> Document:
    """Read text; the ending of `file` tells the format. Raises ProblemsError."""
    raise NotImplementedError
