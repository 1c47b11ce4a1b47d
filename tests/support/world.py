"""A whole deliverer in one process: the real engine over the real outbox, a small CRM, and a clock that only tests move."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from connector.crm.port import Limits, PlannedRequest, Write
from connector.deliver.destination import Destination, Mode
from connector.deliver.engine import Engine
from connector.deliver.work import Finished, Job, JobGate, perform
from connector.domain.change import Change, Defect, MatchKey, Parent, Skip, Verb, WhenGone
from connector.domain.decode import decode
from connector.domain.event import Event, EventType, NotUnderstood
from connector.domain.outcome import Outcome, OutcomeKind
from connector.domain.record import Record, RecordKind
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.retry import Schedule
from connector.domain.source import Source
from connector.mapping.port import Deliver
from connector.mapping.port import Write as WritePolicy
from connector.outbox.port import Filter, NewCall, StoredCall
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.outbox.sqlite.queue import SqliteQueue

T0 = 1_800_000_000_000
SOURCE = Source(name="shop", path="/shop", host="hooks.example.com", account=1234)


class TestClock:
    """Time of day and the other clock, moved together unless the time of day is set."""

    __test__ = False

    def __init__(self) -> None:
        self.time = T0
        self.since_boot = 1_000_000

    def now(self) -> int:
        return self.time

    def elapsed(self) -> int:
        return self.since_boot

    def pass_(self, milliseconds: int) -> None:
        self.time += milliseconds
        self.since_boot += milliseconds

    def sleep(self, milliseconds: int) -> None:
        self.pass_(milliseconds)


@dataclass
class SimpleMapping:
    """A mapping written in Python: e-mail, name and city of a profile to a contact."""

    name: str = "customers"
    version: str = "v1"
    destination: str = "crm"
    object: str = "contacts"
    deliver: Deliver = Deliver.STATE
    write: WritePolicy = WritePolicy.CHANGED
    linger: int = 0
    guard: tuple[int, float] = (50, 0.01)
    database: str | None = "1"
    collection: str | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: {"email": "email", "firstname": "name", "city": "city"})
    match: str | None = "email"
    on_delete: Verb | None = Verb.ERASE
    when: Callable[[Event], bool] = lambda _: True
    types: frozenset[EventType] = frozenset({EventType.CREATE, EventType.UPDATE, EventType.DELETE})
    verb: Verb = Verb.UPSERT
    parent: tuple[str, str, str] | None = None  # relation, mapping, object
    create_only: Mapping[str, Any] = field(default_factory=dict)
    when_gone: WhenGone = WhenGone.STOP

    def takes(self, event: Event, source: str) -> bool:
        del source
        if event.type not in self.types:
            return False
        if event.type.is_email:
            return True
        return (
            (event.record.scope == self.collection)
            if self.collection
            else (event.record.kind is RecordKind.PROFILE and event.record.scope == self.database)
        )

    def translate(self, event: Event, *, linked: bool, last: Event | None) -> Change | Skip | Defect:
        if event.type is EventType.DELETE:
            if self.on_delete is None:
                return Skip("on_delete: ignore")
            match = () if linked or last is None else self._match(last)
            if not linked and not match:
                return Skip("deleted, and nothing to recognise it by")
            return Change(
                destination=self.destination, object=self.object, record=event.record, verb=self.on_delete, match=match
            )
        if not self.when(event):
            return Skip("when is false")
        given = event.fields or {}
        fields = {to: given[at] for to, at in self.fields.items() if given.get(at)}
        clears = frozenset(to for to, at in self.fields.items() if given.get(at) == "")
        parents = ()
        if self.parent is not None and event.profile is not None:
            relation, mapping, object_name = self.parent
            owner = Record(RecordKind.PROFILE, self.database or "1", event.profile)
            parents = (Parent(relation, mapping, object_name, owner),)
        match = self._match(event)
        return Change(
            destination=self.destination,
            object=self.object,
            record=event.record,
            verb=self.verb,
            match=match,
            unmatchable="" if match else "no e-mail address",
            fields=fields,
            clears=clears,
            create_fields=self.create_only,
            parents=parents,
            when_gone=self.when_gone,
        )

    def _match(self, event: Event) -> tuple[MatchKey, ...]:
        if self.match is None:
            return ()
        value = (event.fields or {}).get(self.match) or ""
        if event.type.is_email:
            value = event.record.id
        return (MatchKey(self.match, value),) if value else ()


@dataclass
class SimpleSet:
    mappings: dict[str, SimpleMapping]

    def taking(self, event: Event, source: str) -> Sequence[SimpleMapping]:
        return [m for _, m in sorted(self.mappings.items()) if m.takes(event, source)]


Fault = Callable[["SmallCrm", Write], Outcome | None]


class SmallCrm:
    """The port's contract in memory: find, create, update, remove; unique e-mail unless switched off."""

    def __init__(self, *, batch: int = 1, lag: int = 0) -> None:
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self.associations: set[tuple[str, str, str, str]] = set()
        self.journal: list[tuple[str, str, str, dict[str, Any]]] = []
        self.ids = itertools.count(1)
        self.faults: list[Fault] = []
        self.limits = Limits()
        self.longest_send = 30_000
        self.batch = batch
        self.lag = lag
        self.calls = 0

    def batch_limit(self, object_name: str, verb: Verb) -> int:
        return self.batch

    def batch_of(self, write: Write) -> str | None:
        return "all" if self.batch > 1 else None

    def visible_after(self, object_name: str) -> int:
        return self.lag

    def plan(self, write: Write) -> Sequence[PlannedRequest]:
        return []

    def examine(self, objects: Sequence[str]) -> Sequence[Any]:
        return []

    def close(self) -> None:
        pass

    def send(self, writes: Sequence[Write], gate: Any) -> Sequence[Outcome]:
        return [self._send(write, gate) for write in writes]

    def _send(self, write: Write, gate: Any) -> Outcome:
        if not gate.may_send(1):
            return Outcome(kind=OutcomeKind.NOT_SENT)
        self.calls += 1
        if self.faults:
            outcome = self.faults.pop(0)(self, write)
            if outcome is not None:
                return outcome
        return self.do(write)

    def table(self, name: str) -> dict[str, dict[str, Any]]:
        return self.records.setdefault(name, {})

    def do(self, write: Write) -> Outcome:
        table = self.table(write.object)
        crm_id = write.crm_id
        if crm_id is not None and crm_id not in table:
            if write.verb.removes and write.created_maybe_match:
                return Outcome(kind=OutcomeKind.RETRY, unlinked=True, wrote=True, reason="it may have been made anew")
            if write.verb.removes:
                return Outcome(kind=OutcomeKind.ERASED)
            if write.when_gone is WhenGone.STOP:
                return Outcome(kind=OutcomeKind.GONE, unlinked=True)
            crm_id = None
        found = crm_id is None
        if crm_id is None:
            if not write.match:
                return Outcome(kind=OutcomeKind.UNMATCHABLE, reason=write.unmatchable)
            hits = [
                i
                for i, r in table.items()
                if any(r.get(m.name) == m.value for m in (*write.match, *write.created_maybe_match))
            ]
            if len(hits) > 1:
                return Outcome(kind=OutcomeKind.MANY, candidates=tuple(hits))
            crm_id = hits[0] if hits else None
        if write.verb.removes:
            if crm_id is not None:
                del table[crm_id]
                self.journal.append(("erase", write.object, crm_id, {}))
            return Outcome(kind=OutcomeKind.ERASED, wrote=True)
        if crm_id is None:
            if write.verb is Verb.UPDATE:
                return Outcome(kind=OutcomeKind.ABSENT, reason="no such record")
            crm_id = str(next(self.ids))
            values = {**write.full, **write.create_only}
            table[crm_id] = {k: v for k, v in values.items() if v is not None}
            self.journal.append(("create", write.object, crm_id, values))
            kind = OutcomeKind.CREATED
        else:
            values = dict(write.full if found else write.changed)
            other = next(
                (
                    i
                    for i, r in table.items()
                    if i != crm_id and values.get("email") and r.get("email") == values["email"]
                ),
                None,
            )
            if other is not None:
                return Outcome(
                    kind=OutcomeKind.DUPLICATE, candidates=(other,), reason=f"record {other} has this e-mail"
                )
            table[crm_id].update(values)
            for key in [k for k, v in table[crm_id].items() if v is None]:
                del table[crm_id][key]
            self.journal.append(("update", write.object, crm_id, values))
            kind = OutcomeKind.UPDATED
        for one in write.associations:
            self.associations.add((crm_id, one.relation, one.object, one.crm_id))
        return Outcome(kind=kind, crm_id=crm_id, wrote=True, requests=1)


class InlinePool:
    """Carries a job out when the engine fetches it: so a test can look in between."""

    def __init__(self, perform_job: Callable[[Job], Finished]) -> None:
        self.perform_job = perform_job
        self.jobs: list[Job] = []
        self.hold_back = False

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def finished(self) -> Sequence[Finished]:
        if self.hold_back:
            return []
        jobs, self.jobs = self.jobs, []
        return [self.perform_job(job) for job in jobs]

    def wait(self, timeout: int) -> None:
        pass

    is_quick = False

    @property
    def busy(self) -> int:
        return len(self.jobs)


class World:
    """One outbox, one CRM, as many deliverers as a test wants."""

    def __init__(
        self,
        *mappings: SimpleMapping,
        path: Path | None = None,
        crm: SmallCrm | None = None,
        mode: Mode = Mode.LIVE,
        schedule: Schedule | None = None,
    ) -> None:
        self.clock = TestClock()
        self.crm = crm or SmallCrm()
        self.db = Database(path)
        self.inbox = SqliteInbox(self.db)
        self.desk = SqliteDesk(self.db)
        self.mappings = SimpleSet({m.name: m for m in mappings or (SimpleMapping(),)})
        self.mode = mode
        self.schedule = schedule or Schedule(jitter=0)
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.nonce = itertools.count(1)
        self.engine = self.deliverer()

    def deliverer(self, queue: SqliteQueue | None = None) -> Engine:
        destination = Destination("crm", self.crm, self.mode)
        holder: list[Engine] = []

        def carry_out(job: Job) -> Finished:
            gate = JobGate(job, self.clock, holder[0].limiters["crm"], lambda: False, self.clock.sleep)
            return perform(job, self.crm, gate, self.clock)

        engine = Engine(
            queue=queue or SqliteQueue(self.db),
            mappings=self.mappings,
            destinations={"crm": destination},
            decode=read,
            pool=InlinePool(carry_out),
            clock=self.clock,
            boot_id="boot-1",
            log=lambda event, /, **particulars: self.lines.append((event, particulars)),
            schedule=self.schedule,
            chance=random.Random(1),
        )
        holder.append(engine)
        engine.begin()
        return engine

    # ── Copernica ──

    def call(
        self,
        type: str,
        profile: int = 7,
        *,
        at: int = 0,
        database: int = 1,
        body: Mapping[str, str] | None = None,
        **fields: str,
    ) -> int:
        """A profile's webhook call, `at` seconds after the beginning. Returns the event's ID."""
        pairs = {"type": type, "profile": str(profile), "database": str(database), "time": str(T0 // 1000 + at)}
        if type != "delete":
            pairs |= {f"fields[{name}]": value for name, value in fields.items()}
        return self.raw(pairs | dict(body or {}))

    def subprofile(
        self, type: str, subprofile: int, profile: int = 7, *, at: int = 0, collection: int = 2, **fields: str
    ) -> int:
        pairs = {
            "type": type,
            "subprofile": str(subprofile),
            "profile": str(profile),
            "collection": str(collection),
            "time": str(T0 // 1000 + at),
        }
        return self.raw(pairs | {f"fields[{name}]": value for name, value in fields.items()})

    def email(self, type: str, recipient: str, *, at: int = 0, message: str = "m1", **more: str) -> int:
        return self.raw({"type": type, "id": message, "recipient": recipient, "time": str(T0 // 1000 + at)} | more)

    def raw(self, pairs: Mapping[str, str]) -> int:
        request = UnverifiedRequest(
            source="shop",
            method="POST",
            target="/shop",
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
            body=urlencode(pairs).encode(),
            received_at=self.clock.now(),
            peer="127.0.0.1",
            secure=True,
        )
        verified = VerifiedRequest(request, hashlib.sha256(str(next(self.nonce)).encode()).digest(), self.clock.now())
        return self.inbox.append([NewCall(verified, self.clock.now() + 120_000)])[0].event_id

    # ── the deliverer ──

    def settle(self, turns: int = 60) -> None:
        """Turn until nothing is to be done at this moment."""
        for _ in range(turns):
            if not self.engine.turn() and self.engine.is_idle:
                return
        raise AssertionError("the engine does not come to rest")

    def wait(self, milliseconds: int) -> None:
        """Let time pass, turning the engine as it goes."""
        self.settle()
        end = self.clock.time + milliseconds
        while self.clock.time < end:
            due = self.engine.next_due()
            pauses = [p.until for p in self.engine.queue.pauses(self.clock.now()).values() if p.until]
            moments = [m for m in [due, *pauses] if m is not None and m > self.clock.time]
            step = min([end, *moments]) - self.clock.time
            self.clock.pass_(max(1, min(step, 60_000)))
            self.settle()

    # ── looking ──

    def states(self, mapping: str = "customers") -> list[str]:
        """The states of a mapping's deliveries, in order of arrival."""
        rows = self.desk.list(Filter(mapping=mapping), 1000)
        return [d.state.word for row in reversed(rows) for d in row.deliveries if d.mapping == mapping]

    def reason(self, event_id: int, mapping: str = "customers") -> str:
        detail = self.desk.show(event_id)
        assert detail is not None
        return next(d.reason for d in detail.event.deliveries if d.mapping == mapping)

    def contacts(self) -> list[dict[str, Any]]:
        return list(self.crm.table("contacts").values())

    def said(self, event: str) -> list[dict[str, Any]]:
        return [particulars for name, particulars in self.lines if name == event]


def read(call: StoredCall) -> Event | NotUnderstood:
    return decode(call.request, SOURCE)


def lost_reply(crm: SmallCrm, write: Write) -> Outcome:
    """The CRM did it, and the answer never came."""
    crm.do(write)
    return Outcome(kind=OutcomeKind.AMBIGUOUS, wrote=True, created_maybe=write.crm_id is None, reason="no answer")


def answer(kind: OutcomeKind, **more: Any) -> Fault:
    """The CRM does nothing and says so."""
    outcome = Outcome(kind=kind, **more)
    return lambda _crm, _write: replace(outcome)
