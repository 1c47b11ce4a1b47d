"""The receiver's side: calls go in, in one synced transaction for all that wait together."""

from collections.abc import Mapping, Sequence

from connector.domain.clock import Instant
from connector.domain.event import Event, EventType, NotUnderstood
from connector.domain.request import UnprovenRequest, UnverifiedRequest
from connector.outbox.port import (
    EventState,
    NewCall,
    NewUnproven,
    OutboxFullError,
    Receipt,
    StoredUnproven,
)
from connector.outbox.sqlite.codec import Dictionary, learn, pack_call, unpack_call
from connector.outbox.sqlite.database import Database

TYPES = tuple(EventType)
"""An event's type is kept as its place in here: only ever append."""

_MOST_DICTIONARIES = 1_000
PROOF_BYTES = 16  # of the SHA-256: 2^64 calls would have to be signed for one to be taken for another


class SqliteInbox:
    """See `connector.outbox.port.Inbox`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._learnt: dict[str, Dictionary | None] = {}  # by kind of call; None: too many kinds

    def append(self, calls: Sequence[NewCall | NewUnproven]) -> Sequence[Receipt]:
        """Keep the calls; on disk when this returns."""
        packed = [self._pack(call) for call in calls]
        with self._db.write() as conn:
            self._db.check_room()
            next_id = conn.execute(
                "UPDATE counters SET value = value + ? WHERE name = 'event' RETURNING value", (len(calls),)
            ).fetchone()[0] - len(calls)
            receipts = []
            for call, blob in zip(calls, packed, strict=True):
                next_id += 1
                receipts.append(self._append(call, blob, next_id))
            # Never from one that nobody has proven: what is learnt stays.
            kinds = {_kind(call): call for call in calls if isinstance(call, NewCall)}
            learnt = {kind: self._learn(kind, call) for kind, call in kinds.items() if kind not in self._learnt}
        self._learnt |= learnt  # not before they are on disk
        return receipts

    def _pack(self, call: NewCall | NewUnproven) -> bytes:
        learnt = self._learnt.get(_kind(call)) if isinstance(call, NewCall) else None
        return pack_call(call.request.request, call.request.signed_at, learnt)

    def _learn(self, kind: str, call: NewCall) -> Dictionary | None:
        """Return the dictionary for the calls of that kind that will come; the first call makes it."""
        conn = self._db.conn
        row = conn.execute("SELECT id, data FROM dictionaries WHERE kind = ?", (kind,)).fetchone()
        if row is None and conn.execute("SELECT count(*) FROM dictionaries").fetchone()[0] < _MOST_DICTIONARIES:
            row = conn.execute(
                "INSERT INTO dictionaries (kind, data) VALUES (?, ?) RETURNING id, data",
                (kind, learn(call.request.request)),
            ).fetchone()
        return None if row is None else Dictionary(row[0], bytes(row[1]))

    def _append(self, call: NewCall | NewUnproven, blob: bytes, event_id: int) -> Receipt:
        proof = call.request.proof
        if proof is not None:
            first = self._remember(proof[:PROOF_BYTES], event_id, call.proof_until)
            if first != event_id:
                return Receipt(first, duplicate=True)
        if isinstance(call, NewCall):
            self._insert_event(call.request.request, call.event, blob, event_id)
        else:
            self._insert_unproven(call, blob, event_id)
        return Receipt(event_id, duplicate=False)

    def _remember(self, proof: bytes, event_id: int, until: Instant) -> int:
        """Return the ID of the first call with that proof."""
        conn = self._db.conn
        done = conn.execute("INSERT OR IGNORE INTO proofs VALUES (?, ?, ?)", (proof, event_id, until))
        if done.rowcount == 1:
            return event_id
        return int(conn.execute("SELECT event FROM proofs WHERE proof = ?", (proof,)).fetchone()[0])

    def _insert_event(
        self, request: UnverifiedRequest, event: Event | NotUnderstood, blob: bytes, event_id: int
    ) -> None:
        db = self._db
        source = db.name_id(request.source)
        size = len(request.body)
        if isinstance(event, NotUnderstood):
            db.conn.execute(
                "INSERT INTO events (id, source, state, received_at, size, note, call) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (event_id, source, EventState.NOT_UNDERSTOOD, request.received_at, size, event.reason, blob),
            )
            return
        record = db.record_id(db.record_key(event.record))
        db.conn.execute(
            "INSERT INTO events (id, source, record, type, rank, state, received_at, size, call)"
            " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)",
            (event_id, source, record, type_number(event), coarse_rank(event), request.received_at, size, blob),
        )

    def _insert_unproven(self, call: NewUnproven, blob: bytes, event_id: int) -> None:
        db, request = self._db, call.request
        count, size = db.conn.execute("SELECT count(*), coalesce(sum(size), 0) FROM unproven").fetchone()
        if count >= db.room.unproven_calls or size + len(blob) > db.room.unproven_bytes:
            raise OutboxFullError(
                f"{count} calls ({size} bytes) wait for DNS; no room for more ([receiver] unproven_calls)"
            )
        db.conn.execute(
            "INSERT INTO unproven (id, source, key_id, signed_at, proof, proof_until, received_at, size, call)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event_id,
                db.name_id(request.request.source),
                request.key_id,
                request.signed_at,
                request.proof,
                call.proof_until,
                request.request.received_at,
                len(blob),
                blob,
            ),
        )

    def probe(self, now: Instant) -> None:
        """Write and sync one small row."""
        with self._db.write():
            self._db.check_room()
            self._put_note("probe", "", now)

    def count(self, counts: Mapping[str, int], now: Instant) -> None:
        """Add to durable counters."""
        if counts:
            with self._db.write():
                add_counts(self._db, counts, now)

    def note(self, name: str, value: str, now: Instant) -> None:
        """Remember a small fact for `status`."""
        with self._db.write():
            self._put_note(name, value, now)

    def _put_note(self, name: str, value: str, now: Instant) -> None:
        self._db.conn.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (name, value, now))

    def unproven(self, limit: int) -> Sequence[StoredUnproven]:
        """Return calls that wait for their proof, least tried first."""
        with self._db.read() as conn:
            rows = conn.execute(
                "SELECT id, source, key_id, signed_at, proof, received_at, tried, call FROM unproven"
                " ORDER BY tried, id LIMIT ?",
                (limit,),
            ).fetchall()
            found = []
            for event_id, source, key_id, signed_at, proof, received_at, tried, blob in rows:
                call = unpack_call(blob, self._db.word(source), received_at, dictionary=self._db.dictionary)
                found.append(StoredUnproven(event_id, UnprovenRequest(call.request, proof, signed_at, key_id), tried))
        return found

    def judge(self, event_id: int, verdict: NewCall | str | None, now: Instant) -> None:
        """Settle an unproven call, or count a try."""
        with self._db.write() as conn:
            if verdict is None:
                conn.execute("UPDATE unproven SET tried = tried + 1 WHERE id = ?", (event_id,))
                return
            row = conn.execute("DELETE FROM unproven WHERE id = ? RETURNING call, source", (event_id,)).fetchone()
            if row is None:
                return  # another process judged it meanwhile
            if isinstance(verdict, str):
                conn.execute("DELETE FROM proofs WHERE event = ?", (event_id,))
                add_counts(self._db, {f"refused.{self._db.word(row[1])}.{verdict}": 1}, now)
            else:
                self._insert_event(verdict.request.request, verdict.event, row[0], event_id)


def type_number(event: Event) -> int:
    """Return the number under which an event's type is kept."""
    return TYPES.index(event.type)


def coarse_rank(event: Event) -> int:
    """Return an event's place in its record's order, without arrival (S3)."""
    return event.at // 1000 * 2 + (event.type is EventType.DELETE)


def add_counts(db: Database, counts: Mapping[str, int], now: Instant) -> None:
    """Add to durable counters, inside a write."""
    db.conn.executemany(
        "INSERT INTO counters VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET value = value + excluded.value, at = excluded.at",
        [(name, by, now) for name, by in counts.items()],
    )


def _kind(call: NewCall) -> str:
    """Return what tells calls of different form apart: the source, and what the call is about."""
    if isinstance(call.event, Event):
        record = call.event.record
        email = call.event.type if call.event.type.is_email else ""
        return f"{call.request.request.source}/{record.kind}/{record.scope}/{email}"
    return f"{call.request.request.source}/"
