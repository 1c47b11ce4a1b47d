"""Fuzzing the real receiver process through its socket: bytes that are nearly HTTP, and signed calls that are HTTP."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz.making import WIRE_TOKENS, Maker
from tests.fuzz.targets import LAST, FiveError
from tests.http.receiver import SHOP, Receiver, genuine, other_source
from tests.support.signing import raw_http

CALLBACK = other_source(name="callback", path="/in/callback")
SOURCES = """
[sources.callback]
account = "account-1234"
proof = "key-file"
key_file = "key.pem"
dialect = "callback"
database = 1
collection = 2
"""
ANSWER = 20.0
"""Seconds within which a connection has its answers and is closed; body_timeout is 2 s."""
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
_PLAIN = b"POST /in/private/a-secret-of-some-length HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\n"
_SEEDS = (
    _PLAIN + b"Content-Length: 33\r\n\r\ntype=update&profile=1&database=1&",
    _PLAIN + b"Transfer-Encoding: chunked\r\n\r\n5\r\ntype=\r\n1b\r\nupdate&profile=1&database=1\r\n0\r\n\r\n",
    _PLAIN + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\na=bc",
    b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /readyz HTTP/1.0\r\n\r\n",
    b"GET /smtpeter-abc.txt HTTP/1.1\r\nHost: h\r\n\r\n",
)


class Wire:
    """A running receiver; called with a Maker, it sends one connection's worth of bytes."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.workers = receiver.workers()

    def __call__(self, maker: Maker) -> str:
        now = time.time_ns() // 1_000_000
        if maker.chance(0.5):
            request = maker.signed(
                source=maker.random.choice((SHOP, CALLBACK)), date=now, nonce=f"{maker.random.getrandbits(80):x}"
            )
            data = raw_http(request)
            LAST.value = data
            statuses = self._send(data)
            _no_five(statuses)
            assert statuses == [200], statuses
            return "signed: 200"
        seeds = [*_SEEDS, genuine(maker.body()[0], now=now)]
        data = b"".join(maker.random.choice(seeds) for _ in range(1 + maker.some(2)))
        data = maker.mutated(data, WIRE_TOKENS) if maker.chance(0.95) else maker.random.randbytes(maker.some(300))
        LAST.value = data
        statuses = self._send(data)
        _no_five(statuses)
        return f"raw: {statuses[-1]}" if statuses else "raw: closed"

    def _send(self, data: bytes) -> list[int]:
        """Send all, close our side, and read until the other side is closed; return the statuses."""
        got = b""
        with self.receiver.connect(timeout=ANSWER) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while more := sock.recv(65536):
                    got += more
            except (ConnectionResetError, BrokenPipeError):
                pass  # it had seen enough
        return [int(status) for status in _STATUS.findall(got) if status != b"100"]

    def check(self) -> None:
        """See that the process is the same, answers genuine calls, and had no trouble with itself."""
        assert self.receiver.post().status == 200
        assert self.receiver.workers() == self.workers, "a worker was replaced"
        trouble = [word for word in ("Traceback", "could not be answered", "not stored") if word in self.receiver.log]
        assert not trouble, trouble


def _no_five(statuses: list[int]) -> None:
    if any(status >= 500 for status in statuses):
        raise FiveError(statuses)


@contextmanager
def wire(folder: Path) -> Iterator[Wire]:
    """Start a receiver."""
    with Receiver(folder, options="body_timeout = 2\nmax_body = 1048576", sources=SOURCES) as receiver:
        found = Wire(receiver)
        yield found
        found.check()
