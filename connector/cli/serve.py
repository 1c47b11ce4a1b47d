"""`connector serve`: the receiver."""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
import structlog

from connector.cli import exits
from connector.cli.options import config_option
from connector.config.model import Config
from connector.domain.clock import Instant
from connector.domain.source import Source
from connector.files.problem import ProblemsError
from connector.outbox.port import Inbox, OutboxFullError
from connector.process.clock import SystemClock
from connector.process.collector import collect_seldom

if TYPE_CHECKING:
    from connector.http.server import Make, Parts
    from connector.http.switchboard import Switchboard

log = structlog.get_logger()


@click.command("serve")
@config_option
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that gets the address once it is listened on; it goes when the receiver stops.",
)
def serve(config_file: Path | None, ready_file: Path | None) -> None:
    """Take Copernica's calls, and have them on disk before answering.

    Runs until it is stopped (SIGTERM or Ctrl+C), and then finishes the calls that are here. SIGHUP reads the sources
    anew; a configuration that is wrong is reported, and the old one stays in force.

    Exits 0 when stopped; 69 when the address is taken by another process, 75 when the outbox is locked for too long
    (both may be tried again), 78 when the configuration or the outbox needs a person.
    """
    sys.exit(_serve(config_file, ready_file))


def _serve(config_file: Path | None, ready_file: Path | None) -> int:
    # Late, so that `connector --help` need not load a web server.
    from connector.compose.receiving import open_inbox, parts  # noqa: PLC0415
    from connector.config import address  # noqa: PLC0415
    from connector.http import listen, server  # noqa: PLC0415
    from connector.http.worker import Bounds  # noqa: PLC0415
    from connector.process.notify import Notifier  # noqa: PLC0415

    main = os.getpid()
    manager = Notifier.from_environment()
    clock = SystemClock()
    config, found = _read(config_file)
    _try_outbox(open_inbox(config), clock.now())
    try:
        handed = listen.inherited()
        listeners = handed or [listen.listen(address.listen(config.receiver.listen))]
    except listen.ListenError as error:
        _fail(exits.UNREACHABLE if error.is_busy else exits.CONFIGURATION, str(error))
    addresses = [listen.shown(sock) for sock in listeners]
    for one in addresses:
        log.info("listening", address=one, public_url=config.receiver.public_url)
    _tell_about(config, found)

    def reread() -> server.Make | None:
        try:
            new_config, new_sources = _read(config_file)
        except ProblemsError as error:
            log.error("the configuration is wrong, the old one stays in force", problems=str(error))  # noqa: TRY400
            return None
        log.info("configuration read anew")
        _tell_about(new_config, new_sources)
        return _settled(partial(parts, new_config, new_sources, clock))

    receiver = config.receiver
    settings = server.Settings(
        workers=receiver.workers,
        threads=receiver.threads,
        bounds=Bounds(
            connections=receiver.connections,
            max_headers=receiver.max_headers,
            max_head=receiver.max_header_bytes,
            max_body=receiver.max_body,
            body_timeout=receiver.body_timeout,
        ),
    )
    if ready_file is not None:
        _write_whole(ready_file, "\n".join(addresses) + "\n")
    # Until gunicorn has its own handlers, a stop is a stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(exits.DONE))
    try:
        make = _settled(partial(parts, config, found, clock))
        return server.serve(settings, listeners, make, manager, reread=reread, activated=bool(handed))
    finally:
        if ready_file is not None and os.getpid() == main:
            ready_file.unlink(missing_ok=True)


def _settled(make: "Make") -> "Make":
    """Return what builds a worker, and then sees to its garbage."""

    def run(board: "Switchboard") -> "Parts":
        made = make(board)
        collect_seldom()
        return made

    return run


def _read(config_file: Path | None) -> tuple[Config, Mapping[str, Source]]:
    """Read configuration and sources, and set up the log, which must know what it may not show."""
    from connector.compose.secrets import secret_reader  # noqa: PLC0415
    from connector.config.load import load  # noqa: PLC0415
    from connector.config.sources import sources  # noqa: PLC0415
    from connector.process.logging import configure  # noqa: PLC0415

    secrets: list[str] = []
    config = load(config_file, os.environ)
    found = sources(config, secret_reader(os.environ, secrets))
    configure(config.log.format, config.log.level, secrets=secrets)
    return config, found


def _try_outbox(inbox: AbstractContextManager[Inbox], now: Instant) -> None:
    """See that calls can be stored, and close the file again: it may not be open while processes fork."""
    try:
        with inbox as opened:
            opened.probe(now)
    except OutboxFullError as error:
        log.error("calls are answered 503 until there is room", why=str(error))  # noqa: TRY400 - no traceback


def _tell_about(config: Config, sources: Mapping[str, Source]) -> None:
    """Say by which ways calls can come in; those that are weaker than they could be, aloud."""
    from connector.config.weak import warnings  # noqa: PLC0415

    if not sources:
        log.warning("no sources are configured: every call is answered 404")
    for source in sources.values():
        log.info("source", source=source.name, path=source.path, proof=str(source.proof))
    for text in warnings(config):
        log.warning("a choice that weakens security", what=text)


def _write_whole(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _fail(code: int, text: str) -> NoReturn:
    click.echo(f"Error: {text}", err=True)
    raise SystemExit(code)
