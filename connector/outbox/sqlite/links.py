"""Record links, what the CRM last accepted, and what is in doubt. Writes only inside a write."""

import json
from collections.abc import Sequence
from typing import Any

from connector.domain.accepted import Accepted
from connector.domain.clock import Instant
from connector.domain.record import Record
from connector.outbox.port import LinkChange, LinkView, ParentLink, ParentView
from connector.outbox.sqlite.codec import pack_hashes, unpack_accepted
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.lines import LEASED, OF_LINE, PENDING, Lines

_DOUBTS = 8
"""How many events are remembered whose creates may have left: more have never been seen to matter."""


VIEWED = "k.crm_id, k.version, k.gone_at, k.doubt_at, k.doubt_events, a.known, a.shape, a.hashes"
"""What `Links.view` reads: of a link `k`, and of what was accepted, `a`."""


def _events(text: str | None) -> tuple[int, ...]:
    return tuple(json.loads(text)) if text else ()


def _with_doubt(events: Sequence[int], event: int) -> str:
    return json.dumps([*(one for one in events if one != event), event][-_DOUBTS:])


class Links:
    """Keyed by destination, object and record; the accepted state by mapping as well (S7, S9)."""

    def __init__(self, db: Database, lines: Lines) -> None:
        self._db = db
        self._lines = lines

    def view(self, row: Sequence[Any]) -> LinkView:
        """Return what is known, from the VIEWED columns."""
        crm_id, version, gone_at, doubt_at, doubt_events, known, shape, hashes = row
        if version is None:
            return LinkView()
        accepted = Accepted(known=False) if shape is None else unpack_accepted(known, self._db.word(shape), hashes)
        return LinkView(
            crm_id=crm_id,
            version=version,
            attempted=True,
            gone_at=gone_at,
            doubt_at=doubt_at,
            doubt_events=_events(doubt_events),
            accepted=accepted,
        )

    def version(self, record: int, destination: int, obj: int) -> int:
        """Return the link's version; 0 when there is none."""
        row = self._db.conn.execute(
            "SELECT version FROM links WHERE record = ? AND destination = ? AND object = ?", (record, destination, obj)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def mark(
        self,
        known: tuple[int, tuple[int, ...]] | None,
        target: tuple[int, int, int],
        mapping: int,
        during: Accepted,
        until: Instant | None,
        event: int,
    ) -> None:
        """Put on disk that a request which can write is about to leave (S8), until when it may, and for which event.

        `known` is the link, if there is one, and the events that are in doubt; `target` (destination, object, record).
        """
        conn = self._db.conn
        doubts = None if until is None else _with_doubt(() if known is None else known[1], event)
        if known is None:
            made = conn.execute(
                "INSERT INTO links (destination, object, record, doubt_at, doubt_events) VALUES (?, ?, ?, ?, ?)",
                (*target, until, doubts),
            )
            link = made.lastrowid or 0
        else:
            link = known[0]
            conn.execute(
                "UPDATE links SET version = version + 1, doubt_at = coalesce(?, doubt_at),"
                " doubt_events = coalesce(?, doubt_events) WHERE id = ?",
                (until, doubts, link),
            )
        self._put_accepted(link, mapping, during)

    def late(self, record: int, destination: int, obj: int, event: int, now: Instant) -> int:
        """Put on disk that a request of that event came after its lease: what it did is in doubt again (S21)."""
        link = self._ensure(record, destination, obj)
        self._doubt(link, now, event)
        return link

    def fill(self, link: int, mapping: int, during: Accepted) -> None:
        """What a late request filled may hold something again, and can be emptied (S17)."""
        row = self._db.conn.execute(
            "SELECT shape, hashes FROM accepted WHERE link = ? AND mapping = ?", (link, mapping)
        ).fetchone()
        if row is not None:
            last = unpack_accepted(0, self._db.word(row[0]), row[1])
            self._put_accepted(link, mapping, last.or_filled(during))

    def _doubt(self, link: int, until: Instant, event: int) -> None:
        (before,) = self._db.conn.execute("SELECT doubt_events FROM links WHERE id = ?", (link,)).fetchone()
        kept = _with_doubt(_events(before), event)
        self._db.conn.execute("UPDATE links SET doubt_at = ?, doubt_events = ? WHERE id = ?", (until, kept, link))

    def change(
        self, record: int, destination: int, obj: int, mapping: int, change: LinkChange
    ) -> list[tuple[int, int]]:
        """Apply what an attempt taught; return the (record, mapping) of children that have to be linked anew."""
        conn = self._db.conn
        if change.forget:
            self._forget_recipients(record, destination, obj)
            conn.execute(
                "DELETE FROM accepted WHERE link IN"
                " (SELECT id FROM links WHERE record = ? AND destination = ? AND object = ?)",
                (record, destination, obj),
            )
            conn.execute(
                "DELETE FROM links WHERE record = ? AND destination = ? AND object = ?", (record, destination, obj)
            )
            conn.execute("DELETE FROM children WHERE record = ? AND destination = ?", (record, destination))
            return []
        row = conn.execute(
            "SELECT id, crm_id FROM links WHERE record = ? AND destination = ? AND object = ?",
            (record, destination, obj),
        ).fetchone()
        link, old = row if row is not None else (self._ensure(record, destination, obj), None)
        if change.unlink:
            # What was made anew without an answer holds what the attempt has put there (S17).
            forget = "DELETE FROM accepted" if change.doubt_at is None else "UPDATE accepted SET known = 0"
            conn.execute(f"{forget} WHERE link = ?", (link,))
            old = None
        values: list[tuple[str, object]] = []
        if change.certain or change.doubt_at is not None:
            values.append(("doubt_at", change.doubt_at))
        if change.resolved:
            values.append(("doubt_events", None))
        comes = change.crm_id is not None and change.crm_id != old
        if comes or change.unlink:
            values.append(("crm_id", change.crm_id))
        if comes or change.gone_at is not None:
            values.append(("gone_at", None if comes else change.gone_at))
        names = "".join(f", {name} = ?" for name, _ in values)
        if values or row is not None:
            conn.execute(
                f"UPDATE links SET version = version + {int(row is not None)}{names} WHERE id = ?",
                (*(value for _, value in values), link),
            )
        if change.accepted is not None:
            self._put_accepted(link, mapping, change.accepted)
        if change.touched is not None:
            self.touched((record, destination, obj), mapping, change.touched)
        return self._children(record, destination, obj, change.crm_id) if comes else []

    def touched(self, by: tuple[int, int, int], mapping: int, crm_id: str) -> None:
        """A record may have written into that CRM record: what the others have there by its mapping is unknown."""
        conn, target = self._db.conn, (*by, crm_id)
        others = "SELECT id FROM links WHERE record <> ? AND destination = ? AND object = ? AND crm_id = ?"
        conn.execute(f"UPDATE accepted SET known = 0 WHERE mapping = ? AND link IN ({others})", (mapping, *target))
        conn.execute(f"UPDATE links SET version = version + 1 WHERE id IN ({others})", target)

    def _forget_recipients(self, record: int, destination: int, obj: int) -> None:
        """What e-mail events found by address goes with the record that it belonged to."""
        self._db.conn.execute(
            "DELETE FROM links WHERE crm_id ="
            " (SELECT crm_id FROM links WHERE record = ? AND destination = ? AND object = ?)"
            " AND destination = ? AND object = ? AND record IN (SELECT id FROM records WHERE key LIKE 'recipient/%')",
            (record, destination, obj, destination, obj),
        )

    def _ensure(self, record: int, destination: int, obj: int) -> int:
        conn = self._db.conn
        row = conn.execute(
            "INSERT INTO links (destination, object, record) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET version = version + 1 RETURNING id",
            (destination, obj, record),
        ).fetchone()
        return int(row[0])

    def _put_accepted(self, link: int, mapping: int, accepted: Accepted) -> None:
        shape, hashes = pack_hashes(accepted.hashes)
        self._db.conn.execute(
            "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?, ?)",
            (link, mapping, int(accepted.known), self._db.name_id(shape), hashes),
        )

    # ── parents and children ────────────────────────────────────────────────────────────────────────────────────────

    def parents(self, destination: str, wanted: Sequence[tuple[str, str, Record]]) -> Sequence[ParentView]:
        """Look up parents: linked, coming, or neither (S25)."""
        return [self._parent(destination, *one) for one in wanted]

    def _parent(self, destination: str, mapping: str, object_name: str, record: Record) -> ParentView:
        db = self._db
        number = db.find_record(db.record_key(record))
        if number is None:
            return ParentView(None, coming=False)
        row = db.conn.execute(
            "SELECT crm_id FROM links WHERE record = ? AND destination = ? AND object = ?",
            (number, db.find_name(destination), db.find_name(object_name)),
        ).fetchone()
        if row is not None and row[0] is not None:
            return ParentView(row[0], coming=False)
        coming = db.conn.execute(
            f"SELECT 1 FROM deliveries WHERE {OF_LINE} AND state IN ({PENDING}, {LEASED})",
            (number, db.find_name(mapping)),
        ).fetchone()
        return ParentView(None, coming=coming is not None)

    def remember(self, record: int, destination: int, mapping: int, parents: Sequence[ParentLink]) -> bool:
        """Remember which parents were linked to, and which could not be; tell whether one has another ID by now."""
        db, came = self._db, False
        for parent in parents:
            obj, number = db.name_id(parent.object), db.record_id(db.record_key(parent.record))
            row = db.conn.execute(
                "SELECT crm_id FROM links WHERE record = ? AND destination = ? AND object = ?",
                (number, destination, obj),
            ).fetchone()
            came |= row is not None and row[0] not in (None, parent.tried)
            db.conn.execute(
                "INSERT OR REPLACE INTO children VALUES (?, ?, ?, ?, ?, ?)",
                (destination, obj, number, record, mapping, parent.tried),
            )
        return came

    def _children(self, parent: int, destination: int, obj: int, crm_id: str | None) -> list[tuple[int, int]]:
        rows = self._db.conn.execute(
            "SELECT record, mapping FROM children"
            " WHERE parent = ? AND destination = ? AND object = ? AND tried IS NOT ?",
            (parent, destination, obj, crm_id),
        ).fetchall()
        return [(int(record), int(mapping)) for record, mapping in rows]

    def is_shared(self, record: int, destination: int, obj: int) -> bool:
        """Whether other records are linked to the CRM record that this one is linked to."""
        crm_id = self.crm_id(record, destination, obj)
        return crm_id is not None and bool(self.sharers(destination, obj, crm_id, record))

    def crm_id(self, record: int, destination: int, obj: int) -> str | None:
        """Return the CRM's ID of a record, if it is linked."""
        row = self._db.conn.execute(
            "SELECT crm_id FROM links WHERE record = ? AND destination = ? AND object = ?", (record, destination, obj)
        ).fetchone()
        return None if row is None else row[0]

    def sharers(self, destination: int, obj: int, crm_id: str, but: int) -> list[int]:
        """Return the other records linked to that CRM record (S16).

        An address that e-mail events found it by is no record of its own: it keeps nothing alive.
        """
        rows = self._db.conn.execute(
            "SELECT l.record FROM links l JOIN records r ON r.id = l.record"
            " WHERE l.crm_id = ? AND l.destination = ? AND l.object = ? AND l.record <> ?"
            " AND r.key NOT LIKE 'recipient/%' ORDER BY l.id DESC",
            (crm_id, destination, obj, but),
        ).fetchall()
        return [int(row[0]) for row in rows]
