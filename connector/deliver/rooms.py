"""How many jobs may start: pauses and probes, rates, the day's budget, and how many are under way (S23)."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.deliver.destination import Destination
from connector.deliver.limits import Limiter
from connector.deliver.log import Log
from connector.deliver.plan import Attempt, Decision, Postpone
from connector.deliver.work import Job
from connector.domain.clock import SECOND, Clock, Instant, Millis
from connector.domain.delivery import Priority
from connector.mapping.port import Mapping as MappingPort
from connector.outbox.port import Pause, Queue

_MOST_AHEAD = 4  # jobs for each thread: more are never leased before there is one for them


def pauses_of(mapping: MappingPort, paused: Mapping[str, Pause]) -> list[Pause]:
    """Return the pauses that a mapping's deliveries wait for: of the destination, the object or the mapping."""
    if not paused:
        return []
    subjects = (mapping.destination, f"{mapping.destination}/{mapping.object}", mapping.name)
    return [paused[subject] for subject in subjects if subject in paused]


@dataclass(slots=True)
class Rooms:
    """What is under way, by destination, and what that leaves. `ahead` and `concurrency` are the engine's."""

    destinations: Mapping[str, Destination]
    limiters: Mapping[str, Limiter]
    queue: Queue
    clock: Clock
    log: Log
    concurrency: int
    ahead: Millis
    in_flight: Counter[str] = field(init=False, default_factory=Counter)
    _probing: set[str] = field(init=False, default_factory=set)
    _pace: dict[str, deque[Millis]] = field(init=False, default_factory=dict)

    def room(self, mapping: MappingPort, paused: Mapping[str, Pause], now: Instant) -> tuple[int, bool]:
        """Return how many jobs may start for that mapping, and whether as a probe."""
        pauses = pauses_of(mapping, paused)
        if any(pause.until is None or pause.until > now for pause in pauses):
            return 0, False
        if self._is_spent(mapping.destination, now):
            return 0, False
        if pauses:
            is_probing = any(pause.subject in self._probing for pause in pauses)
            return (0 if is_probing else 1), True
        destination = self.destinations[mapping.destination]
        if self.limiters[destination.name].delay() > SECOND // 2:
            return 0, False
        mine = min(destination.crm.limits.concurrency, self.concurrency) - self.in_flight[destination.name]
        return min(mine, self.concurrency - self.in_flight.total()) + self._ahead(destination.name), False

    def began(self, job: Job) -> None:
        """A job is on its way, or waits for a thread."""
        self.in_flight[job.destination] += 1
        if job.is_probe:
            self._probing |= set(job.subjects)

    def ended(self, job: Job) -> None:
        """A job has come back."""
        self.in_flight[job.destination] -= 1
        if self.ahead:
            pace = self._pace.setdefault(job.destination, deque(maxlen=_MOST_AHEAD * self.concurrency))
            pace.append(self.clock.elapsed())

    def settled(self, job: Job) -> None:
        """What a job came to is written down: another probe may go."""
        if job.is_probe:
            self._probing -= set(job.subjects)

    def _ahead(self, destination: str) -> int:
        """Return how many jobs may wait for a thread: as many as have lately ended in that time, and not many.

        Before any has ended it is one for each thread.
        """
        pace = self._pace.get(destination)
        if not self.ahead or pace is None:
            return self.concurrency if self.ahead else 0
        since = self.clock.elapsed() - self.ahead
        return min(sum(at > since for at in pace), _MOST_AHEAD * self.concurrency)

    def _is_spent(self, destination: str, now: Instant) -> bool:
        """Pause a destination whose budget of the day is used up, until the next day's begins."""
        budget = self.limiters[destination].budget
        if budget is None or budget.refill(now):
            return False
        reason = f"the daily budget of {budget.per_day} is used up"
        self.queue.pause(Pause(destination, "budget", reason, now, budget.until(now)))
        self.log("paused", subject=destination, by="budget", reason=reason)
        return True

    def save_for_live(self, destination: str, decisions: list[Decision], now: Instant) -> list[Decision]:
        """Replays and backfills wait while what is left of the day's budget is for live traffic."""
        budget = self.limiters[destination].budget
        late = {d.due.delivery_id for d in decisions if isinstance(d, Attempt) and d.due.priority is Priority.REPLAY}
        if budget is None or not late or not budget.is_for_live_only():
            return decisions
        reason = "what is left of the daily budget is for live traffic"
        return [Postpone(d.due, budget.until(now), reason) if d.due.delivery_id in late else d for d in decisions]
