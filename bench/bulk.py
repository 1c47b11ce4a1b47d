"""Large outboxes, made by SQL: millions of rows as the connector itself leaves them, but with short bodies."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench import seed
from bench.calls import DATABASE
from connector.domain.clock import DAY
from connector.domain.event import EventType
from connector.mapping.load import load_mappings
from connector.outbox.port import Route, StoredCall
from connector.outbox.sqlite.queue import SqliteQueue

REAL = 4000  # pending events with bodies of their own: enough for what is delivered in a measurement
_FROM = 10_000_000  # persons of bulk rows have numbers from here on


def build(outbox: Path, settled: int, pending: int) -> None:
    """Make an outbox with so many settled and pending deliveries. The first pending ones are real calls."""
    real = min(REAL, pending)
    seed.fill(outbox, [seed.call(person) for person in range(1, max(real, 1) + 1)])
    route(outbox)
    now = round(time.time() * 1000)
    with closing(sqlite3.connect(outbox, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("PRAGMA cache_size = -400000")
        triggers = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        conn.execute("BEGIN")
        for name, _ in triggers:
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("UPDATE deliveries SET due_at = ? WHERE state = 0", (now - 60_000,))
        if not real:
            conn.execute("UPDATE deliveries SET state = 2, due_at = NULL, changed_at = ?", (now - 2 * DAY,))
        _rows(conn, settled, now - 2 * DAY, settled=True)
        _rows(conn, pending - real, now - 30_000, settled=False)
        conn.execute("DELETE FROM tally")
        conn.execute("INSERT INTO tally SELECT mapping, state, count(*) FROM deliveries GROUP BY 1, 2")
        conn.execute("DELETE FROM event_tally")
        conn.execute("INSERT INTO event_tally SELECT state, count(*) FROM events GROUP BY 1")
        conn.execute("UPDATE counters SET value = (SELECT max(id) FROM events) WHERE name = 'event'")
        for _, sql in triggers:
            conn.execute(sql)
        conn.execute("COMMIT")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _rows(conn: sqlite3.Connection, count: int, at: int, *, settled: bool) -> None:
    if count <= 0:
        return
    blob, source, size = conn.execute("SELECT call, source, 0 FROM events LIMIT 1").fetchone()
    blob = _short(conn)
    mapping = conn.execute("SELECT id FROM names WHERE name = 'people'").fetchone()[0]
    first = conn.execute("SELECT max(id) FROM events").fetchone()[0]
    record = conn.execute("SELECT max(id) FROM records").fetchone()[0]
    rank = at // 1000 * 2
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    conn.execute(
        f"{numbers} INSERT INTO records (id, key) SELECT {record} + i, 'profile/{DATABASE}/' || ({_FROM} + {record} + i) FROM n"
    )
    conn.execute(
        f"{numbers} INSERT INTO events (id, source, record, type, rank, state, received_at, size, call)"
        f" SELECT {first} + i, ?, {record} + i, 1, ?, 1, ?, ?, ? FROM n",
        (source, rank, at, size, blob),
    )
    conn.execute(
        f"{numbers} INSERT INTO deliveries (event, mapping, record, rank, flags, state, due_at, attempts, changed_at)"
        f" SELECT {first} + i, ?, {record} + i, ?, 0, ?, ?, 0, ? FROM n",
        (mapping, rank, 2 if settled else 0, None if settled else at, at),
    )
    conn.execute(f"{numbers} INSERT INTO lines SELECT {record} + i, ?, ?, {first} + i, 0 FROM n", (mapping, rank))
    if settled:
        outcome = conn.execute(
            "INSERT INTO names (name) VALUES ('bulk') ON CONFLICT DO UPDATE SET name = name RETURNING id"
        ).fetchone()[0]
        conn.execute(
            f"{numbers} INSERT INTO attempts (delivery, at, outcome, status, requests, took, version)"
            f" SELECT (SELECT max(id) FROM deliveries) - {count} + i, ?, ?, 200, 1, 50, ? FROM n",
            (at, outcome, outcome),
        )


def _short(conn: sqlite3.Connection) -> bytes:
    """Return a stored call with few fields."""
    return bytes(conn.execute("SELECT call FROM events ORDER BY length(call) LIMIT 1").fetchone()[0])


def route(outbox: Path) -> int:
    """Route what is new, as a deliverer with the plain mapping would; return how many events that were."""
    database, _ = seed.open_inbox(outbox)
    queue = SqliteQueue(database)
    total = route_with(queue)
    queue.close()
    database.close()
    return total


def route_with(queue: SqliteQueue) -> int:
    """The same, through an open queue."""
    mappings = load_mappings(Path(__file__).parent / "mappings" / "plain")
    total = 0

    def router(call: StoredCall):  # type: ignore[no-untyped-def]
        from connector.domain.decode import decode
        from connector.domain.event import NotUnderstood

        event = decode(call.request, seed.SOURCE)
        if isinstance(event, NotUnderstood):
            return event
        now = round(time.time() * 1000)
        return event, [
            Route(mapping=m.name, destination=m.destination, object=m.object, record=event.record, rank=event.at // 1000 * 2,
                  is_state=True, is_create=event.type is EventType.CREATE, is_delete=False, due_at=now, identity=None)
            for m in mappings.taking(event, call.source)
        ]  # fmt: skip

    while done := queue.route(round(time.time() * 1000), 500, router).events:
        total += done
    return total


def events(outbox: Path) -> int:
    """Return how many events there are."""
    with closing(sqlite3.connect(outbox)) as conn:
        return int(conn.execute("SELECT count(*) FROM events").fetchone()[0])


def files(outbox: Path) -> list[Path]:
    return [path for path in outbox.parent.glob(f"{outbox.name}*") if path.is_file()]


def move(outbox: Path, to: Path) -> None:
    """Move an outbox with its WAL."""
    for old in files(to):
        old.unlink()
    for path in files(outbox):
        if path.name.removeprefix(outbox.name) in ("", "-wal", "-shm"):
            shutil.move(path, to.with_name(to.name + path.name.removeprefix(outbox.name)))


def copy(outbox: Path, to: Path) -> None:
    """Copy an outbox that nobody has open."""
    shutil.copyfile(outbox, to)
    os.sync()


def size(outbox: Path) -> int:
    """Return the bytes of the file and its WAL."""
    return sum(path.stat().st_size for path in (outbox, outbox.with_name(outbox.name + "-wal")) if path.exists())
