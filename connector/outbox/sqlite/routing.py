"""From events to deliveries: which mappings take an event, and what its coming does to the older ones of its lines."""

from connector.domain.clock import Instant
from connector.domain.event import Event, NotUnderstood
from connector.outbox.port import EventState, Route, Routed, Router, StoredCall
from connector.outbox.sqlite.codec import unpack_call
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.inbox import coarse_rank, type_number
from connector.outbox.sqlite.lines import HELD, LEASED, OF_LINE, PENDING, SUPERSEDED, Flag, Lines
from connector.outbox.sqlite.tombstones import Tombstones


class Routing:
    """The first half of the queue: see `connector.outbox.port.Queue.route`."""

    def __init__(self, db: Database, lines: Lines) -> None:
        self._db = db
        self._lines = lines
        self._tombstones = Tombstones(db)

    def route(self, now: Instant, limit: int, router: Router) -> Routed:
        """Let the router decide outside a transaction, then keep what it says, event by event in order of arrival."""
        calls = self._new(limit)
        if not calls:
            return Routed()
        decisions = [(call.event_id, router(call)) for call in calls]
        total = [0, 0, 0, 0]
        refused = 0
        with self._db.write() as conn:
            has_erased = self._tombstones.exist()
            for event_id, decision in decisions:
                if isinstance(decision, NotUnderstood):
                    state, note = EventState.NOT_UNDERSTOOD, decision.reason
                else:
                    state, note = EventState.ROUTED if decision[1] else EventState.UNWANTED, None
                done = conn.execute(
                    "UPDATE events SET state = ?, note = ? WHERE id = ? AND state = 0", (state, note, event_id)
                )
                if done.rowcount == 0:
                    continue  # another deliverer was faster
                total[0] += 1
                if isinstance(decision, NotUnderstood):
                    continue
                if has_erased and self._tombstones.refuse(event_id, decision[0], now):
                    refused += 1
                    continue
                self._describe(event_id, decision[0])
                for route in decision[1]:
                    made, superseded, revived = self._deliver(event_id, route, now)
                    total[1] += made
                    total[2] += superseded
                    total[3] += revived
        if refused:
            self._db.truncate(patience=0)  # no byte of an erased person stays in the WAL
        return Routed(*total)

    def _new(self, limit: int) -> list[StoredCall]:
        with self._db.read() as conn:
            rows = conn.execute(
                "SELECT id, source, received_at, call FROM events WHERE state = 0 ORDER BY id LIMIT ?", (limit,)
            ).fetchall()
            return [
                StoredCall(
                    event_id, unpack_call(blob, self._db.word(source), received_at, dictionary=self._db.dictionary)
                )
                for event_id, source, received_at, blob in rows
            ]

    def _describe(self, event_id: int, event: Event) -> None:
        """Fill in what an older version did not understand when the call came in."""
        record = self._db.record_id(self._db.record_key(event.record))
        self._db.conn.execute(
            "UPDATE events SET record = ?, type = ?, rank = ? WHERE id = ? AND record IS NULL",
            (record, type_number(event), coarse_rank(event), event_id),
        )

    def _deliver(self, event_id: int, route: Route, now: Instant) -> tuple[int, int, int]:
        """Make the delivery of one route; return deliveries made, older ones superseded, revivals."""
        db, conn = self._db, self._db.conn
        mapping = db.name_id(route.mapping)
        record = db.record_id(db.record_key(route.record))
        known = conn.execute(
            "SELECT state FROM deliveries WHERE event = ? AND mapping = ?", (event_id, mapping)
        ).fetchone()
        if known is not None:
            return 0, 0, 0  # looked at anew after a replay: the mapping had it already
        if route.identity is not None and not self._first_sight(route, mapping, now):
            return 0, 0, 0
        line = conn.execute(
            "SELECT rank, event, created_here FROM lines WHERE record = ? AND mapping = ?", (record, mapping)
        ).fetchone()
        is_newest = line is None or (route.rank, event_id) > (line[0], line[1])
        revived = is_newest and line is not None and line[0] % 2 == 1 and not route.is_delete
        flags = (0 if route.is_state else Flag.EACH) | (Flag.DELETE if route.is_delete else 0)
        state, due_at, reason, superseded = PENDING, route.due_at, None, 0
        if route.is_state and not is_newest:
            state, reason = SUPERSEDED, f"older than event {line[1]}, which came before it"
        elif self._is_held(route, record):
            state, reason = HELD, "by an operator"
        elif route.is_state:
            due_at = self._inherit(record, mapping, route.due_at)
        conn.execute(
            "INSERT INTO deliveries (event, mapping, record, rank, flags, state, due_at, changed_at, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event_id,
                mapping,
                record,
                route.rank,
                int(flags),
                state,
                due_at if state == PENDING else None,
                now,
                reason,
            ),
        )
        if is_newest:
            created = int(route.is_create or (line is not None and line[2] and not revived))
            conn.execute(
                "INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?, ?)", (record, mapping, route.rank, event_id, created)
            )
            if route.is_state:
                superseded = self._lines.supersede(record, mapping, (PENDING, HELD), event_id, now)
        if state == PENDING and self._must_wait(record, mapping, event_id):
            conn.execute("UPDATE deliveries SET due_at = NULL WHERE event = ? AND mapping = ?", (event_id, mapping))
            if superseded:  # by it, perhaps the one that the others waited for
                self._lines.unblock(record, mapping, now)
        return 1, superseded, int(revived)

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
        if conn.execute("SELECT 1 FROM holds LIMIT 1").fetchone() is None:
            return False
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
