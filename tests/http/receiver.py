"""A real receiver process, and a plain socket to speak to it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connector.compose.reading import reader
from connector.config.load import load
from connector.domain.event import Event, NotUnderstood
from connector.domain.request import UnverifiedRequest
from connector.domain.source import Proof, Source
from connector.outbox.port import Route, StoredCall
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.queue import SqliteQueue
from tests.support.signing import public_pem, raw_http, signed_request, signing_key

COMMAND = [sys.executable, "-m", "connector", "serve"]
PUBLIC_URL = "http://hooks.example.com/in/"
SHOP = Source(
    name="shop", path="/in/shop", host="hooks.example.com", proof=Proof.KEY_FILE, account=1234, require_https=False
)
SECRET = "a-secret-of-some-length"
DEADLINE = 30.0


def wait_for(condition: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
    """Return what the condition gives once it is true."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {deadline} s: {what}")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str


class Receiver:
    """`with Receiver(folder) as receiver: receiver.post(...)`. The configuration can be extended by `sources` and options."""

    def __init__(
        self,
        folder: Path,
        *,
        options: str = "",
        outbox: str = "",
        sources: str = "",
        rest: str = "",
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        handles: tuple[int, ...] = (),
        command: list[str] | None = None,
        wait: bool = True,
        listen: str = "127.0.0.1:0",
    ) -> None:
        self.folder = folder
        self.outbox = folder / "outbox.db"
        self.config = folder / "config.toml"
        (folder / "key.pem").write_bytes(public_pem(signing_key()))
        self._parts = {"options": options, "outbox": outbox, "sources": sources, "rest": rest, "listen": listen}
        self.configure()
        self._env = {**os.environ, "HOOK_SECRET": SECRET, **(env or {})}
        self._before = before
        self._handles = handles
        self._command = command or COMMAND
        self._wait = wait
        self._log = folder / "log"
        self.ready_file = folder / "ready"
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, **parts: str) -> None:
        """Write the configuration, with some parts replaced."""
        self._parts |= parts
        part = self._parts
        self.config.write_text(f"""
            [receiver]
            listen = "{part["listen"]}"
            public_url = "{PUBLIC_URL}"
            require_https = false
            {part["options"]}
            [outbox]
            path = "outbox.db"
            free_bytes = 0
            {part["outbox"]}
            [sources.shop]
            account = "account-1234"
            proof = "key-file"
            key_file = "key.pem"
            [sources.private]
            proof = "secret"
            secret = {{ env = "HOOK_SECRET" }}
            {part["sources"]}
            {part["rest"]}
        """)

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, "--config", str(self.config), "--ready-file", str(self.ready_file)],
                env=self._env,
                stderr=log,
                stdout=log,
                preexec_fn=self._before,  # noqa: PLW1509 - it only sets limits
                pass_fds=self._handles,
                start_new_session=True,
            )
        if self._wait:
            wait_for(lambda: self.lines("ready") or self.process.poll() is not None, "the receiver is ready")
            assert self.process.poll() is None, self._log.read_text()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise
        if error is not None:
            print(self._log.read_text())

    # speaking to it

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = (
            wait_for(lambda: self.ready_file.exists() and self.ready_file.read_text(), "listens")
            .strip()
            .rpartition(":")
        )
        return host, int(port)

    def connect(self, timeout: float = DEADLINE) -> socket.socket:
        return socket.create_connection(self.address, timeout)

    def send(self, data: bytes) -> Answer:
        """Send bytes on a new connection, and read one answer."""
        with self.connect() as sock:
            try:
                sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has answered before it had all
            return read_answer(sock)

    def post(
        self, body: bytes = b"type=update&profile=123&database=1&fields%5Bname%5D=Johny", **changes: Any
    ) -> Answer:
        """Send a genuine call."""
        return self.send(genuine(body, **changes))

    def get(self, path: str) -> Answer:
        return self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    # looking at it

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return its log's lines about something."""
        found = []
        for line in self._log.read_text().split("\n")[:-1]:  # the last one may be half written
            if line.startswith("{"):
                value = json.loads(line)
                if value.get("event") == event:
                    found.append(value)
        return found

    @property
    def log(self) -> str:
        return self._log.read_text()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        database = Database(self.outbox, readonly=True)
        try:
            return database.conn.execute(sql).fetchall()
        finally:
            database.close()

    def call(self, answer: Answer) -> UnverifiedRequest:
        """Return the call that an answer names, as it lies in the outbox."""
        database = Database(self.outbox, readonly=True)
        try:
            detail = SqliteDesk(database).show(int(answer.body.split()[1]))
        finally:
            database.close()
        assert detail is not None
        return detail.request

    def route(self) -> None:
        """Look at all calls as a deliverer without mappings would."""
        database = Database(self.outbox)
        read = reader(load(self.config, os.environ))

        def route(call: StoredCall) -> tuple[Event, list[Route]] | NotUnderstood:
            event = read(call)
            return event if isinstance(event, NotUnderstood) else (event, [])

        try:
            SqliteQueue(database).route(time.time_ns() // 1_000_000, 1000, route)
        finally:
            database.close()

    def stored(self) -> int:
        return int(self.rows("SELECT count(*) FROM events")[0][0])

    def counts(self) -> dict[str, int]:
        return dict(self.rows("SELECT name, value FROM counters"))

    def workers(self) -> list[int]:
        assert self.process is not None
        return children(self.process.pid)


def children(pid: int) -> list[int]:
    """Return the process IDs of a process's children."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def genuine(body: bytes, *, now: int | None = None, source: Source = SHOP, **changes: Any) -> bytes:
    """Return a genuine call as it goes over the wire. Each has a nonce of its own unless one is named."""
    changes.setdefault("nonce", os.urandom(6).hex())
    return raw_http(signed_request(body, source=source, date=now or time.time_ns() // 1_000_000, **changes))


def read_answer(sock: socket.socket) -> Answer:
    """Read one answer; a Content-Length is always there."""
    data = b""
    while b"\r\n\r\n" not in data or data.startswith(b"HTTP/1.1 100"):
        if data.startswith(b"HTTP/1.1 100") and b"\r\n\r\n" in data:
            data = data.partition(b"\r\n\r\n")[2]
            continue
        more = sock.recv(65536)
        assert more, f"closed without an answer after {data!r}"
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    headers = {
        name.lower(): value
        for name, value in re.findall(
            r"^([^:\r\n]+):[ ]*([^\r\n]*)", head.decode("latin-1").partition("\r\n")[2], re.MULTILINE
        )
    }
    while len(body) < int(headers["content-length"]):
        more = sock.recv(65536)
        assert more, "closed within an answer's body"
        body += more
    return Answer(status, headers, body.decode())


def other_source(**changes: Any) -> Source:
    return replace(SHOP, **changes)
