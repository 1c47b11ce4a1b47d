"""Time, chance and the list of what happens next: everything that a simulated world shares."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable

T0 = 1_800_000_000_000  # the true time when a world begins, in milliseconds
BOOT = 1_000_000  # what the clock that counts suspension says then


class DivergenceError(AssertionError):
    """A promise was broken. The text says which, and where."""


class Crash(BaseException):
    """A process ends here and now. No `except Exception` of the product's may catch it."""


class SimClock:
    """`true` is the world's time; the time of day is off by what it jumped, the other clock starts with each boot."""

    def __init__(self) -> None:
        self.true = 0
        self.offset = 0
        self.booted_at = 0

    def now(self) -> int:
        return T0 + self.true + self.offset

    def elapsed(self) -> int:
        return BOOT + self.true - self.booted_at


class Kernel:
    """The clock, the agenda, the counts and the trace of one seed."""

    def __init__(self, seed: int, *, keep_trace: bool = False) -> None:
        self.seed = seed
        self.clock = SimClock()
        self.faults: Counter[str] = Counter()
        self.transitions: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.steps = 0
        self.lines: list[str] = []
        self._keep = keep_trace
        self._digest = hashlib.blake2b(digest_size=16)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0

    def chance(self, name: str) -> random.Random:
        """A stream of its own for each purpose: a new question asked here changes no answer there."""
        return random.Random(f"{self.seed}/{name}")

    def after(self, delay: int, what: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (self.clock.true + max(0, delay), self._number, what))

    def step(self, until: int) -> bool:
        """Do the next thing on the agenda, if it is due by then."""
        if not self._agenda or self._agenda[0][0] > until:
            self.clock.true = max(self.clock.true, until)
            return False
        at, _, what = heapq.heappop(self._agenda)
        self.clock.true = max(self.clock.true, at)
        self.steps += 1
        what()
        return True

    def fault(self, kind: str, text: str = "") -> None:
        self.faults[kind] += 1
        self.note(f"FAULT {kind}{' ' + text if text else ''}")

    def note(self, text: str) -> None:
        line = f"{self.clock.true / 1000:>12.3f}  {text}"
        self._digest.update(line.encode())
        if self._keep:
            self.lines.append(line)

    @property
    def fingerprint(self) -> str:
        """Equal for two runs that went the same way."""
        return self._digest.hexdigest()
