"""What the CRM should have, told from the calls that were answered 2xx alone, by a mapping of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.domain.delivery import DeliveryState
from tests.simulation.calls import Call
from tests.simulation.crm import Row
from tests.simulation.kernel import DivergenceError
from tests.simulation.mappings import STAGES, customers_name

if TYPE_CHECKING:
    from tests.simulation.world import World

SHARED = {"1", "2"}
"""The profiles that may have one e-mail address between them."""

_FINE = (DeliveryState.DELIVERED, DeliveryState.UNCHANGED)
_OWN = {"contacts": "pid", "deals": "sid", "letters": "lid"}


def wanted(obj: str, call: Call) -> dict[str, Any] | None:
    """What the CRM's record should say after that call; None: it should not be there."""
    fields = call.fields or {}
    if call.kind == "recipient":
        return {"clicked": call.message}
    if call.type == "delete":
        return None
    if obj == "deals":
        return {"sid": call.id, "code": fields["code"], "title": fields["title"]}
    if obj == "letters":
        return {"lid": call.id, "address": fields["email"]} if fields["opt"] == "yes" else None
    return {
        "pid": call.id,
        "email": fields["email"],
        "firstname": fields["name"],
        "city": fields["city"],
        "phone": fields["phone"],
    }


class Model:
    """Compares, once everything has come to rest."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.newest: dict[str, tuple[int, int]] = {}
        for event, call in world.events.items():
            if call.kind != "recipient":
                self.newest[call.record] = max(self.newest.get(call.record, (0, 0)), (call.rank, event))

    def check(self) -> None:
        self._nothing_lost()
        for record in sorted(self.newest):
            event = self.newest[record][1]
            call = self.world.events[event]
            if call.kind == "profile":
                self._compare(customers_name(self.world.stage), "contacts", event, call)
                if self.world.stage in (2, 3):
                    self._compare("letters", "letters", event, call)
            else:
                self._compare("deals", "deals", event, call)
        for event, call in self.world.events.items():
            if call.kind == "recipient":
                self._click(event)

    def _state(self, event: int, mapping: str) -> tuple[DeliveryState, str] | None:
        row = self.world.db.conn.execute(
            "SELECT d.state, coalesce(d.reason, '') FROM deliveries d JOIN names n ON n.id = d.mapping"
            " WHERE d.event = ? AND n.name = ?",
            (event, mapping),
        ).fetchone()
        return None if row is None else (DeliveryState(row[0]), row[1])

    def _nothing_lost(self) -> None:
        world = self.world
        kept = {row[0] for row in world.db.conn.execute("SELECT id FROM events")}
        lost = sorted(set(world.events) - kept)
        if lost and world.weather.keep is None:
            raise DivergenceError(f"lost: events {lost} were answered 2xx, and are not there")
        states = "SELECT e.id FROM events e WHERE e.state = 0"
        if new := world.db.conn.execute(states).fetchall():
            raise DivergenceError(f"lost: events {new} were never looked at")
        names = [*world.mappings_in_force()]
        marks = ",".join("?" * len(names))
        stuck = world.db.conn.execute(
            "SELECT d.event, n.name, d.state, d.due_at, d.reason FROM deliveries d JOIN names n ON n.id = d.mapping"
            f" WHERE d.state IN (0, 1, 7) AND n.name IN ({marks})",
            names,
        ).fetchall()
        if stuck:
            now = world.kernel.clock.now()
            raise DivergenceError(
                f"stuck: (event, mapping, state, due, reason) {stuck}, it is {now}, pauses: {world.db_pauses()}"
            )
        if locks := world.db.conn.execute("SELECT delivery FROM locks WHERE delivery IS NOT NULL").fetchall():
            raise DivergenceError(f"locks are left: {locks}")

    def _compare(self, mapping: str, obj: str, event: int, call: Call) -> None:
        state = self._state(event, mapping)
        record = call.record
        place = f"{mapping}: event {event}, the newest of {record}"
        if state is None or record in self.world.watch.exact:
            return  # routed before this mapping was there, or pruned; or taken back by --exact
        self.world.kernel.counts[f"compared {state[0].word}"] += 1
        want = wanted(obj, call)
        match state:
            case (DeliveryState.DISCARDED, _):
                return
            case (DeliveryState.DEAD, reason) if "more than one" in reason:
                return
            case (DeliveryState.SKIPPED, reason):
                self._skipped(place, obj, call, want, reason)
            case (DeliveryState.DELIVERED | DeliveryState.UNCHANGED, _):
                self._delivered(place, mapping, obj, call, want, event)
            case (other, reason):
                raise DivergenceError(f"{place} ends as {other.word} ({reason})")

    def _skipped(self, place: str, obj: str, call: Call, want: dict[str, Any] | None, reason: str) -> None:
        watch = self.world.watch
        by_person = (obj, call.record) in watch.deleted_by_person
        if "person deleted" in reason or "no longer there" in reason:
            if not by_person and not (call.id in SHARED and obj == "contacts"):
                raise DivergenceError(f"{place} is skipped ({reason}), and nobody deleted anything")
        elif want is None:
            if own := self._own(obj, call):
                shares = call.id in SHARED and obj == "contacts"
                made = [row for row in own if row.maker == call.record and not row.late]
                if made and not shares and not by_person:
                    raise DivergenceError(f"{place} is skipped ({reason}), and its {obj} {[r.id for r in own]} stays")
        elif "email" in want and want["email"] == "":
            pass  # nothing to recognise it by
        else:
            raise DivergenceError(f"{place} is skipped: {reason}")

    def _own(self, obj: str, call: Call) -> list[Row]:
        """The CRM's records of that Copernica record. One more that was made too late is nobody's to know of (S21)."""
        own = [row for row in self.world.store.live(obj) if row.fields.get(_OWN[obj]) == call.id]
        return [row for row in own if not row.late]

    def _delivered(
        self, place: str, mapping: str, obj: str, call: Call, want: dict[str, Any] | None, event: int
    ) -> None:
        own = self._own(obj, call)
        shares = obj == "contacts" and call.id in SHARED and self.world.weather.shared
        by_person = (obj, call.record) in self.world.watch.deleted_by_person
        if want is None:
            if [row for row in own if not row.late] and not shares:
                raise DivergenceError(f"{place} is a delete, and {obj} {[row.id for row in own]} stays")
            return
        if shares:
            self._shared(place, call, by_person=by_person)
            return
        if len(own) > 1:
            raise DivergenceError(f"{place}: {len(own)} {obj} in the CRM: {[row.id for row in own]}")
        if not own:
            if (obj, call.record) in self.world.watch.erased_late:
                # Its deliverer was stopped between the gate and the request, and died before it heard the answer (S21).
                self.world.kernel.counts["a delete that came too late, and nobody knows"] += 1
            elif not by_person:
                raise DivergenceError(f"{place} is delivered, and not in the CRM")
            return
        row = own[0]
        for name, value in want.items():
            found = row.fields.get(name, "")
            if found == value:
                continue
            if name in row.unheard:
                # Its deliverer was stopped between the gate and the request, and died before it heard the answer (S21).
                self.world.kernel.counts["an update that came too late, and nobody knows"] += 1
                continue
            if row.writers.get(name) == "person" and (row.ours.get(name) or "") == value:
                continue  # a colleague's edit, later than ours, and nothing changed at Copernica since
            if name == "phone" and event <= self.world.last_event_before.get(1, 10**9):
                continue  # the field was added to the mapping later
            if value == "" and row.came_late:
                continue  # one that nobody knew of was found, and what it said counts as filled by others (S17)
            if value == "" and mapping == "clients":
                continue  # what the mapping filled under its old name counts as filled by others (S9, S17)
            raise DivergenceError(f"{place}: {obj} {row.id} has {name} = {found!r}, and should have {value!r}")
        if obj == "deals":
            self._associated(place, call, row)

    def _shared(self, place: str, call: Call, *, by_person: bool) -> None:
        """Two profiles on one contact: who came last in each field may win, but somebody alive must."""
        world = self.world
        crm_id = world.watch.links.get(("contacts", call.record))
        row = None if crm_id is None else world.store.get("contacts", crm_id)
        if row is None:
            if not by_person:
                raise DivergenceError(f"{place} is delivered, and its contact {crm_id} is gone")
            return
        others = [
            world.events[self.newest[f"profile/1/{i}"][1]] for i in sorted(SHARED) if f"profile/1/{i}" in self.newest
        ]
        for name in ("firstname", "pid"):
            alive = [w[name] for one in others if (w := wanted("contacts", one)) is not None]
            is_ours = row.writers.get(name) != "person" and name not in row.unheard
            if row.fields.get(name) not in alive and is_ours and not self._is_excused(others):
                raise DivergenceError(
                    f"{place}: shared contact {row.id} has {name} = {row.fields.get(name)!r}, not of {alive}"
                )

    def _is_excused(self, calls: list[Call]) -> bool:
        mapping = customers_name(self.world.stage)
        for one in calls:
            state = self._state(self.newest[one.record][1], mapping)
            if state is None or state[0] not in _FINE or one.record in self.world.watch.exact:
                return True
        return False

    def _associated(self, place: str, call: Call, row: Row) -> None:
        parent = f"profile/1/{call.parent}"
        contact = self.world.watch.links.get(("contacts", parent))
        if call.parent in SHARED or contact is None or parent not in self.newest:
            return
        state = self._state(self.newest[parent][1], customers_name(self.world.stage))
        there = self.world.store.get("contacts", contact)
        if state is None or state[0] not in _FINE or there is None or there.late:
            return
        if contact not in row.links:
            raise DivergenceError(f"{place}: deal {row.id} is not linked with contact {contact} of {parent}")

    def _click(self, event: int) -> None:
        state = self._state(event, "clicks")
        if state is None:
            return  # the same happening came before, by another webhook
        if state[0] is DeliveryState.SUPERSEDED:
            raise DivergenceError(f"S2: click {event} was superseded")
        if state[0] is DeliveryState.DELIVERED and self.world.watch.each[self.world.events[event].happening] == 0:
            raise DivergenceError(f"click {event} counts as delivered, and never reached the CRM")


assert len(STAGES) == 5
