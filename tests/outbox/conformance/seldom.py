"""What happens seldom: restarts, reboots, backups, clocks that jump, pruning, erasing. And what the machine stands on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connector.domain.clock import DAY, HOUR, MINUTE, SECOND
from connector.domain.delivery import DeliveryState as D
from connector.domain.record import Record
from connector.outbox.erasure import Person
from connector.outbox.port import (
    Due,
    Filter,
    Keep,
    Link,
    Pause,
)  # fmt: skip
from tests.outbox.conformance.calls import MAPPINGS, RECORDS, Said, Table
from tests.outbox.conformance.model import Model
from tests.outbox.conformance.people import People
from tests.outbox.conformance.subject import Handle, Subject
from tests.outbox.conformance.values import Key, LinkKey, LinkState
from tests.outbox.conformance.watch import Watch

T0 = 1_800_000_000_000

records = st.sampled_from(RECORDS)
names = st.sampled_from(sorted(MAPPINGS))
who = st.integers(0, 1)
picks = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 5, 8])  # one of a list, from its end: mostly what is new
wishes = st.sampled_from([("people",), ("people", "flags"), ("clicks",), ("people", "clicks"), ("flags",), (), None])

some = st.lists(names, unique=True)
happenings = st.one_of(
    st.tuples(st.just("judge"), st.sampled_from(["genuine", "refused", "unknown"])),
    st.tuples(st.just("other_mappings"), picks, wishes),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("reboot")),
    st.tuples(st.just("restore")),
    st.tuples(st.just("clock_jumps"), st.sampled_from([-2 * HOUR, -5 * SECOND, 5 * SECOND, 2 * HOUR])),
    st.tuples(st.just("go_live"), some),
    st.tuples(
        st.just("pause"), st.sampled_from(["crm", "crm/contact", "people"]), st.sampled_from(["operator", "throttled"]),
        st.sampled_from([None, MINUTE]), st.booleans(),
    ),
    st.tuples(st.just("budget"), st.integers(0, 2), st.sampled_from([-1, 1, 2, 4])),
    st.tuples(st.just("erase"), records, st.booleans()),
    st.tuples(st.just("bring_link"), records, st.sampled_from(["7", "8"]), st.booleans()),
    st.tuples(st.just("ask"), records, names, picks),
    st.tuples(
        st.just("prune"), st.sampled_from([Keep(MINUTE, DAY, HOUR), Keep(DAY, HOUR, MINUTE)]), st.sampled_from([2, 100])
    ),
)  # fmt: skip
"""What happens seldom, together one rule, so that calls and deliveries are most of a run."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """A due delivery as it was shown, and what its link was like then."""

    due: Due
    token: int

    @property
    def key(self) -> Key:
        return self.due.call.event_id, self.due.mapping


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was granted; it may have ended."""

    claim: Claim
    number: int


class Seldom(RuleBasedStateMachine):
    """Two processes at one outbox; `make` gives an empty one. Each of these happens, but seldom."""

    def __init__(self, make: Callable[[], Subject]) -> None:
        super().__init__()
        self.subject = make()
        self.model, self.watch, self.table = Model(), Watch(), Table()
        self.now, self.elapsed, self.boot, self.ahead = T0, 10 * MINUTE, "boot 1", T0 - 10 * MINUTE
        self.calls: list[tuple[Said, bytes | None]] = []
        self.claims: list[Claim] = []
        self.leases: list[Lease] = []
        self.spent: dict[str, tuple[int, int]] = {}
        self.pauses: dict[str, Pause] = {}
        self.owners = [0, 0]
        self.handles = [self._open(0), self._open(1)]
        self.steps = 0
        self.recover_by(0)

    def _open(self, number: int) -> Handle:
        self.owners[number] = max(self.owners) + 1
        return self.subject.open(self.table.decode)

    def teardown(self) -> None:
        for handle in self.handles:
            self.subject.leave(handle)
        self.subject.close()

    @invariant()
    def is_as_the_model_says(self) -> None:
        self.steps += 1
        self.watch.compare(self.handles[self.steps % 2], self.model)

    @rule(what=happenings, number=who)
    def happens(self, what: tuple[Any, ...], number: int) -> None:
        name, *details = what
        getattr(self, f"_{name}")(number, *details)

    def _judge(self, number: int, verdict: str) -> None:
        """DNS speaks, or is asked in vain."""
        if not self.model.unproven:
            return
        inbox, waiting = self.handles[number].inbox, self.model.unproven
        shown = inbox.unproven(10)
        assert [(one.event_id, one.tried) for one in shown] == sorted(
            ((key, row[3]) for key, row in waiting.items()), key=lambda one: (one[1], one[0])
        )
        event_id = shown[0].event_id
        said, proof, received, tried = waiting[event_id]
        if verdict == "unknown":
            inbox.judge(event_id, None, self.now)
            waiting[event_id] = (said, proof, received, tried + 1)
            return
        del waiting[event_id]
        if verdict == "refused":
            inbox.judge(event_id, "key-unknown", self.now)
            del self.model.proofs[proof]
        else:
            inbox.judge(event_id, said.call(received, proof, 0), self.now)
            self.model.store(event_id, said, received)

    def _other_mappings(self, number: int, pick: int, wanted: tuple[str, ...] | None) -> None:
        """A mapping file is changed: what nobody wanted may be wanted when it is replayed."""
        if not self.calls:
            return
        self.chosen(self.calls, pick)[0].wanted = wanted

    @staticmethod
    def chosen(things: Sequence[T], pick: int) -> T:
        return things[-1 - pick % len(things)]

    def recover_by(self, number: int) -> None:
        queue = self.handles[number].queue
        told = queue.recover(self.now, self.elapsed, self.boot, queue.gone())
        assert told == self.model.recover(self.now, self.elapsed, self.boot)

    def _restart(self, number: int, dies: bool) -> None:
        """A process ends, well or badly, and another one takes its place."""
        self._end(number, dies=dies)
        self.handles[number] = self._open(number)

    def _end(self, number: int, *, dies: bool) -> None:
        (self.subject.kill if dies else self.subject.leave)(self.handles[number])
        self.model.gone.add(self.owners[number])

    def _reboot(self, number: int) -> None:
        """The machine starts anew: the other clock begins again."""
        del number
        for each in (0, 1):
            self._end(each, dies=True)
        self.elapsed, self.boot = MINUTE, f"{self.boot}, then another"
        self.ahead = self.now - self.elapsed
        self.handles = [self._open(0), self._open(1)]
        self.recover_by(0)

    def _restore(self, number: int) -> None:
        """What goes on is the backup."""
        copied = self.subject.restore()
        del number
        for each in (0, 1):
            self._end(each, dies=False)
        self.subject.close()
        self.subject = copied
        self.handles = [self._open(0), self._open(1)]

    def _clock_jumps(self, first: int, by: int) -> None:
        """Somebody sets the clock; both processes notice, and only the first one's notice counts."""
        self.now += by
        after = self.now - self.elapsed
        was_due = People(self.model).shift(by, self.now)
        for number in (first, 1 - first):
            self.handles[number].queue.shift(self.ahead, after, self.boot, self.now)
        self.ahead = after
        rows = {(event.id, row.mapping): row.due_at for event, row in self.watch.rows(self.handles[first])}
        for key in was_due:
            due = rows[key]
            assert due is not None
            assert due <= self.now, "what was due waits because the clock was set"
            self.model.deliveries[key].due = due
        self.pauses = {
            subject: Pause(subject, one.by, one.reason, one.since, None if one.until is None else one.until + by)
            for subject, one in self.pauses.items()
        }

    def _go_live(self, number: int, mappings: list[str]) -> None:
        """A destination is observed no longer (S27)."""
        told = self.handles[number].queue.release_observed(mappings, self.now)
        assert told == People(self.model).release_observed(mappings, self.now)

    def _pause(self, number: int, subject: str, by: str, until: int | None, ends: bool) -> None:
        """Said by one process, seen by the other."""
        handle, other = self.handles[number], self.handles[1 - number]
        if ends:
            assert handle.desk.resume(subject) == (self.pauses.pop(subject, None) is not None)
        else:
            pause = Pause(subject, by, "because", self.now, None if until is None else self.now + until)
            handle.queue.pause(pause)
            self.pauses[subject] = pause
        over = {key for key, one in self.pauses.items() if one.by == "operator" and (one.until or 1 << 62) <= self.now}
        assert other.queue.pauses(self.now) == {key: one for key, one in self.pauses.items() if key not in over}

    def _budget(self, number: int, window: int, cost: int) -> None:
        """Shared by all processes, a window at a time."""
        queue = self.handles[number].queue
        current, spent = self.spent.get("day", (-1, 0))
        taken = queue.budget("day", window, cost, 5)
        if current > window:
            assert taken == (cost <= 0), "a window that is over gives nothing"
            return
        spent = spent if current == window else 0
        assert taken == (spent + cost <= 5)
        if taken:
            self.spent["day"] = (window, max(0, spent + cost))
            assert self.handles[1 - number].queue.spent("day", window) == max(0, spent + cost)

    def _prune(self, number: int, keep: Keep, limit: int) -> None:
        """Only what has passed its time goes; with room for all of it in one step, all of it."""
        people, handle = People(self.model), self.handles[number]
        expired = people.expired(self.now, keep)
        gone = dict(handle.queue.prune(self.now, keep, limit))
        left = {event.id for event in handle.desk.list(Filter(), 10_000)}
        went = set(self.model.events) - left
        assert went <= set(expired), "what has not passed its time is pruned"
        assert gone == {word: n for word in expired.values() if (n := sum(expired[one] == word for one in went))}
        people.forget_small_things(self.now, keep)
        for event in went:
            self.model.forget_event(event)
        if limit > len(left) + len(went):
            again = dict(
                handle.queue.prune(self.now, keep, limit)
            )  # a walk that was under way has ended with the first
            left = {event.id for event in handle.desk.list(Filter(), 10_000)}
            went = set(self.model.events) - left
            assert sum(again.values()) == len(went)
            expired = people.expired(self.now, keep)
            youngest = self.now - min(keep.settled, keep.dead, keep.unwanted)
            sure = {one for one in expired if self.model.events[one].received < youngest}  # the clock may be set back
            assert sure <= went <= set(expired), "what has passed its time stays, or what has not goes"
            for event in went:
                self.model.forget_event(event)

    def _erase(self, number: int, record: Record, crm: bool) -> None:
        """A person asks to be forgotten (S28)."""
        key = str(record)
        if any(one.record == key and one.state is D.LEASED for one in self.model.deliveries.values()):
            return  # it would wait for the answer
        eraser = self.handles[number].eraser
        people = People(self.model)
        ordered = people.orders(key) and crm
        found = eraser.find(Person(record=record))
        receipt = eraser.erase(found, self.now, self._writers, crm=crm, rewrite=False)
        assert bool(receipt.erasing) == ordered
        events = {one.event for one in receipt.erasing}
        assert len(events) == ordered
        number_of = events.pop() if events else None
        if number_of is not None:
            assert number_of > self.model.highest
            self.model.highest = number_of
        people.erase(key, self.now, crm=crm, ordered=number_of or 0)

    @staticmethod
    def _writers(destination: str, obj: str) -> list[str]:
        return [name for name, kind in MAPPINGS.items() if (kind.destination, kind.object) == (destination, obj)]

    def _bring_link(self, number: int, record: Record, crm_id: str, replace: bool) -> None:
        """A link is brought in, after it was weighed."""
        book, key = self.handles[number].linkbook, ("crm", "contact", str(record))
        links = [Link(*key, crm_id)]
        weighed = book.weigh(links, replace=replace)[0]
        taken = book.take_in(links, self.now, replace=replace)[0]
        assert (weighed.fate, weighed.before) == (taken.fate, taken.before)
        told = (str(taken.fate), taken.before, taken.children)
        assert told == self.model.take_in(key, crm_id, self.now, replace=replace)

    def _ask(self, number: int, record: Record, mapping: str, pick: int) -> None:
        """What else a deliverer looks up."""
        queue, model, kind = self.handles[number].queue, self.model, MAPPINGS[mapping]
        key: LinkKey = (kind.destination, kind.object, str(record))
        link = model.links.get(key, LinkState())
        parent = queue.parents(kind.destination, [(mapping, kind.object, record)])[0]
        coming = link.crm_id is None and bool(model.of_line((str(record), mapping), D.PENDING, D.LEASED))
        assert (parent.crm_id, parent.coming) == (link.crm_id, coming)
        linked = sum(one.crm_id is not None and at[:2] == key[:2] for at, one in model.links.items())
        assert queue.linked(kind.destination, kind.object) == linked
        if link.crm_id is not None:
            others = queue.sharers(kind.destination, kind.object, link.crm_id, str(record))
            assert sorted(others) == sorted(model.sharers(key))
        since = self.now - HOUR
        assert queue.removals(mapping, since) == len({one for at, one in model.removed.get(mapping, []) if at > since})
        if model.events:
            event = self.chosen(sorted(model.events.values(), key=lambda one: one.id), pick)
            last = queue.last_state(event.id)
            assert (None if last is None else last.event_id) == People(model).last_state(event)
            stored = queue.stored(event.id)
            assert stored is not None
            assert event.wiped or (event.said is not None and stored.request.request.body == event.said.body)
