"""A deliverer's process: the real engine, which may be killed, stopped and woken between any two steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector.deliver.destination import Destination, Mode
from connector.deliver.engine import Engine
from connector.deliver.work import Finished, Job, JobGate
from connector.domain.decode import decode
from connector.domain.event import Event, NotUnderstood
from connector.domain.outcome import Outcome
from connector.outbox.port import OutboxError, StoredCall
from tests.simulation.calls import SOURCE
from tests.simulation.crm import Bring, Reply, Request
from tests.simulation.kernel import Crash
from tests.simulation.mappings import mappings
from tests.simulation.store import SimQueue

if TYPE_CHECKING:
    from tests.simulation.world import World

_IDLE = 60_000  # an idle look around, while there is something that may need it
_IDLE_IN_CALM = 600_000
_SHUTDOWN = 10_000


def read(call: StoredCall) -> Event | NotUnderstood:
    return decode(call.request, SOURCE)


@dataclass
class JobRun:
    """A job under way: a request at a time, its items one after the other."""

    job: Job
    began: int
    flow: Generator[Request, Reply, Sequence[Outcome]]


class SimPool:
    """The engine's pool: what is submitted begins a moment later, on the world's agenda."""

    def __init__(self, process: Deliverer) -> None:
        self._process = process
        self.runs: list[JobRun] = []
        self.results: list[Finished] = []
        self.handed: Sequence[Finished] = ()  # given to the engine, which may be settling them just now

    def submit(self, job: Job) -> None:
        self._process.world.watch.on_leased(job)
        run = JobRun(job, self._process.clock.elapsed(), self._process.flow(job))
        self.runs.append(run)
        generation = self._process.generation
        self._process.world.kernel.after(
            self._process.chance.randint(0, 20), lambda: self._process.deliver(generation, run, None)
        )

    def finished(self) -> Sequence[Finished]:
        results, self.results = self.results, []
        self.handed = (*self.handed, *results)
        return results

    def wait(self, timeout: int) -> None:
        raise NotImplementedError

    is_quick = False  # an answer takes its time here

    @property
    def busy(self) -> int:
        return len(self.runs) + len(self.results)


class Deliverer:
    """Up, stopped (SIGSTOP) or down; each start is a new generation with a new owner's number."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.clock = world.kernel.clock
        self.chance: random.Random = world.kernel.chance(name)
        self.state = "down"
        self.generation = 0
        self.stopping = False
        self.engine: Engine
        self.pool: SimPool
        self.queue: SimQueue
        self.is_turning = False
        self.wakes_soon = False  # it was stopped in the middle of a turn, and what came in meanwhile waits
        self._wake_at: int | None = None
        self._on_wake: list[Callable[[], None]] = []
        self._trouble = 0

    # ── life ──

    def start(self) -> None:
        if self.state != "down":
            return
        world = self.world
        self.generation += 1
        self.state, self.stopping, self._wake_at, self._trouble = "up", False, None, 0
        self._on_wake, self.wakes_soon = [], False
        self.queue = SimQueue(world, world.db, world.next_owner())
        self.pool = SimPool(self)
        self.engine = Engine(
            queue=self.queue,
            mappings=mappings(world.stage, strict_guard=world.weather.strict_guard),
            destinations={"crm": Destination("crm", world.crm, Mode.LIVE)},
            decode=read,
            pool=self.pool,
            clock=self.clock,
            boot_id=f"boot-{world.boots}",
            log=self._log,
            schedule=world.weather.schedule,
            concurrency=world.weather.concurrency,
            keep=world.weather.keep,
            chance=self.chance,
        )
        world.kernel.note(f"{self.name} starts, mappings: stage {world.stage}")
        self.is_turning = True  # nobody turns before it has begun
        with world.acting(self):
            try:
                self.engine.begin()
            except OutboxError:
                self.die("could not begin", restart=1_000)
                return
            except Crash:
                self.die("crash at start", restart=1_000)
                return
            finally:
                self.is_turning = False
        self.poke(1)

    def _log(self, event: str, /, **particulars: Any) -> None:
        self.world.kernel.note(f"{self.name}: {event} {particulars}")
        self.world.kernel.counts[f"log: {event}"] += 1

    def die(self, why: str, *, restart: int | None = None) -> None:
        """End at once, whatever it was doing; what has left for the CRM is on its way all the same."""
        self.world.kernel.note(f"{self.name} dies: {why}")
        self.world.watch.on_death(
            self.queue._owners.number,
            [run.job for run in self.pool.runs],
            [f.job for f in (*self.pool.results, *self.pool.handed)],
        )
        self.generation += 1
        self.state = "down"
        self._on_wake, self.wakes_soon = [], False
        self.world.gone_owners.add(self.queue._owners.number)
        delay = self.chance.choice((50, 2_000, 20_000, 90_000)) if restart is None else restart
        self.world.kernel.after(delay, self.start)

    def stop_gracefully(self) -> None:
        """SIGTERM: nothing new is sent, what has left may come back for a while."""
        if self.state == "stopped":
            self.when_awake(self.stop_gracefully)
        if self.state != "up" or self.stopping:
            return
        self.stopping = True
        self.world.kernel.note(f"{self.name} is told to stop")
        generation = self.generation
        self.world.kernel.after(_SHUTDOWN, lambda: self._exit(generation))

    def _exit(self, generation: int) -> None:
        if generation != self.generation:
            return
        with self.world.acting(self):
            try:
                self.engine.finish()
            except (OutboxError, Crash):
                pass
        self.die("ended", restart=500)

    def suspend(self, duration: int) -> None:
        if self.state != "up":
            return
        self.state = "stopped"
        self.world.kernel.fault("SIGSTOP", f"{self.name} for {duration / 1000} s, {len(self.pool.runs)} jobs")
        generation = self.generation
        self.world.kernel.after(duration, lambda: self.wake(generation))

    def wake(self, generation: int | None = None) -> None:
        if (self.state != "stopped" and not self.wakes_soon) or generation not in (None, self.generation):
            return
        self.state, self.wakes_soon = "up", False
        self.world.kernel.note(f"{self.name} wakes")
        todo, self._on_wake = self._on_wake, []
        for what in todo:
            what()
        self.poke(0)

    def when_awake(self, what: Callable[[], None]) -> None:
        generation = self.generation

        def once() -> None:
            if generation == self.generation:
                what()

        if self.state == "stopped":
            self._on_wake.append(once)
        else:
            once()

    # ── turns ──

    def poke(self, delay: int = 0) -> None:
        if self.state == "down":
            return
        at = self.clock.true + delay
        if self._wake_at is not None and self._wake_at <= at:
            return
        self._wake_at = at
        self.world.kernel.after(delay, lambda: self._ring(at))

    def _ring(self, at: int) -> None:
        if self._wake_at == at:
            self._wake_at = None
            self.turn()

    def turn(self) -> None:
        if self.state != "up" or self.is_turning:
            if self.state == "stopped":
                self.when_awake(lambda: self.poke(1))
            return
        generation = self.generation
        self.is_turning = True
        self.world.kernel.counts["turns"] += 1
        try:
            with self.world.acting(self):
                if self.stopping:
                    self.engine.finish()
                    return
                worked = self.engine.turn()
        except Crash as crash:
            if generation == self.generation:
                self.die(str(crash))
            return
        except OutboxError as error:
            self._trouble = min(max(200, self._trouble * 2), 30_000)
            self._log("the outbox cannot be used", reason=str(error))
            self.poke(self._trouble)
            return
        finally:
            self.is_turning = False
        if generation == self.generation and self.state == "up":
            self._trouble = 0
            self.pool.handed = ()
            self._plan(worked=worked)

    def _plan(self, *, worked: bool) -> None:
        if worked:
            self.poke(self.chance.randint(1, 5))
        elif self.pool.busy or self.engine.keep is not None or self.world.has_work():
            self.poke(self._span())

    def _span(self) -> int:
        now, elapsed = self.clock.now(), self.clock.elapsed()
        conn = self.world.db.conn
        spans = [_IDLE if self.world.stormy else _IDLE_IN_CALM]
        due = self.engine.next_due()
        if due is not None:
            spans.append(due - now)
        spans += [until - now for (until,) in conn.execute("SELECT until FROM pauses WHERE until > ?", (now,))]
        spans += [
            max(250, until + 1 - elapsed)
            for (until,) in conn.execute("SELECT lease_until FROM deliveries WHERE state = 1")
        ]
        return max(100 if self.pool.busy else 5, min(spans))  # a job that ends wakes us

    # ── jobs ──

    def flow(self, job: Job) -> Generator[Request, Reply, Sequence[Outcome]]:
        gate = JobGate(job, self.clock, self.engine.limiters[job.destination], lambda: self.stopping, _no_sleep)
        outcomes: list[Outcome] = []
        for leased in job.leased:
            outcome = yield from Bring(leased, gate).run()
            outcomes.append(outcome)
        return outcomes

    def deliver(self, generation: int, run: JobRun, reply: Reply | None) -> None:
        """Hand the answer of a request to its job, if the process still lives; later, if it is stopped."""
        if generation != self.generation:
            return
        if self.state == "stopped":
            self._on_wake.append(lambda: self.deliver(generation, run, reply))
            return
        try:
            request = next(run.flow) if reply is None else run.flow.send(reply)
        except StopIteration as end:
            self.pool.runs.remove(run)
            self.pool.results.append(Finished(run.job, end.value, self.clock.elapsed() - run.began))
            self.poke(0)
        else:
            self.world.leave(self, run, request)


def _no_sleep(_: int) -> None:
    raise AssertionError("no rate is configured: nothing waits at the gate")
