"""What a figure is: its parts, their rounds, and whether its target holds."""

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

QUICK = os.environ.get("QUICK", "") not in ("", "0")
ROUNDS = 1 if QUICK else 5
CONNECTIONS = 64
WORKERS = 1
THREADS = 16


@dataclass
class Part:
    """One number. `rounds` are its values, round by round; the value is their median unless `value` is given."""

    what: str
    rounds: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    value: float = float("nan")

    def __post_init__(self) -> None:
        if self.value != self.value:
            self.value = statistics.median(self.rounds)

    @property
    def holds(self) -> bool:
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    @property
    def target(self) -> str:
        if self.at_least is None and self.at_most is None:
            return ""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "value": round(self.value, 4),
            "target": self.target,
            "holds": self.holds,
            "rounds": [round(one, 4) for one in self.rounds],
        }


@dataclass
class Figure:
    """A line of the table, with what else is worth knowing. `rates`: what was done in a second, ours first."""

    parts: list[Part]
    notes: list[str] = field(default_factory=list)
    rates: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        first = self.parts[0].as_json()
        return {
            **first,
            "holds": all(part.holds for part in self.parts),
            "parts": [p.as_json() for p in self.parts],
            "notes": self.notes,
            "rates": {
                what: {who: [round(one, 1) for one in rounds] for who, rounds in of.items()}
                for what, of in self.rates.items()
            },
        }


Measure = Callable[[], Figure]


def spread(values: Sequence[float]) -> str:
    """Return the least and the greatest."""
    return f"{min(values):.3g} … {max(values):.3g}"


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
