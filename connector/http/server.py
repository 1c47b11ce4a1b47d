"""gunicorn as a library: the master process, its workers, and what they tell the service manager."""

import logging
import os
import resource
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger

from connector.http.memory import give_back_large_blocks
from connector.http.switchboard import Switchboard
from connector.http.worker import Bounds, CallWorker, before_request
from connector.receive.service import Receiving

_HANG = 60  # seconds in which a worker's loop has to go round
_SPARE_HANDLES = 128
_TRY_LATER = 75

log = structlog.get_logger()


class Manager(Protocol):
    """Whom we tell how the service is."""

    def ready(self, status: str = "") -> None:
        """Say that calls can be stored."""
        ...

    def status(self, status: str) -> None:
        """Say in a line how it is."""
        ...

    def stopping(self) -> None:
        """Say that the service goes down."""
        ...

    def alive(self) -> None:
        """Feed the watchdog."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server runs. `graceful` is in seconds."""

    workers: int
    threads: int
    bounds: Bounds
    graceful: int = 20


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of, after the fork."""

    receiving: Receiving
    app: Callable[..., Any]


Make = Callable[[Switchboard], Parts]


def serve(
    settings: Settings,
    listeners: Sequence[socket.socket],
    make: Make,
    manager: Manager,
    *,
    reread: Callable[[], Make | None],
    activated: bool,
) -> int:
    """Serve until told to stop; return the exit code.

    `make` runs in each worker, and is given what its calls wait by. `reread` runs in the master on SIGHUP: it returns
    how to make workers from now on, or None to go on as before (and has said why). `activated`: the sockets are
    systemd's, and stay when we go.
    """
    _raise_handle_limit(settings.bounds.connections)
    master = os.getpid()
    server = _Server(settings, [sock.detach() for sock in listeners], make, manager, reread, activated=activated)
    try:
        server.run()
    except SystemExit as end:
        if os.getpid() != master:
            raise  # a worker's end: the master reads its code
        code = end.code if isinstance(end.code, int) else 1
        # gunicorn's own codes for workers that cannot start
        return _TRY_LATER if code in (Arbiter.WORKER_BOOT_ERROR, Arbiter.APP_LOAD_ERROR) else code
    return 0


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(
        self,
        settings: Settings,
        handles: Sequence[int],
        make: Make,
        manager: Manager,
        reread: Callable[[], Make | None],
        *,
        activated: bool,
    ) -> None:
        self._settings = settings
        self._handles = handles
        self._make = make
        self._reread = reread
        self._parts: Parts | None = None
        self._board = Switchboard()
        self._stopping = threading.Event()
        self.manager = manager
        self.activated = activated
        super().__init__()

    def load_default_config(self) -> None:
        self.cfg = Config()

    def load_config(self) -> None:
        settings, bounds = self._settings, self._settings.bounds
        chosen = {
            "bind": [f"fd://{handle}" for handle in self._handles],
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": CallWorker,
            "worker_connections": bounds.connections + settings.threads,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108 - gunicorn unlinks it
            "timeout": _HANG,
            "graceful_timeout": settings.graceful,
            "keepalive": 1,  # whether at all; how long is the worker's matter
            "limit_request_line": 8190,
            "limit_request_fields": bounds.max_headers,
            "limit_request_field_size": bounds.max_head,
            # The signature is over what was sent: values may be folded over lines.
            "permit_obsolete_folding": True,
            # Whom to believe is the application's matter, which sees all headers.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "secure_scheme_headers": {},
            "header_map": "drop",
            "proxy_protocol": "off",
            "http_parser": "python",
            "control_socket_disable": True,
            "accesslog": None,
            "logger_class": _GunicornLog,
            "sendfile": False,
            "proc_name": "connector",
            "pre_request": before_request,
            "post_fork": self._after_fork,
            "worker_exit": self._at_worker_exit,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        _Master(self).run()

    def reload(self) -> None:
        make = self._reread()
        if make is not None:
            self._make = make

    def load(self) -> Callable[..., Any]:
        """Build the worker's parts; in the worker, after the fork."""
        give_back_large_blocks()
        self._parts = self._make(self._board)
        self._parts.receiving.start()
        threading.Thread(target=self._announce, args=(self._parts.receiving,), name="herald", daemon=True).start()
        return self._parts.app

    def _announce(self, receiving: Receiving) -> None:
        """Say that we are ready once a write has proven it; until then say why we are not."""
        while problem := receiving.readiness.problem():
            self.manager.status(f"not ready: {problem}")
            log.warning("not ready", why=problem)
            if self._stopping.wait(2):
                return
        self.manager.ready("taking calls")
        log.info("ready", process=os.getpid())

    def _after_fork(self, _master: object, worker: CallWorker) -> None:
        worker.equip(self._settings.bounds, self._board, self._refused, self._tick)

    def _tick(self) -> None:
        if self._parts is not None and not self._parts.receiving.is_stuck:
            self.manager.alive()

    def _refused(self, status: int, reason: str, peer: str) -> None:
        assert self._parts is not None
        self._parts.receiving.door.count_unread(status)
        log.warning("call", source="-", outcome="refused", status=status, reason=reason, peer=peer)

    def _at_worker_exit(self, _master: object, worker: CallWorker) -> None:
        if worker.pid == os.getpid() and self._parts is not None:
            self._stopping.set()
            self._parts.receiving.stop()


class _Master(Arbiter):  # type: ignore[misc]
    def __init__(self, server: _Server) -> None:
        super().__init__(server)
        self._manager = server.manager
        self.systemd = server.activated  # then the address is not ours to remove

    def stop(self, graceful: bool = True) -> None:
        self._manager.stopping()
        super().stop(graceful)

    def handle_int(self) -> NoReturn:
        raise StopIteration

    def handle_usr2(self) -> None:
        """Do nothing: a restart by the service manager refuses nobody either."""


class _GunicornLog(Logger):  # type: ignore[misc]
    """Lets what gunicorn has to say go the way of all our logs."""

    def setup(self, cfg: Config) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.loglevel = logging.getLogger().level
        self.error_log.setLevel(self.loglevel)
        self.error_log.propagate = True

    def access(self, resp: object, req: object, environ: object, request_time: object) -> None:
        """Say nothing: the application has its own line."""

    def reopen_files(self) -> None:
        """Do nothing: there are none."""


def _raise_handle_limit(connections: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_HANDLES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            log.warning("fewer handles than [receiver] connections asks for", allowed=hard, wanted=wanted)
            wanted = hard
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            log.warning("the number of handles cannot be raised", allowed=soft, wanted=wanted, why=str(error))
