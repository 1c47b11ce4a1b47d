"""What is compared after every step: the outbox as its port tells it, the model, and a journal that believes neither."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from connector.domain.delivery import DeliveryState as D
from connector.outbox.port import DeliveryRow, EventRow, EventState, Filter
from tests.outbox.conformance.calls import MAPPINGS
from tests.outbox.conformance.model import Model
from tests.outbox.conformance.values import Key, Line

if TYPE_CHECKING:
    from tests.outbox.conformance.subject import Handle

_EVERYTHING = 10_000


class Watch:
    """Remembers what was seen of each line, so that it can tell what may not follow."""

    def __init__(self) -> None:
        self._last: dict[Key, D] = {}
        self._arrived: dict[Line, set[tuple[int, int]]] = defaultdict(set)
        self._delivered: dict[Line, set[tuple[int, int]]] = defaultdict(set)

    def rows(self, handle: Handle) -> list[tuple[EventRow, DeliveryRow]]:
        return [(event, row) for event in handle.desk.list(Filter(), _EVERYTHING) for row in event.deliveries]

    def compare(self, handle: Handle, model: Model) -> None:
        """Raise AssertionError when the outbox is not what the model says, or what no outbox may be."""
        events = handle.desk.list(Filter(), _EVERYTHING)
        told = {one.id: (one.state, one.record, one.received_at) for one in events}
        kept = {
            one.id: (one.state.name.lower().replace("_", "-"), one.record, one.received)
            for one in model.events.values()
        }
        assert told == kept, "stored calls"
        assert [one.id for one in events] == sorted(told, reverse=True), "newest first"
        rows = [(event, row) for event in events for row in event.deliveries]
        found = {
            (event.id, row.mapping): (
                row.state.word, row.due_at, row.priority.name, row.attempts, row.forced, row.changed_at,
            )
            for event, row in rows
        }  # fmt: skip
        expected = {
            one.key: (one.state.word, one.due, one.priority.name, one.attempts, one.forced, one.changed)
            for one in model.deliveries.values()
        }
        differ = {
            key: (found.get(key), expected.get(key)) for key in found | expected if found.get(key) != expected.get(key)
        }
        assert not differ, f"(state, due, priority, attempts, forced, changed): told and expected differ in {differ}"
        self._compare_status(handle, model)
        self._judge(rows, model)

    @staticmethod
    def _compare_status(handle: Handle, model: Model) -> None:
        status = handle.desk.status()
        states = Counter(one.state.word for one in model.deliveries.values())
        assert {word: n for word, n in status.deliveries.items() if n} == states, "counts of deliveries"
        events = Counter(one.state for one in model.events.values())
        assert [status.events[state.name.lower().replace("_", "-")] for state in EventState] == [
            events[state] for state in EventState
        ], "counts of events"
        assert status.unproven == len(model.unproven), "calls that wait for their proof"
        heads = [one.due for one in model.deliveries.values() if one.due is not None]
        assert status.oldest_due == min(heads, default=None), "the oldest that is due"

    def _judge(self, rows: list[tuple[EventRow, DeliveryRow]], model: Model) -> None:
        """Rules that hold whatever the model says."""
        lines: dict[Line, list[DeliveryRow]] = defaultdict(list)
        for one in model.deliveries.values():
            self._arrived[one.line].add(one.place)
        for event, row in rows:
            key, line = (event.id, row.mapping), (event.record or "", row.mapping)
            one = model.deliveries[key]
            lines[line].append(row)
            if row.state is D.LEASED and self._last.get(key) is not D.LEASED and not one.each and not one.asked:
                newer = {place for place in self._delivered[line] if place > one.place}
                assert not newer, f"S21: event {event.id} of {line} is leased, and {newer} was delivered"
            if row.state is D.SUPERSEDED and key not in self._last:
                self._check_newer(line, one.place)
            elif row.state is D.SUPERSEDED and self._last[key] is not D.SUPERSEDED:
                self._check_newer(line, one.place)
                assert MAPPINGS[row.mapping].is_state, "S2: an event that is delivered each is superseded"
            if row.state is D.DELIVERED and self._last.get(key) is not D.DELIVERED:
                self._delivered[line].add(one.place)
        for line, mine in lines.items():
            leased = sum(row.state is D.LEASED for row in mine)
            waiting = [row for row in mine if row.state is D.PENDING]
            heads = sum(row.due_at is not None for row in waiting)
            assert leased <= 1, f"{line} is leased {leased} times"
            assert heads == (0 if leased or not waiting else 1), f"{line}: {heads} heads, {leased} leased, of {waiting}"
        self._last = {(event.id, row.mapping): row.state for event, row in rows}

    def _check_newer(self, line: Line, place: tuple[int, int]) -> None:
        assert any(other > place for other in self._arrived[line]), f"{place} of {line} is superseded by nothing newer"
