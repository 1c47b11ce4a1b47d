"""Everybody who acts: Copernica's users, operators of the connector, and colleagues in the CRM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.outbox.port import Filter, OutboxError, Pause
from tests.simulation.calls import Call, Subject
from tests.simulation.mappings import customers_name

if TYPE_CHECKING:
    from tests.simulation.world import World

NAMES = ("Anna", "Bea", "Cas", "Dik")
CITIES = ("", "Ede", "Goes", "Veere")


class Copernica:
    """The records as they are there, and the calls that tell of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.kernel.chance("copernica")
        weather = world.weather
        self.profiles = [Subject("profile", str(i + 1)) for i in range(weather.profiles)]
        self.subprofiles = [
            Subject("subprofile", str(100 + i), parent=str(self.chance.randint(1, weather.profiles)))
            for i in range(weather.subprofiles)
        ]
        self._nonce = 0

    def act(self) -> None:
        """One thing that happens at Copernica."""
        roll = self.chance.random()
        if roll < 0.03:
            self.world.kernel.fault("mass delete")
            for subject in self.profiles:
                if subject.alive:
                    self._delete(subject)
            return
        if roll < 0.2:
            self._click()
            return
        subject = self.chance.choice([*self.profiles, *self.profiles, *self.subprofiles])
        if subject.alive and self.chance.random() < 0.15:
            self._delete(subject)
            return
        for _ in range(self.chance.choice((1, 1, 1, 2, 5))):
            self._change(subject)

    def _change(self, subject: Subject) -> None:
        kind = "update" if subject.alive else "create"
        if not subject.ever and self.chance.random() < 0.15:
            kind = "update"  # it was there before we came
        chance = self.chance
        if subject.kind == "profile":
            if not subject.fields or chance.random() < 0.1:
                subject.fields["email"] = self._address(subject)
            if not subject.fields.get("name") or chance.random() < 0.6:
                subject.fields["name"] = chance.choice(NAMES)
            for name, values in (("city", CITIES), ("phone", ("", "1", "2")), ("opt", ("yes", "no"))):
                if name not in subject.fields or chance.random() < 0.25:
                    subject.fields[name] = chance.choice(values)
        else:
            if not subject.fields or chance.random() < 0.1:
                subject.fields["code"] = f"d{subject.id}{chance.choice(('', 'b'))}"
            subject.fields["title"] = chance.choice(NAMES)
        subject.alive = subject.ever = True
        self._tell(subject, kind)

    def _address(self, subject: Subject) -> str:
        if self.world.weather.shared and subject.id in ("1", "2") and self.chance.random() < 0.7:
            return "shared@x.nl"
        if self.chance.random() < 0.04:
            return ""
        return f"p{subject.id}{self.chance.choice(('', '', 'b'))}@x.nl"

    def _delete(self, subject: Subject) -> None:
        subject.alive = False
        self._tell(subject, "delete")

    def _tell(self, subject: Subject, kind: str) -> None:
        fields = dict(subject.fields) if kind != "delete" or self.chance.random() < 0.3 else None
        self._send(Call(kind, subject.kind, subject.id, self._second(), self._new(), fields, subject.parent))

    def _click(self) -> None:
        subject = self.chance.choice(self.profiles)
        address = subject.fields.get("email") or f"p{subject.id}@x.nl"
        message = f"m{self.chance.randint(1, 9)}"
        self._send(Call("click", "recipient", address, self._second(), self._new(), message=message))

    def _second(self) -> int:
        return self.world.kernel.clock.true // 1000

    def _new(self) -> str:
        self._nonce += 1
        return f"{self.world.kernel.seed}/{self._nonce}"

    def _send(self, call: Call) -> None:
        """By the network: late at times, twice at times, by two webhooks at times."""
        chance, kernel = self.chance, self.world.kernel
        delay = chance.randint(10, 400)
        if chance.random() < 0.1:
            delay = chance.randint(1_000, 120_000)
            kernel.fault("reordered", f"{call.type} {call.record} by {delay / 1000} s")
        kernel.after(delay, lambda: self.world.receive(call))
        if chance.random() < 0.08:
            kernel.fault("duplicate", f"{call.type} {call.record}")
            kernel.after(delay + chance.randint(0, 60_000), lambda: self.world.receive(call))
        if chance.random() < 0.05:
            twin = Call(call.type, call.kind, call.id, call.second, self._new(), call.fields, call.parent, call.message)
            kernel.fault("two webhooks", f"{call.type} {call.record}")
            kernel.after(delay + chance.randint(0, 5_000), lambda: self.world.receive(twin))


class Operator:
    """Commands at any moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.kernel.chance("operator")

    def act(self) -> None:
        chance, world = self.chance, self.world
        what = chance.choice(
            ("replay", "replay", "exact", "again", "hold", "hold", "release", "discard", "pause", "resume")
        )
        wanted = self._wanted(what)
        now = world.kernel.clock.now()
        desk = world.desk
        with world.acting("operator"):
            try:
                if what == "replay":
                    done = desk.replay(wanted, now, exact=False, again=False, dry_run=False)
                elif what in ("exact", "again"):
                    wanted = Filter(ids=(chance.choice(sorted(world.events)),)) if world.events else Filter(ids=(0,))
                    done = desk.replay(wanted, now, exact=what == "exact", again=what == "again", dry_run=False)
                    world.watch.on_replayed(done.ids, what)
                elif what == "hold":
                    done = desk.hold(wanted, now, dry_run=False)
                elif what == "release":
                    done = desk.release(wanted if chance.random() < 0.5 else Filter(), now, dry_run=False)
                elif what == "discard":
                    done = desk.discard(wanted, now, dry_run=False)
                elif what == "pause":
                    subject = chance.choice(("crm", customers_name(world.stage)))
                    desk.pause(Pause(subject, "operator", "maintenance", now))
                    done = None
                else:
                    for subject in sorted(world.db_pauses()):
                        desk.resume(subject)
                    done = None
            except OutboxError as error:
                world.kernel.note(f"operator: {what} refused: {error}")
                return
        world.kernel.fault(f"operator: {what}", f"{wanted if done else ''} {done or ''}")
        world.poke()

    def _wanted(self, what: str) -> Filter:
        chance, world = self.chance, self.world
        records = sorted({call.record for call in world.events.values()}) or ["profile/1/1"]
        record = chance.choice([r for r in records if not r.startswith("recipient")] or ["profile/1/1"])
        if what == "discard" and world.has_dead():
            return Filter(states=("dead",))  # the usual reason to throw something away
        if what in ("hold", "release") and chance.random() < 0.3:
            return Filter(mapping=customers_name(world.stage))
        if chance.random() < 0.3 and world.events:
            return Filter(ids=(chance.choice(sorted(world.events)),))
        if what in ("replay", "discard") and chance.random() < 0.5:
            return Filter(states=("dead",) if what == "replay" or chance.random() < 0.5 else ("held",))
        return Filter(record=record)


class Colleagues:
    """They work in the CRM, and know of nothing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.kernel.chance("colleagues")

    def before(self) -> None:
        """What was in the CRM before we came."""
        for i in range(1, self.world.weather.profiles + 1):
            if self.chance.random() < 0.15:
                fields = {"email": f"p{i}@x.nl", "firstname": "Old", "city": self.chance.choice(("Veere", "Zierikzee"))}
                self.world.store.create("contacts", fields, -(10**9), "person")

    def act(self) -> None:
        world, chance = self.world, self.chance
        now = world.kernel.clock.true
        roll = chance.random()
        obj = chance.choice(("contacts", "contacts", "contacts", "deals", "letters"))
        rows = world.store.live(obj)
        if roll < 0.1:
            email = f"p{chance.randint(1, world.weather.profiles)}@x.nl"
            row = world.store.create("contacts", {"email": email, "note": "by hand"}, now, "person")
            world.kernel.fault("a person creates", f"contacts {row.id} {email}")
        elif rows and roll < 0.3:
            row = chance.choice(rows)
            world.store.delete(row, now, "person")
            world.kernel.fault("a person deletes", f"{obj} {row.id}")
            world.watch.on_person_deletes(obj, row)
        elif rows:
            row = chance.choice(rows)
            name = {"contacts": chance.choice(("city", "note", "phone", "firstname")), "deals": "title"}.get(
                obj, "note"
            )
            world.store.put(row, {name: f"edit{chance.randint(1, 99)}"}, now, "person")
            world.kernel.fault("a person edits", f"{obj} {row.id} {name}")
