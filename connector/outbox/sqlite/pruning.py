"""Retention: what was settled goes after its time, in small steps, and the file shrinks."""

from collections import Counter
from collections.abc import Mapping

from connector.domain.clock import DAY, Instant
from connector.domain.delivery import DeliveryState
from connector.outbox.port import EventState, Keep
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.inbox import add_counts

_AT_ONCE = 50  # events in one transaction: some milliseconds
_VACUUM_PAGES = 20  # given back to the disk with each transaction: more than so many events have
_OPEN = {DeliveryState.PENDING, DeliveryState.LEASED}
_STUCK = {DeliveryState.DEAD, DeliveryState.HELD}


class Pruning:
    """Walks the events from the oldest on, a step at a time, and begins anew when it is through.

    What has to stay (pending, or dead and not yet old enough) is walked past, so that it holds up nothing behind it.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._after = 0

    def step(self, now: Instant, keep: Keep, limit: int) -> Mapping[str, int]:
        """Look at up to `limit` events; return how many were removed, by what they were.

        A few dozen at a time: calls that come in meanwhile wait for that many at most.
        """
        gone: Counter[str] = Counter()
        for start in range(0, limit, _AT_ONCE):
            removed, is_through = self._some(now, keep, min(_AT_ONCE, limit - start))
            gone += removed
            if is_through:
                self._after = 0
                break
        return gone

    def _some(self, now: Instant, keep: Keep, limit: int) -> tuple[Counter[str], bool]:
        """Look at the next events, in one transaction; return what was removed, and whether there is no older one."""
        youngest = now - min(keep.settled, keep.dead, keep.unwanted)
        with self._db.write() as conn:
            # By ID, not by time: a condition on the time alone would read the whole table while nothing is old.
            next_rows = conn.execute(
                "SELECT id, state, received_at FROM events WHERE id > ? ORDER BY id LIMIT ?", (self._after, limit)
            ).fetchall()
            rows = [row for row in next_rows if row[2] < youngest]
            expired = {}
            for event, state, received_at in rows:
                what = self._expired(event, EventState(state), received_at, now, keep)
                if what is not None:
                    expired[event] = what
            events = [(event,) for event in expired]
            conn.executemany(
                "DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE event = ?)", events
            )
            conn.executemany("DELETE FROM deliveries WHERE event = ?", events)
            conn.executemany("DELETE FROM events WHERE id = ?", events)
            self._small_tables(now, keep, limit)
            gone = Counter(expired.values())
            add_counts(self._db, {f"pruned.{what}": count for what, count in gone.items()}, now)
            if gone:
                # Inside: on its own it would keep a receiver out that already has the lock file's word.
                conn.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        if next_rows:
            self._after = next_rows[-1][0]
        return gone, not rows or len(next_rows) < limit

    def _expired(self, event: int, state: EventState, received_at: Instant, now: Instant, keep: Keep) -> str | None:
        """Return what the event was if its time has passed, else None."""
        if state is EventState.NEW:
            return None
        if state is not EventState.ROUTED:
            word = "unwanted" if state is EventState.UNWANTED else "not-understood"
            return word if received_at < now - keep.unwanted else None
        rows = self._db.conn.execute(
            "SELECT state, changed_at, EXISTS (SELECT 1 FROM links, json_each(links.doubt_events)"
            " WHERE links.record = deliveries.record AND json_each.value = deliveries.event)"
            " FROM deliveries WHERE event = ?",
            (event,),
        ).fetchall()
        states = {DeliveryState(row[0]) for row in rows}
        changed_at = max((row[1] for row in rows), default=received_at)
        if states & _OPEN:
            return None
        if states & _STUCK:
            return "dead" if changed_at < now - keep.dead else None
        if any(row[2] for row in rows):  # its answer is missing: what it may have made is recognised by what it says
            return "settled" if changed_at < now - max(keep.settled, keep.dead) else None
        return "settled" if changed_at < now - keep.settled else None

    def _small_tables(self, now: Instant, keep: Keep, limit: int) -> None:
        conn = self._db.conn
        conn.execute(
            "DELETE FROM proofs WHERE rowid IN (SELECT rowid FROM proofs ORDER BY rowid LIMIT ?) AND until < ?",
            (limit, now),
        )
        conn.execute(
            "DELETE FROM seen WHERE identity IN (SELECT identity FROM seen WHERE at < ? LIMIT ?)",
            (now - max(keep.settled, keep.dead), limit),
        )
        conn.execute(
            "DELETE FROM removals WHERE rowid IN (SELECT rowid FROM removals WHERE at < ? LIMIT ?)", (now - DAY, limit)
        )
