"""Removing a person: the CRM's side is put on its way, the rest goes, tombstones stay (S28)."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from connector.domain.clock import SECOND, Instant
from connector.domain.event import EventType
from connector.domain.mentions import Needles, spellings
from connector.domain.record import Record
from connector.outbox.erasure import CrmRecord, Erasure, Found, Person, Writers, placeholder
from connector.outbox.port import EventState, OutboxBusyError
from connector.outbox.sqlite.codec import pack_call
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.inbox import TYPES, add_counts
from connector.outbox.sqlite.lines import DEAD, HELD, LEASED, PENDING, Flag
from connector.outbox.sqlite.searching import Decode, Search
from connector.outbox.sqlite.tombstones import Tombstones, address_key

_PATIENCE: Final = 30.0  # seconds for what is being sent to end
_POLL: Final = 0.1
_ALWAYS_REWRITTEN: Final = 256 * 1024**2  # bytes; a larger file is written anew only when asked for
_RECEIPT: Final = "erasure."
_CHUNK: Final = 500
_TEXTS: Final = (
    ("deliveries", "reason"),
    ("attempts", "reason"),
    ("events", "note"),
    ("pauses", "reason"),
    ("notes", "value"),
)


class _BeingSentError(Exception):
    """One of the records is leased."""


@dataclass(slots=True)
class _Done:
    """What was done so far."""

    erasing: list[CrmRecord] = field(default_factory=list)
    kept: list[CrmRecord] = field(default_factory=list)
    by_hand: list[CrmRecord] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)
    deletes: int = 0


class SqliteEraser:
    """See `connector.outbox.erasure.Eraser`."""

    def __init__(self, db: Database, decode: Decode) -> None:
        self._db = db
        self._search = Search(db, decode)
        self._tombstones = Tombstones(db)

    def find(self, person: Person) -> Found:
        """Search everything that is stored."""
        return self._search.find(person)

    def preview(self, found: Found, writers: Writers, *, crm: bool) -> Erasure:
        """Return what `erase` would come to."""
        done = _Done()
        for record in self._record_ids(found):
            for destination, obj, crm_id, doubt_at in self._links(record):
                self._sort(CrmRecord(destination, obj, crm_id or ""), doubt_at, writers, done, crm=crm)
        done.deletes = len(self._open_deletes(sorted(found.events), self._record_ids(found)))
        return _receipt(found, len(found.events), len(found.unproven), done)

    def erase(self, found: Found, now: Instant, writers: Writers, *, crm: bool, rewrite: bool) -> Erasure:
        """Remove it all; wait for what is being sent, at most half a minute."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                receipt = self._remove(found, now, writers, crm=crm)
                break
            except _BeingSentError:
                if time.monotonic() > deadline:
                    raise OutboxBusyError(
                        "one of the records is being sent at this moment, and its answer takes long"
                    ) from None
                time.sleep(_POLL)
        return self._wipe(receipt, found, rewrite=rewrite)

    # ── the one transaction ─────────────────────────────────────────────────────────────────────────────────────────

    def _remove(self, found: Found, now: Instant, writers: Writers, *, crm: bool) -> Erasure:
        with self._db.write() as conn:
            late = self._search.later(found)
            events = sorted(found.events | {kept.call.event_id for kept in late if not kept.is_unproven})
            unproven = sorted(found.unproven | {kept.call.event_id for kept in late if kept.is_unproven})
            for key in found.records:
                self._db.record_id(key)
            records = self._record_ids(found)
            self._check_idle(events, records)
            done = _Done()
            kept_deletes = self._open_deletes(events, records)
            source = self._source(events)
            orders = {record: self._settle_links(record, writers, done, crm=crm) for record in records}
            replaced = self._keep_deletes(kept_deletes, orders, source)
            done.deletes = len(replaced)
            # A call that was proven meanwhile is an event now, under its old number.
            removed = self._delete_events([*events, *unproven], but=set(replaced))
            self._forget(records, replaced, orders)
            for record, order in orders.items():
                self._order(record, order, source, now, done)
            for key in found.records:
                self._tombstones.put(key, now)
            for address in found.addresses:
                self._tombstones.put(address_key(self._db.hasher, address), now)
            self._blank_texts(found.addresses)
            counts = {"records": len(records), "events": removed, "links": len(done.erasing) + len(done.kept)}
            conn.execute(
                "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)",
                (f"{_RECEIPT}{now}", json.dumps({**counts, "crm": "erase" if crm else "keep"}), now),
            )
            add_counts(self._db, {"erased.people": 1, "erased.events": removed}, now)
        return _receipt(found, removed, 0, done)

    def _record_ids(self, found: Found) -> dict[int, str]:
        return {number: key for key in sorted(found.records) if (number := self._db.find_record(key)) is not None}

    def _check_idle(self, events: Sequence[int], records: dict[int, str]) -> None:
        for column, numbers in (("event", events), ("record", list(records))):
            for part in _parts(numbers):
                if self._db.conn.execute(
                    f"SELECT 1 FROM deliveries WHERE state = {LEASED} AND {column} IN ({_marks(part)}) LIMIT 1", part
                ).fetchone():
                    raise _BeingSentError

    def _source(self, events: Sequence[int]) -> str:
        """The source under which placeholders are kept: one that the person's own calls came by."""
        row = self._db.conn.execute(
            "SELECT source FROM events WHERE id IN (?, (SELECT max(id) FROM events)) ORDER BY id LIMIT 1",
            (events[-1] if events else 0,),
        ).fetchone()
        return "erased" if row is None else self._db.word(row[0])

    def _links(self, record: int) -> list[tuple[str, str, str | None, Instant | None]]:
        rows = self._db.conn.execute(
            "SELECT destination, object, crm_id, doubt_at FROM links WHERE record = ? ORDER BY id", (record,)
        ).fetchall()
        word = self._db.word
        return [(word(destination), word(obj), crm_id, doubt_at) for destination, obj, crm_id, doubt_at in rows]

    @staticmethod
    def _sort(link: CrmRecord, doubt_at: Instant | None, writers: Writers, done: _Done, *, crm: bool) -> bool:
        """Note what becomes of a linked CRM record; tell whether it is to be erased."""
        if not link.crm_id:
            if doubt_at is not None:
                done.in_doubt.add(f"{link.destination}/{link.object}")
            return False
        if not crm:
            done.kept.append(link)
        elif writers(link.destination, link.object):
            done.erasing.append(link)
            return True
        else:
            done.by_hand.append(link)
        return False

    def _settle_links(
        self, record: int, writers: Writers, done: _Done, *, crm: bool
    ) -> dict[tuple[str, str, str], Sequence[str]]:
        """Return the CRM records to erase, each with the mappings that will do it."""
        orders = {}
        for destination, obj, crm_id, doubt_at in self._links(record):
            if crm_id is not None and self._sort(CrmRecord(destination, obj, crm_id), doubt_at, writers, done, crm=crm):
                orders[destination, obj, crm_id] = self._those_that_wrote(record, writers(destination, obj))
            elif crm_id is None:
                self._sort(CrmRecord(destination, obj, ""), doubt_at, writers, done, crm=crm)
        return orders

    def _those_that_wrote(self, record: int, names: Sequence[str]) -> Sequence[str]:
        """Return the mappings that know the record: what comes later in their lines has to wait for the erasure."""
        rows = self._db.conn.execute("SELECT mapping FROM lines WHERE record = ?", (record,)).fetchall()
        known = {self._db.word(row[0]) for row in rows}
        return [name for name in names if name in known] or names[:1]

    # ── deletes that wait ───────────────────────────────────────────────────────────────────────────────────────────

    def _open_deletes(self, events: Sequence[int], records: dict[int, str]) -> list[tuple[int, int, int, int, int]]:
        """Return (delivery, event, mapping, record, rank) of Copernica's deletes that have not been brought yet."""
        rows = []
        for part in _parts(events):
            rows += self._db.conn.execute(
                "SELECT id, event, mapping, record, rank, flags FROM deliveries"
                f" WHERE event IN ({_marks(part)}) AND state IN ({PENDING}, {HELD}, {DEAD})",
                part,
            ).fetchall()
        return [tuple(row[:5]) for row in rows if row[5] & Flag.DELETE and row[3] in records]

    def _keep_deletes(
        self,
        deletes: Sequence[tuple[int, int, int, int, int]],
        orders: dict[int, dict[tuple[str, str, str], Sequence[str]]],
        source: str,
    ) -> dict[int, int]:
        """Put placeholders in the place of their calls; return event → record. What is erased anyway is not kept."""
        kept: dict[int, int] = {}
        for delivery, event, mapping, record, rank in deletes:
            name = self._db.word(mapping)
            if any(name in names for names in orders[record].values()):
                continue
            if event not in kept:
                key = self._db.conn.execute("SELECT key FROM records WHERE id = ?", (record,)).fetchone()[0]
                request = placeholder(Record.parse(key), source, rank // 2 * SECOND, ())
                self._db.conn.execute(
                    "UPDATE events SET call = ?, size = ?, note = NULL WHERE id = ?",
                    (pack_call(request, None), len(request.body), event),
                )
                kept[event] = record
            self._db.conn.execute("DELETE FROM attempts WHERE delivery = ?", (delivery,))
            self._db.conn.execute(
                "UPDATE deliveries SET reason = ? WHERE id = ?", ("the person was erased: only IDs are kept", delivery)
            )
        return kept

    def _delete_events(self, events: Sequence[int], but: set[int]) -> int:
        conn = self._db.conn
        removed = 0
        for part in _parts([event for event in events if event not in but]):
            marks = _marks(part)
            conn.execute(
                f"DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE event IN ({marks}))", part
            )
            conn.execute(f"DELETE FROM deliveries WHERE event IN ({marks})", part)
            removed += conn.execute(f"DELETE FROM events WHERE id IN ({marks})", part).rowcount
            removed += conn.execute(f"DELETE FROM unproven WHERE id IN ({marks})", part).rowcount
        for part in _parts(sorted(but)):
            # Of a kept event, only its open deletes stay.
            conn.execute(
                f"DELETE FROM deliveries WHERE event IN ({_marks(part)}) AND state NOT IN ({PENDING}, {HELD}, {DEAD})",
                part,
            )
        return removed

    # ── what is known about the records ─────────────────────────────────────────────────────────────────────────────

    def _forget(
        self,
        records: dict[int, str],
        kept: dict[int, int],
        orders: dict[int, dict[tuple[str, str, str], Sequence[str]]],
    ) -> None:
        """Links stay for as long as they are needed to act on them, with what is in doubt about them."""
        conn = self._db.conn
        waiting = set(kept.values())
        for record in records:
            conn.execute("DELETE FROM accepted WHERE link IN (SELECT id FROM links WHERE record = ?)", (record,))
            conn.execute("DELETE FROM children WHERE record = ? OR parent = ?", (record, record))
            conn.execute("DELETE FROM lines WHERE record = ?", (record,))
            needed = {(destination, obj) for destination, obj, _ in orders[record]}
            for destination, obj, *_ in self._links(record):
                if (destination, obj) not in needed and record not in waiting:
                    conn.execute(
                        "DELETE FROM links WHERE record = ? AND destination = ? AND object = ?",
                        (record, self._db.name_id(destination), self._db.name_id(obj)),
                    )
            conn.execute("UPDATE links SET version = version + 1, doubt_events = NULL WHERE record = ?", (record,))
        for event in kept:
            conn.execute(
                "INSERT OR REPLACE INTO lines SELECT record, mapping, rank, event, 0 FROM deliveries WHERE event = ?",
                (event,),
            )

    def _order(
        self,
        record: int,
        orders: dict[tuple[str, str, str], Sequence[str]],
        source: str,
        now: Instant,
        done: _Done,
    ) -> None:
        """Make the deliveries that remove the CRM's records."""
        if not orders:
            return
        db, conn = self._db, self._db.conn
        event = conn.execute("UPDATE counters SET value = value + 1 WHERE name = 'event' RETURNING value").fetchone()[0]
        key = conn.execute("SELECT key FROM records WHERE id = ?", (record,)).fetchone()[0]
        request = placeholder(Record.parse(key), source, now, tuple(orders))
        rank = now // SECOND * 2 + 1
        conn.execute(
            "INSERT INTO events (id, source, record, type, rank, state, received_at, size, note, call)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event, db.name_id(source), record, TYPES.index(EventType.DELETE), rank, int(EventState.ROUTED), now,
                len(request.body), "an operator erased this person", pack_call(request, None),
            ),
        )  # fmt: skip
        flags = Flag.DELETE | Flag.EACH | Flag.ERASE | Flag.RELEASED
        for link, names in orders.items():
            for name in names:
                mapping = db.name_id(name)
                conn.execute(
                    "INSERT INTO deliveries (event, mapping, record, rank, flags, state, due_at, changed_at, reason)"
                    f" VALUES (?, ?, ?, ?, ?, {PENDING}, ?, ?, ?)",
                    (event, mapping, record, rank, flags, now, now, "an operator erases this person"),
                )
                conn.execute("INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?, 0)", (record, mapping, rank, event))
            plain = CrmRecord(*link)
            done.erasing = [CrmRecord(*link, event) if one == plain else one for one in done.erasing]

    def _blank_texts(self, addresses: frozenset[str]) -> None:
        """Reasons and notes hold no address; should one all the same, it goes."""
        needles = Needles(addresses)
        for table, column in _TEXTS:
            rows = self._db.conn.execute(f"SELECT DISTINCT {column} FROM {table} WHERE instr({column}, '@')").fetchall()
            for (text,) in rows:
                if needles.in_text(text):
                    self._db.conn.execute(f"UPDATE {table} SET {column} = 'erased' WHERE {column} = ?", (text,))

    # ── the files ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _wipe(self, receipt: Erasure, found: Found, *, rewrite: bool) -> Erasure:
        """Leave nothing between the rows and nothing in the WAL, and look whether that is so."""
        rewritten = rewrite or self._db.size() <= _ALWAYS_REWRITTEN
        if rewritten:
            self._db.rewrite()
        is_empty = self._db.truncate(patience=_PATIENCE)
        traces = [] if is_empty else ["the WAL could not be emptied: another process reads all the time"]
        values = {name: getattr(receipt, name) for name in Erasure.__slots__}
        return Erasure(**{**values, "rewritten": rewritten, "traces": (*traces, *self._traces(found))})

    def _traces(self, found: Found) -> list[str]:
        """Return the files of the outbox in which an address stands in clear."""
        if self._db.path is None or not found.addresses:
            return []
        needles = {text.encode() for address in found.addresses for text in spellings(address)}
        needles |= {needle.replace(b"@", b"%40") for needle in needles}
        overlap = max(map(len, needles))
        hits = []
        for path in sorted(self._db.path.parent.glob(f"{self._db.path.name}*")):
            if not path.is_file():
                continue
            with path.open("rb") as stream:
                before = b""
                while chunk := stream.read(1 << 20):
                    text = (before + chunk).lower()
                    if any(needle in text for needle in needles):
                        hits.append(os.fspath(path))
                        break
                    before = chunk[-overlap:]
        return hits


def _receipt(found: Found, events: int, unproven: int, done: _Done) -> Erasure:
    return Erasure(
        records=sorted(found.records),
        shared=sorted(found.shared),
        events=events,
        unproven=unproven,
        erasing=tuple(done.erasing),
        kept=tuple(done.kept),
        by_hand=tuple(done.by_hand),
        in_doubt=sorted(done.in_doubt),
        deletes=done.deletes,
    )


def _parts(numbers: Sequence[int]) -> list[list[int]]:
    return [list(numbers[start : start + _CHUNK]) for start in range(0, len(numbers), _CHUNK)]


def _marks(numbers: Sequence[int]) -> str:
    return ",".join("?" * len(numbers))
