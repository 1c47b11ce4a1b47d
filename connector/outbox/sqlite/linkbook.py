"""Record links, for people: to carry them elsewhere, to bring them in, to see which records share one."""

from collections.abc import Sequence

from connector.domain.clock import Instant
from connector.domain.record import Record
from connector.outbox.port import Link, LinkChange, LinkDetail, LinkFate, LinkTaken, SharedRecord
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.lines import LEASED, Lines
from connector.outbox.sqlite.links import Links

_NO_ADDRESS = "r.key NOT LIKE 'recipient/%'"


class SqliteLinkbook:
    """See `connector.outbox.port.Linkbook`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lines = Lines(db)
        self._links = Links(db, self._lines)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def page(
        self, destination: str | None, object_name: str | None, limit: int, after: int = 0
    ) -> tuple[Sequence[Link], int]:
        """Return links in the order in which they were made, and what the next page begins after."""
        condition, values = self._where(destination, object_name)
        with self._db.read() as conn:
            rows = conn.execute(
                "SELECT l.id, l.destination, l.object, r.key, l.crm_id FROM links l JOIN records r ON r.id = l.record"
                f" WHERE l.id > ? AND l.crm_id IS NOT NULL AND {_NO_ADDRESS}{condition} ORDER BY l.id LIMIT ?",
                (after, *values, limit),
            ).fetchall()
            word = self._db.word
            found = [Link(word(place), word(obj), key, crm_id) for _, place, obj, key, crm_id in rows]
            return found, rows[-1][0] if len(rows) == limit else 0

    def of_record(self, record: Record) -> Sequence[LinkDetail]:
        """Return what is known of a record's links."""
        with self._db.read() as conn:
            number = self._db.find_record(self._db.record_key(record))
            rows = conn.execute(
                "SELECT destination, object, crm_id, gone_at, doubt_at FROM links WHERE record = ? ORDER BY id",
                (number,),
            ).fetchall()
            return [self._detail(number or 0, *row) for row in rows]

    def _detail(
        self,
        number: int,
        destination: int,
        obj: int,
        crm_id: str | None,
        gone_at: Instant | None,
        doubt_at: Instant | None,
    ) -> LinkDetail:
        others = [] if crm_id is None else self._links.sharers(destination, obj, crm_id, number)
        waiting = self._db.conn.execute(
            "SELECT count(*) FROM children WHERE parent = ? AND destination = ? AND object = ? AND tried IS NULL",
            (number, destination, obj),
        ).fetchone()
        return LinkDetail(
            destination=self._db.word(destination),
            object=self._db.word(obj),
            crm_id=crm_id,
            gone_at=gone_at,
            doubt_at=doubt_at,
            sharers=tuple(self._key(other) for other in others),
            waiting=int(waiting[0]),
        )

    def shared(self, destination: str | None, object_name: str | None) -> Sequence[SharedRecord]:
        """Return the CRM records with more than one Copernica record."""
        condition, values = self._where(destination, object_name)
        with self._db.read() as conn:
            rows = conn.execute(
                "SELECT l.destination, l.object, l.crm_id FROM links l JOIN records r ON r.id = l.record"
                f" WHERE l.crm_id IS NOT NULL AND {_NO_ADDRESS}{condition}"
                " GROUP BY l.crm_id, l.destination, l.object HAVING count(*) > 1 ORDER BY min(l.id)",
                values,
            ).fetchall()
            word = self._db.word
            return [
                SharedRecord(word(place), word(obj), crm_id, tuple(map(self._key, self._all(place, obj, crm_id))))
                for place, obj, crm_id in rows
            ]

    def _all(self, destination: int, obj: int, crm_id: str) -> Sequence[int]:
        return sorted(self._links.sharers(destination, obj, crm_id, 0))

    def _key(self, record: int) -> str:
        return str(self._db.conn.execute("SELECT key FROM records WHERE id = ?", (record,)).fetchone()[0])

    def _where(self, destination: str | None, object_name: str | None) -> tuple[str, list[int]]:
        condition, values = "", []
        for column, name in (("destination", destination), ("object", object_name)):
            if name is not None:
                condition += f" AND l.{column} = ?"
                values.append(self._db.find_name(name) or 0)
        return condition, values

    # ── taking in ───────────────────────────────────────────────────────────────────────────────────────────────────

    def weigh(self, links: Sequence[Link], *, replace: bool) -> Sequence[LinkTaken]:
        """Tell what `take_in` would do."""
        with self._db.read():
            return [self._weigh(link, replace=replace) for link in links]

    def take_in(self, links: Sequence[Link], now: Instant, *, replace: bool) -> Sequence[LinkTaken]:
        """Make links, in one transaction."""
        with self._db.write():
            return [self._take_in(link, now, replace=replace) for link in links]

    def _weigh(self, link: Link, *, replace: bool) -> LinkTaken:
        db = self._db
        number = db.find_record(link.record)
        ids = (number, db.find_name(link.destination), db.find_name(link.object))
        row = db.conn.execute(
            "SELECT crm_id FROM links WHERE record = ? AND destination = ? AND object = ?", ids
        ).fetchone()
        before = None if row is None else row[0]
        if before == link.crm_id:
            return LinkTaken(LinkFate.SAME, before)
        if before is not None and not replace:
            return LinkTaken(LinkFate.CONFLICT, before)
        if db.conn.execute("SELECT 1 FROM tombstones WHERE key = ?", (link.record,)).fetchone() is not None:
            return LinkTaken(LinkFate.ERASED, before)
        # What is under way may be making, or finding, a record of its own: when it ends it would settle over this link.
        busy = db.conn.execute(
            # The index of open deliveries is used where its own condition stands word for word.
            f"SELECT 1 FROM deliveries WHERE record = ? AND state IN (0, 1, 6, 7) AND state = {LEASED}",
            (number,),
        ).fetchone()
        if busy is not None:
            return LinkTaken(LinkFate.BUSY, before)
        return LinkTaken(LinkFate.MADE if before is None else LinkFate.REPLACED, before)

    def _take_in(self, link: Link, now: Instant, *, replace: bool) -> LinkTaken:
        weighed = self._weigh(link, replace=replace)
        if weighed.fate not in (LinkFate.MADE, LinkFate.REPLACED):
            return weighed
        db = self._db
        record = db.record_id(link.record)
        destination, obj = db.name_id(link.destination), db.name_id(link.object)
        # A claim that was decided without the link is not granted any more: the link's version changes with this.
        children = self._links.change(record, destination, obj, 0, LinkChange(unlink=True, crm_id=link.crm_id))
        # What is in doubt was about another CRM record, or about none; the moment stays, and is waited for.
        db.conn.execute(
            "UPDATE links SET doubt_events = NULL WHERE record = ? AND destination = ? AND object = ?",
            (record, destination, obj),
        )
        for child, mapping in children:
            self._lines.renew(child, mapping, now)
        return LinkTaken(weighed.fate, weighed.before, len(children))
