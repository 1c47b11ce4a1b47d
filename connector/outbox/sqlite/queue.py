"""The deliverer's side: what is due, leases, and settling. Every write is one short transaction."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from connector.domain.accepted import Hasher
from connector.domain.clock import Instant, Millis
from connector.domain.delivery import DeliveryState, Priority
from connector.domain.record import Record
from connector.outbox.port import (
    Due,
    Keep,
    ParentView,
    Pause,
    Routed,
    Router,
    Settled,
    Settlement,
    StoredCall,
    Take,
)
from connector.outbox.sqlite.controls import Controls
from connector.outbox.sqlite.database import Database, speaks
from connector.outbox.sqlite.inbox import TYPES, add_counts
from connector.outbox.sqlite.lines import LEASED, PENDING, Flag, Lines
from connector.outbox.sqlite.links import VIEWED, Links
from connector.outbox.sqlite.locks import Locks
from connector.outbox.sqlite.overview import unserved
from connector.outbox.sqlite.owner import OWNER_SHIFT, Owners
from connector.outbox.sqlite.pruning import Pruning
from connector.outbox.sqlite.routing import Routing
from connector.outbox.sqlite.settling import Settling
from connector.outbox.sqlite.stored import StoredCalls
from connector.outbox.sqlite.taking import Taking

_STATE_TYPES = tuple(TYPES.index(t) for t in TYPES if t.value in ("create", "update"))


class SqliteQueue:
    """See `connector.outbox.port.Queue`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lines = Lines(db)
        self._links = Links(db, self._lines)
        self._calls = StoredCalls(db)
        self._routing = Routing(db, self._lines, self._calls)
        self._locks = Locks(db)
        self._settling = Settling(db, self._lines, self._links, self._locks)
        self._taking = Taking(db, self._links, self._locks)
        self._controls = Controls(db)
        self._pruning = Pruning(db)
        self._owners = Owners(db.path)

    @property
    def hasher(self) -> Hasher:
        """Hashes with the outbox's own key."""
        return self._db.hasher

    @speaks
    def gone(self) -> Collection[int]:
        """Return the owners of leases whose processes have ended."""
        leases = self._db.conn.execute(f"SELECT lease FROM deliveries WHERE state = {LEASED}")
        return {owner for owner in {lease >> OWNER_SHIFT for (lease,) in leases} if self._owners.is_gone(owner)}

    @speaks
    def recover(self, now: Instant, elapsed: Millis, boot_id: str, gone: Collection[int]) -> int:
        """End the leases that ran out, of owners that are gone, and of an earlier boot."""
        conn = self._db.conn
        row = conn.execute("SELECT value FROM meta WHERE key = 'boot_id'").fetchone()
        same_boot = row is not None and row[0] == boot_id
        leases = conn.execute(f"SELECT lease, lease_until FROM deliveries WHERE state = {LEASED}").fetchall()
        if not same_boot:
            gone = {lease >> OWNER_SHIFT for lease, _ in leases}
        if same_boot and all(until >= elapsed and lease >> OWNER_SHIFT not in gone for lease, until in leases):
            return 0
        with self._db.write():
            conn.execute("INSERT OR REPLACE INTO meta VALUES ('boot_id', ?)", (boot_id,))
            return self._settling.expire(now, elapsed if same_boot else 0, gone)

    def lease(self) -> int:
        """Return a new lease of this process's own."""
        return self._owners.lease()

    def route(self, now: Instant, limit: int, router: Router) -> Routed:
        """Give new events to the router and keep what it says."""
        return self._routing.route(now, limit, router)

    def due(self, now: Instant, mapping: str, destination: str, object_name: str, limit: int) -> Sequence[Due]:
        """Return the mapping's due deliveries, live ones first."""
        with self._db.read():
            number = self._db.find_name(mapping)
            if number is None:
                return []
            found: list[Due] = []
            for priority in Priority:
                if len(found) < limit:
                    found += self._due(now, number, priority, (mapping, destination, object_name), limit - len(found))
            return found

    def _due(
        self, now: Instant, number: int, priority: Priority, target: tuple[str, str, str], limit: int
    ) -> list[Due]:
        db = self._db
        mapping, destination, object_name = target
        rows = db.conn.execute(
            "SELECT d.id, r.key, d.rank, d.flags, d.due_at, d.attempts, d.counted_ms, d.changed_at, e.id,"
            f" e.source, e.received_at, e.call, coalesce(l.created_here, 0), {VIEWED}"
            " FROM deliveries d JOIN events e ON e.id = d.event JOIN records r ON r.id = d.record"
            " LEFT JOIN lines l ON l.record = d.record AND l.mapping = d.mapping"
            " LEFT JOIN links k ON k.record = d.record AND k.destination = ? AND k.object = ?"
            " LEFT JOIN accepted a ON a.link = k.id AND a.mapping = d.mapping"
            " WHERE d.mapping = ? AND d.state = 0 AND d.priority = ? AND d.due_at <= ?"
            " ORDER BY d.due_at LIMIT ?",
            (db.find_name(destination), db.find_name(object_name), number, priority, now, limit),
        ).fetchall()
        found = []
        for row in rows:
            (delivery, key, rank, flags, due_at, attempts, counted, changed) = row[:8]
            event, source, received_at, blob, created_here = row[8:13]
            found.append(
                Due(
                    delivery_id=delivery,
                    mapping=mapping,
                    destination=destination,
                    object=object_name,
                    record=key,
                    call=self._calls.read(event, source, received_at, blob),
                    rank=rank,
                    attempts=attempts,
                    counted_ms=counted,
                    forced=bool(flags & Flag.FORCED),
                    exact=bool(flags & Flag.EXACT),
                    released=bool(flags & Flag.RELEASED),
                    priority=priority,
                    is_delete=bool(flags & Flag.DELETE),
                    created_here=bool(created_here),
                    due_at=due_at,
                    changed_at=changed,
                    link=self._links.view(row[13:]),
                    erases=bool(flags & Flag.ERASE),
                )
            )
        return found

    @speaks
    def next_due(self, mappings: Iterable[str]) -> Instant | None:
        """When the next pending delivery of these mappings is due."""
        earliest: Instant | None = None
        for mapping in mappings:
            number = self._db.find_name(mapping)
            if number is None:
                continue
            for priority in Priority:
                row = self._db.conn.execute(
                    "SELECT min(due_at) FROM deliveries WHERE mapping = ? AND priority = ? AND state = 0"
                    " AND due_at IS NOT NULL",
                    (number, priority),
                ).fetchone()
                if row[0] is not None and (earliest is None or row[0] < earliest):
                    earliest = int(row[0])
        return earliest

    def last_state(self, event_id: int) -> StoredCall | None:
        """Return the newest other stored call of that event's record that has fields (S15)."""
        with self._db.read() as conn:
            row = conn.execute(
                "SELECT id, source, received_at, call FROM events WHERE record ="
                f" (SELECT record FROM events WHERE id = ?) AND id <> ? AND type IN {_STATE_TYPES}"
                " ORDER BY rank DESC, id DESC LIMIT 1",
                (event_id, event_id),
            ).fetchone()
            if row is None:
                return None
            return self._calls.read(*row)

    def stored(self, event_id: int) -> StoredCall | None:
        """Return a stored call; None when it is pruned."""
        with self._db.read() as conn:
            row = conn.execute("SELECT source, received_at, call FROM events WHERE id = ?", (event_id,)).fetchone()
            return None if row is None else self._calls.read(event_id, *row)

    def parents(self, destination: str, wanted: Sequence[tuple[str, str, Record]]) -> Sequence[ParentView]:
        """Look up parents, given as (mapping, object, record)."""
        with self._db.read():
            return self._links.parents(destination, wanted)

    def sharers(self, destination: str, object_name: str, crm_id: str, but: str) -> Sequence[str]:
        """Return the other records that are linked to that CRM record."""
        db = self._db
        with db.read() as conn:
            number = db.find_record(but) or 0
            ids = (db.find_name(destination) or 0, db.find_name(object_name) or 0)
            return [
                conn.execute("SELECT key FROM records WHERE id = ?", (record,)).fetchone()[0]
                for record in self._links.sharers(ids[0], ids[1], crm_id, number)
            ]

    @speaks
    def removals(self, mapping: str, since: Instant) -> int:
        """How many deliveries of that mapping were leased since then to take a record away (S20)."""
        row = self._db.conn.execute(
            "SELECT count(DISTINCT delivery) FROM removals WHERE mapping = ? AND at > ?",
            (self._db.find_name(mapping), since),
        ).fetchone()
        return int(row[0])

    @speaks
    def linked(self, destination: str, object_name: str) -> int:
        """How many records are linked to such an object."""
        row = self._db.conn.execute(
            "SELECT count(*) FROM links WHERE destination = ? AND object = ? AND crm_id IS NOT NULL",
            (self._db.find_name(destination), self._db.find_name(object_name)),
        ).fetchone()
        return int(row[0])

    def take(
        self, takes: Sequence[Take], settlements: Sequence[Settlement], now: Instant
    ) -> tuple[Sequence[bool], Sequence[Settled]]:
        """Lease and settle in one transaction."""
        if not takes and not settlements:
            return [], []
        with self._db.write():
            settled = self._settling.settle(settlements, now)
            return self._taking.take(takes, now), settled

    def settle(self, settlements: Sequence[Settlement], now: Instant, *, sync: bool = True) -> Sequence[Settled]:
        """Write outcomes and end their leases."""
        if not settlements:
            return []
        with self._db.write(sync=sync):
            return self._settling.settle(settlements, now)

    def sync(self) -> None:
        """See that everything is on disk."""
        with self._db.write() as conn:
            # Any change does: what is not changed is not synced.
            conn.execute("INSERT INTO meta VALUES ('syncs', 1) ON CONFLICT DO UPDATE SET value = value + 1")

    def close(self) -> None:
        """End this process's ownership: leases that are left are anybody's."""
        self._owners.close()

    # ── pauses, budgets, counters ───────────────────────────────────────────────────────────────────────────────────

    @speaks
    def pauses(self, now: Instant) -> Mapping[str, Pause]:
        """Return what is paused, by subject."""
        return self._controls.pauses(now)

    def pause(self, pause: Pause) -> None:
        """Pause, or replace the pause of that subject."""
        self._controls.pause(pause)

    def resume(self, subject: str) -> bool:
        """End a pause."""
        return self._controls.resume(subject)

    def budget(self, name: str, window: int, cost: int, limit: int) -> bool:
        """Take `cost` from the budget `name` of that window."""
        return self._controls.budget(name, window, cost, limit)

    @speaks
    def spent(self, name: str, window: int) -> int:
        """How much of that window's budget was taken."""
        return self._controls.spent(name, window)

    def release_observed(self, mappings: Sequence[str], now: Instant) -> int:
        """Make pending what was held because its destination was only observed (S27)."""
        total = 0
        with self._db.write() as conn:
            for mapping in mappings:
                number = self._db.find_name(mapping)
                done = conn.execute(
                    f"UPDATE deliveries SET state = {PENDING}, due_at = NULL, changed_at = ?, reason = NULL"
                    f" WHERE mapping = ? AND state = {int(DeliveryState.HELD)} AND reason LIKE 'observe%'"
                    " RETURNING record",
                    (now, number),
                ).fetchall()
                for (record,) in sorted(set(done)):
                    self._lines.unblock(record, number or 0, now)
                total += len(done)
        return total

    @speaks
    def prune(self, now: Instant, keep: Keep, limit: int) -> Mapping[str, int]:
        """Remove events whose time has passed, one small step."""
        return self._pruning.step(now, keep, limit)

    def begin(self, mappings: Iterable[str], latest: Instant) -> Mapping[str, int]:
        """Remember which mappings are in force; nothing waits longer than until `latest`."""
        names = sorted(mappings)
        with self._db.write() as conn:
            conn.execute("INSERT OR REPLACE INTO meta VALUES ('mappings', ?)", (json.dumps(names),))
            for mapping in names:
                for priority in Priority:
                    conn.execute(
                        f"UPDATE deliveries SET due_at = ? WHERE mapping = ? AND priority = ? AND state = {PENDING}"
                        " AND due_at > ?",
                        (latest, self._db.find_name(mapping), priority, latest),
                    )
        return unserved(self._db)

    def shift(self, before: Millis, after: Millis, boot_id: str, now: Instant) -> None:
        """The time of day jumped: move what was planned on the old clock, unless another process has done so."""
        with self._db.write() as conn:
            row = conn.execute("SELECT value FROM meta WHERE key = 'clock'").fetchone()
            boot, _, shifted_to = ("" if row is None else str(row[0])).partition("\n")
            by = after - (int(shifted_to) if boot == boot_id else before)
            conn.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (f"{boot_id}\n{after}",))
            conn.execute(
                f"UPDATE deliveries SET due_at = due_at + ? WHERE state = {PENDING} AND due_at > ?",
                (by, min(now, now - by)),
            )
            conn.execute("UPDATE pauses SET until = until + ? WHERE until IS NOT NULL", (by,))
            conn.execute("UPDATE links SET doubt_at = doubt_at + ? WHERE doubt_at IS NOT NULL", (by,))
            conn.execute("UPDATE locks SET until = until + ? WHERE until > 0", (by,))

    def count(self, counts: Mapping[str, int], now: Instant) -> None:
        """Add to durable counters."""
        if counts:
            with self._db.write():
                add_counts(self._db, counts, now)
