"""The sockets that calls come in by: from systemd, or our own."""

import errno
import socket
import stat
from contextlib import suppress
from pathlib import Path

from gunicorn.systemd import SD_LISTEN_FDS_START, listen_fds

BACKLOG = 2048


class ListenError(Exception):
    """The address cannot be had. `is_busy`: another process has it now; otherwise the configuration is wrong."""

    def __init__(self, message: str, *, is_busy: bool) -> None:
        super().__init__(message)
        self.is_busy = is_busy


def inherited() -> list[socket.socket]:
    """Return the sockets that systemd has opened for us, if it did. They are taken out of the environment."""
    found = []
    for handle in range(SD_LISTEN_FDS_START, SD_LISTEN_FDS_START + listen_fds()):
        sock = socket.socket(fileno=handle)
        sock.set_inheritable(False)
        found.append(sock)
    return found


def listen(address: tuple[str, int] | Path) -> socket.socket:
    """Open a socket at (host, port), or at a path. Raises ListenError."""
    try:
        return _unix(address) if isinstance(address, Path) else _tcp(*address)
    except OSError as error:
        shown = str(address) if isinstance(address, Path) else f"{address[0]} port {address[1]}"
        busy = error.errno == errno.EADDRINUSE
        advice = "another process has it; stop that one, or change" if busy else "change"
        why = error.strerror or str(error)
        raise ListenError(f"cannot listen on {shown}: {why}; {advice} [receiver] listen", is_busy=busy) from None


def _tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.stat().st_mode):
                _see_that_nobody_listens(path)
                path.unlink()
        sock.bind(str(path))
        path.chmod(0o660)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _see_that_nobody_listens(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, "in use")


def shown(sock: socket.socket) -> str:
    """Return the address as people write it."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"unix:{name}"
