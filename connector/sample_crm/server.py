"""The sample CRM as a server, in a thread of its own or as a program."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from connector.sample_crm.api import Api, RateLimit
from connector.sample_crm.desk import PREFIX, AdminDesk, Settings
from connector.sample_crm.faults import Fault, FaultKind, Faults
from connector.sample_crm.journal import Entry, Journal
from connector.sample_crm.message import ApiError, Request, Response
from connector.sample_crm.store import Store
from connector.sample_crm.wire import Connection

T = TypeVar("T")
BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How it starts. `rate` is requests in `rate_ms` (0: no limit); `journal` is how many requests it remembers."""

    token: str
    host: str = "127.0.0.1"
    port: int = 0
    unique: bool = True
    rate: int = 0
    rate_ms: int = 1000
    search_lag_ms: int = 0
    latency_ms: int = 0
    journal: int = 200_000
    faults: tuple[Fault, ...] = ()
    seed: int = 0


class SampleCrm:
    """A running sample CRM: `start` gives its address; or use it as a context manager.

    The data outlive `down`, not `stop`. Its methods may be called from any thread.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        clock = time.monotonic
        self._store = Store(clock, unique=options.unique)
        self._store.search.lag = options.search_lag_ms / 1000
        self._faults = Faults(clock, options.seed)
        for fault in options.faults:
            self._faults.add(fault)
        self._journal = Journal(options.journal)
        limit = RateLimit(clock, options.rate, options.rate_ms / 1000)
        self._settings = Settings(options.latency_ms)
        self._api = Api(self._store, limit, options.token)
        self._desk = AdminDesk(self._store, self._faults, self._journal, limit, self._settings, self._down_for)
        self._connections: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._place: socket.socket | None = None
        self._is_up = False
        self._stopping: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    # ── as a thread ─────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> str:
        """Start in a thread; return the address. Raises OSError when the port is taken."""
        ready = threading.Event()
        failed: list[BaseException] = []

        def main() -> None:
            try:
                asyncio.run(self.run(lambda _: ready.set()))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                failed.append(error)
                ready.set()

        self._thread = threading.Thread(target=main, name="sample-crm", daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            raise failed[0]
        return self.url

    def stop(self) -> None:
        """Stop, cut what stands, and wait for the end. Does nothing the second time."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                self._loop.call_soon_threadsafe(self.end)
            self._thread.join()

    def down(self) -> None:
        """Refuse connections until `up`; the ones that stand are cut. The port stays reserved, the data stay."""
        self._do(self._shut)

    def up(self) -> None:
        """End `down`."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def fail(self, kind: FaultKind | str, **how: Any) -> None:
        """Break from now on, see Fault."""
        fault = Fault(kind=FaultKind(kind), **how)
        self._do(lambda: self._faults.add(fault))

    def heal(self) -> None:
        """End all faults."""
        self._do(self._faults.clear)

    def set(self, **settings: Any) -> None:
        """Change `unique`, `search_lag_ms`, `latency_ms`, `rate` or `rate_ms`. Raises ValueError."""
        try:
            self._do(lambda: self._desk._change(settings))  # noqa: SLF001 - two halves of one thing
        except ApiError as error:
            raise ValueError(str(error)) from None

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return all records of an object, archived ones too, in the order of their making."""
        return self._do(lambda: list(self._store.rows(kind)))

    def links(self, kind: str, identity: str) -> dict[str, list[str]]:
        """Return what a record is linked to."""
        return self._do(lambda: self._store.links(kind, identity))

    def journal(self) -> list[Entry]:
        """Return the requests that are remembered, oldest first."""
        return self._do(lambda: self._journal.after(0, self._journal.total))

    def _do(self, work: Callable[[], T]) -> T:
        loop = self._loop
        if loop is None or self._thread is None or not self._thread.is_alive():
            return work()

        async def call() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), loop).result()

    # ── in the loop ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, ready: Callable[[str], None]) -> None:
        """Serve until `end` is called; `ready` is given the address. Raises OSError when the port is taken."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._place = _reserve(self.options.host, self.options.port)
        try:
            host, port = self._place.getsockname()[:2]
            self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            await self._listen()
            ready(self.url)
            await self._stopping.wait()
        finally:
            self._shut()
            self._place.close()
            for _ in range(3):  # what was let in a moment before is met and cut: two rounds of the loop, and one to end
                await asyncio.sleep(0)

    def end(self) -> None:
        """Make `run` return."""
        if self._stopping is not None:
            self._stopping.set()

    async def _listen(self) -> None:
        if self._server is not None:
            return
        assert self._loop is not None
        assert self._place is not None
        host, port = self._place.getsockname()[:2]
        self._is_up = True
        self._server = await self._loop.create_server(self._meet, host, port, reuse_port=True, backlog=BACKLOG)

    def _meet(self) -> Connection:
        return Connection(self._serve, self._connections, lambda: self._is_up)

    def _shut(self) -> None:
        self._is_up = False
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.cut()

    def _down_for(self, milliseconds: int) -> None:
        async def away() -> None:
            await asyncio.sleep(0.01)  # lets the answer out
            self._shut()
            await asyncio.sleep(milliseconds / 1000)
            await self._listen()

        assert self._loop is not None
        task = self._loop.create_task(away())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _serve(self, connection: Connection, request: Request) -> None:
        if request.path.startswith(PREFIX):
            try:
                self._api.authorise(request)
            except ApiError as error:
                connection.reply(error.response())
            else:
                connection.reply(self._desk.answer(request))
            return
        entry = self._journal.open(time.time_ns() // 1_000_000, request.method, request.target, request.body)
        fault = self._faults.pick(request.method, request.path)
        if fault is not None:
            entry.fault = fault.kind.value
            self._break(fault, connection, request, entry)
            return
        response = self._work(request, entry)
        if self._settings.latency_ms:
            self._later(self._settings.latency_ms, lambda: _answer(connection, entry, response))
        else:
            _answer(connection, entry, response)

    def _work(self, request: Request, entry: Entry) -> Response:
        response = self._api.answer(request)
        entry.status = response.status
        entry.record = response.record
        entry.records = response.records
        entry.commits = response.commits
        return response

    def _break(self, fault: Fault, connection: Connection, request: Request, entry: Entry) -> None:
        def work_and_answer() -> None:
            _answer(connection, entry, self._work(request, entry))

        def if_still_there() -> None:
            if connection.is_open:
                work_and_answer()

        match fault.kind:
            case FaultKind.STATUS:
                entry.status = fault.status
                headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                error = ApiError(fault.status, "fault", "the sample CRM was told to answer so")
                self._later(fault.delay_ms, lambda: _answer(connection, entry, error.response(headers)))
            case FaultKind.STALL:
                self._later(fault.delay_ms, if_still_there)
            case FaultKind.SLOW_COMMIT:
                self._later(fault.delay_ms, work_and_answer)
            case FaultKind.SLOW_ANSWER:
                response = self._work(request, entry)
                self._later(fault.delay_ms, lambda: _answer(connection, entry, response))
            case FaultKind.CUT_BEFORE:
                self._later(fault.delay_ms, connection.cut)
            case FaultKind.CUT_AFTER:
                self._work(request, entry)
                self._later(fault.delay_ms, connection.cut)

    def _later(self, milliseconds: int, action: Callable[[], None]) -> None:
        assert self._loop is not None
        if milliseconds:
            self._loop.call_later(milliseconds / 1000, action)
        else:
            action()


def _answer(connection: Connection, entry: Entry, response: Response) -> None:
    entry.answered = True
    if not connection.reply(response):
        entry.answered = False


def _reserve(host: str, port: int) -> socket.socket:
    """Return a socket that keeps the port for us, also while nobody listens: connections are then refused."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    place = socket.socket(family, kind, protocol)
    try:
        if port:  # a shared port is no error to the kernel: see first whether somebody has it
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
    except OSError:
        place.close()
        raise
    return place
