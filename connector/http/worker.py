"""gunicorn's threaded worker, with another way of reading: work only begins on a call that is here whole.

The stock worker lets a thread wait for slow senders: a handful of them, or of idle connections, and nobody else is
served. Here one loop gathers the bytes of all connections, within bounds of time, number and memory. When there is no
room, the connection that has had the longest to send its call goes first: one that sends promptly gets through,
however many others do not.

A usual call is then a greenlet in the loop's own thread (see `switchboard`); what is large, or no POST, gets a thread.
"""

import selectors
import signal
import socket
import struct
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from gunicorn.http.errors import (
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from connector.http.request_buffer import Progress, RequestBuffer
from connector.http.switchboard import Switchboard
from connector.http.usual import Answer, UsualCall, environment, read_usual

KEEP_ALIVE = 130.0
"""Seconds that an answered connection may rest: longer than proxies keep theirs, so that they are the ones to close."""

_RECEIVE = 256 * 1024
_ACCEPT = 64  # connections in one round
_SEND_TIMEOUT = 5
_LINGER = 2.0
_STOP_REST = 1.0
_GRACE = 1.0
_FULL_PAUSE = 0.05
_QUICK = 64 * 1024  # bytes of a call that the loop may read by itself: a millisecond or so

_ANSWERS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}

Refused = Callable[[int, str, str], None]
"""Told of each call that never reached the application: status, reason, peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one process takes: connections at once, headers and their bytes, the body's bytes, seconds for a call."""

    connections: int
    max_headers: int
    max_head: int
    max_body: int
    body_timeout: float

    @property
    def memory(self) -> int:
        """Bytes of half calls that are held at most, all connections together."""
        return 16 * self.max_body


class Connection:
    """One connection. `since` is when it began to owe us a call, or to rest; monotonic seconds."""

    __slots__ = ("buffer", "client", "held", "parser", "paused", "server", "since", "sock", "working")

    def __init__(self, sock: socket.socket, client: Any, server: Any, bounds: Bounds) -> None:
        self.sock = sock
        self.client = client
        self.server = server
        self.buffer = RequestBuffer(bounds.max_head, bounds.max_body)
        self.parser: Any = None
        self.since = time.monotonic()
        self.held = 0
        self.working = False
        self.paused = False

    @property
    def peer(self) -> str:
        """The address of the other side; empty on a Unix socket."""
        return str(self.client[0]) if isinstance(self.client, tuple) else ""


class CallWorker(ThreadWorker):  # type: ignore[misc]
    """The worker. `equip` comes first, directly after the fork."""

    def equip(self, bounds: Bounds, board: Switchboard, refused: Refused, tick: Callable[[], None]) -> None:
        """Take what gunicorn has no place for. `tick` is called about once a second, from the loop: it may not wait."""
        self.bounds = bounds
        self.board = board
        self.refused = refused
        self._tick = tick
        self._ticked_at = 0.0

    def init_process(self) -> None:
        """Prepare the containers, then go on as ever."""
        self.arriving: dict[Connection, None] = {}  # in the order of `since`
        self.resting: dict[Connection, None] = {}
        self.closing: dict[Connection, None] = {}
        self.held = 0
        # One for all: a block of that size for each call would be asked of the system, and given back, each time.
        self._space = memoryview(bytearray(_RECEIVE))
        super().init_process()

    def notify(self) -> None:
        """Tell the master, and whoever else wants to know, that the loop goes round; at most once a second."""
        now = time.monotonic()
        if now - self._ticked_at >= 1:
            self._ticked_at = now
            super().notify()
            self._tick()

    def init_signals(self) -> None:
        """Let Ctrl-C, which reaches every process of a terminal, be as gentle as SIGTERM."""
        super().init_signals()
        signal.signal(signal.SIGINT, self.handle_exit)

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Serve until told to stop; then finish what is here."""
        self.poller.register(
            self.method_queue.fileno(),
            selectors.EVENT_READ,
            partial(self.method_queue.run_callbacks, max_callbacks=512),
        )
        self.board.open()
        self.poller.register(self.board.fileno(), selectors.EVENT_READ, self.board.resume)
        self.set_accept_enabled(enabled=True)
        while self.alive and self.is_parent_alive():
            self.notify()
            self.wait_for_and_dispatch_events(timeout=1.0 if self._accepting else _FULL_PAUSE)
            self.board.flush()
            self._close_overdue()
            if not self._accepting:
                self.set_accept_enabled(enabled=self.nr_conns < self.bounds.connections or self._make_room())
        self.set_accept_enabled(enabled=False)
        for listener in self.sockets:
            # Who is connected already gets an answer; nobody else can connect to us from here on.
            while self.accept(listener):
                pass
            listener.close()
        self._finish()
        self.tpool.shutdown(wait=False)
        self.poller.close()
        self.method_queue.close()

    def _finish(self) -> None:
        """Answer the calls that are here or half here; connections that are silent get a moment to be not."""
        started = time.monotonic()
        while self.nr_conns > len(self.closing) and time.monotonic() < started + self.cfg.graceful_timeout:
            if time.monotonic() > started + _STOP_REST:
                for connection in [c for c in (*self.arriving, *self.resting) if not c.buffer.data]:
                    self._drop(connection)
            self.notify()
            self.wait_for_and_dispatch_events(timeout=0.2)
            self.board.flush()
            self._close_overdue()

    def accept(self, listener: Any) -> bool:
        """Take the connections that wait, and tell whether there may be more; one a round, each would wait a commit."""
        return all(self._accept_one(listener) for _ in range(_ACCEPT))

    def _accept_one(self, listener: Any) -> bool:
        """Take a connection and tell whether there was one; if there are too many, the longest silent one goes.

        While all of them are young, the next ones wait in the system's queue: a burst of prompt callers is no attack.
        """
        if self.nr_conns >= self.bounds.connections and not self._make_room():
            self.set_accept_enabled(enabled=False)
            return False
        try:
            sock, client = listener.accept()
        except OSError as error:
            if not isinstance(error, BlockingIOError | ConnectionAbortedError):
                # Out of handles, say: those that are open must go on; the next connection waits.
                self.log.error("cannot take a connection: %s", error)  # noqa: TRY400 - no traceback
                self.set_accept_enabled(enabled=False)
            return False
        self.nr_conns += 1
        # The loop reads without waiting whatever the mode; threads write small answers, and wait for that only so long.
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT, 0))
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, client, listener.getsockname(), self.bounds)
        self.arriving[connection] = None
        self.poller.register(sock, selectors.EVENT_READ, partial(self._readable, connection))
        return True

    def _make_room(self) -> bool:
        """Close a connection that was given its moment; tell whether there was one."""
        now = time.monotonic()
        for waiting in (self.closing, self.arriving, self.resting):
            oldest = next(iter(waiting), None)
            if oldest is not None and oldest.since < now - _GRACE:
                self._drop(oldest)
                return True
        return False

    def _readable(self, connection: Connection, _sock: object) -> None:
        if connection.sock.fileno() < 0:
            return  # closed by what happened just before
        if connection.working:
            # It sends on before it has its answer: let that wait where it is.
            self.poller.unregister(connection.sock)
            connection.paused = True
            return
        try:
            size = connection.sock.recv_into(self._space, _RECEIVE, socket.MSG_DONTWAIT)
            data = self._space[:size].tobytes()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if connection in self.closing:
            if not data:
                self._drop(connection)
            return
        if not data:
            if connection.buffer.data:
                self.refused(400, "closed before the call was whole", connection.peer)
            self._drop(connection)
            return
        if connection in self.resting:
            del self.resting[connection]
            connection.since = time.monotonic()
            self.arriving[connection] = None
        self._feed(connection, data)

    def _feed(self, connection: Connection, data: bytes) -> None:
        progress = connection.buffer.feed(data)
        self._hold(connection, len(connection.buffer.data))
        if progress is Progress.COMPLETE:
            self._dispatch(connection)
        elif progress is Progress.BODY_TOO_LARGE:
            self._refuse(connection, 413, "too-large")
        elif progress is Progress.HEAD_TOO_LARGE:
            self._refuse(connection, 431, "headers too large")
        else:
            if connection.buffer.wants_continue:
                connection.buffer.wants_continue = False
                with suppress(OSError):
                    connection.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n", socket.MSG_DONTWAIT)
            if self.held > self.bounds.memory:
                self._free_memory()

    def _dispatch(self, connection: Connection) -> None:
        del self.arriving[connection]
        connection.working = True
        data = connection.buffer.take()
        quick = len(data) <= _QUICK and data.startswith(b"POST ")
        call = read_usual(data, self.bounds.max_headers) if quick else None
        if call is not None:
            self.board.run(partial(self._answer_usual, connection, call), partial(self._handled, connection))
            return
        connection.parser = RequestParser(self.cfg, [data], connection.client)
        connection.sock.setblocking(not quick)  # whose answer does not fit into the socket's buffer is cut off
        if quick:
            self.board.run(partial(self.handle, connection), partial(self._handled, connection))
        else:
            self.enqueue_req(connection)

    def _hold(self, connection: Connection, size: int) -> None:
        self.held += size - connection.held
        connection.held = size

    def _free_memory(self) -> None:
        """Too many half calls: the oldest that is large goes, and is told to come again."""
        for connection in self.arriving:
            if connection.held > self.bounds.max_head:
                self._refuse(connection, 503, "too many large calls at once")
                return

    # ── the usual call, in a greenlet ────────────────────────────────────────────────────────────────────────────────

    def _answer_usual(self, connection: Connection, call: UsualCall) -> bool:
        """Answer a call. Returns whether the connection may go on."""
        answer = Answer()
        try:
            body = b"".join(self.wsgi(environment(call, connection.peer), answer.start))
            keep = call.keep and self.alive
            data = answer.data(body, keep=keep)
            # Whose answer does not fit into the socket's buffer is cut off.
            return connection.sock.send(data, socket.MSG_DONTWAIT) == len(data) and keep
        except OSError:
            self.log.debug("the other side went away before its answer")
        except Exception:
            self.log.exception("a call could not be answered")
            self._answer_error(connection, 503, "internal error")
        return False

    # ── any call, in a greenlet or thread ───────────────────────────────────────────────────────────────────────────

    def handle(self, conn: Connection) -> bool:
        """Parse and answer one call, from memory. Returns whether the connection may go on. In a greenlet or thread."""
        try:
            return bool(self.handle_request(next(conn.parser), conn))
        except StopIteration:
            return False  # an answer was begun and broke off
        except NoMoreData:
            self._answer_error(conn, 400, "broken HTTP: NoMoreData")
        except LimitRequestLine:
            self._answer_error(conn, 414, "request line too long")
        except LimitRequestHeaders:
            self._answer_error(conn, 431, "headers too large")
        except ParseException as error:
            # Its text may hold what was sent, so only its kind is told.
            self._answer_error(conn, 400, f"broken HTTP: {type(error).__name__}")
        except OSError:
            self.log.debug("the other side went away before its answer")
        except Exception:
            self.log.exception("a call could not be answered")
            self._answer_error(conn, 503, "internal error")
        return False

    def _answer_error(self, connection: Connection, status: int, reason: str) -> None:
        self.refused(status, reason, connection.peer)
        with suppress(OSError):
            connection.sock.sendall(_answer(status))

    def _handled(self, connection: Connection, keep: bool) -> None:
        if connection.buffer.data:
            # Later, from the loop: a row of calls sent at once may not become a tower of them here.
            self.method_queue.defer(self._go_on, connection, keep)
        else:
            self._go_on(connection, keep)

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Take up the connection whose call was answered by a thread. Runs in the loop."""
        self._go_on(conn, not fs.cancelled() and fs.result())

    def _go_on(self, conn: Connection, keep: bool) -> None:
        """Let the connection rest, go on with what it has sent already, or close."""
        conn.working = False
        conn.parser = None
        self._hold(conn, len(conn.buffer.data))
        conn.since = time.monotonic()
        if not keep:
            self._linger(conn)
            return
        if conn.paused:
            conn.paused = False
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._readable, conn))
        if conn.buffer.data:
            self.arriving[conn] = None
            self._feed(conn, b"")
        else:
            self.resting[conn] = None

    # ── the ends of a connection ────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, connection: Connection, status: int, reason: str) -> None:
        """Answer from the loop, without waiting; then let the other side read it."""
        self.refused(status, reason, connection.peer)
        self.arriving.pop(connection, None)
        connection.buffer.data.clear()
        self._hold(connection, 0)
        with suppress(OSError):
            connection.sock.send(_answer(status), socket.MSG_DONTWAIT)
        self._linger(connection)

    def _linger(self, connection: Connection) -> None:
        """Close our side, and wait a moment for the other's: closing at once would take our answer from it."""
        connection.buffer.data.clear()
        self._hold(connection, 0)
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(connection)
            return
        connection.since = time.monotonic()
        if connection.paused:
            connection.paused = False
            self.poller.register(connection.sock, selectors.EVENT_READ, partial(self._readable, connection))
        self.closing[connection] = None

    def _drop(self, connection: Connection) -> None:
        for waiting in (self.arriving, self.resting, self.closing):
            waiting.pop(connection, None)
        self._hold(connection, 0)
        with suppress(KeyError, ValueError, OSError):
            self.poller.unregister(connection.sock)
        connection.sock.close()
        self.nr_conns -= 1

    def _close_overdue(self) -> None:
        self.board.end_overdue()
        now = time.monotonic()
        for connection in _overdue(self.arriving, now - self.bounds.body_timeout):
            if connection.buffer.data:
                self._refuse(connection, 408, "not whole in time")
            else:
                self._drop(connection)
        for connection in _overdue(self.resting, now - KEEP_ALIVE):
            self._drop(connection)
        for connection in _overdue(self.closing, now - _LINGER):
            self._drop(connection)


def _overdue(waiting: dict[Connection, None], limit: float) -> list[Connection]:
    """Return those that began before the limit; they stand first."""
    found = []
    for connection in waiting:
        if connection.since > limit:
            break
        found.append(connection)
    return found


def _answer(status: int) -> bytes:
    body = f"{_ANSWERS[status].lower()}\n"
    retry = "Retry-After: 30\r\n" if status == 503 else ""  # noqa: PLR2004 - HTTP's own number
    return (
        f"HTTP/1.1 {status} {_ANSWERS[status]}\r\nConnection: close\r\nContent-Type: text/plain\r\n{retry}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def before_request(_worker: object, request: Request) -> None:
    """Keep all headers, in order, for the application; gunicorn's hook `pre_request`.

    The WSGI environment joins repeated headers, and with them two that contradict each other.
    """
    request.body.sent_headers = tuple(request.headers)
    # Weak: in a cycle, megabytes would wait for the collector.
    request.body.close_after = weakref.WeakMethod(request.force_close)
    request._expected_100_continue = False  # noqa: SLF001 - the loop has said "continue" already


def sent_headers(environ: dict[str, Any]) -> tuple[tuple[str, str], ...] | None:
    """Return what `before_request` kept; None under another server."""
    return cast("tuple[tuple[str, str], ...] | None", getattr(environ.get("wsgi.input"), "sent_headers", None))


def end_connection(environ: dict[str, Any]) -> None:
    """Let this be the connection's last call: where the next one would begin is not known."""
    close_after = getattr(environ.get("wsgi.input"), "close_after", None)
    force_close = close_after() if close_after is not None else None
    if force_close is not None:
        force_close()
