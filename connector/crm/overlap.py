"""Requests of one thread that wait for their answers together.

Who waits for an answer gives the interpreter away and has to be woken. With a CRM that answers at once, that takes
longer than all the rest: sixteen threads send a quarter of what one thread does that sends sixteen requests and then
reads the answers as they come. Here a piece of work is a greenlet, which leaves its thread to others where it waits for
an answer or lets time pass, and nowhere else: connecting, and the rest of an answer, hold the thread up.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from greenlet import getcurrent, greenlet

Work: TypeAlias = Callable[[], None]


class _Runner(greenlet):
    """Does one work after the other: a new greenlet asks the system for memory, and gives it back at its end."""

    is_alone = False


class Overlap:
    """Belongs to the thread that calls `run`."""

    def __init__(self) -> None:
        self.waited = 0.0
        """Seconds in all, so far, in which there was nothing to do but wait."""
        self._poll = select.poll()
        self._reading: dict[int, _Runner] = {}
        self._until: dict[_Runner, float] = {}
        self._idle: list[_Runner] = []

    def run(self, first: Work, more: Callable[[], Work | None]) -> None:
        """Do what `first` and then `more` give (None: nothing just now), until all has ended. Work may not raise."""
        work: Work | None = first
        while work is not None or self._until:
            while work is not None:
                self._go(self._idle.pop() if self._idle else _Runner(self._serve, getcurrent()), work)
                work = more()
            if self._until:
                self._wait()
                work = more()

    def _serve(self, work: Work) -> None:
        hub = getcurrent().parent
        assert hub is not None
        while True:
            work()
            work = hub.switch(None)

    def _go(self, runner: _Runner, given: Any) -> None:
        waits: tuple[int | None, float] | None = runner.switch(given)
        if waits is None:
            self._idle.append(runner)
            return
        handle, self._until[runner] = waits
        if handle is not None:
            self._reading[handle] = runner
            self._poll.register(handle, select.POLLIN)

    def _wait(self) -> None:
        """Wait until some can go on, and let them."""
        began = time.monotonic()
        ready = self._poll.poll(max(0.0, min(self._until.values()) - began) * 1000)
        now = time.monotonic()
        self.waited += now - began
        readable = {self._reading[handle] for handle, _ in ready}
        for runner in [one for one, until in self._until.items() if one in readable or until <= now]:
            del self._until[runner]
            for handle in [handle for handle, reader in self._reading.items() if reader is runner]:
                del self._reading[handle]
                self._poll.unregister(handle)
            self._go(runner, runner in readable)


def wait_beside_others(sock: socket.socket, until: float) -> bool | None:
    """Leave the thread to others until there is something to read; tell whether it came until then (time.monotonic).

    None: there was no waiting, because this is not one of several, or because something is here already.
    """
    here = getcurrent()
    if not isinstance(here, _Runner) or here.is_alone or not isinstance(sock, socket.socket):
        return None
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return None
    assert here.parent is not None
    return bool(here.parent.switch((sock.fileno(), until)))


def rest(seconds: float) -> None:
    """Let time pass; others of the same thread go on meanwhile."""
    here = getcurrent()
    if not isinstance(here, _Runner) or here.is_alone:
        time.sleep(seconds)
        return
    assert here.parent is not None
    here.parent.switch((None, time.monotonic() + seconds))


@contextmanager
def alone() -> Iterator[None]:
    """Nothing else of this thread goes on in here: who holds a lock may not wait for somebody who wants it."""
    here = getcurrent()
    if not isinstance(here, _Runner):
        yield
        return
    here.is_alone = True
    try:
        yield
    finally:
        here.is_alone = False
