"""Group commit: the calls that wait share one synced transaction, and are answered after it.

The calls of one round of the loop are committed by the loop itself, when that can be done at once: handing them to
another thread and back, from one processor to another, costs more than all that SQLite does. When somebody else is
writing, or the disk takes its time, a thread does it, and the loop goes on meanwhile. While that commits one group, the
next one gathers: nobody waits for a timer.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

import structlog

from connector.domain.clock import SECOND, Clock, Millis
from connector.outbox.port import (
    Inbox,
    NewCall,
    NewUnproven,
    OutboxBrokenError,
    OutboxBusyError,
    OutboxError,
    Receipt,
)

_GROUP_CALLS = 512
_GROUP_BYTES = 32 * 1024 * 1024
_FLUSH_EVERY: Millis = SECOND
_PATIENCE = 0.02  # seconds that the loop waits for others who write
_LONG: Millis = 50  # a commit in the loop; after a longer one the disk is left to the thread for a while
_ASIDE: Millis = 2 * SECOND
_FLUSH_AGAIN: Millis = 10 * SECOND  # after one that failed: calls go first at an outbox that is hard to get

OpenInbox = Callable[[], AbstractContextManager[Inbox]]
"""Opens the inbox; called in the committer's own thread, and again after the file turned out to be broken."""

T = TypeVar("T")

log = structlog.get_logger()


class Signal(Protocol):
    """How one waiting call learns that it has its answer: swapped when calls are not threads."""

    def wait(self, timeout: float) -> bool:
        """Wait for `set`, at most `timeout` seconds; tell whether it came."""
        ...

    def set(self) -> None:
        """End the wait; called once, by the committer's thread."""
        ...


class LockSignal:
    """A bare lock: a fifth of the cost of an Event, and all that one waiter needs."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout: float) -> bool:
        """Wait for `set`."""
        return self._lock.acquire(timeout=timeout)

    def set(self) -> None:
        """End the wait."""
        self._lock.release()


class Loop(Protocol):
    """Whose calls are no threads: they leave the loop to others while they wait."""

    @property
    def is_here(self) -> bool:
        """Whether one of its calls asks."""
        ...

    def signal(self) -> Signal:
        """Return something that the asking call can wait for."""
        ...

    def later(self, work: Callable[[], None]) -> None:
        """Do it in the loop's thread when the loop has gone round."""
        ...


class _Stage(Enum):
    WAITING = 1
    TAKEN = 2
    WITHDRAWN = 3


class _Order:
    """Something to be done in the committer's thread, and what came of it."""

    __slots__ = ("error", "result", "signal", "stage")

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.stage = _Stage.WAITING
        self.result: Any = None
        self.error: Exception | None = None


class _Append(_Order):
    __slots__ = ("call",)

    def __init__(self, call: NewCall | NewUnproven, signal: Signal) -> None:
        super().__init__(signal)
        self.call = call


class _Job(_Order):
    __slots__ = ("do",)

    def __init__(self, do: Callable[[Inbox], Any], signal: Signal) -> None:
        super().__init__(signal)
        self.do = do


class Committer:
    """Stores calls for a loop and for many threads through one inbox.

    `timeout` is how long a call waits for its turn, in seconds. `committed` is called after each group that is on
    disk; it must not block or raise.
    """

    def __init__(
        self,
        open_inbox: OpenInbox,
        clock: Clock,
        *,
        timeout: float,
        committed: Callable[[], None] = lambda: None,
        loop: Loop | None = None,
    ) -> None:
        self._open = open_inbox
        self._clock = clock
        self._timeout = timeout
        self.committed = committed
        self._loop = loop
        self._round: list[_Append | _Job] = []
        self._aside_until = clock.elapsed()
        self._queue: SimpleQueue[_Append | _Job | None] = SimpleQueue()
        self._got = 0  # orders that the thread has taken from its queue
        self._handed = 0  # orders that the thread has yet to finish: what comes later may not overtake them
        self._mutex = threading.Lock()
        self._owner = threading.Lock()  # of the inbox, just now
        self._counts: dict[str, int] = {}
        self._notes: dict[str, str] = {}
        self._flush_at = clock.elapsed() + _FLUSH_EVERY
        self._beat = clock.elapsed()
        self._thread: threading.Thread | None = None
        self._inbox: Inbox | None = None
        self._handles = ExitStack()

    # ── from any thread ─────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the thread; the inbox is opened there."""
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, write the counts, close the inbox."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def keep(self, call: NewCall | NewUnproven) -> Receipt:
        """Return when the call is on disk. Raises OutboxError and its kinds: then it is not known to be there."""
        order = _Append(call, self._signal())
        self._wait_for(order)
        receipt: Receipt = order.result
        return receipt

    def ask(self, do: Callable[[Inbox], T]) -> T:
        """Run something with the inbox, in the committer's thread, and return its result; raises what it raises."""
        order = _Job(do, self._signal())
        self._wait_for(order)
        result: T = order.result
        return result

    def count(self, name: str) -> None:
        """Add one to a durable counter; written together with others, within about a second."""
        with self._mutex:
            self._counts[name] = self._counts.get(name, 0) + 1

    def note(self, name: str, value: str) -> None:
        """Remember a fact; written within about a second, the newest value of a name only."""
        with self._mutex:
            self._notes[name] = value

    def since_beat(self) -> Millis:
        """Return how long ago the thread was last seen to go round: it goes at least once a second."""
        return self._clock.elapsed() - self._beat

    def _signal(self) -> Signal:
        return self._loop.signal() if self._loop is not None else LockSignal()

    def _wait_for(self, order: _Append | _Job) -> None:
        if self._loop is not None and self._loop.is_here:
            if not self._round:
                self._loop.later(self._end_round)
            self._round.append(order)
        else:
            self._hand_over([order])
        if not order.signal.wait(self._timeout):
            with self._mutex:
                if order.stage is _Stage.WAITING:
                    order.stage = _Stage.WITHDRAWN
                    raise OutboxBusyError("no turn at the outbox within [receiver] store_timeout")
            # It is being written: the outbox's own time-out bounds this.
            if not order.signal.wait(self._timeout):
                raise OutboxBusyError("the outbox did not answer within twice [receiver] store_timeout")
        if order.error is not None:
            raise _again(order.error)

    def _hand_over(self, orders: Sequence[_Append | _Job]) -> None:
        with self._mutex:
            self._handed += len(orders)
        for order in orders:
            self._queue.put(order)

    # ── in the loop ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _end_round(self) -> None:
        orders, self._round = self._round, []
        for at in range(0, len(orders), _GROUP_CALLS):
            group = orders[at : at + _GROUP_CALLS]
            if not self._commit_here(group):
                self._hand_over(group)

    def _commit_here(self, orders: Sequence[_Append | _Job]) -> bool:
        """Commit the calls at once, if that is possible; else the thread has to, whatever the reason."""
        appends = [order for order in orders if isinstance(order, _Append)]
        if len(appends) < len(orders) or self._handed or self._clock.elapsed() < self._aside_until:
            return False
        if not self._owner.acquire(blocking=False):
            return False
        began = self._clock.elapsed()
        try:
            if self._inbox is None:
                return False
            receipts = self._inbox.append([order.call for order in appends], patience=_PATIENCE)
        except Exception:  # noqa: BLE001 - the thread tells one call's fault from another's, and words it
            return False
        finally:
            self._owner.release()
            ended = self._clock.elapsed()
            if ended - began > _LONG:
                self._aside_until = ended + _ASIDE
        self._committed(appends, receipts)
        return True

    def _committed(self, group: Sequence[_Append], receipts: Sequence[Receipt]) -> None:
        self.committed()
        for order, receipt in zip(group, receipts, strict=True):
            order.result = receipt
            order.signal.set()

    # ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        stopping = False
        while not stopping:
            before = self._got
            appends, jobs, stopping = self._gather()
            self._beat = self._clock.elapsed()
            if appends:
                self._commit(appends)
            for job in jobs:
                self._perform(job)
            with self._mutex:
                self._handed -= self._got - before
            self._flush(due=stopping)
        self._inbox = None
        self._handles.close()

    def _gather(self) -> tuple[list[_Append], list[_Job], bool]:
        """Wait up to a second for something to do, then take all that is there, within bounds."""
        appends: list[_Append] = []
        jobs: list[_Job] = []
        size = 0
        try:
            order = self._queue.get(timeout=_FLUSH_EVERY / SECOND)
            while order is not None:
                self._got += 1
                with self._mutex:
                    taken = order.stage is _Stage.WAITING
                    if taken:
                        order.stage = _Stage.TAKEN
                if taken and isinstance(order, _Append):
                    appends.append(order)
                    size += len(order.call.request.request.body)
                elif taken and isinstance(order, _Job):
                    jobs.append(order)
                if len(appends) + len(jobs) >= _GROUP_CALLS or size >= _GROUP_BYTES:
                    return appends, jobs, False
                order = self._queue.get_nowait()
        except Empty:
            return appends, jobs, False
        return appends, jobs, True

    def _commit(self, group: Sequence[_Append]) -> None:
        try:
            receipts = self._use(lambda inbox: inbox.append([order.call for order in group]))
        except (OutboxBusyError, OutboxBrokenError) as error:
            for order in group:
                order.error = error
                order.signal.set()
        except Exception as error:  # noqa: BLE001 - whatever one call does to it, the others must not suffer
            if len(group) == 1:
                group[0].error = error
                group[0].signal.set()
                return
            for order in group:
                self._commit([order])
        else:
            self._committed(group, receipts)

    def _perform(self, job: _Job) -> None:
        try:
            job.result = self._use(job.do)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            job.error = error
        job.signal.set()

    def _use(self, do: Callable[[Inbox], T]) -> T:
        with self._owner:
            try:
                if self._inbox is None:
                    self._inbox = self._handles.enter_context(self._open())
                return do(self._inbox)
            except OutboxBrokenError:
                # A restored file is found again by opening it anew.
                self._inbox = None
                self._handles.close()
                raise

    def _flush(self, *, due: bool) -> None:
        if not (due or self._clock.elapsed() >= self._flush_at):
            return
        self._flush_at = self._clock.elapsed() + _FLUSH_EVERY
        with self._mutex:
            counts, self._counts = self._counts, {}
            notes, self._notes = self._notes, {}
        if not (counts or notes):
            return
        try:
            self._use(lambda inbox: self._write(inbox, counts, notes))
        except Exception as error:  # noqa: BLE001 - counts are kept for the next time, whatever it is
            log.warning("counts are not written yet", why=str(error))
            self._flush_at = self._clock.elapsed() + _FLUSH_AGAIN
            with self._mutex:
                for name, by in counts.items():
                    self._counts[name] = self._counts.get(name, 0) + by
                self._notes = notes | self._notes

    def _write(self, inbox: Inbox, counts: dict[str, int], notes: Mapping[str, str]) -> None:
        now = self._clock.now()
        if counts:
            inbox.count(counts, now)
            counts.clear()  # so that a note that fails does not count them twice
        for name, value in notes.items():
            inbox.note(name, value, now)


def _again(error: Exception) -> Exception:
    """Return an exception of its own for each waiting thread."""
    if isinstance(error, OutboxError):
        return type(error)(str(error))
    return OutboxError(f"the outbox could not take it: {type(error).__name__}")
