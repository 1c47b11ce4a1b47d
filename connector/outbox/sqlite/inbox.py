"""The receiver's side: calls go in, in one synced transaction for all that wait together."""

from collections.abc import Mapping, Sequence

from connector.domain.clock import SECOND, Instant
from connector.domain.event import Event, EventType
from connector.domain.request import UnprovenRequest, UnverifiedRequest
from connector.outbox.port import (
    EventState,
    NewCall,
    NewUnproven,
    OutboxFullError,
    Receipt,
    StoredUnproven,
)
from connector.outbox.sqlite.codec import Dictionary, kind, learn, pack_call, unpack_call
from connector.outbox.sqlite.database import Database

TYPES = tuple(EventType)
"""An event's type is kept as its place in here: only ever append."""

_MOST_DICTIONARIES = 1_000
_NUMBERS = {one: number for number, one in enumerate(TYPES)}
PROOF_BYTES = 16


class SqliteInbox:
    """See `connector.outbox.port.Inbox`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._learnt: dict[str, Dictionary | None] = {}  # by kind of call; None: too many kinds

    def append(self, calls: Sequence[NewCall | NewUnproven], *, patience: float | None = None) -> Sequence[Receipt]:
        """Keep the calls; on disk when this returns."""
        packed = [self._pack(call) for call in calls]
        with self._db.write(patience) as conn:
            self._db.check_room()
            first_id = conn.execute(
                "UPDATE counters SET value = value + ? WHERE name = 'event' RETURNING value", (len(calls),)
            ).fetchone()[0] - (len(calls) - 1)
            known = self._remember(calls, first_id)
            numbered = zip(calls, packed, range(first_id, first_id + len(calls)), strict=True)
            kept = [one for one in numbered if one[2] not in known]
            new = [(call.request.request, blob, number) for call, blob, number in kept if isinstance(call, NewCall)]
            self._insert_events(new)
            for call, blob, number in kept:
                if isinstance(call, NewUnproven):
                    self._insert_unproven(call, blob, number)
            # Never from one that nobody has proven: what is learnt stays.
            kinds = {kind(call.request.request): call for call in calls if isinstance(call, NewCall)}
            learnt = {one: self._learn(one, call) for one, call in kinds.items() if one not in self._learnt}
        self._learnt |= learnt  # not before they are on disk
        return [
            Receipt(known.get(number, number), number in known) for number in range(first_id, first_id + len(calls))
        ]

    def _pack(self, call: NewCall | NewUnproven) -> bytes:
        request = call.request.request
        learnt = self._learnt.get(kind(request)) if isinstance(call, NewCall) else None
        return pack_call(request, call.request.signed_at, learnt)

    def _learn(self, kind_of_call: str, call: NewCall) -> Dictionary | None:
        """Return the dictionary for the calls of that kind that will come; the first call makes it."""
        conn = self._db.conn
        row = conn.execute("SELECT id, data FROM dictionaries WHERE kind = ?", (kind_of_call,)).fetchone()
        if row is None and conn.execute("SELECT count(*) FROM dictionaries").fetchone()[0] < _MOST_DICTIONARIES:
            row = conn.execute(
                "INSERT INTO dictionaries (kind, data) VALUES (?, ?) RETURNING id, data",
                (kind_of_call, learn(call.request.request)),
            ).fetchone()
        return None if row is None else Dictionary(row[0], bytes(row[1]))

    def _remember(self, calls: Sequence[NewCall | NewUnproven], first_id: int) -> dict[int, int]:
        """Remember the calls' proofs; return the numbers of those that came before, each with the first one's."""
        rows = [
            (proof_key(call.request.proof, call.request.signed_at), number, call.proof_until)
            for number, call in enumerate(calls, first_id)
            if call.request.proof is not None
        ]
        done = self._db.conn.executemany("INSERT OR IGNORE INTO proofs VALUES (?, ?, ?)", rows)
        if done.rowcount == len(rows) or not rows:
            return {}
        find = "SELECT event FROM proofs WHERE proof = ?"
        firsts = {number: int(self._db.conn.execute(find, (key,)).fetchone()[0]) for key, number, _ in rows}
        return {number: first for number, first in firsts.items() if first != number}

    def _insert_events(self, calls: Sequence[tuple[UnverifiedRequest, bytes, int]]) -> None:
        """Keep calls as new events; what they say, and of which record, is read when they are routed."""
        self._db.conn.executemany(
            "INSERT INTO events (id, source, received_at, size, call, state)"
            f" VALUES (?, ?, ?, ?, ?, {int(EventState.NEW)})",
            [
                (number, self._db.name_id(request.source), request.received_at, len(request.body), blob)
                for request, blob, number in calls
            ],
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
                self._insert_events([(verdict.request.request, row[0], event_id)])


def proof_key(proof: bytes, signed_at: Instant | None) -> bytes:
    """Return under what a call's proof is kept: the second that was signed, and as much of the hash as fits.

    Two calls are the same only if they were signed in the same second: 2^48 of one second would have to be signed for
    one to be taken for another. And the proofs of calls that come together lie together in the index, however large.
    """
    second = (signed_at or 0) // SECOND % (1 << 32)
    return second.to_bytes(4, "big") + proof[: PROOF_BYTES - 4]


def type_number(event: Event) -> int:
    """Return the number under which an event's type is kept."""
    return _NUMBERS[event.type]


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
