"""The other half of the model: what operators, retention and the clock do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from connector.domain.clock import SECOND, Instant, Millis
from connector.domain.delivery import DeliveryState as D
from connector.domain.delivery import Priority
from connector.domain.event import EventType
from connector.outbox.port import EventState, Filter, Keep
from tests.outbox.conformance.calls import MAPPINGS
from tests.outbox.conformance.model import Model
from tests.outbox.conformance.values import Delivery, Key, Line, LinkKey, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = {state: state.name.lower().replace("_", "-") for state in EventState}
Outcome = tuple[int, dict[str, int], list[int]]


class People:
    """Acts on a model as the desk, the eraser and the deliverer's housekeeping act on an outbox."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def rows(self, wanted: Filter) -> list[tuple[Stored, Delivery | None]]:
        """What a filter takes, in the order of arrival."""
        found: list[tuple[Stored, Delivery | None]] = []
        for event in sorted(self._model.events.values(), key=lambda one: one.id):
            mine: list[Delivery | None] = [one for one in self._model.deliveries.values() if one.event == event.id]
            found += [(event, one) for one in mine or [None] if self._takes(wanted, event, one)]
        return found

    @staticmethod
    def _takes(wanted: Filter, event: Stored, one: Delivery | None) -> bool:
        word = _WORDS[event.state] if one is None else one.state.word
        return (
            (not wanted.ids or event.id in wanted.ids)
            and (not wanted.states or word in wanted.states)
            and (wanted.mapping is None or (one is not None and one.mapping == wanted.mapping))
            and (wanted.record is None or event.record == wanted.record)
            and (wanted.since is None or event.received >= wanted.since)
            and (wanted.until is None or event.received < wanted.until)
        )

    # ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

    def replay(self, wanted: Filter, now: Instant, *, exact: bool, again: bool) -> Outcome:
        model, left, done = self._model, Counter[str](), set[int]()
        rows = sorted(
            ((event, one, None if one is None else one.state) for event, one in self.rows(wanted)),
            key=lambda row: (row[1].rank if row[1] else 0, row[0].id),
            reverse=True,
        )
        handled: set[Line] = set()
        touched: set[Line] = set()
        for event, one, state in rows:
            if one is None:
                if event.state in (EventState.UNWANTED, EventState.NOT_UNDERSTOOD):
                    event.state = EventState.NEW
                    done.add(event.id)
                else:
                    left["new"] += 1
            elif state in (D.PENDING, D.LEASED):
                left["under way"] += 1
            elif one.each and state is D.DELIVERED and not again:
                left["delivered"] += 1
            elif one.each or exact:
                one.exact = one.exact or exact
                one.asked = True
                model.anew(one, now, Priority.REPLAY)
                touched.add(one.line)
                done.add(one.event)
            elif one.line in handled:
                self._give_way(one, now)
                left["older"] += 1
            else:
                handled.add(one.line)
                newest = model.renew(one.line, now, Priority.REPLAY)
                rank, latest, _ = model.lines.get(one.line, (-1, -1, False))
                if newest is None and (one.rank, one.event) < (rank, latest):
                    left["older than what is not kept"] += 1
                    continue
                if newest is None:  # it is pruned: what was chosen is the newest there is
                    one.asked = True
                    model.anew(one, now, Priority.REPLAY)
                    touched.add(one.line)
                    newest = one
                elif newest is not one:
                    self._give_way(one, now)
                    left["older"] += 1
                if newest.state is D.HELD:
                    left["held"] += 1
                else:
                    done.add(newest.event)
        for line in touched:
            model.unblock(line, now)
        return len(done), dict(left), sorted(done)

    @staticmethod
    def _give_way(one: Delivery, now: Instant) -> None:
        if one.state in (D.DEAD, D.HELD):
            one.state, one.changed = D.SUPERSEDED, now

    @staticmethod
    def _subjects(wanted: Filter) -> set[tuple[str, str]]:
        if wanted.ids or wanted.states or wanted.since or wanted.until:
            return set()
        if wanted.record is not None:
            return {("record", wanted.record)}
        return set() if wanted.mapping is None else {("mapping", wanted.mapping)}

    def hold(self, wanted: Filter, now: Instant) -> Outcome:
        done = [one for _, one in self.rows(wanted) if one is not None and one.state is D.PENDING]
        self._model.holds |= self._subjects(wanted)
        for one in done:
            one.state, one.due, one.changed, one.reason = D.HELD, None, now, "by an operator"
        for one in done:
            self._model.unblock(one.line, now)
        return len(done), {}, sorted(one.event for one in done)

    def release(self, wanted: Filter, now: Instant) -> Outcome:
        done = [one for _, one in self.rows(wanted) if one is not None and one.state is D.HELD]
        self._model.holds = set() if wanted.is_empty else self._model.holds - self._subjects(wanted)
        for one in done:
            one.state, one.due, one.changed, one.reason, one.released = D.PENDING, None, now, "", True
        for one in done:
            if not one.each:
                self._model.supersede(one.line, one, now, D.PENDING)
        for one in done:
            self._model.unblock(one.line, now)
        return len(done), {}, sorted(one.event for one in done)

    def release_observed(self, mappings: Sequence[str], now: Instant) -> int:
        done = [
            one
            for one in self._model.deliveries.values()
            if one.mapping in mappings and one.state is D.HELD and one.reason.startswith("observe")
        ]
        for one in done:
            one.state, one.due, one.changed, one.reason = D.PENDING, None, now, ""
        for one in done:
            self._model.unblock(one.line, now)
        return len(done)

    def discard(self, wanted: Filter, now: Instant) -> Outcome:
        left: Counter[str] = Counter()
        done = []
        for _, one in self.rows(wanted):
            if one is not None and one.state in (D.PENDING, D.HELD, D.DEAD):
                done.append(one)
            else:
                left["in flight" if one is not None and one.state is D.LEASED else "settled"] += 1
        for one in done:
            one.state, one.due, one.changed = D.DISCARDED, None, now
        for one in done:
            self._model.unblock(one.line, now)
        return len(done), dict(left), sorted(one.event for one in done)

    # ── retention and erasure ───────────────────────────────────────────────────────────────────────────────────────

    def expired(self, now: Instant, keep: Keep) -> dict[int, str]:
        """Return what may be pruned, with the word it is counted under."""
        found = {}
        for event in self._model.events.values():
            mine = [one for one in self._model.deliveries.values() if one.event == event.id]
            states = {one.state for one in mine}
            changed = max((one.changed for one in mine), default=event.received)
            if event.state in (EventState.UNWANTED, EventState.NOT_UNDERSTOOD):
                word, until = _WORDS[event.state], event.received + keep.unwanted
            elif states & {D.DEAD, D.HELD}:
                word, until = "dead", changed + keep.dead
            else:
                word, until = "settled", changed + keep.settled
            doubts = (link.doubt_events for key, link in self._model.links.items() if key[2] == event.record)
            # What it may have made is recognised by it. What is dead is kept as long anyway.
            if mine and not states & {D.DEAD, D.HELD} and any(event.id in events for events in doubts):
                word, until = "settled", changed + max(keep.settled, keep.dead)
            if event.state is not EventState.NEW and not states & {D.PENDING, D.LEASED} and until < now:
                found[event.id] = word
        return found

    def forget_small_things(self, now: Instant, keep: Keep) -> None:
        """From now on a proof, or the identity of a happening, may be unknown."""
        model = self._model
        model.forgettable |= {proof for proof, (_, until) in model.proofs.items() if until < now}
        model.faded |= {known for known, at in model.seen.items() if at < now - max(keep.settled, keep.dead)}

    def erase(self, record: str, now: Instant, *, crm: bool, ordered: int) -> None:
        """`ordered` is the event that was made to have the CRM's records removed, if there is any to be removed."""
        model = self._model
        orders = self._orders(record) if crm else {}
        busy = {mapping for mappings in orders.values() for mapping in mappings}
        kept: dict[int, set[Key]] = {}
        for event in [event for event in model.events.values() if (event.record or _read(event)) == record]:
            mine = [one for one in model.deliveries.values() if one.event == event.id and one.mapping not in busy]
            stay = [one for one in mine if one.is_delete and one.state in (D.PENDING, D.HELD, D.DEAD)]
            model.forget_event(event.id)
            if stay:
                event.wiped = True
                model.events[event.id] = event
                model.deliveries |= {one.key: one for one in stay}
                kept[event.id] = {one.key for one in stay}
        model.unproven = {k: v for k, v in model.unproven.items() if v[0].wanted is None or str(v[0].record) != record}
        model.lines = {line: known for line, known in model.lines.items() if line[0] != record}
        model.children = {
            up: {line: tried for line, tried in lines.items() if line[0] != record}
            for up, lines in model.children.items()
            if up[2] != record
        }
        for key in [key for key in model.links if key[2] == record]:
            model.touch(key)
            if key not in orders and not kept:
                del model.links[key]
            else:
                model.links[key].accepted.clear()
                model.links[key].doubt_events = []
        for one in [one for one in model.deliveries.values() if one.event in kept]:
            known = model.lines.get(one.line)
            if known is None or one.place > known[:2]:
                model.lines[one.line] = (one.rank, one.event, False)
        if orders:
            model.events[ordered] = Stored(ordered, None, record, now, EventState.ROUTED, wiped=True)
            for mapping in busy:
                rank = now // SECOND * 2 + 1
                one = Delivery(ordered, mapping, record, rank, is_delete=True, changed=now, due=now)
                one.each = one.released = one.erases = True
                model.deliveries[one.key] = one
                model.lines[one.line] = (rank, ordered, False)
        model.tombs[record] = max(now, model.tombs.get(record, 0))

    def _orders(self, record: str) -> dict[LinkKey, list[str]]:
        """The links whose CRM records are to be removed, each with the mappings that do it."""
        orders = {}
        for key, link in self._model.links.items():
            if key[2] == record and link.crm_id is not None:
                writers = [name for name, kind in MAPPINGS.items() if (kind.destination, kind.object) == key[:2]]
                known = [name for name in writers if (record, name) in self._model.lines]
                orders[key] = known or writers[:1]
        return orders

    def orders(self, record: str) -> bool:
        return bool(self._orders(record))

    # ── the clock ───────────────────────────────────────────────────────────────────────────────────────────────────

    def shift(self, by: Millis, now: Instant) -> set[Key]:
        """What waited goes on to wait for as long. Return what was due already: it stays so, whatever its time says."""
        before = now - by
        was_due = set()
        for one in self._model.deliveries.values():
            if one.due is not None and one.due <= before:
                was_due.add(one.key)
            elif one.due is not None:
                one.due += by
        for link in self._model.links.values():
            link.doubt_at = None if link.doubt_at is None else link.doubt_at + by
        for lock in self._model.locks.values():
            lock.until += by if lock.until else 0
        return was_due

    def last_state(self, event: Stored) -> int | None:
        found = [
            other
            for other in self._model.events.values()
            if other.record == event.record and event.record is not None and other.id != event.id
            and other.said is not None and other.said.type in (EventType.CREATE, EventType.UPDATE)
        ]  # fmt: skip
        return max(((one.said.rank, one.id) for one in found if one.said), default=(0, None))[1]


def _read(event: Stored) -> str | None:
    """Of which record a call is that nobody has read yet."""
    return None if event.said is None or event.said.wanted is None else str(event.said.record)
