"""Leases: what is granted, with its locks and its doubt on disk before anything leaves. Only inside a write."""

import json
from collections.abc import Sequence
from itertools import groupby

from connector.domain.clock import Instant
from connector.outbox.port import Take
from connector.outbox.sqlite.among import among
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.lines import LEASED
from connector.outbox.sqlite.links import Links
from connector.outbox.sqlite.locks import BUSY_FOR, Locks


class Taking:
    """Looks at a group of wishes by few statements, and decides as if they came one by one."""

    def __init__(self, db: Database, links: Links, locks: Locks) -> None:
        self._db = db
        self._links = links
        self._locks = locks

    def take(self, takes: Sequence[Take], now: Instant) -> list[bool]:
        """Lease; tell which were granted."""
        granted: list[bool] = []
        for (destination, obj), group in groupby(takes, key=lambda take: (take.destination, take.object)):
            granted += self._take(list(group), self._db.name_id(destination), self._db.name_id(obj), now)
        return granted

    def _take(self, takes: Sequence[Take], destination: int, obj: int, now: Instant) -> list[bool]:
        rows = self._rows(takes, destination, obj)
        keys = {key for take in takes for key in take.keys}
        held = self._locks.held(keys) if keys else {}
        lines: set[tuple[int, int]] = set()
        marked: set[int] = set()
        later: list[tuple[Instant, int]] = []
        won: list[tuple[Take, int, int, int, int | None, str | None]] = []
        granted = []
        for take in takes:
            row = rows.get(take.delivery_id)
            granted.append(False)
            if row is None:
                continue
            record, mapping, event, link, version, doubts, linked, is_leased = row
            if event != take.event_id or (version or 0) != take.link_version or record in marked:
                continue
            if take.removes and self._links.is_shared(record, destination, obj):
                continue  # somebody came to share it since it was decided to remove it (S16)
            if is_leased or (record, mapping) in lines:
                later.append((now + BUSY_FOR, take.delivery_id))
                continue
            locked = self._locks.locked_until(held, record, take.keys, now, linked=bool(linked))
            if locked is not None:
                later.append((locked, take.delivery_id))
                continue
            held |= dict.fromkeys(take.keys, (take.delivery_id, record, 0))
            lines.add((record, mapping))
            if take.during is not None:
                marked.add(record)
            won.append((take, record, mapping, event, link, doubts))
            granted[-1] = True
        self._write(won, destination, obj, now)
        self._db.conn.executemany("UPDATE deliveries SET due_at = ? WHERE id = ?", later)
        return granted

    def _rows(
        self, takes: Sequence[Take], destination: int, obj: int
    ) -> dict[int, tuple[int, int, int, int | None, int | None, str | None, int, int]]:
        """Return what the wishes are about, by delivery; one that is not pending any more is not there."""
        marks, ids = among([take.delivery_id for take in takes])
        rows = self._db.conn.execute(
            "SELECT d.id, d.record, d.mapping, d.event, k.id, k.version, k.doubt_events, k.crm_id IS NOT NULL, EXISTS ("
            "  SELECT 1 FROM deliveries o WHERE o.record = d.record AND o.mapping = d.mapping"
            f"  AND o.state IN (0, 1, 6, 7) AND o.state = {LEASED})"
            " FROM deliveries d"
            " LEFT JOIN links k ON k.record = d.record AND k.destination = ? AND k.object = ?"
            f" WHERE d.id {marks} AND d.state = 0 AND d.due_at IS NOT NULL",
            (destination, obj, *ids),
        )
        return {row[0]: row[1:] for row in rows}

    def _write(
        self,
        won: Sequence[tuple[Take, int, int, int, int | None, str | None]],
        destination: int,
        obj: int,
        now: Instant,
    ) -> None:
        conn = self._db.conn
        self._locks.take((take, record) for take, record, *_ in won)
        conn.executemany(
            f"UPDATE deliveries SET state = {LEASED}, due_at = NULL, lease = ?, lease_until = ? WHERE id = ?",
            [(take.lease, take.lease_until, take.delivery_id) for take, *_ in won],
        )
        removed = [(mapping, now, take.delivery_id) for take, _, mapping, *_ in won if take.removes]
        conn.executemany("INSERT INTO removals VALUES (?, ?, ?)", removed)
        for take, record, mapping, event, link, doubts in won:
            if take.during is not None:
                known = None if link is None else (link, tuple(json.loads(doubts or "[]")))
                self._links.mark(known, (destination, obj, record), mapping, take.during, take.in_doubt_until, event)
