"""Large outboxes: a few calls that the connector itself brought into their states, and millions of rows like theirs.

They are made once and kept under `bench/.cache`. Nobody opens those: each measurement works on a copy.
"""

import hashlib
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from bench import seed
from bench.calls import Calls, pairs
from bench.house import CACHE, HERE, ROOT, House, wait_for
from bench.making import making
from connector.domain.clock import DAY
from connector.outbox.port import NewCall

REAL = 4000  # pending calls with bodies of their own: more than are delivered in any measurement
_FRESH = 7 * 86400  # seconds; retention must not find the oldest rows of one that is kept
_FROM = 10_000_000  # records of copied rows have numbers from here on
_MADE_BY = (Path(__file__), HERE / "seed.py", HERE / "calls.py", HERE / "mappings" / "plain" / "people.yaml", HERE / "presets" / "bench.yaml")  # fmt: skip

# By table: what its numbers count. A copied row has other ones, everything else is as in the row that it was copied from.
_NUMBERS = {
    "records": {"id": "records"},
    "events": {"id": "events", "record": "records"},
    "deliveries": {"id": "deliveries", "event": "events", "record": "records"},
    "lines": {"record": "records", "event": "events"},
    "links": {"id": "links", "record": "records"},
    "accepted": {"link": "links"},
    "attempts": {"id": "attempts", "delivery": "deliveries"},
}
_OF_DELIVERY = {
    "records": "id = (SELECT record FROM deliveries WHERE id = :delivery)",
    "events": "id = (SELECT event FROM deliveries WHERE id = :delivery)",
    "deliveries": "id = :delivery",
    "lines": "record = (SELECT record FROM deliveries WHERE id = :delivery)",
    "links": "record = (SELECT record FROM deliveries WHERE id = :delivery)",
    "accepted": "link IN (SELECT id FROM links WHERE record = (SELECT record FROM deliveries WHERE id = :delivery))",
    "attempts": "delivery = :delivery",
}
_OWN = {"records.key": "'profile/7620/' || ", "links.crm_id": "'' || "}  # each row has its own, made of the record
_MOMENTS = ("received_at", "changed_at", "at")


def bring(calls: Calls, settled: int, pending: int, outbox: Path) -> None:
    """Put an outbox with so many settled and pending deliveries there.

    The pending ones that are due first are real calls, of persons 1, 2, 3 …
    """
    made_by = _made_by()
    kept = CACHE / f"outbox-{settled}-{pending}-{made_by}.db"
    for old in CACHE.glob("outbox-*.db"):
        if not old.stem.endswith(made_by) or old.stat().st_mtime < time.time() - _FRESH:
            old.unlink()
    if not kept.exists():
        with (
            making(f"an outbox with {settled:,} settled and {pending:,} pending"),
            House(CACHE / "building", calls) as house,
        ):
            _build(house, settled, pending)
            house.outbox.rename(kept)  # whole and synced: what is half built never has this name
    remove(outbox)
    shutil.copyfile(kept, outbox)
    os.sync()


def _made_by() -> str:
    """Return what tells one way to make these from another: the code that makes them, and the code that keeps calls."""
    digest = hashlib.sha256()
    for file in (*_MADE_BY, *sorted((ROOT / "connector" / "outbox").rglob("*.py"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _build(house: House, settled: int, pending: int) -> None:
    house.sink()
    if settled:
        seed.fill(house.outbox, [_short(_FROM)])
        if house.deliver("--drain").process.wait(30):
            raise RuntimeError("the connector did not deliver")
    real = min(REAL, pending)
    seed.fill(house.outbox, [seed.call(person) for person in range(1, real + 1)])
    if pending > real:
        seed.fill(house.outbox, [_short(_FROM + 1)])
    if pending:
        route(house)
    with closing(sqlite3.connect(house.outbox, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = OFF")
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("PRAGMA locking_mode = EXCLUSIVE")
        conn.execute("PRAGMA cache_size = -400000")
        triggers = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        conn.execute("BEGIN")
        for name, _ in triggers:
            conn.execute(f"DROP TRIGGER {name}")
        if settled > 1:
            _multiply(conn, "min(id)", settled - 1, 2 * DAY)
        if pending > real:
            _multiply(conn, "max(id) FILTER (WHERE state = 0)", pending - real - 1, 0)
        conn.execute("DELETE FROM tally")
        conn.execute("INSERT INTO tally SELECT mapping, state, count(*) FROM deliveries GROUP BY 1, 2")
        conn.execute("DELETE FROM event_tally")
        conn.execute("INSERT INTO event_tally SELECT state, count(*) FROM events GROUP BY 1")
        conn.execute("UPDATE counters SET value = (SELECT max(id) FROM events) WHERE name = 'event'")
        for _, sql in triggers:
            conn.execute(sql)
        conn.execute("COMMIT")
        conn.execute("PRAGMA locking_mode = NORMAL")
        found = dict(conn.execute("SELECT state = 0, count(*) FROM deliveries GROUP BY 1").fetchall())
        if (found.get(0, 0), found.get(1, 0)) != (settled, pending):
            raise RuntimeError(f"{found} deliveries were made, not {settled} settled and {pending} pending")
        conn.execute("PRAGMA journal_mode = WAL")
    with house.outbox.open("rb") as file:
        os.fsync(file.fileno())


def _short(person: int) -> NewCall:
    """Return a call with few fields: those of the mapping."""
    wanted = ("e_mail", "voornaam", "achternaam", "straat", "postcode", "plaats", "punten", "nieuwsbrief")
    kept = [(name, value) for name, value in pairs(person) if "[" not in name or name[7:-1] in wanted]
    return seed.said(urlencode(kept).encode(), seed.now())


def _multiply(conn: sqlite3.Connection, which: str, count: int, ago: int) -> None:
    """Copy all that belongs to a delivery so many times, as if it had come `ago` milliseconds earlier."""
    (delivery,) = conn.execute(f"SELECT {which} FROM deliveries").fetchone()
    first = {name: conn.execute(f"SELECT coalesce(max(id), 0) FROM {name}").fetchone()[0] for name in ("records", "events", "deliveries", "links", "attempts")}  # fmt: skip
    for table, numbers in _NUMBERS.items():
        cursor = conn.execute(f"SELECT * FROM {table} WHERE {_OF_DELIVERY[table]}", {"delivery": delivery})
        names, rows = [column[0] for column in cursor.description], cursor.fetchall()
        for row in rows:
            values, bound = [], []
            for name, value in zip(names, row, strict=True):
                if name in numbers and value is not None:
                    values.append(f"{first[numbers[name]]} + i")
                elif f"{table}.{name}" in _OWN and value is not None:
                    values.append(f"{_OWN[f'{table}.{name}']}({_FROM + 1 + first['records']} + i)")
                else:
                    values.append("?")
                    bound.append(value - ago if name in _MOMENTS else value)
            conn.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
                f" INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM n",
                bound,
            )


def route(house: House) -> None:
    """Let a deliverer look through all that is new, and send nothing."""
    house.connector("pause", "crm")
    deliverer = house.deliver()
    with closing(sqlite3.connect(house.outbox)) as conn:
        new = "SELECT count(*) FROM events WHERE state = 0"
        wait_for(lambda: conn.execute(new).fetchone() == (0,), deliverer, 120, every=0.1)
    deliverer.stop()
    house.connector("resume", "crm")


def events(outbox: Path, up_to: int = 1 << 62) -> int:
    """Return how many events there are, of those up to a number."""
    with closing(sqlite3.connect(outbox)) as conn:
        return int(conn.execute("SELECT count(*) FROM events WHERE id <= ?", (up_to,)).fetchone()[0])


def move(outbox: Path, to: Path) -> None:
    """Move an outbox with its WAL."""
    remove(to)
    for end in ("", "-wal", "-shm"):
        path = outbox.with_name(outbox.name + end)
        if path.exists():
            shutil.move(path, to.with_name(to.name + end))


def remove(outbox: Path) -> None:
    """Remove an outbox, and all that lies beside it."""
    for path in outbox.parent.glob(f"{outbox.name}*"):
        path.unlink()


def size(outbox: Path) -> int:
    """Return the bytes of the file and its WAL."""
    return sum(path.stat().st_size for path in (outbox, outbox.with_name(outbox.name + "-wal")) if path.exists())
