"""sd_notify, on a real socket."""

import socket
from pathlib import Path

import pytest

from connector.process.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_states_arrive_at_the_service_manager(tmp_path: Path, abstract: bool) -> None:
    """One datagram each, to a path or an abstract address."""
    address = f"@{tmp_path}"[:90] if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{address[1:]}" if abstract else address)
        listener.settimeout(20)
        notifier = Notifier(address)
        notifier.ready("taking calls")
        notifier.alive()
        notifier.status("well")
        notifier.stopping()
        got = [listener.recv(1000) for _ in range(4)]
    assert got == [b"READY=1\nSTATUS=taking calls", b"WATCHDOG=1", b"STATUS=well", b"STOPPING=1"]


def test_the_environment_is_taken_so_that_no_child_speaks_in_our_name() -> None:
    """And the watchdog's interval is known, in seconds."""
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1", "OTHER": "stays"}
    assert Notifier.from_environment(environ).watchdog_interval == 30
    assert environ == {"OTHER": "stays"}


def test_without_a_service_manager_nothing_happens(tmp_path: Path) -> None:
    """Nor with one that went away."""
    Notifier.from_environment({}).ready()
    assert Notifier.from_environment({}).watchdog_interval is None
    Notifier(str(tmp_path / "gone")).alive()
