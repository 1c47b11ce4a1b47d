"""One line of the table: a kind of fault, how often it was really injected, and what it did."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Say = Callable[[str], object]
HEAD = ("kind of fault", "injected", "survived", "lost", "duplicated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`faults` are counted by what injects them, by their kinds: one that stands at 0 was never really tried.

    `survived` are faults after which everything went on by itself. `lost` are records that are not in the CRM in the
    last state that was answered 2xx (or a later one). `duplicated` are records that the CRM has more than once; None
    where that cannot be known, and then `notes` says why. `problems` are promises that were broken in another way.
    """

    kind: str
    faults: Mapping[str, int] = field(default_factory=dict)
    survived: int = 0
    lost: int = 0
    duplicated: int | None = 0
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()
    not_run: str = ""

    @property
    def injected(self) -> int:
        """All faults of this kind."""
        return sum(self.faults.values())

    @property
    def never(self) -> Sequence[str]:
        """Which faults were to be injected, and were not."""
        return (
            []
            if self.not_run
            else [name for name, count in self.faults.items() if not count] or ([] if self.faults else [self.kind])
        )

    @property
    def is_good(self) -> bool:
        """Whether all was injected, all survived, and nothing lost. What was not run is neither good nor bad."""
        return bool(self.not_run) or not (
            self.never or self.lost or self.duplicated or self.problems or self.survived != self.injected
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """Return it as the table shows it."""
        if self.not_run:
            return self.kind, "-", "-", "-", "-"
        twice = "-" if self.duplicated is None else str(self.duplicated)
        return self.kind, str(self.injected), str(self.survived), str(self.lost), twice

    @property
    def remarks(self) -> Sequence[str]:
        """What stands below the table."""
        if self.not_run:
            return [f"not run: {self.not_run}"]
        counts = ", ".join(f"{name} {count}" for name, count in self.faults.items())
        return [
            counts,
            *self.notes,
            *(f"NEVER INJECTED: {name}" for name in self.never),
            *(f"PROBLEM: {problem}" for problem in self.problems),
        ]


def table(rows: Sequence[Row]) -> str:
    """Return all rows, aligned, and what is to be said to each."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    shown = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    shown.insert(1, "-" * len(shown[0]))
    remarks = [f"{row.kind}: {'; '.join(row.remarks)}" for row in rows]
    return "\n".join([*shown, "", *remarks])
