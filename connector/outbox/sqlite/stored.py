"""Stored calls, unpacked: what was read for routing need not be read again for sending."""

from connector.domain.clock import Instant
from connector.outbox.port import StoredCall
from connector.outbox.sqlite.codec import unpack_call
from connector.outbox.sqlite.database import Database

_REMEMBERED = 2_000


class StoredCalls:
    """Remembers the last ones. A call whose stored bytes changed meanwhile (an erasure) is read anew."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: dict[int, tuple[bytes, StoredCall]] = {}

    def read(self, event_id: int, source: int, received_at: Instant, blob: bytes) -> StoredCall:
        """Return the call. Raises OutboxBrokenError."""
        kept = self._kept.get(event_id)
        if kept is not None and kept[0] == blob:
            return kept[1]
        db = self._db
        call = StoredCall(event_id, unpack_call(blob, db.word(source), received_at, dictionary=db.dictionary))
        self._kept[event_id] = blob, call
        if len(self._kept) > _REMEMBERED:
            del self._kept[next(iter(self._kept))]
        return call
