"""`connector show ID`: one event, and all that happened to it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from connector.cli import exits, forms
from connector.cli.moments import both, iso, plain, span
from connector.cli.options import config_option, json_option
from connector.cli.outbox import opened
from connector.cli.text import clean, clean_lines, is_terminal
from connector.config.model import Config
from connector.domain.clock import Instant
from connector.domain.request import UnverifiedRequest
from connector.outbox.port import DeliveryRow, Detail
from connector.process.clock import SystemClock

_TELLING = ("date", "content-type", "content-length", "x-copernica-id", "digest", "x-nonce")
"""Headers that say something about a call and nothing about a person."""


@click.command("show")
@click.argument("event_id", metavar="ID", type=click.IntRange(1))
@click.option("--body", is_flag=True, help="Show the call's query and body too. They hold personal data.")
@json_option
@config_option
def show(event_id: int, body: bool, as_json: bool, config_file: Path | None) -> int:
    """Tell all that is known of one event: the call, its deliveries, each try, and the linked CRM records.

    Exits 1 when there is no such event.
    """
    with opened(config_file, readonly=True) as (config, desk):
        detail = desk.show(event_id)
    if detail is None:
        click.echo(f"There is no event {event_id}. It may have passed its retention: see [outbox] keep_…", err=True)
        return exits.NOT_SO
    if as_json:
        forms.show_json(_form(detail, config, with_body=body))
    else:
        click.echo("\n".join(_lines(detail, config, SystemClock().now())))
        if body:
            _show_body(detail.request)
    return exits.DONE


def _path(request: UnverifiedRequest, config: Config, *, with_query: bool) -> str:
    """Return what was called, without the secret that may stand in it."""
    path, mark, query = request.target.partition("?")
    source = config.sources.get(request.source)
    if source is None or source.proof == "secret":
        path = path.rpartition("/")[0] + "/…"
    return f"{path}{mark}{query}" if with_query else path


def _headers(request: UnverifiedRequest) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.headers if name.lower() in _TELLING]


def _lines(detail: Detail, config: Config, now: Instant) -> Iterator[str]:
    event, request = detail.event, detail.request
    yield f"Event {event.id}: {event.type or 'not understood'} of {clean(event.record or 'no record')}"
    yield f"  state      {event.state}" + (f": {clean(event.note)}" if event.note else "")
    yield f"  received   {both(event.received_at, now)} by {event.source}"
    secure = "over HTTPS" if request.secure else "not over HTTPS"
    yield f"  call       {request.method} {clean(_path(request, config, with_query=False))}, {event.size:,} bytes"
    yield f"             from {clean(request.peer)}, {secure}"
    for name, value in _headers(request):
        yield f"             {name}: {clean(value)}"
    for subject, crm_id in detail.links:
        yield f"  linked to  {clean(crm_id) if crm_id is not None else 'nothing now'} in {subject}"
    if not detail.links:
        yield "  linked to  nothing yet"
    for one in event.deliveries:
        yield ""
        yield from _delivery(one, detail, now)


def _delivery(one: DeliveryRow, detail: Detail, now: Instant) -> Iterator[str]:
    yield f"Delivery by {one.mapping}: {one.state.word}" + (f": {clean(one.reason)}" if one.reason else "")
    yield f"  changed    {both(one.changed_at, now)}"
    if one.due_at is not None:
        yield f"  due        {both(one.due_at, now)}"
    if one.forced:
        yield "  forced     everything is sent, also what the CRM has already"
    tries = [attempt for attempt in detail.attempts if attempt.delivery_id == one.id]
    if not tries:
        yield "  tries      none"
    for attempt in tries:
        parts = [f"{plain(attempt.at)}  {attempt.outcome}"]
        if attempt.status is not None:
            parts.append(f"HTTP {attempt.status}")
        if attempt.requests:
            parts.append(f"{attempt.requests} request(s) in {span(attempt.took)}")
        if attempt.version:
            parts.append(f"mapping {attempt.version}")
        yield "  tried      " + ", ".join(parts)
        if attempt.reason:
            yield f"             {clean(attempt.reason)}"


def _form(detail: Detail, config: Config, *, with_body: bool) -> dict[str, Any]:
    request = detail.request
    call: dict[str, Any] = {
        "method": request.method,
        "target": _path(request, config, with_query=with_body),
        "peer": request.peer,
        "secure": request.secure,
        "received_at": iso(request.received_at),
        "headers": dict(_headers(request)),
    }
    if with_body:
        call |= _body_form(request.body)
    return {
        "event": forms.event(detail.event),
        "call": call,
        "attempts": [forms.attempt(one) for one in detail.attempts],
        "links": [{"to": subject, "crm_id": crm_id} for subject, crm_id in detail.links],
    }


def _body_form(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _show_body(request: UnverifiedRequest) -> None:
    """Print the body: as it is into a file or pipe, safely at a terminal."""
    click.echo()
    query = request.target.partition("?")[2]
    if query:
        click.echo(f"Query: {clean(query)}")
    if is_terminal():
        click.echo(clean_lines(request.body.decode("utf-8", "replace")))
    else:
        click.echo(request.body)
