"""Pauses and budgets."""

from collections.abc import Mapping

from connector.domain.clock import Instant
from connector.outbox.port import Pause
from connector.outbox.sqlite.database import Database


class Controls:
    """What is paused, and what may still be spent, over all processes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def pauses(self, now: Instant) -> Mapping[str, Pause]:
        """Return the pauses by subject. One whose time has passed waits for its probe; an operator's has just ended."""
        rows = self._db.conn.execute(
            "SELECT subject, by, reason, since, until, probes FROM pauses"
            " WHERE NOT (by = 'operator' AND until IS NOT NULL AND until <= ?)",
            (now,),
        ).fetchall()
        return {row[0]: Pause(*row) for row in rows}

    def pause(self, pause: Pause) -> None:
        """Pause, or replace the pause of that subject."""
        with self._db.write() as conn:
            conn.execute(
                "INSERT OR REPLACE INTO pauses VALUES (?, ?, ?, ?, ?, ?)",
                (pause.subject, pause.by, pause.reason, pause.since, pause.until, pause.probes),
            )

    def resume(self, subject: str) -> bool:
        """End a pause; tell whether there was one."""
        with self._db.write() as conn:
            return conn.execute("DELETE FROM pauses WHERE subject = ?", (subject,)).rowcount == 1

    def budget(self, name: str, window: int, cost: int, limit: int) -> bool:
        """Take from a budget; False when it would go over its limit."""
        with self._db.write() as conn:
            row = conn.execute("SELECT window, spent FROM budgets WHERE name = ?", (name,)).fetchone()
            if row is not None and row[0] > window:
                return cost <= 0  # another process is in a later window already
            spent = row[1] if row is not None and row[0] == window else 0
            if spent + cost > limit:
                return False
            conn.execute("INSERT OR REPLACE INTO budgets VALUES (?, ?, ?)", (name, window, max(0, spent + cost)))
            return True

    def spent(self, name: str, window: int) -> int:
        """How much of that window's budget was taken."""
        row = self._db.conn.execute(
            "SELECT spent FROM budgets WHERE name = ? AND window = ?", (name, window)
        ).fetchone()
        return 0 if row is None else int(row[0])
