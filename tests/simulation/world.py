"""One seed: a receiver, one or two deliverers, a CRM, people, and everything that can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connector.crm.port import Limits
from connector.outbox.port import Filter, OutboxBusyError, OutboxError, OutboxFullError
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.inbox import SqliteInbox, proof_key
from tests.simulation.calls import Call
from tests.simulation.crm import REQUEST_TIMEOUT, Answer, Reply, Request, SimCrm, Store
from tests.simulation.deliverer import Deliverer, JobRun
from tests.simulation.kernel import Crash, DivergenceError, Kernel
from tests.simulation.mappings import STAGES, mappings
from tests.simulation.model import Model
from tests.simulation.people import Colleagues, Copernica, Operator
from tests.simulation.store import SimDatabase
from tests.simulation.watch import Watch
from tests.simulation.weather import Weather

_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_STEPS_AT_MOST = 60_000


class World:
    """Built from a seed, run once."""

    def __init__(self, seed: int, *, keep_trace: bool = False) -> None:
        self.kernel = Kernel(seed, keep_trace=keep_trace)
        self.weather = Weather(self.kernel.chance("weather"))
        self.chance = self.kernel.chance("faults")
        self.net = self.kernel.chance("network")
        self.stormy = False
        self.actors: list[object] = []
        self.gone_owners: set[int] = set()
        self.boots = 1
        self.stage = 0
        self.last_event_before: dict[int, int] = {}
        self.events: dict[int, Call] = {}
        self.stored: dict[bytes, int] = {}
        self._owners = 0
        self._full_until = 0
        self._extra = 5  # acts of people in the middle of somebody's step
        self._receiver_down_until = 0
        self._arriving: Call | None = None  # what the receiver is about to store
        self._outages: list[tuple[int, str]] = []
        self.store = Store(self.weather.lag)
        self.crm = SimCrm(self.weather.visible_after, self.weather.batch, Limits(concurrency=self.weather.concurrency))
        self.db = SimDatabase(self)
        self.inbox = SqliteInbox(self.db)
        self.desk = SqliteDesk(self.db)
        self.watch = Watch(self)
        self.deliverers = [Deliverer(self, f"deliverer {i + 1}") for i in range(self.weather.deliverers)]
        self.copernica = Copernica(self)
        self.operator = Operator(self)
        self.colleagues = Colleagues(self)

    def next_owner(self) -> int:
        self._owners += 1
        return self._owners

    def mappings_in_force(self) -> list[str]:
        return list(mappings(self.stage, strict_guard=self.weather.strict_guard).mappings)

    def db_pauses(self) -> list[str]:
        return [row[0] for row in self.db.conn.execute("SELECT subject FROM pauses")]

    def has_dead(self) -> bool:
        return bool(self.db.conn.execute("SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 6)").fetchone()[0])

    def has_work(self) -> bool:
        """Whether anything waits, or is under way: otherwise nobody has to wake up before somebody acts."""
        row = self.db.conn.execute(
            "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state IN (0, 1)) OR EXISTS (SELECT 1 FROM events WHERE state = 0)"
        ).fetchone()
        return bool(row[0])

    def poke(self) -> None:
        for one in self.deliverers:
            one.poke(self.net.randint(0, 20))

    # ── from the first moment to the last ──

    def run(self) -> None:
        """Raises DivergenceError when a promise is broken."""
        self.colleagues.before()
        for one in self.deliverers:
            one.start()
        self._plan_storm()
        self.stormy = True
        self._run_until(self.weather.storm)
        self._calm()
        self._run_until(self.kernel.clock.true + 3 * _HOUR)
        for _ in range(3):  # what waited for a resume may be held by the guard thereafter
            self._clear_up()
            self._run_until(self.kernel.clock.true + 2 * _HOUR)
        Model(self).check()

    def _run_until(self, until: int) -> None:
        while self.kernel.step(until):
            if self.kernel.steps > _STEPS_AT_MOST:
                raise DivergenceError("it does not come to rest")

    def _plan_storm(self) -> None:
        weather, after, chance = self.weather, self.kernel.after, self.kernel.chance("storm")
        bursts = [chance.randint(0, weather.storm) for _ in range(max(1, weather.operations // 5))]
        for _ in range(weather.operations):
            after(min(weather.storm - 1, chance.choice(bursts) + chance.randint(0, 3_000)), self.copernica.act)
        for _ in range(weather.operator):
            after(chance.randint(0, weather.storm), self.operator.act)
        for _ in range(weather.people):
            after(chance.randint(0, weather.storm), self.colleagues.act)
        for stage in range(1, min(weather.restarts, len(STAGES) - 1) + 1):
            after(stage * weather.storm // 5 + chance.randint(0, 1_000), lambda stage=stage: self._restart_with(stage))
        disasters: tuple[Callable[[], None], ...] = (
            self._outage, self._jump, self._kill, self._stop, self._reboot, self._fill_disk, self._receiver_crash,
        )  # fmt: skip
        for _ in range(weather.events):
            for disaster in disasters:
                if chance.random() < 0.5:
                    after(chance.randint(0, weather.storm), disaster)

    def _calm(self) -> None:
        """Faults end; what is under way goes on."""
        self.kernel.note("calm")
        self.stormy = False
        self._outages, self._full_until, self._receiver_down_until = [], 0, 0
        for one in self.deliverers:
            one.wake()
        self.poke()

    def _clear_up(self) -> None:
        """An operator resumes, releases, and replays what is dead."""
        self.kernel.note("an operator clears up")
        now = self.kernel.clock.now()
        for subject in self.db_pauses():
            self.desk.resume(subject)
        self.desk.release(Filter(), now, dry_run=False)
        done = self.desk.replay(Filter(states=("dead",)), now, exact=False, again=False, dry_run=False)
        self.watch.on_replayed(done.ids, "replay")
        self.poke()

    # ── faults of our own store ──

    @contextmanager
    def acting(self, actor: object) -> Iterator[None]:
        self.actors.append(actor)
        try:
            yield
        finally:
            self.actors.pop()

    def before_write(self) -> None:
        if not (self.stormy and self.actors):
            return
        if self.kernel.clock.true < self._full_until:
            self.kernel.faults["write to a full disk"] += 1
            raise OutboxFullError("simulated: the disk is full")
        if self.chance.random() < self.weather.busy:
            self.kernel.fault("own store busy")
            raise OutboxBusyError("simulated: another process writes")
        self._maybe_crash("before a transaction")
        if len(self.actors) == 1 and self.chance.random() < self.weather.interleave:
            self._interleave()

    def before_commit(self) -> None:
        if not (self.stormy and self.actors):
            return
        if self.chance.random() < self.weather.full:
            self.kernel.fault("disk full at commit")
            raise OutboxFullError("simulated: the disk is full")
        self._maybe_crash("inside a transaction")

    def after_commit(self) -> None:
        if self._arriving is not None and self.actors[-1:] == ["receiver"]:
            event = self._stored_event(self._arriving)
            if event is not None:
                self._know(self._arriving, event)
        if self.stormy and self.actors:
            self._maybe_crash("after a commit")

    def _maybe_crash(self, when: str) -> None:
        if self.chance.random() < self.weather.crash and self.actors[-1] != "operator":
            self.kernel.fault(f"crash {when}")
            raise Crash(f"crash {when}")

    def _interleave(self) -> None:
        """Between what somebody read and what he writes, another one acts."""
        others = [one for one in self.deliverers if one.state == "up" and not one.is_turning]
        self.kernel.fault("another process in between")
        if self._extra and self.chance.random() < 0.05:
            self._extra -= 1
            if self.weather.operator and self.actors[0] != "operator":
                self.operator.act()
            else:
                self.copernica.act()
        elif isinstance(self.actors[0], Deliverer) and self.chance.random() < 0.2:
            self._stop_in_the_middle(self.actors[0])
        elif others:
            self.chance.choice(others).turn()

    def _stop_in_the_middle(self, process: Deliverer) -> None:
        """SIGSTOP between a decision and its transaction: the world goes on meanwhile."""
        generation, length = process.generation, self.chance.choice((50, 1_000, 10_000, 90_000))
        self.kernel.fault("stopped in the middle of a step", f"{process.name} for {length / 1000} s")
        process.state = "stopped"
        until = min(self.kernel.clock.true + length, self.weather.storm - 1)
        while self.kernel.clock.true < until and self.kernel.step(until):
            pass
        if generation != process.generation:
            raise Crash("killed while it was stopped")
        if process.state == "stopped":
            self.kernel.after(0, lambda: process.wake(generation))
            process.state = "up"
            process.wakes_soon = True

    # ── disasters ──

    def _outage(self) -> None:
        length = self.chance.choice((5_000, _MINUTE, 10 * _MINUTE, _HOUR))
        kind = self.chance.choice(("unreachable", "5xx", "401", "throttle", "403 for an object"))
        self._outages.append((self.kernel.clock.true + length, kind))
        self.kernel.fault("outage", f"{kind} for {length / 1000} s")

    def _jump(self) -> None:
        by = self.chance.choice((-7200, -600, -30, 30, 600, 7200)) * 1000
        self.kernel.clock.offset += by
        self.watch.jumped_at = self.kernel.clock.true
        self.poke()
        self.kernel.fault("clock jumps forward" if by > 0 else "clock jumps back", f"{by / 1000} s")

    def _kill(self) -> None:
        victim = self.chance.choice(self.deliverers)
        if victim.state != "down":
            self.kernel.fault("kill -9", f"{victim.name} with {len(victim.pool.runs)} jobs")
            victim.die("kill -9")

    def _stop(self) -> None:
        self.chance.choice(self.deliverers).suspend(self.chance.choice((3_000, 40_000, 200_000, 600_000)))

    def _reboot(self) -> None:
        self.kernel.fault("reboot")
        self.boots += 1
        for one in self.deliverers:
            if one.state != "down":
                one.die("reboot", restart=40_000)
        self._receiver_down_until = self.kernel.clock.true + 40_000
        self.kernel.clock.booted_at = self.kernel.clock.true

    def _fill_disk(self) -> None:
        length = self.chance.choice((500, 20_000, 3 * _MINUTE))
        self._full_until = self.kernel.clock.true + length
        self.kernel.fault("full disk", f"for {length / 1000} s")

    def _receiver_crash(self) -> None:
        self.kernel.fault("receiver killed")
        self._receiver_down_until = self.kernel.clock.true + self.chance.randint(100, 20_000)

    def _restart_with(self, stage: int) -> None:
        self.kernel.fault(f"restart: {STAGES[stage]}")
        self.last_event_before[stage] = max(self.events, default=0)
        self.stage = stage
        for one in self.deliverers:
            if one.state == "stopped":
                one.wake()
            one.stop_gracefully()

    # ── the receiver ──

    def receive(self, call: Call) -> None:
        if self.kernel.clock.true < self._receiver_down_until:
            self._send_again(call, surely=False)
            return
        new = call.stored(self.kernel.clock.now())
        was_known = call.proof in self.stored
        self._arriving = call
        with self.acting("receiver"):
            try:
                receipt = self.inbox.append([new])[0]
            except OutboxError:
                self.kernel.fault("call answered 503", call.record)
                if self._stored_event(call) is not None and not was_known:
                    raise DivergenceError(f"{call} is refused, and was stored") from None
                self._send_again(call, surely=False)
                return
            except Crash:
                self._receiver_down_until = self.kernel.clock.true + self.chance.randint(100, 5_000)
                event = self._stored_event(call)
                if event is not None:
                    self._know(call, event)
                    self.kernel.fault("answer to a call lost", f"event {event}")
                self._send_again(call, surely=event is not None)
                return
        if receipt.duplicate != was_known:
            raise DivergenceError(f"S31: {call} is {'' if receipt.duplicate else 'not '}taken for a duplicate")
        self._know(call, receipt.event_id)
        self.poke()

    def _stored_event(self, call: Call) -> int | None:
        row = self.db.conn.execute(
            "SELECT event FROM proofs WHERE proof = ?", (proof_key(call.proof, call.signed_at),)
        ).fetchone()
        return None if row is None else int(row[0])

    def _know(self, call: Call, event: int) -> None:
        if self.stored.get(call.proof) == event:
            return
        known = self.events.setdefault(event, call)
        if known.proof != call.proof:
            raise DivergenceError(f"S31: the receipt of {call} names event {event}, which is {known}")
        self.stored[call.proof] = event
        self.kernel.note(f"call {event}: {call.type} {call.record} second {call.second} {call.fields or call.message}")

    def _send_again(self, call: Call, *, surely: bool) -> None:
        if surely or self.chance.random() < 0.6:
            self.kernel.after(self.chance.randint(1_000, _MINUTE), lambda: self.receive(call))

    # ── the network ──

    def leave(self, process: Deliverer, run: JobRun, request: Request) -> None:
        """A request has passed the gate. The process may be stopped exactly here."""
        self.watch.at_gate(request)
        generation = process.generation
        if self.stormy and self.chance.random() < self.weather.stop_at_gate:
            self.kernel.faults["stopped between gate and request"] += 1
            process.suspend(self.chance.choice((10_000, self.chance.randint(60_000, 90_000), 600_000)))
            process.when_awake(lambda: self._travel(process, generation, run, request))
        else:
            self._travel(process, generation, run, request)

    def _travel(self, process: Deliverer, generation: int, run: JobRun, request: Request) -> None:
        kernel, chance = self.kernel, self.net
        late = process.clock.elapsed() > run.job.send_by
        if late and request.writes:
            kernel.fault("request left after its lease")
            self.watch.doubt(request.leased.attempt.due.call.event_id)
        fate = self._fate(request)
        due = request.leased.attempt.due
        kernel.note(
            f"{process.name} sends {request.kind} {request.object} {request.crm_id or request.key or ''} {request.fields}"
            f" for event {due.call.event_id} ({due.mapping}, lease {request.leased.lease}): {fate}"
        )

        def answer(after: int, reply: Reply) -> None:
            kernel.after(after, lambda: process.deliver(generation, run, reply))

        def commit(after: int, then: Callable[[Reply], None] = lambda _: None) -> None:
            kernel.after(after, lambda: then(self._commit(request, late=late)))

        travel = chance.randint(5, 200)
        lost = Reply(Answer.LOST)
        if fate == "ok":
            commit(travel, lambda reply: answer(travel, reply))
        elif fate == "slow reply":
            wait = chance.randint(1_000, REQUEST_TIMEOUT - 500)
            commit(travel, lambda reply: answer(wait, reply))
        elif fate == "slow commit":
            wait = chance.randint(500, self.weather.visible_after - self.weather.lag - 1)
            if wait < REQUEST_TIMEOUT - 500:
                commit(wait, lambda reply: answer(travel, reply))
            else:
                commit(wait)
                answer(REQUEST_TIMEOUT, lost)
        elif fate == "lost reply":
            commit(travel)
            answer(chance.choice((travel + 5, REQUEST_TIMEOUT)), lost)
        elif fate == "lost request":
            answer(REQUEST_TIMEOUT, lost)
        elif fate == "5xx, yet done":
            commit(travel, lambda _: answer(travel, Reply(Answer.FAILED)))
        elif fate == "throttle":
            retry_at = kernel.clock.now() + chance.randint(1_000, 60_000)
            answer(travel, Reply(Answer.THROTTLED, retry_at=retry_at))
        else:
            answers = {
                "unreachable": Answer.UNREACHABLE, "5xx": Answer.FAILED, "401": Answer.DENIED,
                "403 for an object": Answer.FORBIDDEN, "422": Answer.REFUSED,
            }  # fmt: skip
            answer(travel, Reply(answers[fate]))

    def _fate(self, request: Request) -> str:
        if not self.stormy:
            return "ok"
        now = self.kernel.clock.true
        self._outages = [one for one in self._outages if one[0] > now]
        fate = self.weather.fate(self.net, request, self._outages[0][1] if self._outages else None)
        if fate != "ok":
            self.kernel.faults[f"request: {fate}"] += 1
        return fate

    def _commit(self, request: Request, *, late: bool) -> Reply:
        """The CRM does it."""
        store, now, obj = self.store, self.kernel.clock.true, request.object
        if request.kind == "find":
            assert request.key is not None
            return Reply(Answer.OK, hits=store.find(obj, request.key.name, request.key.value, now))
        row = store.get(obj, request.crm_id) if request.crm_id else None
        if row is None and request.kind != "create":
            self.kernel.note(f"CRM: {request.kind} {obj} {request.crm_id}: not found")
            return Reply(Answer.NOT_FOUND)
        self.watch.on_commit(request, row, late=late)
        call = self.events[request.leased.attempt.due.call.event_id]
        if request.kind == "create":
            row = store.create(obj, request.fields, now, call.record)
            row.late = row.came_late = late
        assert row is not None
        if request.kind == "update":
            store.put(row, request.fields, now, "us")
            if late:
                row.unheard |= dict.fromkeys(request.fields, request.leased.lease)
            row.late = row.late and (late or call.record != row.maker)
        elif request.kind == "associate":
            row.links.add(request.fields["to"])
        elif request.kind == "erase":
            store.delete(row, now, "us")
        self.watch.committed(request, row.id)
        self.kernel.note(f"CRM: {request.kind} {obj} {row.id} done for {call.record}: {row.fields}")
        return Reply(Answer.OK, crm_id=row.id)
