"""What in the outbox's figures needs a person: the thresholds of `status`."""

from collections.abc import Sequence

from connector.cli.moments import span
from connector.cli.text import clean, count, size
from connector.config.model import Config
from connector.domain.clock import SECOND, Instant
from connector.outbox.port import Status

CLOCK = "clock."
LAST_TEST = "last_test."
DAMAGE = "damage"


def problems(status: Status, config: Config, now: Instant) -> Sequence[str]:
    """Return what is wrong, each with what to do; nothing when all is well."""
    return [
        *_damaged(status),
        *_dead(status, config),
        *_late(status, config, now),
        *_unserved(status),
        *_no_room(status, config),
        *_clocks(status),
    ]


def _damaged(status: Status) -> list[str]:
    if not status.notes.get(DAMAGE):
        return []
    return ["The outbox file is damaged: stop everything and restore a backup, see docs/operations.md."]


def _dead(status: Status, config: Config) -> list[str]:
    dead = status.deliveries.get("dead", 0)
    if dead < config.alert.dead:
        return []
    return [
        f"{count(dead, 'delivery is', 'deliveries are')} dead: see `list --state dead`, mend, `replay --state dead`."
    ]


def _late(status: Status, config: Config, now: Instant) -> list[str]:
    limit = round(config.alert.oldest_due * SECOND)
    found = []
    if status.oldest_due is not None and now - status.oldest_due > limit:
        why = "see what is paused" if status.pauses else "does the deliverer run?"
        found.append(f"A delivery has been due for {span(now - status.oldest_due)}: {why}")
    if status.oldest_new is not None and now - status.oldest_new > limit:
        found.append(f"A call has waited for the deliverer for {span(now - status.oldest_new)}: does it run?")
    return found


def _unserved(status: Status) -> list[str]:
    return [
        f"{count(n, 'delivery waits', 'deliveries wait')} for the mapping {clean(name)}, which is not there any more: "
        f"put its file back and restart, or `discard --mapping {clean(name)}`."
        for name, n in status.unserved.items()
    ]


def _no_room(status: Status, config: Config) -> list[str]:
    if status.bytes > config.outbox.max_bytes:
        limit = size(config.outbox.max_bytes)
        return [
            f"The outbox is full ({size(status.bytes)} of {limit}): calls are answered 503. Raise [outbox] max_bytes."
        ]
    if status.free_bytes < config.outbox.free_bytes:
        return [f"The disk is nearly full ({size(status.free_bytes)} free): calls are answered 503. Make room."]
    return []


def _clocks(status: Status) -> list[str]:
    return [
        f"Genuine calls of {name.removeprefix(CLOCK)} are refused for their Date, which is {clean(note)} off: "
        "set this machine's clock."
        for name, note in status.notes.items()
        if name.startswith(CLOCK) and note
    ]
