"""From events to deliveries: which mappings take an event, and what its coming does to the older ones of its lines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from connector.domain.clock import Instant
from connector.domain.event import Event, NotUnderstood
from connector.outbox.port import EventState, Route, Routed, Router, StoredCall
from connector.outbox.sqlite.among import among
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.inbox import add_counts, coarse_rank, type_number
from connector.outbox.sqlite.lines import HELD, LEASED, OF_LINE, OPEN, PENDING, SUPERSEDED, Flag, Lines
from connector.outbox.sqlite.stored import StoredCalls
from connector.outbox.sqlite.tombstones import Tombstones

_Decided: TypeAlias = tuple[StoredCall, "tuple[Event, Sequence[Route]] | NotUnderstood"]
_Wanted: TypeAlias = tuple[int, int, Sequence[Route]]


@dataclass(slots=True)
class _Group:
    """What is known before the events of a group are routed, and what is written for all of them together.

    `open` are the lines with deliveries that wait, are leased or stopped; more at most, never fewer.
    """

    known: set[tuple[int, int]]
    open: set[tuple[int, int]]
    lines: dict[tuple[int, int], tuple[int, ...]]
    has_holds: bool
    moved: set[tuple[int, int]] = field(default_factory=set)
    made: list[tuple[object, ...]] = field(default_factory=list)
    total: list[int] = field(default_factory=lambda: [0, 0, 0])  # made, superseded, revived


class Routing:
    """The first half of the queue: see `connector.outbox.port.Queue.route`."""

    def __init__(self, db: Database, lines: Lines, calls: StoredCalls) -> None:
        self._db = db
        self._lines = lines
        self._calls = calls
        self._tombstones = Tombstones(db)

    def route(self, now: Instant, limit: int, router: Router) -> Routed:
        """Let the router decide outside a transaction, then keep what it says, event by event in order of arrival."""
        new = self._new(limit)
        if not new:
            return Routed()
        decisions = [(call, router(call)) for call in new]
        # A power cut may undo it: the calls are then new again.
        with self._db.write(sync=False):
            mine = self._mine(decisions)
            self._note(mine, now)
            wanted = self._understood(mine, now)
            group = self._group(wanted)
            for event_id, record, routes in wanted:
                for route in routes:
                    self._deliver(group, event_id, record, route, now)
            self._flush(group)
            self._db.conn.executemany(
                "INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?, ?)",
                [(*line, *group.lines[line]) for line in group.moved],
            )
        understood = sum(not isinstance(decision, NotUnderstood) for _, decision in mine)
        if len(wanted) < understood:
            self._db.truncate(patience=0)  # no byte of an erased person stays in the WAL
        return Routed(len(mine), *group.total)

    def _new(self, limit: int) -> list[StoredCall]:
        with self._db.read() as conn:
            rows = conn.execute(
                "SELECT id, source, received_at, call FROM events WHERE state = 0 ORDER BY id LIMIT ?", (limit,)
            ).fetchall()
            return [self._calls.read(*row) for row in rows]

    def _mine(self, decisions: list[_Decided]) -> list[_Decided]:
        """Return those that no other deliverer was faster with."""
        marks, ids = among([call.event_id for call, _ in decisions])
        rows = self._db.conn.execute(f"SELECT id FROM events WHERE id {marks} AND state = 0", ids)
        fresh = {row[0] for row in rows}
        return [(call, decision) for call, decision in decisions if call.event_id in fresh]

    def _note(self, decisions: list[_Decided], now: Instant) -> None:
        """Mark what says nothing (the last of it counts as a test); count what is odd, by source."""
        conn = self._db.conn
        odd: Counter[str] = Counter()
        for call, decision in decisions:
            event = decision if isinstance(decision, NotUnderstood) else decision[0]
            odd.update(f"noted.{call.source}.{note.kind}" for note in event.notes)
            if isinstance(decision, NotUnderstood):
                values = (int(EventState.NOT_UNDERSTOOD), decision.reason, call.event_id)
                conn.execute("UPDATE events SET state = ?, note = ? WHERE id = ?", values)
                conn.execute(
                    "INSERT INTO notes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value,"
                    " at = excluded.at WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)",
                    (f"last_test.{call.source}", str(call.request.request.received_at), now),
                )
        if odd:
            add_counts(self._db, odd, now)

    def _understood(self, decisions: list[_Decided], now: Instant) -> list[_Wanted]:
        """Write down what the events are; return their records and routes, without those of people who were erased."""
        understood = [(call.event_id, *one) for call, one in decisions if not isinstance(one, NotUnderstood)]
        if self._tombstones.exist():
            understood = [one for one in understood if not self._tombstones.refuse(one[0], one[1], now)]
        keys = [self._db.record_key(event.record) for _, event, _ in understood]
        records = self._records(keys)
        self._db.conn.executemany(
            "UPDATE events SET state = ?, note = NULL, record = ?, type = ?, rank = ? WHERE id = ?",
            [
                (
                    int(EventState.ROUTED if routes else EventState.UNWANTED),
                    records[key],
                    type_number(event),
                    coarse_rank(event),
                    event_id,
                )
                for (event_id, event, routes), key in zip(understood, keys, strict=True)
            ],
        )
        return [(event_id, records[key], routes) for (event_id, _, routes), key in zip(understood, keys, strict=True)]

    def _records(self, keys: list[str]) -> dict[str, int]:
        """Return the numbers of records, making those that are new."""
        if not keys:
            return {}
        marks, values = among(dict.fromkeys(keys))
        found: dict[str, int] = dict(self._db.conn.execute(f"SELECT key, id FROM records WHERE key {marks}", values))
        return found | {key: self._db.record_id(key) for key in values if key not in found}

    def _group(self, wanted: list[_Wanted]) -> _Group:
        """Look up what their coming may touch."""
        if not wanted:
            return _Group(set(), set(), {}, has_holds=False)
        conn = self._db.conn
        events, ids = among([event_id for event_id, _, _ in wanted])
        records, numbers = among({record for _, record, _ in wanted})
        lines = conn.execute(
            f"SELECT record, mapping, rank, event, created_here FROM lines WHERE record {records}", numbers
        )
        return _Group(
            set(conn.execute(f"SELECT event, mapping FROM deliveries WHERE event {events}", ids)),
            set(conn.execute(f"SELECT record, mapping FROM deliveries WHERE record {records} AND {OPEN}", numbers)),
            {(record, mapping): tuple(rest) for record, mapping, *rest in lines},
            has_holds=conn.execute("SELECT 1 FROM holds LIMIT 1").fetchone() is not None,
        )

    def _deliver(self, group: _Group, event_id: int, record: int, route: Route, now: Instant) -> None:
        """Make the delivery of one route."""
        mapping = self._db.name_id(route.mapping)
        key = (record, mapping)
        if (event_id, mapping) in group.known:
            return  # looked at anew after a replay: the mapping had it already
        if route.identity is not None and not self._first_sight(route, mapping, now):
            return
        line = group.lines.get(key)
        is_newest = line is None or (route.rank, event_id) > (line[0], line[1])
        revived = is_newest and line is not None and line[0] % 2 == 1 and not route.is_delete
        flags = (0 if route.is_state else Flag.EACH) | (Flag.DELETE if route.is_delete else 0)
        has_others = key in group.open
        if has_others:
            self._flush(group)  # what follows looks at the line's deliveries
        state, due_at, reason = PENDING, route.due_at, None
        if route.is_state and line is not None and not is_newest:
            state, reason = SUPERSEDED, f"older than event {line[1]}, which came before it"
        elif group.has_holds and self._is_held(route, record):
            state, reason = HELD, "by an operator"
        elif route.is_state and has_others:
            due_at = self._inherit(record, mapping, route.due_at)
        due = due_at if state == PENDING else None
        group.made.append((event_id, mapping, record, route.rank, flags, state, due, now, reason))
        group.total[0] += 1
        group.total[2] += revived
        if is_newest:
            created = int(route.is_create or (line is not None and line[2] and not revived))
            group.lines[key] = (route.rank, event_id, created)
            group.moved.add(key)
        if has_others:
            self._flush(group)
            supersedes = is_newest and route.is_state
            group.total[1] += self._make_room(key, event_id, now, supersedes=supersedes, waits=state == PENDING)
        group.open.add(key)

    def _make_room(self, line: tuple[int, int], event_id: int, now: Instant, *, supersedes: bool, waits: bool) -> int:
        """Let a delivery take the place of the older ones, and wait for one that is under way; return how many went."""
        superseded = self._lines.supersede(*line, (PENDING, HELD), event_id, now) if supersedes else 0
        if waits and self._must_wait(*line, event_id):
            self._db.conn.execute(
                "UPDATE deliveries SET due_at = NULL WHERE event = ? AND mapping = ?", (event_id, line[1])
            )
            if superseded:  # by it, perhaps the one that the others waited for
                self._lines.unblock(*line, now)
        return superseded

    def _flush(self, group: _Group) -> None:
        self._db.conn.executemany(
            "INSERT INTO deliveries (event, mapping, record, rank, flags, state, due_at, changed_at, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            group.made,
        )
        group.made.clear()

    def _inherit(self, record: int, mapping: int, due_at: Instant) -> Instant:
        """A change that lingers is not put off by the ones after it: the first one's moment stays."""
        row = self._db.conn.execute(
            f"SELECT min(due_at) FROM deliveries WHERE {OF_LINE} AND state = 0 AND attempts = 0",
            (record, mapping),
        ).fetchone()
        return due_at if row[0] is None else min(due_at, int(row[0]))

    def _must_wait(self, record: int, mapping: int, event_id: int) -> bool:
        """Whether another delivery of the line has to end first."""
        row = self._db.conn.execute(
            f"SELECT 1 FROM deliveries WHERE {OF_LINE} AND event <> ? AND state IN ({PENDING}, {LEASED})",
            (record, mapping, event_id),
        ).fetchone()
        return row is not None

    def _is_held(self, route: Route, record: int) -> bool:
        conn = self._db.conn
        key = conn.execute("SELECT key FROM records WHERE id = ?", (record,)).fetchone()[0]
        row = conn.execute(
            "SELECT 1 FROM holds WHERE (kind, subject) IN (VALUES ('record', ?), ('mapping', ?), ('destination', ?))",
            (key, route.mapping, route.destination),
        ).fetchone()
        return row is not None

    def _first_sight(self, route: Route, mapping: int, now: Instant) -> bool:
        """Whether an `each` line sees this happening for the first time (S31)."""
        identity = self._db.hasher.digest(f"{mapping}\0{route.identity}")
        done = self._db.conn.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (identity, now))
        return done.rowcount == 1
