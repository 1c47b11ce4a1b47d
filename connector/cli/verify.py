"""`connector verify`: would this call be taken, and if not, which check fails first?"""

import json
import os
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.raw_request import read_raw
from connector.domain.clock import SECOND, Instant
from connector.domain.judgement import FindKey, Step, Verdict, explain
from connector.domain.keyrecord import NoKey
from connector.domain.request import Refusal, RefusalReason, UnverifiedRequest, VerifiedRequest
from connector.domain.source import Proof, Source

if TYPE_CHECKING:
    from connector.config.model import Dns

NOT_GENUINE = 1
DNS_SILENT = 69
MAX_INPUT = 128 * 1024 * 1024

_FROM_THE_CONNECTION = ("address", "https")
"""Checks that a file says nothing about."""

_HINTS = {
    RefusalReason.HOST: "receiver.public_url has to be what stands in the webhook at Copernica, and a proxy has to "
    "pass the Host header on as it came.",
    RefusalReason.PATH: "receiver.public_url and the source's path together have to be the webhook's address.",
    RefusalReason.ACCOUNT: "The source's account has to be the one that sends.",
    RefusalReason.DIGEST: "The body changed on the way, or was saved other than byte by byte (line ends? an editor?).",
    RefusalReason.DATE: "Give --at the moment of arrival for a call of the past; else set the clock right (NTP).",
    RefusalReason.SIGNATURE: "Compare the signing string above with what the sender signed: a proxy may have changed a "
    "header or the path.",
}


@dataclass(frozen=True, slots=True)
class _Setting:
    """What the call is held against. `notes` say what is not compared because nobody said what it has to be."""

    source: Source
    find_key: FindKey
    zone: str
    notes: tuple[str, ...]


@click.command("verify")
@click.option("--source", "source_name", metavar="NAME", help="Hold the call against this source of the configuration.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --source: the configuration; else $CONNECTOR_CONFIG, else /etc/connector/config.toml.",
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the key from this file (PEM, or the text of a DKIM TXT record) instead of DNS.",
)
@click.option("--account", metavar="account-1234", help="The account that the call has to be about.")
@click.option("--public-url", metavar="URL", help="What the call has to be addressed to, as it stands in the webhook.")
@click.option("--at", metavar="TIME", help="When the call came (2026-01-31T12:00:00Z); default: now.")
@click.option("--resolver", metavar="ADDRESS[:PORT]", multiple=True, help="Ask this DNS resolver; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(
    source_name: str | None,
    config_file: Path | None,
    key_file: Path | None,
    account: str | None,
    public_url: str | None,
    at: str | None,
    resolver: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Check a raw HTTP request from standard input, step by step.

    The steps are the receiver's own. The first that fails is named, with both values that differ. Nothing is stored.

    Exits 0 when the call is genuine, 1 when it is not, 69 when DNS does not answer, 2 when it was called wrongly, 78
    when the configuration is wrong.
    """
    try:
        method, target, headers, body = read_raw(sys.stdin.buffer.read(MAX_INPUT))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    moment = _moment(at)
    request = UnverifiedRequest(source_name or "verify", method, target, headers, body, moment, "", secure=True)
    setting = _setting(request, source_name, config_file, key_file, account, public_url, resolver)
    if setting.source.proof is Proof.NONE:
        raise click.UsageError(f"The source {source_name} takes calls by address alone: there is nothing to verify.")
    source = replace(setting.source, addresses=())
    judged = _Judged(explain(request, source, setting.find_key, now=moment, zone=setting.zone))
    steps = [step for step in judged if step.name not in _FROM_THE_CONNECTION]
    verdict = judged.verdict
    if as_json:
        click.echo(json.dumps(_as_json(verdict, steps, setting.notes), ensure_ascii=False))
    else:
        _show(verdict, steps, setting.notes)
    if isinstance(verdict, VerifiedRequest):
        return
    sys.exit(NOT_GENUINE if isinstance(verdict, Refusal) else DNS_SILENT)


class _Judged:
    """Passes the steps on and keeps the verdict that comes after them."""

    def __init__(self, steps: Generator[Step, None, Verdict]) -> None:
        self._steps = steps
        self.verdict: Verdict

    def __iter__(self) -> Iterator[Step]:
        self.verdict = yield from self._steps


def _moment(at: str | None) -> Instant:
    if at is None:
        from connector.process.clock import SystemClock  # noqa: PLC0415 - imported only by who needs it

        return SystemClock().now()
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise click.BadParameter("the time needs its zone: 2026-01-31T12:00:00Z", param_hint="--at")
        return round(moment.timestamp() * SECOND)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{at!r} is not a time like 2026-01-31T12:00:00Z", param_hint="--at") from None


# ── what the call is held against ───────────────────────────────────────────────────────────────────────────────────


def _setting(
    request: UnverifiedRequest,
    source_name: str | None,
    config_file: Path | None,
    key_file: Path | None,
    account: str | None,
    public_url: str | None,
    resolver: tuple[str, ...],
) -> _Setting:
    from connector.config.model import Dns  # noqa: PLC0415 - pydantic is imported only by who needs it

    if source_name is None and config_file is not None:
        raise click.UsageError("--config says nothing without --source.")
    if key_file is not None and resolver:
        raise click.UsageError("--key and --resolver exclude each other: the key comes from one place.")
    notes: list[str] = []
    if source_name is None:
        source, dns = _own_words(request, notes, has_account=account is not None, has_url=public_url is not None), Dns()
    else:
        source, dns, key = _configured(source_name, config_file)
        key_file = key_file or key
    if key_file is not None and source.is_signed:
        source = replace(source, proof=Proof.KEY_FILE)
    if account is not None:
        source = replace(source, account=_account(account))
    if public_url is not None:
        source = _addressed(source, public_url)
    return _Setting(source, _finder(key_file, resolver or dns.servers, dns.timeout), dns.zone, tuple(notes))


def _own_words(request: UnverifiedRequest, notes: list[str], *, has_account: bool, has_url: bool) -> Source:
    """Return a source that expects of the call what the call says of itself."""
    from connector.config import address  # noqa: PLC0415 - as above

    account = None
    if not has_account:
        notes.append("the account is not compared; --account says which it has to be")
        try:
            account = address.account((request.header("x-copernica-id") or "").strip().lower())
        except ValueError:
            account = None
    if not has_url:
        notes.append("host and path are not compared; --public-url says what they have to be")
    host = (request.header("host") or "").strip()
    return Source(name="verify", path=request.target.partition("?")[0], host=host, account=account)


def _configured(name: str, file: Path | None) -> "tuple[Source, Dns, Path | None]":
    """Return the configured source, the configuration's [dns], and the source's key file."""
    from connector.compose.secrets import secret_reader  # noqa: PLC0415 - as above
    from connector.config.load import load  # noqa: PLC0415
    from connector.config.sources import sources  # noqa: PLC0415

    config = load(file, os.environ)
    if name not in config.sources:
        known = ", ".join(sorted(config.sources)) or "none"
        raise click.BadParameter(f"there is no source {name!r}; there are: {known}", param_hint="--source")
    # only this one's secret is read: others may be readable to the service alone
    only = config.model_copy(update={"sources": {name: config.sources[name]}})
    source = sources(only, secret_reader(os.environ))[name]
    key_file = config.sources[name].key_file if source.proof is Proof.KEY_FILE else None
    return source, config.dns, key_file


def _account(text: str) -> int:
    from connector.config import address  # noqa: PLC0415 - as above

    try:
        return address.account(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--account") from None


def _addressed(source: Source, url: str) -> Source:
    from connector.config import address  # noqa: PLC0415 - as above

    try:
        parts = address.split(address.web(url))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--public-url") from None
    return replace(source, host=parts.netloc, path=parts.path or "/", require_https=parts.scheme == "https")


def _finder(key_file: Path | None, servers: tuple[str, ...], timeout: float) -> FindKey:
    from connector.keys.dns import as_answer  # noqa: PLC0415 - as above
    from connector.keys.file import MAX_FILE, read_key  # noqa: PLC0415
    from connector.keys.query import TxtQuery  # noqa: PLC0415

    if key_file is not None:
        try:
            with key_file.open("rb") as file:
                answer = read_key(file.read(MAX_FILE), str(key_file))
        except OSError as error:
            raise click.UsageError(f"The key file {key_file} cannot be read: {error.strerror}") from None
        if isinstance(answer, NoKey):
            raise click.UsageError(f"{answer.detail}: neither a public key in PEM form nor the text of a DKIM record.")
        return lambda _: answer
    try:
        query = TxtQuery(servers, timeout)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--resolver") from None
    return lambda name: as_answer(query(name), name)


# ── what is shown ───────────────────────────────────────────────────────────────────────────────────────────────────


def _show(verdict: Verdict, steps: list[Step], notes: tuple[str, ...]) -> None:
    marks = {True: "✓", False: "✗", None: "?"}
    for step in steps:
        click.echo(_plain(f"{marks[step.ok]} {step.name:<16} {step.detail}".rstrip()))
        if step.ok is False and (step.expected or step.found):
            click.echo(_plain(f"    expected  {step.expected}"))
            click.echo(_plain(f"    found     {step.found}"))
        elif step.found:
            for line in step.found.split("\n"):
                click.echo(_plain(f"    | {line}"))
    for note in notes:
        click.echo(f"- {note}")
    if isinstance(verdict, VerifiedRequest):
        click.echo("The call is genuine.")
    elif isinstance(verdict, Refusal):
        click.echo(f"The call is refused: {verdict.reason}.")
        if verdict.clock_off_by is not None:
            click.echo(f"It is genuine but for its Date: the clocks differ by {verdict.clock_off_by} s.")
        if hint := _HINTS.get(verdict.reason):
            click.echo(hint)
    else:
        click.echo(
            "Nobody can tell now: the key is not to be had. The receiver keeps such a call, and judges it later."
        )


def _as_json(verdict: Verdict, steps: list[Step], notes: tuple[str, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "verdict": "unproven",
        "reason": None,
        "detail": None,
        "clock_off_by": None,
        "proof": None,
    }
    if isinstance(verdict, Refusal):
        result |= {"verdict": "refused", "reason": verdict.reason.value, "detail": verdict.detail}
        result["clock_off_by"] = verdict.clock_off_by
    else:
        if isinstance(verdict, VerifiedRequest):
            result["verdict"] = "genuine"
        result["proof"] = verdict.proof.hex() if verdict.proof else None
    result["steps"] = [
        {"name": one.name, "ok": one.ok, "detail": one.detail, "expected": one.expected, "found": one.found}
        for one in steps
    ]
    result["notes"] = list(notes)
    return result


def _plain(text: str) -> str:
    """Return the text without what could steer a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
