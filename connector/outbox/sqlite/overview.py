"""The figures of `status`: counted as they happen, so that a large outbox answers as fast as a small one."""

import json

from connector.domain.delivery import DeliveryState
from connector.outbox.port import Status
from connector.outbox.sqlite.controls import Controls
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.filters import EVENT_STATES

_REASONS = 8
_LOOK_AT = 20_000  # dead or held rows; beyond that the reasons of the first ones speak for all


def overview(db: Database, controls: Controls) -> Status:
    """Return the whole at a glance. Only inside a read."""
    conn = db.conn
    deliveries = dict(conn.execute("SELECT state, sum(n) FROM tally GROUP BY state").fetchall())
    events = dict(conn.execute("SELECT state, n FROM event_tally").fetchall())
    counters = {name: (value, at) for name, value, at in conn.execute("SELECT name, value, at FROM counters")}
    nobody_s = unserved(db)
    oldest_due = conn.execute(
        "SELECT min(due_at) FROM (SELECT (SELECT min(due_at) FROM deliveries WHERE mapping = m.mapping"
        " AND priority = p.p AND state = 0 AND due_at IS NOT NULL) due_at FROM (SELECT DISTINCT mapping FROM tally"
        f" WHERE mapping NOT IN ({','.join('?' * len(nobody_s))})) m, (SELECT 0 p UNION SELECT 1) p)",
        [db.find_name(name) for name in nobody_s],
    ).fetchone()[0]
    oldest_new = conn.execute("SELECT received_at FROM events WHERE state = 0 ORDER BY id LIMIT 1").fetchone()
    newest = conn.execute("SELECT received_at FROM events ORDER BY id DESC LIMIT 1").fetchone()
    return Status(
        deliveries={state.word: int(deliveries.get(int(state)) or 0) for state in DeliveryState},
        events={word: int(events.get(int(state)) or 0) for word, state in EVENT_STATES.items()},
        unproven=int(conn.execute("SELECT count(*) FROM unproven").fetchone()[0]),
        oldest_due=oldest_due,
        oldest_new=None if oldest_new is None else oldest_new[0],
        last_received=None if newest is None else newest[0],
        last_delivered=counters["delivered"][1] if "delivered" in counters else None,
        dead=_reasons(db, DeliveryState.DEAD),
        held=_reasons(db, DeliveryState.HELD),
        pauses=tuple(controls.pauses(0).values()),
        counters={name: value for name, (value, _) in sorted(counters.items()) if name != "event"},
        notes=dict(conn.execute("SELECT name, value FROM notes ORDER BY name").fetchall()),
        bytes=db.size(),
        free_bytes=db.free(),
        dead_by_mapping=_dead_by_mapping(db),
        unserved=nobody_s,
    )


def unserved(db: Database) -> dict[str, int]:
    """How many deliveries wait for a mapping that was not in force when a deliverer last began, by its name."""
    row = db.conn.execute("SELECT value FROM meta WHERE key = 'mappings'").fetchone()
    if row is None:
        return {}
    in_force = set(json.loads(row[0]))
    rows = db.conn.execute(
        "SELECT mapping, n FROM tally WHERE state = ? AND n > 0 ORDER BY mapping", (int(DeliveryState.PENDING),)
    ).fetchall()
    return {name: int(n) for mapping, n in rows if (name := db.word(mapping)) not in in_force}


def _dead_by_mapping(db: Database) -> dict[str, int]:
    rows = db.conn.execute(
        "SELECT mapping, n FROM tally WHERE state = ? AND n > 0 ORDER BY mapping", (int(DeliveryState.DEAD),)
    ).fetchall()
    return {db.word(mapping): int(n) for mapping, n in rows}


def _reasons(db: Database, state: DeliveryState) -> list[tuple[str, str, int]]:
    """The most frequent reasons, by mapping."""
    rows = db.conn.execute(
        "SELECT mapping, coalesce(reason, ''), count(*) FROM (SELECT mapping, reason FROM deliveries"
        " INDEXED BY deliveries_stuck WHERE state = ? AND state IN (6, 7) LIMIT ?)"
        " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ?",
        (int(state), _LOOK_AT, _REASONS),
    ).fetchall()
    return [(db.word(mapping), reason, n) for mapping, reason, n in rows]
