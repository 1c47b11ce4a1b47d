"""What goes on beside the deliverer's loop: a look whether the file is sound, and alerts. It can hold up nothing."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

import structlog

from connector.compose.outbox import open_outbox
from connector.compose.outbox_health import damage
from connector.config.model import Config
from connector.deliver.alerts import DAMAGE, Alerts, Channel, Thresholds
from connector.domain.clock import Clock
from connector.outbox.port import OutboxBrokenError, OutboxError
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.process.alerting import CommandChannel, UrlChannel

_EVERY: Final = 2.0  # seconds between two looks
_JOIN: Final = 1.0

log = structlog.get_logger()


class Watch:
    """Two threads with their own handles on the outbox. `close` ends them; one that hangs dies with the process."""

    def __init__(self, config: Config, clock: Clock, *, every: float = _EVERY) -> None:
        self._config = config
        self._clock = clock
        self._every = every
        self._stop = threading.Event()
        self._channels = channels(config)
        self._threads = [threading.Thread(target=self._check, name="check", daemon=True)]
        if self._channels:
            self._threads.append(threading.Thread(target=self._alert, name="alerts", daemon=True))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_JOIN)

    @contextmanager
    def alarmed(self) -> Iterator[None]:
        """Tell of an outbox that turns out to be damaged in here, and let the error go on: the process has to end."""
        try:
            yield
        except OutboxBrokenError as error:
            log.error("the outbox is damaged, so this ends: restore a backup", why=str(error))  # noqa: TRY400
            self._tell_broken()
            raise

    def _tell_broken(self) -> None:
        self._stop.set()
        with suppress(OutboxError):
            self._note("found while it was in use")
        if not self._channels:
            return
        self._alerts(ExitStack(), is_broken=True).tell_damage()

    def _check(self) -> None:
        """Read the whole file once, and say what is wrong with it."""
        try:
            problem = damage(self._config)
        except OutboxError as error:
            log.warning("the outbox could not be checked", why=str(error))
            return
        if problem:
            log.error("the outbox is damaged: restore a backup", path=str(self._config.outbox.path), problem=problem)
        with suppress(OutboxError):
            self._note(problem)

    def _note(self, problem: str) -> None:
        database = open_outbox(self._config)
        try:
            known = database.conn.execute("SELECT value FROM notes WHERE name = ?", (DAMAGE,)).fetchone()
            if (known[0] if known else "") != problem:
                SqliteInbox(database).note(DAMAGE, problem, self._clock.now())
        finally:
            database.close()

    def _alert(self) -> None:
        """Look and tell, one process at a time."""
        with ExitStack() as stack:
            handle = os.open(_lock_path(self._config.outbox.path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            stack.callback(os.close, handle)
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self._stop.wait(self._every):
                        return
                    continue
                break
            self._look_again_and_again(stack)

    def _look_again_and_again(self, stack: ExitStack) -> None:
        alerts: Alerts | None = None
        while True:
            try:
                alerts = alerts or self._alerts(stack)
                alerts.round()
            except OutboxError as error:
                log.warning("alerts cannot look at the outbox", why=str(error))
            if self._stop.wait(self._every):
                return

    def _alerts(self, stack: ExitStack, *, is_broken: bool = False) -> Alerts:
        outbox = self._config.outbox

        def remember_nothing(name: str, value: str, now: int) -> None:
            del name, value, now

        limits = Thresholds(outbox.max_bytes, outbox.free_bytes)
        if is_broken:
            return Alerts(self._channels, _no_status, remember_nothing, limits, self._clock, _log)
        database = open_outbox(self._config)
        stack.callback(database.close)
        desk, inbox = SqliteDesk(database), SqliteInbox(database)
        return Alerts(self._channels, desk.status, inbox.note, limits, self._clock, _log)


def channels(config: Config) -> list[Channel]:
    """Return whom to tell."""
    found: list[Channel] = []
    if config.alert.command:
        found.append(CommandChannel(config.alert.command))
    if config.alert.url:
        found.append(UrlChannel(config.alert.url))
    return found


def _no_status() -> NoReturn:
    raise OutboxError("the outbox is damaged")


def _lock_path(outbox: Path) -> Path:
    return outbox.with_name(f"{outbox.name}.alerts")


def _log(channel: str, why: str) -> None:
    log.warning("an alert could not be told", by=channel, why=why)
