"""The operator's side: looking, and the commands that put a delivery into another state."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from connector.domain.clock import Instant
from connector.domain.delivery import DeliveryState, Priority
from connector.domain.event import Event, NotUnderstood
from connector.domain.request import VerifiedRequest
from connector.outbox.port import (
    AttemptRow,
    DeliveryRow,
    Detail,
    Done,
    EventRow,
    EventState,
    Filter,
    Pause,
    Status,
    StoredCall,
)
from connector.outbox.sqlite.codec import unpack_call
from connector.outbox.sqlite.controls import Controls
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.filters import EVENT_STATES, JOINED, record_key, where
from connector.outbox.sqlite.inbox import TYPES
from connector.outbox.sqlite.lines import DEAD, DELIVERED, HELD, LEASED, PENDING, SUPERSEDED, Flag, Lines
from connector.outbox.sqlite.overview import overview

_EVENT_WORDS = {state: word for word, state in EVENT_STATES.items()}


Read = Callable[[StoredCall], Event | NotUnderstood | None]


class SqliteDesk:
    """See `connector.outbox.port.Desk`."""

    def __init__(self, db: Database, read: Read = lambda _: None) -> None:
        """`read` is for showing calls that were not routed yet; it can also be done without."""
        self._db = db
        self._read = read
        self._lines = Lines(db)
        self._controls = Controls(db)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> Status:
        """Return the figures."""
        with self._db.read():
            return overview(self._db, self._controls)

    def list(self, wanted: Filter, limit: int, after: int = 0) -> Sequence[EventRow]:
        """Return events with their deliveries, newest first."""
        condition, values = where(self._db, wanted)
        if after:
            condition += " AND e.id < ?"
            values.append(after)
        with self._db.read() as conn:
            ids = conn.execute(
                f"SELECT DISTINCT e.id {JOINED} WHERE {condition} ORDER BY e.id DESC LIMIT ?", (*values, limit)
            )
            return [row for (event_id,) in ids.fetchall() if (row := self._event(event_id)) is not None]

    def show(self, event_id: int) -> Detail | None:
        """Return all of one event."""
        with self._db.read() as conn:
            event = self._event(event_id)
            if event is None:
                return None
            source, received_at, record = conn.execute(
                "SELECT source, received_at, record FROM events WHERE id = ?", (event_id,)
            ).fetchone()
            call = self._call(event_id, source, received_at)
            attempts = conn.execute(
                "SELECT a.at, a.delivery, a.outcome, a.status, a.requests, a.took, a.reason, a.version FROM attempts a"
                " JOIN deliveries d ON d.id = a.delivery WHERE d.event = ? ORDER BY a.id",
                (event_id,),
            ).fetchall()
            links = conn.execute(
                "SELECT destination, object, crm_id FROM links WHERE record = ? ORDER BY id", (record,)
            ).fetchall()
            word = self._db.word
            return Detail(
                event=event,
                request=call.request,
                attempts=tuple(
                    AttemptRow(
                        at=at,
                        delivery_id=delivery,
                        outcome=word(outcome),
                        status=status,
                        requests=requests,
                        took=took,
                        reason=reason or "",
                        version=word(version),
                    )
                    for at, delivery, outcome, status, requests, took, reason, version in attempts
                ),
                links=tuple((f"{word(destination)}/{word(obj)}", crm_id) for destination, obj, crm_id in links),
            )

    def _event(self, event_id: int) -> EventRow | None:
        row = self._db.conn.execute(
            "SELECT e.source, e.state, r.key, e.type, e.received_at, e.size, e.note FROM events e"
            " LEFT JOIN records r ON r.id = e.record WHERE e.id = ?",
            (event_id,),
        ).fetchone()
        if row is None:
            return None
        source, state, key, kind, received_at, size, note = row
        kind = None if kind is None else TYPES[kind].value
        if state == EventState.NEW and key is None:
            event = self._read(StoredCall(event_id, self._call(event_id, source, received_at)))
            if isinstance(event, Event):
                key, kind = self._db.record_key(event.record), event.type.value
        return EventRow(
            id=event_id,
            source=self._db.word(source),
            state=_EVENT_WORDS[EventState(state)],
            record=key,
            type=kind,
            received_at=received_at,
            size=size,
            note=note or "",
            deliveries=tuple(self._deliveries(event_id)),
        )

    def _call(self, event_id: int, source: int, received_at: Instant) -> VerifiedRequest:
        blob = self._db.conn.execute("SELECT call FROM events WHERE id = ?", (event_id,)).fetchone()[0]
        return unpack_call(blob, self._db.word(source), received_at, dictionary=self._db.dictionary)

    def _deliveries(self, event_id: int) -> Iterable[DeliveryRow]:
        rows = self._db.conn.execute(
            "SELECT id, mapping, state, priority, due_at, attempts, reason, changed_at, flags FROM deliveries"
            " WHERE event = ? ORDER BY mapping",
            (event_id,),
        ).fetchall()
        for delivery, mapping, state, priority, due_at, attempts, reason, changed_at, flags in rows:
            yield DeliveryRow(
                id=delivery,
                event_id=event_id,
                mapping=self._db.word(mapping),
                state=DeliveryState(state),
                priority=Priority(priority),
                due_at=due_at,
                attempts=attempts,
                reason=reason or "",
                changed_at=changed_at,
                forced=bool(flags & Flag.FORCED),
            )

    def matching(self, wanted: Filter) -> Done:
        """What a command with that filter would act on."""
        with self._db.read():
            rows = self._rows(wanted)
            return Done(len(rows), ids=tuple(sorted({row[1] for row in rows})))

    def _rows(self, wanted: Filter) -> Sequence[tuple[int, int, int, int, int, int, int, int]]:
        """Return (delivery, event, event state, mapping, record, state, flags, rank) of all that match."""
        condition, values = where(self._db, wanted)
        return self._db.conn.execute(
            f"SELECT d.id, e.id, e.state, d.mapping, d.record, d.state, d.flags, d.rank {JOINED} WHERE {condition}"
            " ORDER BY e.id",
            values,
        ).fetchall()

    def _newest_first(self, wanted: Filter) -> Sequence[tuple[int, int, int, int, int, int, int, int]]:
        """Return the same in the order of their lines, not of their arrival: the newest state of each comes first."""
        return sorted(self._rows(wanted), key=lambda row: (row[7] or 0, row[1]), reverse=True)

    # ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

    def replay(self, wanted: Filter, now: Instant, *, exact: bool, again: bool, dry_run: bool) -> Done:
        """Make the newest stored state of each selected record due again (S26)."""
        left: Counter[str] = Counter()
        done: list[int] = []
        with self._db.write() as conn:
            seen: set[tuple[int, int]] = set()
            singly: set[tuple[int, int]] = set()
            for delivery, event, event_state, mapping, record, state, flags, _ in self._newest_first(wanted):
                if delivery is None:
                    if event_state in (EventState.UNWANTED, EventState.NOT_UNDERSTOOD):
                        conn.execute("UPDATE events SET state = 0 WHERE id = ?", (event,))
                        done.append(event)
                    else:
                        left["not yet looked at"] += 1
                    continue
                if state in (PENDING, LEASED):
                    left["already on its way"] += 1
                elif flags & Flag.EACH or exact:
                    if flags & Flag.EACH and state == DELIVERED and not again:
                        left["delivered already (--again sends it once more)"] += 1
                    else:
                        self._again(delivery, now, Flag.FORCED | (Flag.EXACT if exact else 0))
                        singly.add((record, mapping))
                        done.append(event)
                elif (record, mapping) in seen:
                    self._supersede(delivery, state, now)
                    left["older than the newest state, superseded"] += 1
                else:
                    seen.add((record, mapping))
                    newest = self._renew(delivery, event, record, mapping, state, now, left)
                    if newest is not None:
                        done.append(newest)
            self._unblock(singly, now)
            if dry_run:
                conn.execute("ROLLBACK")
                conn.execute("BEGIN")
        return Done(len(set(done)), dict(left), tuple(sorted(set(done))))

    def _renew(
        self, delivery: int, event: int, record: int, mapping: int, state: int, now: Instant, left: Counter[str]
    ) -> int | None:
        """Make the line's newest state due; return its event, or None when that is held."""
        newest = self._db.conn.execute(
            "SELECT l.event, d.state FROM lines l JOIN deliveries d ON d.event = l.event AND d.mapping = l.mapping"
            " WHERE l.record = ? AND l.mapping = ?",
            (record, mapping),
        ).fetchone()
        if newest is None and self._is_older(delivery, record, mapping):
            left["older than the newest state, which is not kept any more (--exact sends it all the same)"] += 1
            return None
        if newest is None:
            self._again(delivery, now, Flag.FORCED)
            self._lines.unblock(record, mapping, now)
            return event
        self._lines.renew(record, mapping, now, priority=Priority.REPLAY)
        if newest[0] != event:
            self._supersede(delivery, state, now)
            left["older than the newest state, superseded"] += 1
        if newest[1] == HELD:
            left["held: goes when it is released"] += 1
            return None
        return int(newest[0])

    def _is_older(self, delivery: int, record: int, mapping: int) -> bool:
        row = self._db.conn.execute(
            "SELECT (d.rank, d.event) < (l.rank, l.event) FROM deliveries d JOIN lines l"
            " ON l.record = ? AND l.mapping = ? WHERE d.id = ?",
            (record, mapping, delivery),
        ).fetchone()
        return row is not None and bool(row[0])

    def _unblock(self, lines: Iterable[tuple[int, int]], now: Instant) -> None:
        for record, mapping in sorted(lines):
            self._lines.unblock(record, mapping, now)

    def _again(self, delivery: int, now: Instant, flags: int) -> None:
        """Make it pending; it is due when its line is unblocked."""
        self._db.conn.execute(
            "UPDATE deliveries SET state = ?, due_at = NULL, changed_at = ?, priority = ?, attempts = 0,"
            " counted_ms = 0, flags = flags | ?, reason = NULL WHERE id = ?",
            (PENDING, now, int(Priority.REPLAY), int(flags), delivery),
        )

    def _supersede(self, delivery: int, state: int, now: Instant) -> None:
        if state in (DEAD, HELD):
            self._db.conn.execute(
                "UPDATE deliveries SET state = ?, changed_at = ?, reason = ? WHERE id = ?",
                (SUPERSEDED, now, "a replay sent a newer state", delivery),
            )

    def hold(self, wanted: Filter, now: Instant, *, dry_run: bool) -> Done:
        """Hold pending deliveries, and later states of a named record or mapping too (S27)."""
        with self._db.write() as conn:
            done = [row for row in self._rows(wanted) if row[5] == PENDING]
            if not dry_run:
                for kind, subject in self._subjects(wanted):
                    conn.execute("INSERT OR REPLACE INTO holds VALUES (?, ?, ?)", (kind, subject, now))
                for row in done:
                    conn.execute(
                        "UPDATE deliveries SET state = ?, due_at = NULL, changed_at = ?, reason = ? WHERE id = ?",
                        (HELD, now, "by an operator", row[0]),
                    )
                for row in done:
                    self._lines.unblock(row[4], row[3], now)
        return Done(len(done), ids=tuple(row[1] for row in done))

    def _subjects(self, wanted: Filter) -> Sequence[tuple[str, str]]:
        """A hold covers later states when it names a record or a mapping and nothing narrower."""
        if wanted.ids or wanted.states or wanted.text or wanted.since or wanted.until or wanted.source:
            return []
        if wanted.record is not None:
            return [("record", record_key(self._db, wanted.record))]
        return [] if wanted.mapping is None else [("mapping", wanted.mapping)]

    def release(self, wanted: Filter, now: Instant, *, dry_run: bool) -> Done:
        """End holds: the newest state of each line becomes due."""
        with self._db.write() as conn:
            done = [row for row in self._rows(wanted) if row[5] == HELD]
            if not dry_run:
                for kind, subject in self._subjects(wanted):
                    conn.execute("DELETE FROM holds WHERE kind = ? AND subject = ?", (kind, subject))
                if wanted.is_empty:
                    conn.execute("DELETE FROM holds")
                for delivery, event, _, mapping, record, *_ in done:
                    conn.execute(
                        "UPDATE deliveries SET state = ?, due_at = NULL, changed_at = ?, reason = NULL,"
                        " flags = flags | ? WHERE id = ?",
                        (PENDING, now, Flag.RELEASED, delivery),
                    )
                    self._lines.supersede(record, mapping, (PENDING,), event, now)
                    self._lines.unblock(record, mapping, now)
        return Done(len(done), ids=tuple(row[1] for row in done))

    def discard(self, wanted: Filter, now: Instant, *, dry_run: bool) -> Done:
        """Throw away what is pending, held or dead."""
        left: Counter[str] = Counter()
        done = []
        with self._db.write() as conn:
            for row in self._rows(wanted):
                if row[5] in (PENDING, HELD, DEAD):
                    done.append(row)
                else:
                    left["leased: in flight" if row[5] == LEASED else "settled already"] += 1
            if not dry_run:
                for row in done:
                    conn.execute(
                        "UPDATE deliveries SET state = ?, due_at = NULL, changed_at = ?, reason = ? WHERE id = ?",
                        (int(DeliveryState.DISCARDED), now, "by an operator", row[0]),
                    )
                    self._lines.unblock(row[4], row[3], now)
        return Done(len(done), dict(left), tuple(row[1] for row in done))

    def pause(self, pause: Pause) -> None:
        """Pause a destination or mapping."""
        self._controls.pause(pause)

    def resume(self, subject: str) -> bool:
        """End a pause."""
        return self._controls.resume(subject)
