"""Attempts on their way to a CRM, and the gate that each request has to pass."""

from collections.abc import Callable, Sequence
from typing import Protocol

from connector.crm.port import Crm
from connector.deliver.limits import Limiter
from connector.deliver.plan import Attempt
from connector.domain.clock import SECOND, Clock, Instant, Millis
from connector.domain.frozen import frozen
from connector.domain.outcome import Outcome, OutcomeKind

_JUMP: Millis = 5 * SECOND  # less is a clock that is set right little by little


@frozen()
class Leased:
    """An attempt and its lease."""

    attempt: Attempt
    lease: int


@frozen()
class Job:
    """Attempts that go to the CRM together. `send_by` is the last moment a request may leave (clock.elapsed).

    `decided_at` is the time of day that they were decided by: when it turns out to be earlier than that, what was taken
    for long past (a create whose answer is missing) may not be.
    """

    destination: str
    object: str
    leased: tuple[Leased, ...]
    send_by: Millis
    is_probe: bool = False
    decided_at: Instant = 0

    @property
    def subjects(self) -> tuple[str, str]:
        """What a pause that this job may end is about: the destination, or one object of it."""
        return self.destination, f"{self.destination}/{self.object}"


@frozen()
class Finished:
    """A job with its outcomes, and what it took."""

    job: Job
    outcomes: Sequence[Outcome]
    took: Millis


class JobGate:
    """The gate of one job: its lease, its destination's budget, and the end of the deliverer."""

    def __init__(
        self,
        job: Job,
        clock: Clock,
        limiter: Limiter,
        is_stopping: Callable[[], bool],
        sleep: Callable[[Millis], None],
    ) -> None:
        self._job = job
        self._clock = clock
        self._limiter = limiter
        self._is_stopping = is_stopping
        self._sleep = sleep

    def may_send(self, cost: int) -> bool:
        """See `connector.crm.port.Gate`."""
        if self._is_over() or not self._limiter.spend(cost):
            return False
        wait = self._limiter.reserve(cost)
        if wait:
            if self._clock.elapsed() + wait > self._job.send_by:
                return False
            self._sleep(wait)
        return not self._is_over()

    def _is_over(self) -> bool:
        went_back = self._clock.now() < self._job.decided_at - _JUMP
        return went_back or self._is_stopping() or self._clock.elapsed() > self._job.send_by


def perform(job: Job, crm: Crm, gate: JobGate, clock: Clock) -> Finished:
    """Send a job. What the adapter cannot help raising is a defect of ours: it counts as ambiguous, and is said."""
    began = clock.elapsed()
    writes = [leased.attempt.write for leased in job.leased]
    try:
        outcomes = crm.send(writes, gate)
    except Exception as error:  # noqa: BLE001 - a worker must never take a lease with it
        outcomes = [
            Outcome(
                kind=OutcomeKind.AMBIGUOUS,
                reason=f"the CRM adapter failed: {type(error).__name__}: {error}",
                wrote=True,
                created_maybe=write.crm_id is None,
            )
            for write in writes
        ]
    return Finished(job, outcomes, clock.elapsed() - began)


class Pool(Protocol):
    """Where jobs are carried out, beside the engine."""

    def submit(self, job: Job) -> None:
        """Carry out a job."""
        ...

    def finished(self) -> Sequence[Finished]:
        """Return the jobs that have ended since the last call; never waits."""
        ...

    def wait(self, timeout: Millis) -> None:
        """Wait until a job ends or somebody wakes us, at most that long."""
        ...

    @property
    def is_quick(self) -> bool:
        """Whether jobs end so soon that the engine had better let them, and go on afterwards."""
        ...

    @property
    def busy(self) -> int:
        """How many jobs are under way, or ended and not yet fetched."""
        ...
