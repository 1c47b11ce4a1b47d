"""Slow, idle and greedy senders: none of them keeps a genuine call from being answered."""

import os
import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.http.receiver import Receiver, genuine, read_answer, wait_for


def memory(pids: list[int]) -> int:
    """Return the processes' resident memory, in bytes."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


@pytest.fixture
def narrow(tmp_path: Path):
    """A receiver with few threads, few connections and little patience."""
    options = "threads = 2\nconnections = 40\nbody_timeout = 3\nmax_body = 1048576"
    with Receiver(tmp_path, options=options) as receiver:
        yield receiver


def test_slow_senders_do_not_hold_the_threads(narrow: Receiver) -> None:
    """With two threads and twenty senders of half a call, a genuine call is answered as ever."""
    half = genuine(b"type=update&profile=1&database=1")[:-5]
    with ExitStack() as stack:
        for cut in range(20):
            sock = stack.enter_context(narrow.connect())
            sock.sendall(half[: 10 + cut * 20])
        assert narrow.post().status == 200


def test_a_call_that_is_not_whole_in_time_is_answered_408(narrow: Receiver) -> None:
    """The time for a call is limited, however it trickles in; the log has its line."""
    call = genuine(b"type=update&profile=1&database=1")
    with narrow.connect() as sock:
        sock.settimeout(0.2)
        got = b""
        for byte in call[:200]:
            sock.sendall(bytes([byte]))
            try:
                got = sock.recv(4096)
            except TimeoutError:
                continue
            break
    assert got.startswith(b"HTTP/1.1 408 ")
    assert narrow.lines("call")[-1]["status"] == 408


def test_more_connections_than_there_is_room_for_do_not_lock_anybody_out(narrow: Receiver) -> None:
    """Those that have been silent the longest go; a genuine call gets its answer."""
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(narrow.connect())
        assert narrow.post().status == 200
    [worker] = narrow.workers()
    assert len(os.listdir(f"/proc/{worker}/fd")) < 40 + 60


def test_a_burst_of_prompt_callers_is_answered_to_the_last(narrow: Receiver) -> None:
    """More callers at once than connections are allowed: they wait, and none is refused."""
    with ExitStack() as stack:
        socks = [stack.enter_context(narrow.connect()) for _ in range(150)]
        for sock in socks:
            sock.sendall(genuine(b"type=update&profile=1&database=1", extra=(("Connection", "close"),)))
        assert [read_answer(sock).status for sock in socks] == [200] * 150


def test_half_calls_are_held_within_a_bound_of_memory(narrow: Receiver) -> None:
    """Thirty senders of a megabyte less one byte: the oldest are told to come again, and memory stays bounded."""
    before = memory(narrow.workers())
    head = b"POST /in/shop HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n"
    with ExitStack() as stack:
        socks = []
        for _ in range(30):
            sock = stack.enter_context(narrow.connect())
            sock.sendall(head + b"x" * 1_048_575)
            socks.append(sock)
        assert narrow.post().status == 200
        answer = read_answer(socks[0])
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert memory(narrow.workers()) - before < 40 * 1024 * 1024


def test_a_sender_that_reads_no_answers_does_not_hold_a_thread(narrow: Receiver) -> None:
    """Calls without end on one connection, none of the answers read: others are answered."""
    flood = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 2000
    with ExitStack() as stack:
        for _ in range(3):
            sock = socket.socket()
            stack.enter_context(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(0.5)
            sock.connect(narrow.address)
            try:
                while True:
                    sock.sendall(flood)
            except TimeoutError:
                pass
        assert narrow.post().status == 200


def test_a_connection_closed_halfway_leaves_nothing(narrow: Receiver) -> None:
    """It has its line in the log, and its handle is given back."""
    [worker] = narrow.workers()
    before = len(os.listdir(f"/proc/{worker}/fd"))
    for _ in range(30):
        with narrow.connect() as sock:
            sock.sendall(b"POST /in/shop HTTP/1.1\r\n")
    wait_for(lambda: len(narrow.lines("call")) == 30, "each has its line")
    assert {line["reason"] for line in narrow.lines("call")} == {"closed before the call was whole"}
    wait_for(lambda: len(os.listdir(f"/proc/{worker}/fd")) <= before, "the handles are given back")


@pytest.mark.slow
def test_ten_thousand_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    """With the default limits, while thousands of idle connections keep coming, a genuine call is answered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip("not enough handles here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with Receiver(tmp_path) as receiver, ExitStack() as stack:
            before = memory(receiver.workers())
            started = time.monotonic()
            for _ in range(10_000):
                stack.enter_context(receiver.connect())
            opened = time.monotonic()
            assert receiver.post().status == 200
            print(
                f"opened in {opened - started:.1f} s, answered after {time.monotonic() - opened:.2f} s,"
                f" memory +{(memory(receiver.workers()) - before) / 2**20:.1f} MiB"
            )
            assert memory(receiver.workers()) - before < 30 * 1024 * 1024
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
