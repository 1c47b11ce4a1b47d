"""Tells systemd how the service is: the sd_notify protocol, which is one datagram."""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress


class Notifier:
    """Sends states to the service manager; does nothing where there is none."""

    def __init__(self, address: str | None, watchdog_usec: int = 0) -> None:
        self._address = address
        self.watchdog_interval: float | None = watchdog_usec / 1e6 if watchdog_usec else None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] = os.environ) -> "Notifier":
        """Take the address out of the environment, so that no library and no child speaks in our name."""
        address = environ.pop("NOTIFY_SOCKET", None)
        usec = environ.pop("WATCHDOG_USEC", "")
        environ.pop("WATCHDOG_PID", None)
        return cls(address, int(usec) if usec.isdecimal() else 0)

    def ready(self, status: str = "") -> None:
        """Say that the service does its work now."""
        self._send(f"READY=1\nSTATUS={status}" if status else "READY=1")

    def status(self, status: str) -> None:
        """Say in a line how it is; `systemctl status` shows it."""
        self._send(f"STATUS={status}")

    def stopping(self) -> None:
        """Say that the service is on its way down."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # A manager that went away is no reason to stop working.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(), address)
