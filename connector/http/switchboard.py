"""Calls that wait without a thread: the loop goes on with others, and comes back when the outbox has answered.

A thread for each call costs more in handing the interpreter from one to the next than the call itself: with sixteen of
them, the receiver spent two thirds of its time on that. Here a call is a greenlet in the loop's own thread, and only
what really waits for something (the commit, DNS) is done in another thread.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from connector.receive.committer import LockSignal, Signal

T = TypeVar("T")
_IDLE = 64  # greenlets that wait for work


class Switchboard:
    """Belongs to the thread that calls `open`: the loop, which calls `resume` whenever `fileno` is readable."""

    def __init__(self) -> None:
        self._handle = -1
        self._loop: int | None = None
        self._hub: greenlet = getcurrent()
        self._ready: deque[_Waiting] = deque()
        self._waiting: dict[_Waiting, float] = {}
        self._done: dict[greenlet, Callable[[Any], None]] = {}
        self._called = False
        self._idle: list[greenlet] = []
        self._result: Any = None
        self._later: list[Callable[[], None]] = []

    def open(self) -> None:
        """Make the calling thread the loop's; after the fork."""
        self._handle = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._loop = threading.get_ident()
        self._hub = getcurrent()

    def fileno(self) -> int:
        """Return the handle that becomes readable when a call can go on."""
        return self._handle

    # ── in the loop ─────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """Begin `work`; return when it has ended or waits. `done` gets its result, in the loop. It may not raise."""
        call = self._idle.pop() if self._idle else greenlet(self._serve, self._hub)
        self._done[call] = done
        self._go(call, work)

    def resume(self, _handle: object = None) -> None:
        """Go on with the calls that have what they waited for."""
        os.eventfd_read(self._handle)
        self._called = False  # before looking: who comes after this calls again
        self._go_on()

    def flush(self) -> None:
        """Do what was put off, and go on with the calls that waited for it: at the end of each round of the loop.

        Also with those that had what they wait for before they began to wait: nobody else wakes the loop for them.
        """
        while self._later or self._ready:
            later, self._later = self._later, []
            for work in later:
                work()
            self._go_on()

    def _go_on(self) -> None:
        while self._ready:
            waiting = self._ready.popleft()
            waiting.is_set = True
            if self._waiting.pop(waiting, None) is not None:
                self._go(waiting.call, True)

    def end_overdue(self) -> None:
        """Let those go on that have waited for too long."""
        if not self._waiting:
            return
        now = time.monotonic()
        for waiting in [waiting for waiting, until in self._waiting.items() if until < now]:
            del self._waiting[waiting]
            self._go(waiting.call, False)

    def _go(self, call: greenlet, given: Any) -> None:
        if call.switch(given):
            done, result, self._result = self._done.pop(call), self._result, None
            if len(self._idle) < _IDLE:
                self._idle.append(call)
            done(result)

    def _serve(self, work: Callable[[], Any]) -> None:
        """Do one work after the other: a new greenlet asks the system for memory, and gives it back at its end."""
        while True:
            self._result = work()
            work = self._hub.switch(True)  # ended

    # ── in a call, or in any thread ─────────────────────────────────────────────────────────────────────────────────

    @property
    def is_here(self) -> bool:
        """Whether this is one of the loop's calls."""
        return threading.get_ident() == self._loop and getcurrent() is not self._hub

    def later(self, work: Callable[[], None]) -> None:
        """Do it in the loop when it has gone round; asked by one of its calls."""
        self._later.append(work)

    def signal(self) -> Signal:
        """Return something to wait for: by leaving the loop to others, or in a thread of its own as threads do."""
        return _Waiting(self) if self.is_here else LockSignal()

    def aside(self, executor: Executor, work: Callable[[], T]) -> T:
        """Do in another thread what may take long, when it is one of the loop's calls that asks for it."""
        if not self.is_here:
            return work()
        future, signal = executor.submit(work), self.signal()
        future.add_done_callback(lambda _: signal.set())
        signal.wait(float("inf"))
        return future.result()

    def _wait(self, waiting: "_Waiting", timeout: float) -> bool:
        self._waiting[waiting] = time.monotonic() + timeout
        return bool(self._hub.switch(False))

    def _call(self, waiting: "_Waiting") -> None:
        self._ready.append(waiting)
        if not self._called and threading.get_ident() != self._loop:
            self._called = True
            os.eventfd_write(self._handle, 1)


class _Waiting:
    """See `connector.receive.committer.Signal`."""

    __slots__ = ("_board", "call", "is_set")

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self.call = getcurrent()
        self.is_set = False

    def wait(self, timeout: float) -> bool:
        """Leave the loop to others until `set`, or for about `timeout` seconds."""
        return self.is_set or self._board._wait(self, timeout)  # noqa: SLF001 - two halves of one thing

    def set(self) -> None:
        """End the wait; from any thread."""
        self._board._call(self)  # noqa: SLF001 - the same
