"""What is left of an erased person: keys that refuse older calls, and every e-mail event of the address (S28)."""

from connector.domain.accepted import Hasher
from connector.domain.clock import Instant
from connector.domain.event import Event, EventType
from connector.domain.mentions import addresses, spellings
from connector.domain.record import Record, RecordKind
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.inbox import add_counts

REFUSED = "erased.refused"


def address_key(hasher: Hasher, address: str) -> str:
    """Return the key of an address's tombstone, the same for all its spellings."""
    return f"address/{hasher.digest(min(spellings(address))).hex()}"


class Tombstones:
    """Only inside a write."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def exist(self) -> bool:
        """Whether anybody was ever erased."""
        return self._db.conn.execute("SELECT 1 FROM tombstones LIMIT 1").fetchone() is not None

    def put(self, key: str, at: Instant) -> None:
        """Set a tombstone."""
        self._db.conn.execute(
            "INSERT INTO tombstones VALUES (?, ?) ON CONFLICT DO UPDATE SET erased_at = max(erased_at, ?)",
            (key, at, at),
        )

    def refuse(self, event_id: int, event: Event, now: Instant) -> bool:
        """Remove the event if it is of an erased person and not later than the erasure; tell whether it was."""
        if not self._covers(event):
            self._lift(event)
            return False
        conn = self._db.conn
        conn.execute("DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE event = ?)", (event_id,))
        conn.execute("DELETE FROM deliveries WHERE event = ?", (event_id,))
        conn.execute("DELETE FROM events WHERE id = ?", (event_id,))
        add_counts(self._db, {REFUSED: 1}, now)
        return True

    def _covers(self, event: Event) -> bool:
        if event.type.is_email and self._erased_at(address_key(self._db.hasher, event.record.id)) is not None:
            return True  # also a later one: it is about a message from before, until the address comes back
        keys = [self._db.record_key(event.record), *self._address_keys(event)]
        moments = [self._erased_at(key) for key in keys] + [self._owner_erased_at(event)]
        return any(moment is not None and event.at <= moment for moment in moments)

    def _owner_erased_at(self, event: Event) -> Instant | None:
        if event.profile is None or event.record.kind is RecordKind.PROFILE:
            return None
        if event.database is not None:
            return self._erased_at(str(Record(RecordKind.PROFILE, event.database, event.profile)))
        row = self._db.conn.execute(
            "SELECT max(erased_at) FROM tombstones WHERE key GLOB 'profile/*' AND key LIKE ?", (f"%/{event.profile}",)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def _lift(self, event: Event) -> None:
        """Who comes back genuinely, later than the erasure, has an address again."""
        if event.type in (EventType.CREATE, EventType.UPDATE):
            self._db.conn.executemany(
                "DELETE FROM tombstones WHERE key = ? AND erased_at < ?",
                [(key, event.at) for key in self._address_keys(event)],
            )

    def _address_keys(self, event: Event) -> list[str]:
        texts = [*(event.fields or {}).values(), *(event.parameters or {}).values()]
        return [address_key(self._db.hasher, address) for text in texts for address in addresses(text)]

    def _erased_at(self, key: str) -> Instant | None:
        row = self._db.conn.execute("SELECT erased_at FROM tombstones WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])
