"""Rates that all deliverers of a machine share: a few numbers in a small file beside the outbox.

Nothing in it has to survive: a lost file means a full bucket once. So it is never synced, and a file that is of another
boot, of other rates, or damaged begins anew.
"""

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from connector.crm.port import Rate
from connector.deliver.limits import Limiter
from connector.domain.clock import Clock

_MARK_BYTES: Final = 16
_AHEAD: Final = 20  # buckets: further ahead than that no deliverers can have reserved, so it is no such number


def rates_path(outbox: Path, destination: str) -> Path:
    """Return the file for a destination."""
    return outbox.with_name(f"{outbox.name}.rates-{destination}")


class SharedLimiter(Limiter):
    """The same buckets for every process that opens the same file. When the file cannot be used, for this one alone."""

    def __init__(self, path: Path, rates: Sequence[Rate], clock: Clock, boot_id: str) -> None:
        super().__init__(rates, clock)
        text = f"{boot_id} {[(rate.cost, rate.per) for rate in self._rates]}"
        self._mark = hashlib.sha256(text.encode()).digest()[:_MARK_BYTES]
        self._format = struct.Struct(f"<{_MARK_BYTES}s{len(self._rates)}d")
        self._handle: int | None = None
        if self._rates:
            with suppress(OSError):
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    @contextmanager
    def _levels(self) -> Iterator[list[float]]:
        with super()._levels() as own:
            if self._handle is None or not self._begin(own):
                yield own
                return
            try:
                yield own
                with suppress(OSError):
                    os.pwrite(self._handle, self._format.pack(self._mark, *own), 0)
            finally:
                fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _begin(self, own: list[float]) -> bool:
        """Lock the file and read it; False when it cannot be had."""
        assert self._handle is not None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        except OSError:
            return False
        try:
            data = os.pread(self._handle, self._format.size, 0)
        except OSError:
            data = b""
        if len(data) == self._format.size:
            mark, *levels = self._format.unpack(data)
            now = self._clock.elapsed()
            for i, (level, rate) in enumerate(zip(levels, self._rates, strict=True)):
                is_sane = mark == self._mark and 0 <= level <= now + _AHEAD * rate.per
                own[i] = level if is_sane else 0.0
        return True

    def close(self) -> None:
        """Give the file back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
