"""Locks that go with a lease: one writer for each link, CRM record and match key. Only inside a write."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from connector.domain.clock import HOUR, Instant, Millis
from connector.outbox.port import Take
from connector.outbox.sqlite.among import among
from connector.outbox.sqlite.database import Database

BUSY_FOR: Millis = 250
"""How long a delivery steps back when another one holds its line, its link or a match key."""

Lock: TypeAlias = tuple[int | None, int, Instant]
"""The delivery that holds it, the record that it is for, until when it lasts."""


class Locks:
    """A match key's lock may outlast its lease: while a search does not surely show what was written under it (S22)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def held(self, keys: Collection[bytes]) -> dict[bytes, Lock]:
        """Return those of the keys that are locked."""
        marks, values = among(keys)
        rows = self._db.conn.execute(f"SELECT key, delivery, record, until FROM locks WHERE key {marks}", values)
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    @staticmethod
    def locked_until(
        held: Mapping[bytes, Lock], record: int, keys: Iterable[bytes], now: Instant, *, linked: bool
    ) -> Instant | None:
        """Return when to ask again, None when all keys are free for that record.

        What lasts from a write of its own keeps it away as well unless it is linked: it would have to search.
        """
        latest: Instant | None = None
        for key in keys:
            lock = held.get(key)
            if lock is None:
                continue
            delivery, owner, until = lock
            if delivery is not None:
                until = now + BUSY_FOR
            elif (linked and owner == record) or not now < until < now + HOUR:  # an hour: the clock was set back
                continue
            latest = until if latest is None else max(latest, until)
        return latest

    def take(self, takes: Iterable[tuple[Take, int]]) -> None:
        """Take the locks of each for its record. One that lasts from before goes on lasting."""
        self._db.conn.executemany(
            "INSERT INTO locks (key, delivery, record, lasts) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET delivery = excluded.delivery, record = excluded.record, lasts = excluded.lasts",
            [
                (key, take.delivery_id, record, take.lasts if key in take.lasting else 0)
                for take, record in takes
                for key in take.keys
            ],
        )

    def release(self, deliveries: Collection[int], now: Instant, *, lasting: Collection[int]) -> None:
        """Give the locks back with the leases; those of `lasting` stay for as long as they have to."""
        if not deliveries:
            return
        conn = self._db.conn
        conn.executemany(
            "UPDATE locks SET until = ? + lasts WHERE delivery = ? AND lasts > 0", [(now, one) for one in lasting]
        )
        marks, ids = among(deliveries)
        conn.execute(f"DELETE FROM locks WHERE delivery {marks} AND until <= ?", (*ids, now))
        conn.execute(f"UPDATE locks SET delivery = NULL WHERE delivery {marks}", ids)
        conn.execute("DELETE FROM locks WHERE delivery IS NULL AND until <= ?", (now,))
