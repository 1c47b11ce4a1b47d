"""One writer at a time, over all threads and processes, chosen fairly.

SQLite's own busy handler lets whoever writes most often win, and starves the others for seconds. Two lock files beside
the database act as a door with a turnstile: who wants to write waits in the turnstile, and who has just written has to
go through it again.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from connector.outbox.port import OutboxBusyError

_POLL_FIRST = 0.0002
_POLL_LONGEST = 0.005
_POLL_LONGER = 1.2  # each look waits that much longer than the last: what is waited too long is a fifth at most


class Lock(Protocol):
    """Excludes other writers."""

    def held(self, timeout: float) -> AbstractContextManager[None]:
        """Return a context in which no other writer is; raises OutboxBusyError after `timeout` seconds."""
        ...

    def close(self) -> None:
        """Give the files back."""
        ...


class WriteLock:
    """The turnstile and the door. Each instance has its own file handles, so it also excludes other threads."""

    def __init__(self, database: Path) -> None:
        self._turn = self._open(database.with_name(database.name + ".turn"))
        self._door = self._open(database.with_name(database.name + ".lock"))

    @staticmethod
    def _open(path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Wait for the turn, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._acquire(self._turn, deadline)
        try:
            self._acquire(self._door, deadline)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)

    @staticmethod
    def _acquire(handle: int, deadline: float) -> None:
        wait = _POLL_FIRST
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise OutboxBusyError(
                        "another process has been writing to the outbox for too long; see whether one hangs"
                    ) from None
                time.sleep(wait)
                wait = min(wait * _POLL_LONGER, _POLL_LONGEST)
            else:
                return

    def close(self) -> None:
        """Close both files."""
        for handle in (self._turn, self._door):
            with suppress(OSError):
                os.close(handle)


class NoLock:
    """For a database in memory, which nobody else can see."""

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:  # noqa: ARG002 - the same shape as WriteLock
        """Do nothing."""
        yield

    def close(self) -> None:
        """Do nothing."""
