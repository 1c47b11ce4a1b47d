"""Running seeds, and adding up what happened in them."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.kernel import DivergenceError
from tests.simulation.store import TRANSITIONS
from tests.simulation.world import World

FAULTS = (
    "SIGSTOP", "a person creates", "a person deletes", "a person edits", "another process in between",
    "answer to a call lost", "call answered 503", "clock jumps back", "clock jumps forward", "crash after a commit",
    "crash before a transaction", "crash inside a transaction", "disk full at commit", "duplicate", "full disk",
    "kill -9", "mass delete", "operator: again", "operator: discard", "operator: exact", "operator: hold",
    "operator: pause", "operator: release", "operator: replay", "operator: resume", "outage", "own store busy",
    "reboot", "receiver killed", "reordered", "request left after its lease", "request: 401",
    "request: 403 for an object", "request: 422", "request: 5xx", "request: 5xx, yet done", "request: lost reply",
    "request: lost request", "request: slow commit", "request: slow reply", "request: throttle",
    "request: unreachable", "restart: a field added", "restart: a mapping added", "restart: a mapping removed",
    "restart: renamed", "stopped between gate and request", "stopped in the middle of a step", "two webhooks", "write to a full disk",
)  # fmt: skip
"""Every kind of fault; one that never occurs in a few hundred seeds is a defect of the simulation."""

_COLLECT_EVERY = 10


@dataclass(slots=True)
class Result:
    """One seed's end. `divergence` is empty when every promise held."""

    seed: int
    divergence: str
    fingerprint: str
    steps: int
    lines: list[str]


@dataclass(slots=True)
class Totals:
    """What many seeds came to."""

    seeds: int = 0
    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    transitions: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    divergences: dict[int, str] = field(default_factory=dict)

    def add(self, other: Totals) -> None:
        self.seeds += other.seeds
        self.steps += other.steps
        self.faults += other.faults
        self.transitions += other.transitions
        self.counts += other.counts
        self.divergences |= other.divergences

    def missing(self) -> list[str]:
        """Return the kinds of fault and the transitions that never occurred."""
        return [f for f in FAULTS if not self.faults[f]] + [t for t in TRANSITIONS if not self.transitions[t]]

    @property
    def summary(self) -> str:
        return (
            f"{self.seeds} seeds, {self.steps} steps, {sum(self.faults.values())} faults, "
            f"{len(self.divergences)} divergences"
        )


def run_seed(seed: int, totals: Totals | None = None, *, keep_trace: bool = False) -> Result:
    """Run one seed to its end, or to the first broken promise."""
    world = World(seed, keep_trace=keep_trace)
    divergence = ""
    try:
        world.run()
    except DivergenceError as broken:
        divergence = str(broken)
        world.kernel.note(f"DIVERGENCE {divergence}")
    except Exception as error:
        divergence = f"{type(error).__name__}: {error}"
        world.kernel.note(f"DIVERGENCE {divergence}")
    finally:
        world.db.conn.close()
    kernel = world.kernel
    if totals is not None:
        totals.seeds += 1
        totals.steps += kernel.steps
        totals.faults += kernel.faults
        totals.transitions += kernel.transitions
        totals.counts += kernel.counts
        if divergence:
            totals.divergences[seed] = divergence
    return Result(seed, divergence, kernel.fingerprint, kernel.steps, kernel.lines)


def run_range(first: int, count: int, *, stop_at_first: bool = False) -> Totals:
    """Run seeds one after the other."""
    totals = Totals()
    was_on = gc.isenabled()
    gc.disable()  # a world is full of circles and lives for a moment: looking for what is dead in it finds nothing
    try:
        for seed in range(first, first + count):
            run_seed(seed, totals)
            if stop_at_first and totals.divergences:
                break
            if seed % _COLLECT_EVERY == 0:
                gc.collect()
    finally:
        if was_on:
            gc.enable()
    return totals
