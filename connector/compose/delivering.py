"""What a deliverer is made of: the outbox, the mappings, the CRMs, the engine and its threads."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connector.compose.outbox import open_outbox
from connector.compose.reading import read_call
from connector.config.model import Config, SecretRef
from connector.config.model import Schedule as ScheduleSection
from connector.crm.build import build_crm
from connector.crm.overlap import rest
from connector.deliver.destination import Destination, Mode
from connector.deliver.engine import Engine
from connector.deliver.limits import Limiter
from connector.deliver.log import Log
from connector.deliver.pool import ThreadPool
from connector.deliver.run import Pulse, Runner
from connector.deliver.work import Finished, Job, JobGate, perform
from connector.domain.clock import SECOND, Clock, Millis
from connector.domain.retry import Schedule
from connector.domain.source import Source
from connector.mapping.port import MappingSet
from connector.outbox.port import Keep, OutboxError
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.queue import SqliteQueue
from connector.process.rates import SharedLimiter, rates_path

_AHEAD: Millis = 200
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Delivering:
    """A deliverer, ready to run, and what has to be closed after it."""

    runner: Runner
    engine: Engine
    pool: ThreadPool
    database: Database
    queue: SqliteQueue

    def close(self) -> None:
        """Give everything back; what is still in flight keeps its lease until this process has ended."""
        self.pool.close()
        with suppress(OutboxError):
            self.engine.close()
        for limiter in self.engine.limiters.values():
            if isinstance(limiter, SharedLimiter):
                limiter.close()
        for destination in self.engine.destinations.values():
            destination.crm.close()
        self.queue.close()
        self.database.close()


def destinations(config: Config, secret: Callable[[SecretRef], str], clock: Clock) -> dict[str, Destination]:
    """Build every configured CRM. Raises ProblemsError."""
    state = config.state or config.outbox.path.parent
    return {
        name: Destination(
            name,
            build_crm(name, section, secret, state, clock, presets=config.presets, config=config),
            Mode(section.mode),
        )
        for name, section in config.destinations.items()
    }


def delivering(
    config: Config,
    sources: Mapping[str, Source],
    mappings: MappingSet,
    crms: Mapping[str, Destination],
    clock: Clock,
    log: Log,
    pulse: Pulse,
) -> Delivering:
    """Open the outbox and build the deliverer. Raises OutboxError and its kinds."""
    database = open_outbox(config)
    queue = SqliteQueue(database)

    def carry_out(job: Job) -> Finished:
        gate = JobGate(job, clock, engine.limiters[job.destination], lambda: runner.is_stopping, pause)
        return perform(job, crms[job.destination].crm, gate, clock)

    def pause(span: Millis) -> None:
        rest(span / SECOND)

    most = {name: destination.crm.limits.concurrency for name, destination in crms.items()}
    pool = ThreadPool(config.delivery.concurrency, carry_out, most)
    boot_id = _boot_id()
    limiters: dict[str, Limiter] = {
        name: SharedLimiter(rates_path(config.outbox.path, name), one.crm.limits.rates, clock, boot_id)
        for name, one in crms.items()
    }
    engine = Engine(
        queue=queue,
        mappings=mappings,
        destinations=crms,
        decode=partial(read_call, sources),
        pool=pool,
        clock=clock,
        boot_id=boot_id,
        limiters=limiters,
        log=log,
        schedule=schedule(config.delivery.schedule),
        concurrency=config.delivery.concurrency,
        ahead=_AHEAD,
        keep=Keep(
            settled=round(config.outbox.keep_settled * SECOND),
            dead=round(config.outbox.keep_dead * SECOND),
            unwanted=round(config.outbox.keep_unwanted * SECOND),
        ),
    )
    runner = Runner(
        engine,
        clock,
        idle_poll=round(config.delivery.idle_poll * SECOND),
        shutdown=round(config.delivery.shutdown * SECOND),
        pulse=pulse,
    )
    return Delivering(runner, engine, pool, database, queue)


def _boot_id() -> str:
    """Return what tells this boot from others; a service that may not see it relies on its owners' locks alone."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def schedule(section: ScheduleSection) -> Schedule:
    """Return the configured schedule."""
    return Schedule(
        attempts=section.attempts,
        first=round(section.first * SECOND),
        factor=section.factor,
        longest=round(section.longest * SECOND),
        jitter=section.jitter,
        give_up_after=round(section.give_up_after * SECOND),
    )
