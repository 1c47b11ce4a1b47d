"""Whose leases are whose, and who is gone.

A deliverer that was killed cannot send any more, so its leases need not be waited out: it held a lock on a file, and
the kernel has let go of that. One that is only stopped (SIGSTOP, a suspended machine) still holds it, and its leases
end by their time.
"""

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path

OWNER_SHIFT = 31
"""A lease is the owner's number above, and a count below."""


class Owners:
    """This process's own lock, and a look at those of the others."""

    def __init__(self, database: Path | None) -> None:
        self._database = database
        self._count = 0
        self._handle: int | None = None
        self.number = 0

    def lease(self) -> int:
        """Return a lease that nobody else has. The first one takes the owner's lock."""
        if self.number == 0:
            self._begin()
        self._count += 1
        return self.number << OWNER_SHIFT | self._count

    def _begin(self) -> None:
        self.number = secrets.randbelow(1 << 31) + 1
        if self._database is not None:
            self._handle = os.open(self._path(self.number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def _path(self, number: int) -> Path:
        assert self._database is not None
        return self._database.with_name(f"{self._database.name}.owner-{number}")

    def is_gone(self, number: int) -> bool:
        """Whether that owner's process has ended."""
        if number == self.number or self._database is None:
            return False
        path = self._path(number)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            path.unlink(missing_ok=True)
            return True
        finally:
            os.close(handle)

    def close(self) -> None:
        """End this owner: leases that are left are anybody's."""
        if self._handle is not None:
            with suppress(OSError):
                self._path(self.number).unlink(missing_ok=True)
                os.close(self._handle)
            self._handle = None
