"""`connector list`: what came in, and what became of it."""

from pathlib import Path

import click

from connector.cli import forms
from connector.cli.moments import plain, relative
from connector.cli.options import config_option, filter_options, json_option
from connector.cli.outbox import opened
from connector.cli.text import clean, table
from connector.domain.clock import Instant
from connector.outbox.port import DeliveryRow, EventRow, Filter
from connector.process.clock import SystemClock

_HEAD = ("ID", "RECEIVED", "SOURCE", "TYPE", "RECORD", "MAPPING", "STATE", "COUNTED", "REASON")


@click.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Events shown at most.")
@click.option("--after", type=click.IntRange(1), help="Go on behind that event ID, to older ones.")
@json_option
@config_option
def list_(wanted: Filter, limit: int, after: int | None, as_json: bool, config_file: Path | None) -> None:
    """List events and their deliveries, newest first.

    Without IDs and options the newest are shown. An event that no mapping wants, or that is not understood, has no
    delivery: its own state stands in the line. COUNTED are the tries that count towards giving up. `show ID` tells the
    rest.
    """
    with opened(config_file, readonly=True) as (_, desk):
        rows = list(desk.list(wanted, limit + 1, after or 0))
    more = rows[limit - 1].id if len(rows) > limit else None
    rows = rows[:limit]
    if as_json:
        forms.show_json({"events": [forms.event(row) for row in rows], "next": more})
        return
    if not rows:
        click.echo("Nothing." if wanted.is_empty else "Nothing is like that.", err=True)
        return
    now = SystemClock().now()
    lines = [line for row in rows for line in _lines(row, wanted, now)]
    click.echo("\n".join(table(_HEAD, lines)))
    if more is not None:
        click.echo(f"There are older ones: --after {more}", err=True)


def _lines(row: EventRow, wanted: Filter, now: Instant) -> list[tuple[str, ...]]:
    """Return a line for each delivery that was asked for."""
    event = (str(row.id), plain(row.received_at), row.source, row.type or "-", clean(row.record or "-"))
    if not row.deliveries:
        return [(*event, "-", row.state, "-", clean(row.note))]
    asked = [one for one in row.deliveries if _is_asked(one, wanted)] or row.deliveries
    return [(*event, one.mapping, one.state.word, str(one.attempts), _why(one, now)) for one in asked]


def _is_asked(one: DeliveryRow, wanted: Filter) -> bool:
    return (not wanted.states or one.state.word in wanted.states) and wanted.mapping in (None, one.mapping)


def _why(one: DeliveryRow, now: Instant) -> str:
    parts = [clean(one.reason)] if one.reason else []
    if one.due_at is not None and one.due_at > now:
        parts.append(f"due {relative(one.due_at, now)}")
    return "; ".join(parts)
