"""Locks that go with a lease: one writer for each link, CRM record and match key. Only inside a write."""

from collections.abc import Sequence

from connector.domain.clock import HOUR, Instant, Millis
from connector.outbox.port import Take
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.lines import LEASED, OF_LINE

_BUSY_FOR: Millis = 250  # how long a delivery steps back when another one holds its link or match key


class Locks:
    """A match key's lock may outlast its lease: while a search does not surely show what was written under it (S22)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def locked_until(self, record: int, mapping: int, keys: Sequence[bytes], now: Instant) -> Instant | None:
        """Return when to ask again, None when all keys are free."""
        conn = self._db.conn
        if conn.execute(f"SELECT 1 FROM deliveries WHERE {OF_LINE} AND state = {LEASED}", (record, mapping)).fetchone():
            return now + _BUSY_FOR
        latest: Instant | None = None
        for key in keys:
            row = conn.execute("SELECT delivery, record, until FROM locks WHERE key = ?", (key,)).fetchone()
            if row is None:
                continue
            delivery, owner, until = row
            if delivery is not None:
                until = now + _BUSY_FOR
            elif owner == record or not now < until < now + HOUR:  # nothing lasts an hour: the clock was set back
                continue
            latest = until if latest is None else max(latest, until)
        return latest

    def take(self, take: Take, record: int) -> None:
        """Take the locks. One that lasts from before goes on lasting."""
        self._db.conn.executemany(
            "INSERT INTO locks (key, delivery, record, lasts) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET delivery = excluded.delivery, record = excluded.record, lasts = excluded.lasts",
            [(key, take.delivery_id, record, take.lasts if key in take.lasting else 0) for key in take.keys],
        )

    def release(self, delivery: int, now: Instant, *, lasting: bool) -> None:
        """Give the locks back with the lease; those that last stay for as long as they have to."""
        conn = self._db.conn
        if lasting:
            conn.execute("UPDATE locks SET until = ? + lasts WHERE delivery = ? AND lasts > 0", (now, delivery))
        conn.execute("UPDATE locks SET delivery = NULL WHERE delivery = ?", (delivery,))
        conn.execute("DELETE FROM locks WHERE delivery IS NULL AND until <= ?", (now,))
