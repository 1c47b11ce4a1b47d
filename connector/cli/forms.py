"""What `--json` prints: a contract, written down in docs/cli.md. Fields are added, never renamed or taken away."""

import json
from collections.abc import Mapping
from typing import Any

import click

from connector.cli.moments import iso
from connector.outbox.port import AttemptRow, DeliveryRow, Done, EventRow, Pause


def show_json(value: Mapping[str, Any]) -> None:
    """Print it."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def delivery(row: DeliveryRow) -> dict[str, Any]:
    """Return a delivery."""
    return {
        "id": row.id,
        "mapping": row.mapping,
        "state": row.state.word,
        "priority": row.priority.name.lower(),
        "due_at": iso(row.due_at),
        "attempts": row.attempts,
        "reason": row.reason,
        "changed_at": iso(row.changed_at),
        "forced": row.forced,
    }


def event(row: EventRow) -> dict[str, Any]:
    """Return an event with its deliveries."""
    return {
        "id": row.id,
        "source": row.source,
        "state": row.state,
        "record": row.record,
        "type": row.type,
        "received_at": iso(row.received_at),
        "size": row.size,
        "note": row.note,
        "deliveries": [delivery(one) for one in row.deliveries],
    }


def attempt(row: AttemptRow) -> dict[str, Any]:
    """Return one line of a delivery's history."""
    return {
        "at": iso(row.at),
        "delivery": row.delivery_id,
        "outcome": row.outcome,
        "status": row.status,
        "requests": row.requests,
        "took_ms": row.took,
        "reason": row.reason,
        "mapping_version": row.version,
    }


def pause(one: Pause) -> dict[str, Any]:
    """Return a pause."""
    return {
        "subject": one.subject,
        "by": one.by,
        "reason": one.reason,
        "since": iso(one.since),
        "until": iso(one.until),
        "failed_probes": one.probes,
    }


def done(command: str, result: Done, *, dry_run: bool) -> dict[str, Any]:
    """Return what a command came to."""
    return {
        "command": command,
        "dry_run": dry_run,
        "done": result.done,
        "left": dict(result.left),
        "ids": list(result.ids),
    }
