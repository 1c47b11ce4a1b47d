"""`connector deliver`: the deliverer."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import structlog

from connector.domain.clock import Millis
from connector.process.notify import Notifier
from connector.process.wake import Sleeper, wake_path

if TYPE_CHECKING:
    from connector.compose.delivering import Delivering
    from connector.compose.loading import Loaded

log = structlog.get_logger()

WORK_REMAINS = 1


@click.command("deliver")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration; else $CONNECTOR_CONFIG, else /etc/connector/config.toml.",
)
@click.option(
    "--drain", is_flag=True, help="Work until nothing is due, then end: 0 if nothing is left, 1 if work remains."
)
def deliver(config_file: Path | None, *, drain: bool) -> None:
    """Bring stored calls to the CRMs.

    Runs until it is stopped (SIGTERM or Ctrl+C), and then lets end what is in flight. SIGHUP reads the mappings anew;
    when one of them is wrong, the old ones stay in force and the log says why.

    Exits 0 when stopped, 75 when the outbox is locked for too long, 78 when configuration, mappings or the outbox need
    a person.
    """
    sys.exit(_deliver(config_file, drain=drain))


def _deliver(config_file: Path | None, *, drain: bool) -> int:
    # Late, so that `connector --help` need not load all of it.
    from connector.compose.delivering import delivering, destinations  # noqa: PLC0415
    from connector.compose.loading import load_all  # noqa: PLC0415
    from connector.compose.secrets import secret_reader  # noqa: PLC0415
    from connector.compose.watching import Watch  # noqa: PLC0415
    from connector.config.weak import warnings  # noqa: PLC0415
    from connector.process.clock import SystemClock  # noqa: PLC0415
    from connector.process.collector import collect_seldom  # noqa: PLC0415
    from connector.process.logging import configure  # noqa: PLC0415

    manager = Notifier.from_environment()
    clock = SystemClock()
    secrets: list[str] = []
    secret = secret_reader(os.environ, secrets)
    loaded = load_all(config_file, os.environ, secret)
    config = loaded.config
    crms = destinations(config, secret, clock)
    configure(config.log.format, config.log.level, secrets=secrets)
    for text in warnings(config):
        log.warning("a choice that weakens security", what=text)
    for name, destination in crms.items():
        log.info("destination", name=name, preset=config.destinations[name].preset, mode=destination.mode.value)
    watch = Watch(config, clock)
    with watch.alarmed():
        said = _Said()
        parts = delivering(config, loaded.sources, loaded.mappings, crms, clock, said, _Pulse(manager, clock.elapsed))
    reload = _listen(parts, wake_path(config.outbox.path), loaded)
    manager.ready(f"delivering by {len(loaded.mappings.mappings)} mappings")
    log.info("delivering", mappings=sorted(loaded.mappings.mappings), destinations=sorted(crms))
    watch.start()
    collect_seldom()
    clean = True
    try:
        with watch.alarmed():
            if drain:
                clean = parts.runner.drain()
            else:
                parts.runner.run(reload)
    finally:
        manager.stopping()
        watch.close()
        parts.close()
    log.info("stopped")
    return 0 if clean else WORK_REMAINS


def _listen(parts: "Delivering", wake: Path, loaded: "Loaded") -> Callable[[], None]:
    """Let signals and the receiver reach the loop; return what reloads the mappings when that was asked for."""
    from connector.compose.loading import reload_mappings  # noqa: PLC0415

    asked = threading.Event()

    def stop(_signal: int, _frame: object) -> None:
        parts.runner.stop()
        parts.pool.wake()

    def ask(_signal: int, _frame: object) -> None:
        asked.set()
        parts.pool.wake()

    def hear() -> None:
        with closing(Sleeper(wake)) as sleeper:
            while not parts.runner.is_stopping:
                if sleeper.wait(1.0):
                    parts.pool.wake()

    def reload() -> None:
        if not asked.is_set():
            return
        asked.clear()
        fresh = reload_mappings(loaded)
        if isinstance(fresh, str):
            log.error("the mappings are wrong, the old ones stay in force", problems=fresh)
        else:
            parts.engine.mappings = fresh
            log.info("mappings read anew", mappings=sorted(fresh.mappings))

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, ask)
    threading.Thread(target=hear, name="wake", daemon=True).start()
    return reload


_WARNINGS = {
    "paused",
    "leases ended without an answer",
    "the time of day jumped",
    "the outbox cannot be used",
    "calls are odd, and taken all the same",
}


class _Said:
    """One line for each thing; what failed is a warning."""

    def __init__(self) -> None:
        self._log = log.bind()  # once: what `log` is would be assembled anew for each line

    def __call__(self, event: str, /, **particulars: object) -> None:
        shown = {name: value for name, value in particulars.items() if value is not None and value != ""}
        failed = event in _WARNINGS or particulars.get("state") == "dead"
        (self._log.warning if failed else self._log.info)(event, **shown)


class _Pulse:
    """Feeds the watchdog from the claim loop itself: a loop that hangs is restarted."""

    def __init__(self, manager: Notifier, elapsed: Callable[[], Millis]) -> None:
        self._manager = manager
        self._elapsed = elapsed
        self._every = round((manager.watchdog_interval or 0) * 1000 / 3)
        self._last = 0

    def __call__(self) -> None:
        now = self._elapsed()
        if self._every and now - self._last >= self._every:
            self._last = now
            self._manager.alive()
