"""`connector sample-crm`: a CRM to try things against."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
from pathlib import Path

import click

from connector.sample_crm import Fault, Options, SampleCrm
from connector.sample_crm.message import ApiError

UNREACHABLE = 69


def _token(path: Path) -> str:
    """Return the token in the file; make the file, for its owner's eyes only, when it is not there."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(24)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token + "\n")
    except UnicodeDecodeError:
        raise click.UsageError(f"{path} holds no token: only ASCII characters can be sent.") from None
    if not token:
        raise click.UsageError(f"{path} is empty. Remove it, and a new token is made.")
    return token


def _fault(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[Fault, ...]:
    faults = []
    for value in values:
        try:
            wanted = json.loads(value)
            if not isinstance(wanted, dict):
                raise click.BadParameter("it has to be a JSON object")
            faults.append(Fault.from_json(wanted))
        except (ValueError, ApiError) as error:
            raise click.BadParameter(str(error)) from None
    return tuple(faults)


async def _serve(crm: SampleCrm, ready_file: Path | None) -> None:
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, crm.end)

    def ready(url: str) -> None:
        if ready_file is not None:
            _say_ready(ready_file, url)
        click.echo(url)

    await crm.run(ready)


def _say_ready(path: Path, url: str) -> None:
    written = path.with_name(path.name + ".new")
    try:
        written.write_text(url + "\n", encoding="ascii")
        written.replace(path)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}.") from None


@click.command("sample-crm")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File with the bearer token; made when it is not there.",
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that gets the address once calls are taken; it goes when the CRM stops.",
)
@click.option("--unique/--no-unique", default=True, show_default=True, help="Whether a contact's e-mail is unique.")
@click.option("--rate", type=click.IntRange(0), default=0, help="Requests taken in --rate-ms; 0: no limit.")
@click.option("--rate-ms", type=click.IntRange(1), default=1000, show_default=True, help="Milliseconds of --rate.")
@click.option("--search-lag", type=click.IntRange(0), default=0, help="Milliseconds that a search lags behind writes.")
@click.option("--latency", type=click.IntRange(0), default=0, help="Milliseconds before each answer.")
@click.option(
    "--journal", type=click.IntRange(0), default=200_000, show_default=True, help="Requests that are remembered."
)
@click.option(
    "--fault", "faults", multiple=True, callback=_fault, metavar="JSON", help='How to break: {"kind": "cut-after", …}.'
)
@click.option("--seed", type=int, default=0, help="Seed of what is random in faults.")
def sample_crm(
    host: str,
    port: int,
    token_file: Path,
    ready_file: Path | None,
    unique: bool,
    rate: int,
    rate_ms: int,
    search_lag: int,
    latency: int,
    journal: int,
    faults: tuple[Fault, ...],
    seed: int,
) -> None:
    """Start a small CRM that lives in memory, to try mappings and outages against.

    It prints its address, and takes calls until it is stopped (SIGTERM or Ctrl+C). Contacts, companies and deals are
    under /contacts, /companies and /deals; what came in is under /_admin/journal, and how it is to break goes to
    /_admin/faults. All need the token. docs/sample-crm.md has the whole API.

    Exits 0 when stopped, 69 when the address cannot be had.
    """
    options = Options(
        token=_token(token_file),
        host=host,
        port=port,
        unique=unique,
        rate=rate,
        rate_ms=rate_ms,
        search_lag_ms=search_lag,
        latency_ms=latency,
        journal=journal,
        faults=faults,
        seed=seed,
    )
    try:
        asyncio.run(_serve(SampleCrm(options), ready_file))
    except OSError as error:
        click.echo(f"Error: cannot listen on {host} port {port}: {error.strerror}.", err=True)
        click.echo("Try: another --port, or 0 for a free one.", err=True)
        raise SystemExit(UNREACHABLE) from None
    finally:
        if ready_file is not None:
            with contextlib.suppress(OSError):
                ready_file.unlink()
