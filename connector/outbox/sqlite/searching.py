"""Finding all that is stored of a person: every call, decoded, whatever its state (S28)."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from connector.domain.event import Event, NotUnderstood
from connector.domain.mentions import Needles, own_addresses
from connector.domain.record import Record, RecordKind
from connector.outbox.erasure import Found, Person
from connector.outbox.port import StoredCall
from connector.outbox.sqlite.codec import unpack_call
from connector.outbox.sqlite.database import Database

Decode = Callable[[StoredCall], Event | NotUnderstood]

_CHUNK: Final = 500
_OWN: Final = (f"{RecordKind.PROFILE}/", f"{RecordKind.SUBPROFILE}/")
"""Records of their own, as opposed to an address that e-mail events name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored call and the key of its record, if it is known."""

    call: StoredCall
    key: str | None
    is_unproven: bool

    @property
    def is_of_a_record(self) -> bool:
        """Whether it is a profile's or a subprofile's own."""
        return self.key is not None and self.key.startswith(_OWN)


@dataclass(slots=True)
class _Records:
    """The records found so far, and whose children are theirs as well."""

    keys: set[str] = field(default_factory=set)
    _owners: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, key: str) -> None:
        self.keys.add(key)
        kind, _, rest = key.partition("/")
        if kind == RecordKind.PROFILE:
            scope, _, identity = rest.partition("/")
            self._owners[identity].add(scope)

    def own(self, event: Event | NotUnderstood) -> bool:
        """Whether the event is of a subprofile, or of a message, of one of these profiles."""
        if isinstance(event, NotUnderstood) or event.profile is None or event.record.kind is RecordKind.PROFILE:
            return False
        scopes = self._owners.get(event.profile, set())
        return bool(scopes) if event.database is None else event.database in scopes


class Search:
    """Goes through all stored calls, in small reads, as often as it needs to."""

    def __init__(self, db: Database, decode: Decode) -> None:
        self._db = db
        self._decode = decode

    def find(self, person: Person) -> Found:
        """See `connector.outbox.erasure.Eraser.find`."""
        conn = self._db.conn
        seen = int(conn.execute("SELECT value FROM counters WHERE name = 'event'").fetchone()[0])
        records, named = _Records(), frozenset[str]()
        if person.record is not None:
            records.add(self._db.record_key(person.record))
        if person.address is not None:
            named = frozenset({person.address.strip().lower()})
            for kept in self._mentioning(Needles(named), seen):
                if kept.is_of_a_record:
                    records.add(kept.key or "")
        derived = self._gather(records, seen) - named
        private, shared = self._sift(derived, records, seen)
        wanted = named | private
        calls = [kept for kept in self.calls(0, seen) if self.belongs(kept, records, Needles(wanted))]
        return Found(
            records=frozenset(records.keys | self._recipients(wanted)),
            addresses=wanted,
            shared=shared,
            events=frozenset(kept.call.event_id for kept in calls if not kept.is_unproven),
            unproven=frozenset(kept.call.event_id for kept in calls if kept.is_unproven),
            seen=seen,
            is_known=any(self._db.find_record(key) is not None for key in records.keys),
        )

    def later(self, found: Found) -> list[Kept]:
        """Return the calls of that person that came since the search."""
        records = _Records()
        for key in found.records:
            records.add(key)
        needles = Needles(found.addresses)
        return [kept for kept in self.calls(found.seen, None) if self.belongs(kept, records, needles)]

    def belongs(self, kept: Kept, records: _Records, needles: Needles) -> bool:
        """Whether a call has to go with these records and addresses."""
        if kept.key in records.keys or needles.in_call(kept.call.request.request):
            return True
        return not (kept.key or "").startswith(_OWN[0]) and records.own(self._decode(kept.call))

    def _mentioning(self, needles: Needles, until: int) -> Iterator[Kept]:
        return (kept for kept in self.calls(0, until) if needles.in_call(kept.call.request.request))

    def _gather(self, records: _Records, until: int) -> frozenset[str]:
        """Add the records' own children, and return every address that they ever had."""
        found: set[str] = set()
        for kept in self.calls(0, until):
            is_theirs = kept.key in records.keys
            if not is_theirs and not (kept.key or "").startswith(_OWN[0]):
                is_theirs = records.own(self._decode(kept.call))
                if is_theirs and kept.is_of_a_record:
                    records.add(kept.key or "")
            if is_theirs:
                found |= own_addresses(kept.call.request.request)
        return frozenset(found)

    def _sift(self, derived: frozenset[str], records: _Records, until: int) -> tuple[frozenset[str], frozenset[str]]:
        """Leave out the addresses that other records have, too: they are not this person's alone."""
        if not derived:
            return frozenset(), frozenset()
        common: set[str] = set()
        others: set[str] = set()
        needles = Needles(derived)
        for kept in self.calls(0, until):
            if kept.is_of_a_record and kept.key not in records.keys:
                mentioned = needles.in_call(kept.call.request.request)
                if mentioned:
                    common |= mentioned
                    others.add(kept.key or "")
        return derived - common, frozenset(others)

    def _recipients(self, wanted: frozenset[str]) -> set[str]:
        """Return the keys under which e-mail events of these addresses are kept."""
        keys = set()
        for address in wanted:
            record = Record(RecordKind.RECIPIENT, "%", address)
            rows = self._db.conn.execute("SELECT key FROM records WHERE key LIKE ?", (self._db.record_key(record),))
            keys |= {str(row[0]) for row in rows}
        return keys

    def calls(self, after: int, until: int | None) -> Iterator[Kept]:
        """Yield all stored calls with an ID above `after`, those that wait for their proof first."""
        last = until if until is not None else 1 << 62
        # Those first: one that is proven meanwhile is met again among the events, never missed.
        for rows in self._chunks("unproven u", "u.id, u.source, u.received_at, u.call, NULL", after, last):
            for event_id, source, received_at, blob, _ in rows:
                call = StoredCall(
                    event_id, unpack_call(blob, self._db.word(source), received_at, dictionary=self._db.dictionary)
                )
                yield Kept(call, self._key(call), is_unproven=True)
        columns = "u.id, u.source, u.received_at, u.call, r.key"
        for rows in self._chunks("events u LEFT JOIN records r ON r.id = u.record", columns, after, last):
            for event_id, source, received_at, blob, key in rows:
                call = StoredCall(
                    event_id, unpack_call(blob, self._db.word(source), received_at, dictionary=self._db.dictionary)
                )
                yield Kept(call, key or self._key(call), is_unproven=False)

    def _key(self, call: StoredCall) -> str | None:
        """Read a call that nobody has read yet; return its record's key."""
        event = self._decode(call)
        return None if isinstance(event, NotUnderstood) else self._db.record_key(event.record)

    def _chunks(
        self, table: str, columns: str, after: int, last: int
    ) -> Iterator[list[tuple[int, int, int, bytes, str]]]:
        while True:
            rows = self._db.conn.execute(
                f"SELECT {columns} FROM {table} WHERE u.id > ? AND u.id <= ? ORDER BY u.id LIMIT {_CHUNK}",
                (after, last),
            ).fetchall()
            if not rows:
                return
            yield rows
            after = rows[-1][0]
