"""An inbox in memory that does as it is told."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from connector.domain.clock import Instant
from connector.outbox.port import NewCall, NewUnproven, OutboxError, Receipt, StoredUnproven


class FakeInbox:
    """Keeps groups of calls. `gate` is held by a test to make commits wait; `fail` may raise for a group."""

    def __init__(self) -> None:
        self.groups: list[list[NewCall | NewUnproven]] = []
        self.counted: dict[str, int] = {}
        self.notes: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.fail: Callable[[Sequence[NewCall | NewUnproven]], None] = lambda calls: None
        self.opened = 0
        self.closed = 0
        self._next = 0

    @contextmanager
    def open(self) -> Iterator["FakeInbox"]:
        self.opened += 1
        try:
            yield self
        finally:
            self.closed += 1

    def append(self, calls: Sequence[NewCall | NewUnproven], *, patience: float | None = None) -> Sequence[Receipt]:
        self.entered.release()
        assert self.gate.wait(30)
        self.fail(calls)
        self.groups.append(list(calls))
        receipts = []
        for _ in calls:
            self._next += 1
            receipts.append(Receipt(self._next, duplicate=False))
        return receipts

    def probe(self, now: Instant) -> None:
        self.fail([])

    def count(self, counts: Mapping[str, int], now: Instant) -> None:
        self.fail([])
        for name, by in counts.items():
            self.counted[name] = self.counted.get(name, 0) + by

    def note(self, name: str, value: str, now: Instant) -> None:
        self.notes[name] = value

    def unproven(self, limit: int) -> Sequence[StoredUnproven]:
        return []

    def judge(self, event_id: int, verdict: NewCall | str | None, now: Instant) -> None:
        raise OutboxError("there is nothing to judge")
