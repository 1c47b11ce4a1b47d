"""The end of an attempt: its outcome, its lease, its link, and what that sets in motion."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from connector.domain.clock import Instant, Millis
from connector.domain.delivery import DeliveryState
from connector.outbox.port import Settled, Settlement
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.inbox import add_counts
from connector.outbox.sqlite.lines import DEAD, HELD, LEASED, OF_LINE, PENDING, SUPERSEDED, WHOLE, Flag, Lines
from connector.outbox.sqlite.links import Links
from connector.outbox.sqlite.locks import Locks
from connector.outbox.sqlite.owner import OWNER_SHIFT

_SUCCESS = (DeliveryState.DELIVERED, DeliveryState.UNCHANGED)


class Settling:
    """Only inside a write."""

    def __init__(self, db: Database, lines: Lines, links: Links, locks: Locks) -> None:
        self._db = db
        self._locks = locks
        self._lines = lines
        self._links = links

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[Settled]:
        """See `connector.outbox.port.Queue.settle`. What nothing here reads is written for all together."""
        told: list[Settlement] = []  # goes into the history
        fates = [self._settle(settlement, now, told) for settlement in settlements]
        ended = [one for one, fate in zip(settlements, fates, strict=True) if fate is not Settled.LOST]
        lasting = [one.delivery_id for one in ended if one.may_show_late]
        self._locks.release([one.delivery_id for one in ended], now, lasting=lasting)
        self._write_history(told, now)
        add_counts(self._db, Counter(one.state.word for one in ended if one.state in _SUCCESS), now)
        return fates

    def _settle(self, settlement: Settlement, now: Instant, told: list[Settlement]) -> Settled:
        row = self._db.conn.execute(
            "SELECT record, mapping, event, rank, flags, state, lease FROM deliveries WHERE id = ?",
            (settlement.delivery_id,),
        ).fetchone()
        if row is None:
            return Settled.LOST
        record, mapping, event, rank, flags, state, lease = row
        destination, obj = self._db.name_id(settlement.destination), self._db.name_id(settlement.object)
        if settlement.lease is None:
            version = settlement.link_version
            stale = version is not None and self._links.version(record, destination, obj) != version
            if stale or state != PENDING:
                return Settled.LOST
        elif state != LEASED or lease != settlement.lease:
            told.append(settlement)
            self._too_late(settlement, (record, destination, obj), mapping, event, now)
            return Settled.LOST
        if settlement.renew_sharers and not self._renew_sharers(record, destination, obj, mapping, now):
            return Settled.LOST  # the last of them went meanwhile: this has to be decided anew
        told.append(settlement)
        result = self._write_state(settlement, (record, mapping, event, rank, flags), now)
        came = self._change_link(settlement, (record, destination, obj), mapping, now)
        again = came or bool(flags & Flag.AGAIN)
        has_others = self._lines.is_open(record, mapping, settlement.delivery_id)
        if has_others and settlement.state in _SUCCESS:
            self._lines.supersede(record, mapping, (DEAD, HELD), event, now)
        if again and not self._force_newer(record, mapping, rank, event, flags):
            self._go_again(settlement.delivery_id, now)
        if has_others:
            self._lines.unblock(record, mapping, now)
        return result

    def _change_link(self, settlement: Settlement, target: tuple[int, int, int], mapping: int, now: Instant) -> bool:
        """Write what the link learnt; tell whether a parent has to be linked to that was not there, or another one."""
        if settlement.link is not None:
            for child, child_mapping in self._links.change(*target, mapping, settlement.link):
                self._lines.renew(child, child_mapping, now)
        return self._links.remember(target[0], target[1], mapping, settlement.parents)

    def _too_late(
        self, settlement: Settlement, target: tuple[int, int, int], mapping: int, event: int, now: Instant
    ) -> None:
        """The lease is somebody else's by now: what we sent may have come after theirs (S21)."""
        if settlement.wrote:
            link = self._links.late(*target, event, now)
            if settlement.during is not None:
                self._links.fill(link, mapping, settlement.during)
            self._lines.doubt(target[0], mapping, now)
            learnt = settlement.link
            if learnt is not None and learnt.forget:
                self._doubt_sharers(target, mapping, event, now)
            crm_id = None if learnt is None else learnt.touched or learnt.crm_id
            if crm_id is not None:
                self._links.touched(target, mapping, crm_id)

    def _doubt_sharers(self, target: tuple[int, int, int], mapping: int, event: int, now: Instant) -> None:
        """What a late removal took away may be others' record as well (S16)."""
        record, destination, obj = target
        crm_id = self._links.crm_id(record, destination, obj)
        for other in self._links.sharers(destination, obj, crm_id, record) if crm_id is not None else ():
            self._links.late(other, destination, obj, event, now)
            self._lines.doubt(other, mapping, now)

    def _renew_sharers(self, record: int, destination: int, obj: int, mapping: int, now: Instant) -> bool:
        """Make the newest state of a record that shares the CRM's record due again (S16); False when there is none."""
        crm_id = self._links.crm_id(record, destination, obj)
        if crm_id is None:
            return False
        others = self._links.sharers(destination, obj, crm_id, record)
        for other in others:
            if self._lines.renew(other, mapping, now):
                break
        return bool(others)

    def _write_state(self, settlement: Settlement, row: tuple[int, int, int, int, int], now: Instant) -> Settled:
        record, mapping, event, rank, flags = row
        state, due_at, reason, result = int(settlement.state), settlement.due_at, settlement.reason, Settled.DONE
        if state == PENDING and not flags & (Flag.EACH | Flag.EXACT):
            newer = self._newer(record, mapping, rank, event)
            if newer is not None:
                state, due_at, result = SUPERSEDED, None, Settled.SUPERSEDED
                if flags & WHOLE:
                    self._lines.force(newer, mapping)
                reason = f"by the newer event {newer}" + (f"; before: {reason}" if reason else "")
        keeps = state == PENDING
        self._db.conn.execute(
            "UPDATE deliveries SET state = ?, due_at = ?, lease = NULL, lease_until = NULL, changed_at = ?, reason = ?,"
            " attempts = attempts + ?, counted_ms = counted_ms + ?, flags = ? WHERE id = ?",
            (
                state,
                due_at if keeps else None,
                now,
                reason or None,
                int(settlement.counted),
                settlement.counted_ms,
                flags if keeps else flags & ~(Flag.FORCED | Flag.EXACT | Flag.AGAIN),
                settlement.delivery_id,
            ),
        )
        return result

    def _newer(self, record: int, mapping: int, rank: int, event: int) -> int | None:
        """Return the newer pending or held event of the line, if there is one."""
        row = self._db.conn.execute(
            f"SELECT event FROM deliveries WHERE {OF_LINE} AND state IN ({PENDING}, {HELD})"
            " AND (rank, event) > (?, ?) ORDER BY rank DESC, event DESC LIMIT 1",
            (record, mapping, rank, event),
        ).fetchone()
        return None if row is None else int(row[0])

    def _force_newer(self, record: int, mapping: int, rank: int, event: int, flags: int) -> bool:
        """Make a newer state of the line that waits go whole, in the place of this one; tell whether there is one."""
        newer = None if flags & (Flag.EACH | Flag.EXACT) else self._newer(record, mapping, rank, event)
        if newer is None:
            return False
        self._lines.force(newer, mapping)
        return True

    def _go_again(self, delivery: int, now: Instant) -> None:
        self._db.conn.execute(
            f"UPDATE deliveries SET state = {PENDING}, due_at = ?, flags = (flags | ?) & ~? WHERE id = ?",
            (now, Flag.FORCED, Flag.AGAIN, delivery),
        )

    def _write_history(self, settlements: Iterable[Settlement], now: Instant) -> None:
        self._db.conn.executemany(
            "INSERT INTO attempts (delivery, at, outcome, status, requests, took, version, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    one.delivery_id,
                    now,
                    self._db.name_id(one.outcome),
                    one.status,
                    one.requests,
                    one.took,
                    self._db.name_id(one.version),
                    one.reason or None,
                )
                for one in settlements
                if one.outcome is not None
            ],
        )

    def expire(self, now: Instant, until: Millis, gone: Collection[int]) -> int:
        """End the leases that ended before `until`, and those of owners that are gone.

        Their deliveries are due again, or superseded meanwhile. What may have left under them is in doubt on their
        links already (S8); of an owner that is gone, nothing can leave any more from now on.
        """
        conn = self._db.conn
        rows = conn.execute(
            "SELECT id, record, mapping, event, rank, flags, lease FROM deliveries"
            f" WHERE state = {LEASED} AND (lease_until < ? OR lease >> {OWNER_SHIFT} IN ({','.join('?' * len(gone))}))",
            (until, *gone),
        ).fetchall()
        for delivery, record, mapping, event, rank, flags, lease in rows:
            if flags & (Flag.AGAIN | WHOLE):
                self._force_newer(record, mapping, rank, event, flags)
            if lease >> OWNER_SHIFT in gone:
                conn.execute("UPDATE links SET doubt_at = min(doubt_at, ?) WHERE record = ?", (now, record))
            newer = None if flags & (Flag.EACH | Flag.EXACT) else self._newer(record, mapping, rank, event)
            state = PENDING if newer is None else SUPERSEDED
            reason = "a deliverer stopped while it had this" if newer is None else f"by the newer event {newer}"
            conn.execute(
                "UPDATE deliveries SET state = ?, due_at = ?, changed_at = ?, reason = ?,"
                " lease = NULL, lease_until = NULL, flags = flags & ~? WHERE id = ?",
                (state, now if newer is None else None, now, reason, Flag.AGAIN, delivery),
            )
            self._locks.release((delivery,), now, lasting=(delivery,))
            self._lines.unblock(record, mapping, now)
        return len(rows)
