"""`connector simulate`: send a genuine call, as Copernica would."""

import http.client
import os
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from connector.cli import exits, signing_key
from connector.cli.options import config_option
from connector.cli.sample_call import FORM, SAMPLE_FIELDS, SampleCall
from connector.cli.text import clean
from connector.config import address
from connector.domain.record import RecordKind
from connector.process.clock import SystemClock

TIMEOUT = 30.0
SHOWN = 500
SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes. `url` is what is signed; `key_needed` is false for a source that is proven by other means."""

    url: str
    account: int
    kind: RecordKind | None = None
    is_callback: bool = False
    key_needed: bool = True


@click.command("simulate")
@click.option("--url", metavar="URL", help="What to call, as Copernica would: https://hooks.example.com/shop.")
@click.option("--source", metavar="NAME", help="Or a source of the configuration: its address and account are used.")
@click.option("--via", metavar="URL", help="Connect here instead, and say what --url says: http://127.0.0.1:8750.")
@click.option(
    "--key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Private key to sign with."
)
@click.option(
    "--new-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Make a key, say how a test installation is made to believe it, and send nothing.",
)
@click.option(
    "--key-id", default="test._domainkey.copernica.com", show_default=True, metavar="NAME", help="DNS name of the key."
)
@click.option("--account", metavar="ACCOUNT", help="X-Copernica-ID; default: the source's, else account-1234.")
@click.option("--record", type=click.Choice(["profile", "subprofile"]), help="What it is about; default: profile.")
@click.option(
    "--event",
    type=click.Choice(["create", "update", "delete"]),
    default="update",
    show_default=True,
    help="What happened.",
)
@click.option("--database", type=click.IntRange(1), default=1, show_default=True, help="The profile's database.")
@click.option("--profile", type=click.IntRange(1), default=123, show_default=True, help="The profile, or the owner.")
@click.option("--collection", type=click.IntRange(1), default=2, show_default=True, help="The subprofile's collection.")
@click.option("--subprofile", type=click.IntRange(1), default=456, show_default=True, help="The subprofile.")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE", help="A field; more than once. Default: samples."
)
@click.option("--interest", "interests", multiple=True, metavar="NAME", help="An interest that is on; more than once.")
@click.option(
    "--body",
    type=click.Path(dir_okay=False, exists=True, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Send this body instead; - is standard input.",
)
@click.option("--content-type", metavar="TYPE", help="Of --body; default: a form.")
@config_option
def simulate(
    url: str | None,
    source: str | None,
    via: str | None,
    key: Path | None,
    new_key: Path | None,
    key_id: str,
    account: str | None,
    record: str | None,
    event: str,
    database: int,
    profile: int,
    collection: int,
    subprofile: int,
    fields: tuple[str, ...],
    interests: tuple[str, ...],
    body: Path | None,
    content_type: str | None,
    config_file: Path | None,
) -> int:
    """Send a genuine, signed sample call to a receiver, as Copernica would.

    It is signed with a test key: the receiver has to be told to believe that (--new-key says how). Nobody but Copernica
    can sign with Copernica's own keys.

    Exits 0 when the call was taken (2xx), 1 when it was refused, 69 when nobody answers.
    """
    if new_key is not None:
        record_file = signing_key.make(new_key)
        click.echo(signing_key.how_to_use(new_key, record_file, key_id, account or "account-1234"))
        return exits.DONE
    if (url is None) == (source is None):
        raise click.UsageError("Say where to: either --url URL, or --source NAME of the configuration.")
    target = _configured(source, config_file) if source is not None else _given(url or "")
    if account is not None:
        target = Target(target.url, _account(account), target.kind, target.is_callback, target.key_needed)
    kind = RecordKind(record) if record else target.kind or RecordKind.PROFILE
    call = SampleCall(
        kind=kind,
        type=event,
        at=SystemClock().now(),
        database=database,
        profile=profile,
        collection=collection,
        subprofile=subprofile,
        fields=_fields(fields) or SAMPLE_FIELDS[kind],
        interests=interests,
    )
    if body is not None:
        with click.open_file(str(body), "rb") as file:
            content = file.read()
        content_type = content_type or FORM
    elif target.is_callback:
        content, content_type = call.document(), "application/json"
    else:
        content, content_type = call.form(), FORM
    return _send(target, key, key_id, content, content_type, via)


def _given(url: str) -> Target:
    return Target(_web(url, "--url"), 1234)


def _configured(name: str, config_file: Path | None) -> Target:
    # Late: a call to a --url needs no configuration.
    from connector.config.load import load  # noqa: PLC0415
    from connector.config.secrets import resolve  # noqa: PLC0415
    from connector.config.sources import sources  # noqa: PLC0415

    config = load(config_file, os.environ)
    if name not in config.sources:
        known = ", ".join(sorted(config.sources)) or "none is configured"
        raise click.BadParameter(f"there is no source {name!r}; known: {known}", param_hint="--source")
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    only = config.model_copy(update={"sources": {name: config.sources[name]}})
    found = sources(only, lambda ref: resolve(ref, os.environ, Path(folder) if folder else None))[name]
    public = urlsplit(config.receiver.public_url)
    path = found.path if found.secret is None else f"{found.path}/{found.secret}"
    return Target(
        f"{public.scheme}://{public.netloc}{path}",
        found.account or 1234,
        found.kind,
        found.dialect.value == "callback",
        found.is_signed,
    )


def _account(text: str) -> int:
    try:
        return address.account(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--account") from None


def _web(url: str, option: str) -> str:
    try:
        return address.web(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _fields(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{one!r} is not NAME=VALUE", param_hint="--field")
        found[name] = value
    return found


def _send(target: Target, key: Path | None, key_id: str, body: bytes, content_type: str, via: str | None) -> int:
    url = urlsplit(target.url)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = [("Content-Type", content_type)]
    if via is not None and url.scheme == "https":
        # What the proxy would say. A receiver believes it of nobody but its trusted proxies.
        headers.append(("X-Forwarded-Proto", "https"))
    if target.key_needed:
        if key is None:
            raise click.UsageError("A key to sign with is needed: --key FILE. `simulate --new-key FILE` makes one.")
        headers = _signed(target, key, key_id, path, headers, body)
    else:
        headers = [("Host", url.netloc), *headers, ("Content-Length", str(len(body)))]
    place = urlsplit(_web(via, "--via") if via is not None else target.url)
    where = f"{place.scheme}://{place.netloc}"
    try:
        status, answer = _post(place.scheme, place.hostname or "", place.port, path, headers, body)
    except (OSError, http.client.HTTPException) as error:
        click.echo(f"Error: nobody takes calls at {where}: {clean(str(error)) or type(error).__name__}.", err=True)
        click.echo("Try: see that the receiver (`connector serve`) runs, and that the address is right.", err=True)
        return exits.UNREACHABLE
    said = clean(answer.decode("utf-8", "replace").strip()[:SHOWN])
    if status in SUCCESS:
        click.echo(f"Taken: {status} {said}")
        click.echo("Next: `connector list` shows the event, and what becomes of it.")
        return exits.DONE
    click.echo(f"Refused: {status} {said}", err=True)
    click.echo(
        "Try: see the receiver's log, it says why in one line; `connector verify` explains each step of the proof.",
        err=True,
    )
    return exits.NOT_SO


def _signed(
    target: Target, key: Path, key_id: str, path: str, headers: list[tuple[str, str]], body: bytes
) -> list[tuple[str, str]]:
    from connector.domain.signing import sign  # noqa: PLC0415 - cryptography is large, and help needs none

    return sign(
        "POST",
        path,
        headers,
        body,
        key=signing_key.load(key),
        key_id=key_id,
        date=SystemClock().now(),
        account=target.account,
        nonce=secrets.token_hex(8),
        host=urlsplit(target.url).netloc,
    )


def _post(
    scheme: str, host: str, port: int | None, path: str, headers: list[tuple[str, str]], body: bytes
) -> tuple[int, bytes]:
    """Send the bytes as they were signed: a client library would add, order or encode them anew."""
    if scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=TIMEOUT, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read(SHOWN * 4)
    finally:
        connection.close()
