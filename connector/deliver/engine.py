"""The deliverer's loop: one owner of the outbox's queue. A person reads it on one screen: `turn`."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connector.deliver.budget import Budget
from connector.deliver.conclude import conclude
from connector.deliver.destination import Destination, Mode
from connector.deliver.guard import Guard
from connector.deliver.health import Health
from connector.deliver.limits import Limiter
from connector.deliver.log import Log
from connector.deliver.plan import Attempt, Knowledge, Settle, decide
from connector.deliver.rooms import Rooms, pauses_of
from connector.deliver.routes import routes
from connector.deliver.settle import as_settlement, observed
from connector.deliver.work import Finished, Job, Leased, Pool
from connector.domain.change import Verb
from connector.domain.clock import DAY, MINUTE, SECOND, Clock, Instant, Millis
from connector.domain.event import Event, NotUnderstood
from connector.domain.note import NoteKind
from connector.domain.outcome import Outcome, OutcomeKind
from connector.domain.retry import Schedule
from connector.mapping.port import Mapping as MappingPort
from connector.mapping.port import MappingSet
from connector.outbox.port import Due, Keep, Pause, Queue, Route, Settled, Settlement, StoredCall, Take

_ROUTE_AT_ONCE = 64
_ROUTE_EVERY: Millis = 25  # while there is more than enough to send: else what was read is forgotten before it is sent
_CLAIM_AT_ONCE = 64
_GATHER: Millis = 50  # how long answers wait for others, to be settled together
_GATHER_MOST = 50
_REMEMBERED = 2_000  # events that were read for routing, and need not be read again for sending
_LEASE_MARGIN: Millis = 5 * SECOND
_JUMP: Millis = 5 * SECOND  # a larger move of the time of day against the other clock is a jump
_RECOVER_EVERY: Millis = SECOND
_PRUNE_AT_ONCE = 500
_PRUNE_SOON: Millis = SECOND // 5
_PRUNE_EVERY: Millis = 10 * MINUTE


@dataclass(slots=True)
class Engine:
    """Everything it needs comes in; it owns nothing but its memory of who is healthy."""

    queue: Queue
    mappings: MappingSet
    destinations: Mapping[str, Destination]
    decode: Callable[[StoredCall], Event | NotUnderstood]
    pool: Pool
    clock: Clock
    boot_id: str
    log: Log
    schedule: Schedule = field(default_factory=Schedule)
    concurrency: int = 16
    ahead: Millis = (
        0  # how much work is leased before there is a thread for it, as time: so that no thread waits for us
    )
    keep: Keep | None = None
    chance: random.Random = field(default_factory=random.Random)
    limiters: dict[str, Limiter] = field(default_factory=dict)
    _guard: Guard = field(init=False)
    _health: dict[str, Health] = field(init=False)
    _rooms: Rooms = field(init=False)
    _unsettled: list[Finished] = field(init=False, default_factory=list)
    _recovered_at: Millis = field(init=False, default=-_RECOVER_EVERY)
    _prune_at: Millis = field(init=False, default=0)
    _offset: Millis | None = field(init=False, default=None)
    _turns: int = field(init=False, default=0)
    _together: dict[str, int] = field(init=False, default_factory=dict)  # how many of a mapping go in a job, lately
    _gathering_since: Millis = field(init=False, default=0)
    _read: dict[int, tuple[StoredCall, Event]] = field(init=False, default_factory=dict)
    _noted: set[tuple[str, NoteKind]] = field(init=False, default_factory=set)
    _routed_at: Millis = field(init=False, default=0)
    _has_plenty: bool = field(init=False, default=False)
    _is_unsynced: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._guard = Guard(self.queue, self.log)
        for name, destination in self.destinations.items():
            limits = destination.crm.limits
            limiter = self.limiters.setdefault(name, Limiter(limits.rates, self.clock))
            if limits.per_day is not None:
                limiter.budget = Budget(name, limits.per_day, self.queue)
        self._rooms = Rooms(
            self.destinations, self.limiters, self.queue, self.clock, self.log, self.concurrency, self.ahead
        )
        self._health = {name: Health(name) for name in self.destinations}

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Take up what a deliverer before us left."""
        live = [m.name for m in self.mappings.mappings.values() if self.destinations[m.destination].mode is Mode.LIVE]
        now = self.clock.now()
        unserved = self.queue.begin(self.mappings.mappings, now + max(self.schedule.longest, DAY))
        for mapping, deliveries in unserved.items():
            self.log("deliveries wait for a mapping that is not there", mapping=mapping, deliveries=deliveries)
        released = self.queue.release_observed(live, now)
        if released:
            self.log("observed deliveries go live", deliveries=released)

    def turn(self) -> bool:
        """Do what there is to do; tell whether anything was done."""
        if self._gather():
            return False
        now = self.clock.now()
        self._watch_clock(now)
        done = self._settle_finished()
        self._recover()
        was_ahead = self._is_ahead
        worked = done
        if not was_ahead:
            worked |= self._route_new(now)
        worked |= self._claim(now)
        if was_ahead and not 0 <= self.clock.elapsed() - self._routed_at < _ROUTE_EVERY:
            worked |= self._route_new(now)
        self._sync()  # if nothing was leased after all
        self._keep_house(now)
        return worked

    def next_due(self) -> Instant | None:
        """When the next delivery that may be sent is due; None when there is none."""
        paused = self.queue.pauses(self.clock.now())
        free = [m.name for m in self.mappings.mappings.values() if not pauses_of(m, paused)]
        return self.queue.next_due(free)

    def next_at_all(self) -> Instant | None:
        """When the next pending delivery is due, paused or not; None when nothing is left to be done."""
        return self.queue.next_due(self.mappings.mappings)

    @property
    def rest(self) -> Millis | None:
        """How long the loop may rest at most: answers wait to be settled, or routing for its turn; None: for long."""
        if self._unsettled or (self.pool.is_quick and self._rooms.in_flight.total()):
            return max(1, self._gathering_since + _GATHER - self.clock.elapsed())
        return max(1, self._routed_at + _ROUTE_EVERY - self.clock.elapsed()) if self._is_ahead else None

    @property
    def _is_ahead(self) -> bool:
        """Whether what is routed is more than can be sent just now."""
        return self._has_plenty and self._rooms.in_flight.total() > 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight."""
        return self.pool.busy == 0 and not self._unsettled

    def finish(self) -> None:
        """Settle what has come back, and nothing more."""
        self._has_plenty = False
        self._settle_finished()
        self._sync()

    def close(self) -> None:
        """Give back what was fetched of the day's budgets and not spent."""
        for limiter in self.limiters.values():
            if limiter.budget is not None:
                limiter.budget.give_back()

    # ── steps of a turn ─────────────────────────────────────────────────────────────────────────────────────────────

    def _watch_clock(self, now: Instant) -> None:
        """When the time of day jumps, what was planned on the old time moves with it."""
        offset = now - self.clock.elapsed()
        if self._offset is not None and abs(offset - self._offset) > _JUMP:
            self.log("the time of day jumped", milliseconds=offset - self._offset)
            self.queue.shift(self._offset, offset, self.boot_id, now)
            for health in self._health.values():
                health.shift(offset - self._offset)
            self._offset = offset
        elif self._offset is None:
            self._offset = offset

    def _recover(self) -> None:
        elapsed = self.clock.elapsed()
        if elapsed - self._recovered_at < _RECOVER_EVERY:
            return
        gone = self.queue.gone()
        ended = self.queue.recover(self.clock.now(), elapsed, self.boot_id, gone)
        self._recovered_at = elapsed  # not before it is done: our own leases would be taken for an earlier boot's
        if ended:
            self.log("leases ended without an answer", deliveries=ended)

    def _sync(self) -> None:
        if self._is_unsynced:
            self.queue.sync()
            self._is_unsynced = False

    def _keep_house(self, now: Instant) -> None:
        """Prune a little, ever so often; oftener while there is something to prune."""
        if self.keep is None or self.clock.elapsed() < self._prune_at:
            return
        gone = self.queue.prune(now, self.keep, _PRUNE_AT_ONCE)
        self._prune_at = self.clock.elapsed() + (_PRUNE_SOON if gone else _PRUNE_EVERY)
        if "dead" in gone or "not-understood" in gone or "unwanted" in gone:
            self.log("retention removed what was never delivered", **{str(k): v for k, v in gone.items()})

    def _route_new(self, now: Instant) -> bool:
        """Route what is new; tell whether there was any."""
        self._routed_at = self.clock.elapsed()
        routed = self.queue.route(now, _ROUTE_AT_ONCE, self._route)
        if routed.revived:
            self.log("deleted records came back", records=routed.revived)
        return routed.events > 0

    def _route(self, call: StoredCall) -> tuple[Event, Sequence[Route]] | NotUnderstood:
        event = self.decode(call)
        for note in event.notes:
            if (call.source, note.kind) not in self._noted:
                self._noted.add((call.source, note.kind))
                self.log("calls are odd, and taken all the same", source=call.source, kind=note.kind, detail=note.text)
        if isinstance(event, NotUnderstood):
            self.log("not understood", id=call.event_id, source=call.source, reason=event.reason)
            return event
        self._read[call.event_id] = call, event
        if len(self._read) > _REMEMBERED:
            del self._read[next(iter(self._read))]
        return event, routes(event, self.mappings.taking(event, call.source), self.clock.now())

    def _claim(self, now: Instant) -> bool:
        paused = self.queue.pauses(now)
        names = sorted(self.mappings.mappings)
        self._turns += 1
        done = asked = False
        for i in range(len(names)):
            mapping = self.mappings.mappings[names[(i + self._turns) % len(names)]]
            room, is_probe = self._rooms.room(mapping, paused, now)
            if room > 0:
                self._has_plenty &= asked
                asked = True
                done |= self._claim_for(mapping, room, now, is_probe=is_probe)
        return done

    def _claim_for(self, mapping: MappingPort, room: int, now: Instant, *, is_probe: bool) -> bool:
        destination = self.destinations[mapping.destination]
        batch = self._batch_hint(mapping)
        limit = 1 if is_probe else min(max(_CLAIM_AT_ONCE, batch), room * self._together.get(mapping.name, batch))
        # In batches, what lingers goes with the first that is due: it has waited for company, and here it is.
        until = now + mapping.linger if batch > 1 else now
        dues = self.queue.due(until, mapping.name, mapping.destination, mapping.object, limit)
        self._has_plenty |= len(dues) == limit
        if not any(due.due_at <= now for due in dues):
            return False
        dues = [due for due in dues if due.due_at <= now or due.attempts == 0]
        knowledge = self._knowledge()
        decisions = [decide(due, mapping, knowledge, now) for due in dues]
        if destination.mode is Mode.OBSERVE:
            decisions = [observed(decision) for decision in decisions]
        decisions = self._rooms.save_for_live(mapping.destination, decisions, now)
        decisions = self._guard.pass_on(mapping, decisions, now)
        jobs = self._grouped(mapping, [d for d in decisions if isinstance(d, Attempt)], room)
        attempts = [attempt for job in jobs for attempt in job]
        plain = [d for d in decisions if not isinstance(d, Attempt)]
        settlements = [as_settlement(d, mapping, now) for d in plain]
        longest = destination.crm.longest_send
        send_by = self.clock.elapsed() + longest
        in_doubt_until = (
            self.clock.now() + longest
        )  # read last: who is stopped here must not count as certain too early
        takes = [self._take(attempt, send_by + longest + _LEASE_MARGIN, in_doubt_until) for attempt in attempts]
        granted, settled = self.queue.take(takes, settlements, now)
        self._is_unsynced &= not (takes or settlements)
        for decision, fate in zip(plain, settled, strict=True):
            if fate is Settled.DONE and isinstance(decision, Settle):
                event = decision.due.call.event_id
                self.log("settled", id=event, mapping=mapping.name, state=decision.state.word, reason=decision.reason)
        leases = iter([take.lease if ok else None for take, ok in zip(takes, granted, strict=True)])
        for job in jobs:
            pairs = [(attempt, next(leases)) for attempt in job]
            leased = tuple(Leased(attempt, lease) for attempt, lease in pairs if lease is not None)
            if leased:
                self._submit(Job(destination.name, mapping.object, leased, send_by, is_probe, now))
        return any(granted) or Settled.DONE in settled

    def _batch_hint(self, mapping: MappingPort) -> int:
        crm = self.destinations[mapping.destination].crm
        return max(1, crm.batch_limit(mapping.object, Verb.UPSERT))

    def _grouped(self, mapping: MappingPort, attempts: Sequence[Attempt], room: int) -> list[list[Attempt]]:
        """Return the attempts as jobs: those that can go together as one, and no more of them than there is room."""
        crm = self.destinations[mapping.destination].crm
        jobs: list[list[Attempt]] = []
        open_jobs: dict[tuple[Verb, str], list[Attempt]] = {}
        for attempt in attempts:
            verb, batch = attempt.write.verb, crm.batch_of(attempt.write)
            job = open_jobs.get((verb, batch)) if batch is not None else None
            if job is None or len(job) >= crm.batch_limit(mapping.object, verb):
                job = []
                jobs.append(job)
                if batch is not None:
                    open_jobs[verb, batch] = job
            job.append(attempt)
        if jobs and self._batch_hint(mapping) > 1:
            self._together[mapping.name] = 2 * len(attempts) // len(jobs)  # twice, so that they can grow again
        return jobs[:room]

    def _submit(self, job: Job) -> None:
        if not self._unsettled:
            self._gathering_since = self.clock.elapsed()
        self._rooms.began(job)
        self.pool.submit(job)

    def _take(self, attempt: Attempt, lease_until: Millis, in_doubt_until: Instant) -> Take:
        due = attempt.due
        return Take(
            delivery_id=due.delivery_id,
            event_id=due.call.event_id,
            destination=due.destination,
            object=due.object,
            link_version=due.link.version,
            keys=attempt.keys,
            lasting=attempt.lasting,
            lasts=self.destinations[due.destination].crm.visible_after(due.object),
            lease=self.queue.lease(),
            lease_until=lease_until,
            during=attempt.difference.during,
            in_doubt_until=in_doubt_until,
            removes=attempt.change.verb.removes,
        )

    def _knowledge(self) -> Knowledge:
        return Knowledge(
            decode=self._decode,
            stored=self.queue.stored,
            last_state=self.queue.last_state,
            parents=self.queue.parents,
            sharers=self.queue.sharers,
            visible_after=lambda destination, obj: self.destinations[destination].crm.visible_after(obj),
            hasher=self.queue.hasher,
        )

    def _decode(self, call: StoredCall) -> Event | NotUnderstood:
        known = self._read.get(call.event_id)
        # What an operator erased says less than what was read then.
        if known is not None and (known[0] is call or known[0].request == call.request):
            return known[1]
        return self.decode(call)

    # ── what comes back ─────────────────────────────────────────────────────────────────────────────────────────────

    def _fetch(self) -> None:
        for result in self.pool.finished():
            if not self._unsettled:
                self._gathering_since = self.clock.elapsed()
            self._rooms.ended(result.job)
            self._unsettled.append(result)

    def _gather(self) -> bool:
        """Tell whether to wait for more answers before the next turn: while all threads have work, and not for long.

        A CRM that answers at once is waited for until all is answered: threads that take turns with us at the
        interpreter, on two processors, cost more than what they do.
        """
        self._fetch()
        flying = self._rooms.in_flight.total()
        enough = flying == 0 if self.pool.is_quick else flying <= self.concurrency or not self._unsettled
        return (
            not enough
            and len(self._unsettled) < _GATHER_MOST
            and self.clock.elapsed() < self._gathering_since + _GATHER
        )

    def _settle_finished(self) -> bool:
        self._fetch()
        if not self._unsettled:
            return False
        now = self.clock.now()
        ended: list[tuple[Due, Settlement]] = []
        for result in self._unsettled:
            healthy = self._health[result.job.destination].is_proven(now)
            for leased, outcome in zip(result.job.leased, result.outcomes, strict=True):
                ended.append((leased.attempt.due, self._conclude(result, leased, outcome, now, healthy=healthy)))
        # Where more waits, the leases that follow in this turn sync the answers as well.
        # When our own store has trouble, the answers are kept and settled later: nothing is sent again for that.
        fates = self.queue.settle([settlement for _, settlement in ended], now, sync=not self._has_plenty)
        self._is_unsynced |= self._has_plenty
        finished, self._unsettled = self._unsettled, []
        for result in finished:
            self._rooms.settled(result.job)
        for (due, settlement), fate in zip(ended, fates, strict=True):
            self._say(due, settlement, fate, now)
        paused = dict(self.queue.pauses(now))
        for result in finished:
            for outcome in result.outcomes:
                self._weigh(result.job, outcome, now, paused)
        return True

    def _conclude(
        self, result: Finished, leased: Leased, outcome: Outcome, now: Instant, *, healthy: bool
    ) -> Settlement:
        destination = self.destinations[result.job.destination]
        return conclude(
            leased.attempt,
            outcome,
            lease=leased.lease,
            took=result.took,
            now=now,
            healthy=healthy,
            schedule=self.schedule,
            chance=self.chance.random(),
            visible_after=destination.crm.visible_after(result.job.object),
        )

    def _weigh(self, job: Job, outcome: Outcome, now: Instant, paused: dict[str, Pause]) -> None:
        """Let the outcome speak for the destination: pause it, or end its pause."""
        subjects = job.subjects
        standing = next((paused[s] for s in reversed(subjects) if s in paused and paused[s].by != "operator"), None)
        health = self._health[job.destination]
        pause = health.note(outcome, job.object, now, standing)
        if pause is not None:
            if standing is None:
                self.log("paused", subject=pause.subject, by=pause.by, reason=pause.reason)
            self.queue.pause(pause)
            paused[pause.subject] = pause
        elif standing is not None and job.is_probe and outcome.kind is not OutcomeKind.NOT_SENT:
            for subject in subjects:
                if subject in paused and paused[subject].by != "operator" and self.queue.resume(subject):
                    self.log("resumed", subject=subject, after=now - paused[subject].since)
                    del paused[subject]
            health.recovered()

    def _say(self, due: Due, settlement: Settlement, fate: Settled, now: Instant) -> None:
        """One line per attempt. `id` is what `connector show` takes."""
        self.log(
            "attempt",
            id=due.call.event_id,
            mapping=due.mapping,
            outcome=settlement.outcome,
            state=settlement.state.word if fate is Settled.DONE else fate.value,
            status=settlement.status,
            requests=settlement.requests,
            took=settlement.took,
            reason=settlement.reason,
            again_in=settlement.due_at - now if settlement.due_at is not None else None,
        )
