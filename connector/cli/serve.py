"""`connector serve`: the receiver."""

import os
import signal
import sys
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NoReturn

import click
import structlog

from connector.config import address
from connector.config.load import load
from connector.config.model import Config, SecretRef
from connector.config.secrets import resolve
from connector.config.sources import sources
from connector.domain.clock import Instant
from connector.domain.source import Source
from connector.files.problem import ProblemsError
from connector.outbox.port import Inbox, OutboxBusyError, OutboxError, OutboxFullError
from connector.process.clock import SystemClock

TRY_LATER = 75
UNREACHABLE = 69
WRONG_CONFIGURATION = 78

log = structlog.get_logger()


@click.command("serve")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration; else $CONNECTOR_CONFIG, else /etc/connector/config.toml.",
)
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
    from connector.cli.receiving import inbox, parts  # noqa: PLC0415
    from connector.http import listen, server  # noqa: PLC0415
    from connector.http.worker import Bounds  # noqa: PLC0415
    from connector.process.notify import Notifier  # noqa: PLC0415

    manager = Notifier.from_environment()
    clock = SystemClock()
    try:
        config, found = _read(config_file)
    except ProblemsError as error:
        click.echo(str(error), err=True)
        return WRONG_CONFIGURATION
    _try_outbox(inbox(config), clock.now())
    try:
        handed = listen.inherited()
        listeners = handed or [listen.listen(address.listen(config.receiver.listen))]
    except listen.ListenError as error:
        _fail(UNREACHABLE if error.is_busy else WRONG_CONFIGURATION, str(error))
    addresses = [listen.shown(sock) for sock in listeners]
    for one in addresses:
        log.info("listening", address=one, public_url=config.receiver.public_url)
    _tell_about(found)

    def reread() -> server.Make | None:
        try:
            new_config, new_sources = _read(config_file)
        except ProblemsError as error:
            log.error("the configuration is wrong, the old one stays in force", problems=str(error))  # noqa: TRY400
            return None
        log.info("configuration read anew")
        _tell_about(new_sources)
        return partial(parts, new_config, new_sources, clock)

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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return server.serve(
            settings,
            listeners,
            partial(parts, config, found, clock),
            manager,
            reread=reread,
            activated=bool(handed),
        )
    finally:
        if ready_file is not None and os.getpid() == _MAIN:
            ready_file.unlink(missing_ok=True)


_MAIN = os.getpid()


def _try_outbox(inbox: AbstractContextManager[Inbox], now: Instant) -> None:
    """See that calls can be stored, and close the file again: it may not be open while processes fork."""
    try:
        with inbox as opened:
            opened.probe(now)
    except OutboxFullError as error:
        log.error("calls are answered 503 until there is room", why=str(error))  # noqa: TRY400 - no traceback
    except OutboxBusyError as error:
        _fail(TRY_LATER, str(error))
    except OutboxError as error:
        _fail(WRONG_CONFIGURATION, str(error))


def _read(config_file: Path | None) -> tuple[Config, dict[str, Source]]:
    """Read configuration and sources, and set up the log, which must know what it may not show."""
    from connector.process.logging import configure  # noqa: PLC0415

    config = load(config_file, os.environ)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    secrets: list[str] = []

    def secret(ref: SecretRef) -> str:
        value = resolve(ref, os.environ, Path(folder) if folder else None)
        secrets.append(value)
        return value

    found = sources(config, secret)
    configure(config.log.format, config.log.level, secrets=secrets)
    return config, found


def _tell_about(found: dict[str, Source]) -> None:
    if not found:
        log.warning("no sources are configured: every call is answered 404")
    for source in found.values():
        fields = {"source": source.name, "path": source.path, "proof": str(source.proof)}
        if source.is_signed and source.require_https and not source.addresses:
            log.info("source", **fields)
            continue
        # Every other way in is a choice that somebody should see again at each start.
        log.warning(
            "source",
            **fields,
            require_https=source.require_https,
            addresses=[str(network) for network in source.addresses],
        )


def _write_whole(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _fail(code: int, text: str) -> NoReturn:
    click.echo(f"Error: {text}", err=True)
    raise SystemExit(code)
