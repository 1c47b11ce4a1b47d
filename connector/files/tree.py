"""What both formats are read into, and the bounds that hold for both."""

from dataclasses import dataclass, field
from typing import Any

from connector.files.lines import Content, KeyPath, Lines, Place, shown
from connector.files.problem import Problem, ProblemsError

MAX_DEPTH = 50
MAX_NODES = 100_000


@dataclass(slots=True)
class Tree:
    """A file's data with places, while it is being read."""

    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)
    contents: dict[KeyPath, Content] = field(default_factory=dict)


class Trouble:
    """Collects the problems of one file."""

    def __init__(self, file: str, lines: Lines) -> None:
        self._file = file
        self._lines = lines
        self._found: list[Problem] = []

    def add(self, at: int | Place, what: str, hint: str = "", path: KeyPath = ()) -> None:
        """Note a problem at that index or place."""
        place = self._lines.place(at) if isinstance(at, int) else at
        self._found.append(Problem(self._file, place.line, place.column, shown(path), what, hint))

    def stop(self, at: int | Place, what: str, hint: str = "", path: KeyPath = ()) -> ProblemsError:
        """Return what ends the reading here, with all problems so far."""
        self.add(at, what, hint, path)
        return ProblemsError(self._found)

    def check(self) -> None:
        """Raise ProblemsError if there was a problem."""
        if self._found:
            raise ProblemsError(self._found)
