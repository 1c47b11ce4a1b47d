"""What the port promises about events, lines and leases, in plain Python: dictionaries and lists, nothing of an adapter.

A delivery is known here by (event, mapping), a line by (record, mapping), a link by (destination, object, record).
"""

from __future__ import annotations

from connector.domain.accepted import Accepted
from connector.domain.clock import HOUR, Instant, Millis
from connector.domain.delivery import DeliveryState as D
from connector.domain.delivery import Priority
from connector.domain.event import EventType
from connector.outbox.port import EventState, LinkChange, Settled, Settlement, Take
from tests.outbox.conformance.calls import MAPPINGS, Said
from tests.outbox.conformance.values import Delivery, Key, Line, LinkKey, LinkState, Lock, Stored


class Model:
    """Every method is one of the port's, with the same arguments as far as they matter."""

    def __init__(self) -> None:
        self.events: dict[int, Stored] = {}
        self.deliveries: dict[Key, Delivery] = {}
        self.highest = 0
        self.proofs: dict[bytes, tuple[int, Instant]] = {}
        self.forgettable: set[bytes] = set()
        self.unproven: dict[int, tuple[Said, bytes, Instant, int]] = {}  # said, proof, received, tried
        self.lines: dict[Line, tuple[int, int, bool]] = {}  # rank, event, created here
        self.seen: dict[tuple[str, str], Instant] = {}
        self.faded: set[tuple[str, str]] = set()
        self.links: dict[LinkKey, LinkState] = {}
        self.changes: dict[LinkKey, int] = {}
        self.children: dict[LinkKey, dict[Line, str | None]] = {}  # linked under which ID
        self.locks: dict[bytes, Lock] = {}
        self.removed: dict[str, list[tuple[Instant, Key]]] = {}
        self.holds: set[tuple[str, str]] = set()
        self.tombs: dict[str, Instant] = {}
        self.gone: set[int] = set()
        self.boot = ""

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def of_line(self, line: Line, *states: D) -> list[Delivery]:
        found = [one for one in self.deliveries.values() if one.line == line and one.state in states]
        return sorted(found, key=lambda one: one.place)

    def token(self, link: LinkKey) -> int:
        """Changes with every change of the link."""
        return self.changes.get(link, 0) if link in self.links else -1

    def due(self, now: Instant, mapping: str) -> list[Delivery]:
        found = [
            one
            for one in self.deliveries.values()
            if one.mapping == mapping and one.state is D.PENDING and one.due is not None and one.due <= now
        ]
        return sorted(found, key=lambda one: (one.priority, one.due))

    def sharers(self, link: LinkKey) -> list[str]:
        at = self.links.get(link)
        if at is None or at.crm_id is None:
            return []
        return [
            key[2] for key, one in self.links.items() if key[:2] == link[:2] and key != link and one.crm_id == at.crm_id
        ]

    # ── events come in ──────────────────────────────────────────────────────────────────────────────────────────────

    def store(self, number: int, said: Said, now: Instant) -> None:
        self.events[number] = Stored(number, said, None, now, EventState.NEW)

    def new(self, limit: int) -> list[Stored]:
        return sorted((one for one in self.events.values() if one.state is EventState.NEW), key=lambda one: one.id)[
            :limit
        ]

    def route(self, now: Instant, limit: int, came: set[Key]) -> tuple[int, int, int, int]:
        """`came` are the deliveries that are there now: only asked where an identity may or may not be known still."""
        total = [0, 0, 0, 0]
        for event in self.new(limit):
            said = event.said
            assert said is not None
            total[0] += 1
            if said.wanted is None:
                event.state = EventState.NOT_UNDERSTOOD
                continue
            if said.at <= self.tombs.get(str(said.record), -1):
                self.forget_event(event.id)  # erased: refused (S28)
                continue
            event.record = str(said.record)
            event.state = EventState.ROUTED if said.wanted else EventState.UNWANTED
            for mapping in said.wanted:
                for place, count in enumerate(self._deliver(event, said, mapping, now, came), 1):
                    total[place] += count
        return total[0], total[1], total[2], total[3]

    def _deliver(self, event: Stored, said: Said, mapping: str, now: Instant, came: set[Key]) -> tuple[int, int, int]:
        each = not MAPPINGS[mapping].is_state
        if (event.id, mapping) in self.deliveries:
            return 0, 0, 0
        if (
            each
            and said.identity is not None
            and not self._is_first(mapping, said.identity, now, (event.id, mapping) in came)
        ):
            return 0, 0, 0
        line = (str(said.record), mapping)
        is_delete = said.type is EventType.DELETE
        one = Delivery(event.id, mapping, line[0], said.rank, is_delete, now, each=each)
        rank, newest, created = self.lines.get(line, (-1, -1, False))
        is_newest = one.place > (rank, newest)
        revived = is_newest and newest >= 0 and rank % 2 == 1 and not is_delete
        superseded = 0
        first = min(
            (o.due for o in self.of_line(line, D.PENDING) if o.due is not None and not o.attempts), default=None
        )
        if not each and not is_newest:
            one.state = D.SUPERSEDED
        elif ("record", line[0]) in self.holds or ("mapping", mapping) in self.holds:
            one.state = D.HELD
        self.deliveries[one.key] = one
        if is_newest:
            known = created and not revived
            self.lines[line] = (one.rank, one.event, said.type is EventType.CREATE or known)
            if not each:
                superseded = self.supersede(line, one, now, D.PENDING, D.HELD)
        if one.state is D.PENDING and len(self.of_line(line, D.PENDING, D.LEASED)) == 1:
            one.due = now + said.linger
            if not each and first is not None:
                one.due = min(one.due, first)
        elif superseded:
            self.unblock(line, now)
        return 1, superseded, int(revived)

    def _is_first(self, mapping: str, identity: str, now: Instant, came: bool) -> bool:
        known = (mapping, identity)
        first = known not in self.seen or (known in self.faded and came)
        if first:
            self.seen[known] = now
            self.faded.discard(known)
        return first

    # ── a line's moves ──────────────────────────────────────────────────────────────────────────────────────────────

    def supersede(self, line: Line, by: Delivery, now: Instant, *states: D) -> int:
        older = [one for one in self.of_line(line, *states) if one.place < by.place and not one.each and not one.exact]
        if any(one.forced or one.is_delete for one in older) and by.state in (D.PENDING, D.HELD):
            self.force(by)
        for one in older:
            one.state, one.due, one.changed = D.SUPERSEDED, None, now
        return len(older)

    def force(self, one: Delivery) -> None:
        """It goes whole, in the place of one that was to; a delete has nothing to compare."""
        one.forced |= not one.is_delete
        if not one.is_delete and one.state in (D.PENDING, D.HELD):
            self.decide_anew(one.record)

    def decide_anew(self, record: str) -> None:
        """What was decided about the record before does not hold any more."""
        for key in [key for key in self.links if key[2] == record]:
            self.touch(key)

    def unblock(self, line: Line, now: Instant) -> None:
        """The line's next one is due when nothing else of it is."""
        waiting = self.of_line(line, D.PENDING)
        if waiting and not self.of_line(line, D.LEASED) and all(one.due is None for one in waiting):
            waiting[0].due = now

    def renew(self, line: Line, now: Instant, priority: Priority = Priority.LIVE) -> Delivery | None:
        """The newest state goes again, forced."""
        one = self.deliveries.get((self.lines[line][1], line[1])) if line in self.lines else None
        if one is None or one.each:
            return None
        one.forced = True
        if one.state is D.LEASED:
            one.again = True
        elif one.state in (D.PENDING, D.HELD):
            self.decide_anew(one.record)
        else:
            self.anew(one, now, priority)
            self.unblock(line, now)
        return one

    def anew(self, one: Delivery, now: Instant, priority: Priority) -> None:
        one.state, one.due, one.changed, one.priority = D.PENDING, None, now, priority
        one.attempts, one.counted_ms, one.reason, one.forced = 0, 0, "", True

    def doubt(self, line: Line, now: Instant) -> None:
        for key, link in self.links.items():
            if key[2] == line[0]:
                if line[1] in link.accepted:
                    link.accepted[line[1]] = Accepted(known=False, hashes=link.accepted[line[1]].hashes)
                self.touch(key)
        self.renew(line, now)

    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def refusal(self, take: Take, one: Delivery | None, token: int, now: Instant) -> str:
        """Why a claim is not granted; empty: it is."""
        if one is None or one.state is not D.PENDING:
            return "not pending"
        if one.due is None:
            return "not its turn"
        link = (take.destination, take.object, one.record)
        if self.token(link) != token:
            return "the link has changed"
        if take.removes and self.sharers(link):
            return "shared"
        if self.of_line(one.line, D.LEASED):
            return "busy"
        for key in take.keys:
            lock = self.locks.get(key)
            if lock is not None and lock.holder is not None:
                return "busy"
            linked = link in self.links and self.links[link].crm_id is not None
            if lock is not None and not (lock.record == one.record and linked) and now < lock.until < now + HOUR:
                return "busy"
        return ""

    def grant(self, take: Take, one: Delivery, owner: int, now: Instant) -> None:
        for key in take.keys:
            until = self.locks[key].until if key in self.locks else 0
            self.locks[key] = Lock(one.key, one.record, take.lasts if key in take.lasting else 0, until)
        one.state, one.due, one.lease, one.lease_until, one.owner = D.LEASED, None, take.lease, take.lease_until, owner
        if take.removes:
            self.removed.setdefault(one.mapping, []).append((now, one.key))
        if take.during is not None:
            link = self.link((take.destination, take.object, one.record))
            if take.in_doubt_until is not None:
                link.doubt_at = take.in_doubt_until
                link.doubt_events = [*(event for event in link.doubt_events if event != one.event), one.event][-8:]
            link.accepted[one.mapping] = take.during

    def let_go(self, one: Delivery, now: Instant, *, lasting: bool) -> None:
        for lock in self.locks.values():
            if lock.holder == one.key:
                lock.holder = None
                if lasting and lock.lasts:
                    lock.until = now + lock.lasts
        self.locks = {key: lock for key, lock in self.locks.items() if lock.holder is not None or lock.until > now}

    def settle(self, said: Settlement, one: Delivery | None, token: int, now: Instant) -> Settled:
        if one is None:
            return Settled.LOST
        link = (said.destination, said.object, one.record)
        if said.lease is None:
            if one.state is not D.PENDING or (said.link_version is not None and self.token(link) != token):
                return Settled.LOST
        elif one.state is not D.LEASED or one.lease != said.lease:
            if said.wrote:
                late = self.link(link)  # what it did is in doubt again
                late.doubt_at = now
                late.doubt_events = [*(event for event in late.doubt_events if event != one.event), one.event][-8:]
                self.doubt(one.line, now)
                for other in self.sharers(link) if said.link is not None and said.link.forget else ():
                    shared = self.link((link[0], link[1], other))  # it may have lost the record that they share
                    shared.doubt_at = now
                    shared.doubt_events = [*(e for e in shared.doubt_events if e != one.event), one.event][-8:]
                    self.doubt((other, one.line[1]), now)
                if said.link is not None:
                    self._touched(link, one.mapping, said.link.touched or said.link.crm_id)
            return Settled.LOST
        self.let_go(one, now, lasting=said.may_show_late)
        again, result = one.again, Settled.DONE
        newer = [o for o in self.of_line(one.line, D.PENDING, D.HELD) if o.place > one.place]
        one.state, one.changed, one.reason = said.state, now, said.reason
        one.due = said.due_at if said.state is D.PENDING else None
        one.attempts += said.counted
        one.counted_ms += said.counted_ms
        if said.state is D.PENDING and not one.each and not one.exact and newer:
            one.state, one.due, result = D.SUPERSEDED, None, Settled.SUPERSEDED
            one.reason = "by the newer event"
            if one.forced or one.is_delete:
                self.force(newer[-1])
        one.lease, one.again = None, False
        if one.state is not D.PENDING:
            one.forced = one.exact = False
        if said.link is not None:
            for child in self._change(link, one.mapping, said.link):
                self.renew(child, now)
        for parent in said.parents:
            up = (said.destination, parent.object, str(parent.record))
            again |= up in self.links and self.links[up].crm_id not in (None, parent.tried)
            self.children.setdefault(up, {})[one.line] = parent.tried
        if said.state in (D.DELIVERED, D.UNCHANGED):
            self.supersede(one.line, one, now, D.DEAD, D.HELD)
        if again:
            self._again(one, newer, now)
        self.unblock(one.line, now)
        return result

    def _again(self, one: Delivery, newer: list[Delivery], now: Instant) -> None:
        """A doubt arose while it was leased: the newest state goes, forced."""
        if newer and not one.each and not one.exact:
            self.force(newer[-1])
        else:
            one.state, one.due, one.forced = D.PENDING, now, True

    def recover(self, now: Instant, elapsed: Millis, boot: str) -> int:
        ended = [
            one
            for one in self.deliveries.values()
            if one.state is D.LEASED and (boot != self.boot or one.owner in self.gone or one.lease_until < elapsed)
        ]
        for one in sorted(ended, key=lambda one: one.key):
            if boot != self.boot or one.owner in self.gone:
                for key, link in self.links.items():
                    if key[2] == one.record and link.doubt_at is not None:
                        link.doubt_at = min(link.doubt_at, now)
            newer = [o for o in self.of_line(one.line, D.PENDING, D.HELD) if o.place > one.place]
            gives_way = bool(newer) and not one.each and not one.exact
            if gives_way and (one.again or one.forced or one.is_delete):
                self.force(newer[-1])
            one.state, one.due = (D.SUPERSEDED, None) if gives_way else (D.PENDING, now)
            one.lease, one.again, one.changed = None, False, now
            one.reason = "by the newer event" if gives_way else "a deliverer stopped"
            self.let_go(one, now, lasting=True)
            self.unblock(one.line, now)
        self.boot = boot
        return len(ended)

    # ── links ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def touch(self, key: LinkKey) -> None:
        self.changes[key] = self.changes.get(key, 0) + 1

    def link(self, key: LinkKey) -> LinkState:
        """Return the link, to be changed."""
        self.touch(key)
        return self.links.setdefault(key, LinkState())

    def _change(self, key: LinkKey, mapping: str, change: LinkChange) -> list[Line]:
        if change.forget:
            self.links.pop(key, None)
            self.touch(key)
            for up, lines in self.children.items():
                if up[0] == key[0]:
                    self.children[up] = {line: tried for line, tried in lines.items() if line[0] != key[2]}
            return []
        link = self.link(key)
        if change.certain:
            link.doubt_at = None
        if change.resolved:
            link.doubt_events = []
        link.doubt_at = link.doubt_at if change.doubt_at is None else change.doubt_at
        if change.unlink:
            link.crm_id = None
            if change.doubt_at is None:
                link.accepted.clear()
            link.accepted = {name: Accepted(known=False, hashes=one.hashes) for name, one in link.accepted.items()}
        link.gone_at = link.gone_at if change.gone_at is None else change.gone_at
        children: list[Line] = []
        if change.crm_id is not None and change.crm_id != link.crm_id:
            link.crm_id, link.gone_at = change.crm_id, None
            children = sorted(line for line, tried in self.children.get(key, {}).items() if tried != change.crm_id)
        if change.accepted is not None:
            link.accepted[mapping] = change.accepted
        self._touched(key, mapping, change.touched)
        return children

    def _touched(self, by: LinkKey, mapping: str, crm_id: str | None) -> None:
        """It may have written into that CRM record: what the others have there by that mapping is unknown."""
        for key, link in self.links.items():
            if key[:2] == by[:2] and key != by and crm_id is not None and link.crm_id == crm_id:
                if mapping in link.accepted:
                    link.accepted[mapping] = Accepted(known=False, hashes=link.accepted[mapping].hashes)
                self.touch(key)

    def take_in(self, key: LinkKey, crm_id: str, now: Instant, *, replace: bool) -> tuple[str, str | None, int]:
        before = self.links[key].crm_id if key in self.links else None
        if before == crm_id:
            return "same", before, 0
        if before is not None and not replace:
            return "conflict", before, 0
        if key[2] in self.tombs:
            return "erased", before, 0
        if any(one.record == key[2] and one.state is D.LEASED for one in self.deliveries.values()):
            return "busy", before, 0
        children = self._change(key, "", LinkChange(unlink=True, crm_id=crm_id))
        self.links[key].doubt_events = []
        for child in children:
            self.renew(child, now)
        return "made" if before is None else "replaced", before, len(children)

    def forget_event(self, number: int) -> None:
        self.deliveries = {key: one for key, one in self.deliveries.items() if key[0] != number}
        del self.events[number]
