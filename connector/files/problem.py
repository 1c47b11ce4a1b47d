"""What is wrong in a file that a person wrote: where, what, and what to try."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error makes the file unusable; a warning does not (unless `--strict`)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    where: str
    what: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Return `file:line:column: where: what; try …`."""
        place = f"{self.file}:{self.line}:{self.column}: "
        where = f"{self.where}: " if self.where else ""
        warning = "warning: " if self.severity is Severity.WARNING else ""
        hint = f"; try {self.hint}" if self.hint else ""
        return f"{place}{warning}{where}{self.what}{hint}"


class ProblemsError(Exception):
    """Files that cannot be used, with every problem found. Entry points print them and exit 78."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))
