"""A line (mapping × record) and its deliveries: who goes first, who takes whose place. Only inside a write."""

from collections.abc import Sequence
from typing import Final

from connector.domain.clock import Instant
from connector.domain.delivery import DeliveryState
from connector.outbox.sqlite.database import Database

PENDING, LEASED, DELIVERED, _, SUPERSEDED, _, DEAD, HELD, _ = (int(state) for state in DeliveryState)

OPEN = "state IN (0, 1, 6, 7)"
"""Open deliveries. Their index is only used where its own condition stands word for word."""

OF_LINE = f"record = ? AND mapping = ? AND {OPEN}"
"""Finds a line's open deliveries by it."""


class Flag:
    """What is particular about a delivery. Plain numbers: enum's operators take more time than their statements."""

    FORCED: Final = 1  # sent even if nothing changed
    EXACT: Final = 2  # that very event was asked for, older or not
    EACH: Final = 4  # its mapping delivers each event
    DELETE: Final = 8
    AGAIN: Final = 16  # a doubt arose while it was leased: once settled, it goes again
    RELEASED: Final = 32  # a person looked at it: the mass-delete guard lets it pass
    ERASE: Final = 64  # an operator erases a person: the linked CRM record is removed whatever the mapping says (S28)


WHOLE: Final = Flag.FORCED | Flag.DELETE
"""Whose place a newer state takes as a whole. After an unsent delete, what the CRM has is not what was last known."""


class Lines:
    """The moves that keep a line in order."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def supersede(self, record: int, mapping: int, states: Sequence[int], by: int, now: Instant) -> int:
        """Settle the older deliveries of a state line that are in these states; return how many.

        `by` is the event whose state takes their place; if one of them was to go whole, or was a delete (before which
        there may have been one that was), it goes whole.
        """
        marks = ",".join("?" * len(states))
        done = self._db.conn.execute(
            f"UPDATE deliveries SET state = {SUPERSEDED}, changed_at = ?, due_at = NULL, reason = ?"
            f" WHERE {OF_LINE} AND state IN ({marks}) AND event <> ?"
            f" AND flags & {Flag.EACH | Flag.EXACT} = 0"
            f" AND (rank, event) < (SELECT rank, event FROM deliveries WHERE event = ? AND mapping = ?)"
            " RETURNING flags",
            (now, f"by the newer event {by}", record, mapping, *states, by, by, mapping),
        ).fetchall()
        if any(flags & WHOLE for (flags,) in done):
            self.force(by, mapping)
        return len(done)

    def force(self, event: int, mapping: int) -> None:
        """Make a state that waits go whole. A delete has no values: it goes as it is, or not at all (S5)."""
        rows = self._db.conn.execute(
            f"UPDATE deliveries SET flags = flags | {Flag.FORCED} WHERE event = ? AND mapping = ?"
            f" AND state IN ({PENDING}, {HELD}) AND flags & {Flag.DELETE} = 0 RETURNING record",
            (event, mapping),
        ).fetchall()
        for (record,) in rows:
            self._decide_anew(record)

    def _decide_anew(self, record: int) -> None:
        """What was decided about a record a moment ago, without knowing that it goes whole, is not written down."""
        self._db.conn.execute("UPDATE links SET version = version + 1 WHERE record = ?", (record,))

    def is_open(self, record: int, mapping: int, but: int) -> bool:
        """Whether the line has other deliveries that wait, are leased, or stopped."""
        row = self._db.conn.execute(
            f"SELECT 1 FROM deliveries WHERE {OF_LINE} AND id <> ? LIMIT 1", (record, mapping, but)
        ).fetchone()
        return row is not None

    def unblock(self, record: int, mapping: int, now: Instant) -> None:
        """Make the line's next delivery due, if it waited for the one that has just ended."""
        conn = self._db.conn
        busy = conn.execute(
            f"SELECT 1 FROM deliveries WHERE {OF_LINE} AND"
            f" (state = {LEASED} OR (state = {PENDING} AND due_at IS NOT NULL))",
            (record, mapping),
        ).fetchone()
        if busy is None:
            conn.execute(
                "UPDATE deliveries SET due_at = ? WHERE id = ("
                f" SELECT id FROM deliveries WHERE {OF_LINE} AND state = {PENDING} AND due_at IS NULL"
                " ORDER BY rank, event LIMIT 1)",
                (now, record, mapping),
            )

    def renew(self, record: int, mapping: int, now: Instant, *, priority: int = 0) -> bool:
        """Make the line's newest state due again, forced; tell whether it was there to be renewed.

        One that waits already is only marked; one that is leased goes again when its lease has ended.
        """
        conn = self._db.conn
        row = conn.execute(
            "SELECT d.id, d.state, d.flags FROM lines l"
            " JOIN deliveries d ON d.event = l.event AND d.mapping = l.mapping WHERE l.record = ? AND l.mapping = ?",
            (record, mapping),
        ).fetchone()
        if row is None or row[2] & Flag.EACH:
            return False  # an event that is delivered by itself is no state: sent again, it would count twice
        delivery, state, _ = row
        if state == LEASED:
            conn.execute("UPDATE deliveries SET flags = flags | ? WHERE id = ?", (Flag.AGAIN | Flag.FORCED, delivery))
        elif state in (PENDING, HELD):
            conn.execute("UPDATE deliveries SET flags = flags | ? WHERE id = ?", (Flag.FORCED, delivery))
            self._decide_anew(record)
        else:
            conn.execute(
                f"UPDATE deliveries SET state = {PENDING}, due_at = NULL, changed_at = ?, priority = ?, attempts = 0,"
                " counted_ms = 0, flags = flags | ?, reason = NULL WHERE id = ?",
                (now, priority, Flag.FORCED, delivery),
            )
            self.unblock(record, mapping, now)
        return True

    def doubt(self, record: int, mapping: int, now: Instant) -> None:
        """Something may have reached the CRM late (S21): what it has is unknown, and the newest state goes again."""
        self._db.conn.execute(
            "UPDATE accepted SET known = 0 WHERE mapping = ? AND link IN (SELECT id FROM links WHERE record = ?)",
            (mapping, record),
        )
        self._db.conn.execute("UPDATE links SET version = version + 1 WHERE record = ?", (record,))
        self.renew(record, mapping, now)
