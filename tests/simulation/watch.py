"""What must hold at every moment. It sees what leaves the house and what the CRM commits, and knows the calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from connector.deliver.work import Job
from connector.domain.delivery import DeliveryState
from connector.outbox.port import Settled, Settlement
from connector.outbox.sqlite.owner import OWNER_SHIFT
from tests.simulation.calls import Call
from tests.simulation.crm import Request, Row
from tests.simulation.kernel import T0, DivergenceError
from tests.simulation.model import SHARED, wanted

if TYPE_CHECKING:
    from tests.simulation.world import World

_REQUESTS_AT_MOST = 150  # for one delivery: probes of an outage rotate, but one record may be alone
_FREE = ("throttled", "unauthorised", "not-sent")
_NOT_FINE = ("retry", "ambiguous", "unreachable", *_FREE)
_PROVEN_FOR = 5 * 60_000
_GUARD_LIMIT = 3


class Watch:
    """Raises DivergenceError where a promise is broken."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.newest: dict[tuple[str, str], tuple[int, int]] = {}
        self.certain: dict[tuple[str, str], tuple[str, dict[str, Any] | None]] = {}  # mapping's version, fields
        self.each: Counter[tuple[str, ...]] = Counter()  # a click's identity: how often it was counted
        self.each_allowed: Counter[tuple[str, ...]] = Counter()  # how often more it may have been, by its doubts
        self.filled: set[tuple[str, str, str]] = set()  # object, record, field: a value may have left for it
        self.requests: Counter[int] = Counter()
        self.removals: list[tuple[int, str, int]] = []
        self.links: dict[tuple[str, str], str] = {}
        self.had: dict[tuple[str, str], set[str]] = {}
        self.deleted_by_person: set[tuple[str, str]] = set()
        self.exact: set[str] = set()
        self.erased_late: dict[tuple[str, str], int] = {}  # by which event, while nobody has heard its answer
        self.fine_at: int | None = None
        self.jumped_at = -1

    def diverge(self, what: str) -> None:
        raise DivergenceError(what)

    def call(self, event: int) -> Call:
        if event not in self.world.events:
            self.diverge(f"event {event} is sent, and nobody ever sent it to us")
        return self.world.events[event]

    def doubt(self, event: int) -> None:
        """An event may have reached the CRM, and nobody can know: it may be sent once more."""
        self.each_allowed[self.call(event).happening] += 1

    # ── what leaves ──

    def on_leased(self, job: Job) -> None:
        """From here on what the attempts hold may have reached the CRM, as far as the product can know."""
        for leased in job.leased:
            self._may_fill(job.object, leased.attempt.due.call.event_id)

    def _may_fill(self, obj: str, event: int) -> None:
        call = self.call(event)
        for name, value in (wanted(obj, call) or {}).items():
            if value:
                self.filled.add((obj, call.record, name))

    def at_gate(self, request: Request) -> None:
        """The gate has just let a request pass."""
        leased = request.leased
        due = leased.attempt.due
        call = self.call(due.call.event_id)
        row = self.world.db.conn.execute(
            "SELECT state, lease FROM deliveries WHERE id = ?", (due.delivery_id,)
        ).fetchone()
        if row is None or row[0] != DeliveryState.LEASED or row[1] != leased.lease:
            self.diverge(f"S21: {request.kind} for event {call.record} leaves without its lease: {row}")
        self.requests[due.delivery_id] += 1
        if self.requests[due.delivery_id] > _REQUESTS_AT_MOST:
            self.diverge(f"delivery {due.delivery_id} of {call.record}: more than {_REQUESTS_AT_MOST} requests")
        key = (due.mapping, call.record)
        write = leased.attempt.write
        is_needless = (
            request.kind == "update"
            and write.crm_id is not None
            and not due.forced
            and not write.associations
            and self.certain.get(key) == (leased.attempt.mapping.version, wanted(due.object, call))
            and due.mapping != "clicks"
        )
        if is_needless:
            self.diverge(f"S9: event {due.call.event_id} of {call.record} is sent, and brings nothing new")
        if request.writes:
            self.certain.pop(key, None)
        if request.kind == "erase" and not due.released:
            self._guard(due.mapping, due.delivery_id)

    def _guard(self, mapping: str, delivery: int) -> None:
        now = self.world.kernel.clock.now()
        self.removals.append((now, mapping, delivery))
        if mapping not in ("customers", "clients") or not self.world.weather.strict_guard:
            return
        recent = {d for at, m, d in self.removals if m == mapping and abs(now - at) < 59 * 60_000}
        if len(recent) > _GUARD_LIMIT:
            self.diverge(f"S20: {len(recent)} removals within the hour pass the guard of {mapping}")

    # ── what the CRM commits ──

    def on_commit(self, request: Request, row: Row | None, *, late: bool) -> None:
        """The CRM is about to do this. `late`: it left after a stop, when its lease had ended (S21)."""
        due = request.leased.attempt.due
        event = due.call.event_id
        call = self.call(event)
        self.world.kernel.counts[f"commit {request.kind}"] += 1
        if due.mapping == "clicks":
            self._each(event, call)
            return
        self._order(request, event, call, late=late)
        self._content(request, call, row)
        if request.kind == "create" and not late:
            self._double(request, call)
        if request.kind == "erase" and late:
            self.erased_late[request.object, call.record] = event

    def _each(self, event: int, call: Call) -> None:
        same = call.happening
        self.each[same] += 1
        if self.each[same] > 1 + self.each_allowed[same]:
            self.diverge(f"S2: click {event} of {call.record} is counted {self.each[same]} times, nothing was in doubt")

    def _order(self, request: Request, event: int, call: Call, *, late: bool) -> None:
        key = (request.leased.attempt.due.mapping, call.record)
        place = (call.rank, event)
        newest = self.newest.get(key)
        if newest is not None and place < newest and not late and call.record not in self.exact:
            self.diverge(
                f"S3: {request.kind} of event {event} reaches the CRM after event {newest[1]} of {call.record}"
            )
        if newest is None or place > newest:
            self.newest[key] = place

    def _content(self, request: Request, call: Call, row: Row | None) -> None:
        obj = request.object
        want = wanted(obj, call)
        if request.kind == "erase":
            if want is not None:
                self.diverge(f"{obj} of {call.record} is erased for an event that is no delete")
            return
        if request.kind == "associate":
            return
        if want is None:
            self.diverge(f"{obj} of {call.record} is written for a delete")
            return
        for name, value in request.fields.items():
            if (value if value is not None else "") != want.get(name):
                self.diverge(f"{obj}.{name} of {call.record} is sent as {value!r}, and is {want.get(name)!r}")
            if value is None and (obj, call.record, name) not in self.filled:
                self.diverge(f"S17: {obj}.{name} is wiped for {call.record}, which never filled it")
        owner = None if row is None else row.fields.get({"contacts": "pid", "deals": "sid", "letters": "lid"}[obj])
        if owner is not None and owner != call.id and not {owner, call.id} <= SHARED:
            self.diverge(f"S11: {call.record} is written into the {obj} of {owner}")

    def _double(self, request: Request, call: Call) -> None:
        obj = request.object
        for row in self.world.store.live(obj):
            if row.maker == "person" or row.late:
                continue
            if row.maker == call.record and call.id not in SHARED:
                self.diverge(f"S22: a second {obj} is created for {call.record}: {row.id} is there")
            email = request.fields.get("email")
            if email and row.fields.get("email") == email and row.writers["email"] == "us":
                self.diverge(
                    f"S11: a second {obj} is created with one e-mail address: {row.id} ({row.maker}), {call.record}"
                )

    def committed(self, request: Request, crm_id: str) -> None:
        """The CRM has done it."""
        call = self.call(request.leased.attempt.due.call.event_id)
        if request.leased.attempt.due.mapping == "clicks":
            return
        place = (request.object, call.record)
        if request.kind == "erase":
            self.links.pop(place, None)
        else:
            self.links[place] = crm_id
            self.had.setdefault(place, set()).add(crm_id)

    # ── what is settled ──

    def on_settled(self, settlement: Settlement, fate: Settled, now: int) -> None:
        """`now` is when the engine weighed it: it may have been stopped since."""
        kind = settlement.outcome or "none"
        self.world.kernel.counts[f"outcome {kind}{'' if fate is Settled.DONE else ' (' + fate.value + ')'}"] += 1
        row = self.world.db.conn.execute(
            "SELECT d.event, n.name FROM deliveries d JOIN names n ON n.id = d.mapping WHERE d.id = ?",
            (settlement.delivery_id,),
        ).fetchone()
        if row is None:
            return
        event, mapping = row
        call = self.call(event)
        key = (mapping, call.record)
        if settlement.counted and kind in _FREE:
            self.diverge(f"S23: {kind} costs {call.record} an attempt")
        clock = self.world.kernel.clock
        weighed_at = min(clock.true, now - T0 - clock.offset)
        proven = self.fine_at is not None and weighed_at - self.fine_at <= _PROVEN_FOR
        if settlement.counted and not proven and self.jumped_at < (self.fine_at or 0):
            self.diverge(f"S23: {kind} costs {call.record} an attempt while nothing shows that the CRM works")
        if fate is not Settled.DONE or kind in ("ambiguous", "retry"):
            self.doubt(event)
        if settlement.wrote and self.erased_late.get((settlement.object, call.record)) == event:
            del self.erased_late[settlement.object, call.record]
        if settlement.wrote:
            self._heard(settlement)
            self._may_have_written(settlement, fate, key)
        named = settlement.link.crm_id if settlement.link is not None and fate is Settled.DONE else None
        found = None if named is None else self.world.store.get(settlement.object, named)
        if found is not None and found.maker == call.record:
            found.late = False  # made after its lease, but an answer that counted named it: it is known from now on
        if fate is Settled.DONE and settlement.state is DeliveryState.DELIVERED:
            self.certain[key] = (settlement.version, wanted(settlement.object, call))
        else:
            self.certain.pop(key, None)

    def _heard(self, settlement: Settlement) -> None:
        """What it wrote is known of, late or not: from now on it has to be mended."""
        for row in self.world.store.rows[settlement.object].values():
            row.unheard = {name: lease for name, lease in row.unheard.items() if lease != settlement.lease}

    def _may_have_written(self, settlement: Settlement, fate: Settled, by: tuple[str, str]) -> None:
        """What others have by that mapping in a record that this was not linked to is not certain any more (S8)."""
        link = settlement.link
        into = None if link is None else link.touched or (link.crm_id if fate is Settled.LOST else None)
        for mapping, record in list(self.certain) if into is not None else ():
            if mapping == by[0] and record != by[1] and self.links.get((settlement.object, record)) == into:
                del self.certain[mapping, record]

    def after_settle(self, settlements: Sequence[Settlement]) -> None:
        if any(one.outcome is not None and one.outcome not in _NOT_FINE for one in settlements):
            self.fine_at = self.world.kernel.clock.true

    def on_ended(self, mapping: str, record: str, event: int) -> None:
        """A lease ended without an answer: what it was for may have been sent, and nobody knows."""
        self.certain.pop((mapping, record), None)
        self.doubt(event)
        if mapping != "clicks":
            self._may_fill({"deals": "deals", "letters": "letters"}.get(mapping, "contacts"), event)

    def on_death(self, owner: int, *jobs: Sequence[Job]) -> None:
        """Whoever dies may have sent, and may have had answers: what it had under way is in doubt."""
        rows = self.world.db.conn.execute(
            "SELECT n.name, r.key, d.event FROM deliveries d JOIN names n ON n.id = d.mapping JOIN records r ON r.id = d.record"
            f" WHERE d.state = 1 AND d.lease >> {OWNER_SHIFT} = ?",
            (owner,),
        )
        for mapping, record, event in rows:
            self.on_ended(mapping, record, event)
        for job in (job for some in jobs for job in some):
            for leased in job.leased:
                self.doubt(leased.attempt.due.call.event_id)

    # ── what people do ──

    def on_replayed(self, events: Sequence[int], what: str) -> None:
        for event in events:
            if event in self.world.events:
                self.doubt(event)
            if what == "exact" and event in self.world.events:
                self.exact.add(self.world.events[event].record)

    def on_person_deletes(self, obj: str, row: Row) -> None:
        self.deleted_by_person |= {place for place, ids in self.had.items() if place[0] == obj and row.id in ids}
        if row.maker != "person":
            self.deleted_by_person.add((obj, row.maker))
