"""The receiver wakes the deliverer by a datagram beside the outbox: a hint only, the deliverer also looks by itself."""

import os
import select
import socket
from contextlib import suppress
from pathlib import Path

_LONGEST_ADDRESS = 100  # a Unix socket's path has room for 108 bytes


def wake_path(outbox: Path) -> Path:
    """Return where the deliverer of that outbox listens."""
    return outbox.with_name(f"{outbox.name}.wake")


class Waker:
    """The receiver's side. Never waits, never fails: a full queue means that the deliverer is awake."""

    def __init__(self, path: Path) -> None:
        self._address = _Address(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def wake(self) -> None:
        """Wake whoever listens; with nobody there, nothing happens."""
        with suppress(OSError):
            self._socket.sendto(b"!", self._address.text)

    def close(self) -> None:
        """Give the handles back."""
        self._socket.close()
        self._address.close()


class Sleeper:
    """The deliverer's side. With several deliverers the last one started is woken, the others look by themselves."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._address = _Address(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        path.unlink(missing_ok=True)
        self._socket.bind(self._address.text)
        path.chmod(0o660)
        self._inode = path.stat().st_ino

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; tell whether somebody woke us. Many calls before a wait count as one."""
        readable, _, _ = select.select([self._socket], [], [], timeout)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(16)
        return bool(readable)

    def fileno(self) -> int:
        """Return the handle, to be waited for together with others."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening; another deliverer's address is left alone."""
        self._socket.close()
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        self._address.close()


class _Address:
    """A Unix socket's address; a path too long for one goes by way of its folder's handle."""

    def __init__(self, path: Path) -> None:
        self._folder: int | None = None
        self.text = str(path.absolute())
        if len(os.fsencode(self.text)) > _LONGEST_ADDRESS:
            self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.text = f"/proc/self/fd/{self._folder}/{path.name}"

    def close(self) -> None:
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None
