"""The mass-delete guard: deleting a database in Copernica sends a delete for each profile (S20)."""

from collections.abc import Sequence

from connector.deliver.log import Log
from connector.deliver.plan import Attempt, Decision, Settle
from connector.domain.clock import HOUR, MINUTE, Instant
from connector.domain.delivery import DeliveryState
from connector.mapping.port import Mapping
from connector.outbox.port import Queue

_COUNT_AGAIN_AFTER = 10 * MINUTE


class Guard:
    """Holds removals beyond the mapping's limit, until a person releases or discards them."""

    def __init__(self, queue: Queue, log: Log) -> None:
        self._queue = queue
        self._log = log
        self._linked: dict[str, tuple[Instant, int]] = {}
        self._holding: set[str] = set()

    def pass_on(self, mapping: Mapping, decisions: Sequence[Decision], now: Instant) -> list[Decision]:
        """Return the decisions, with the removals that are too many held in place of being sent."""
        wanted = [d for d in decisions if isinstance(d, Attempt) and d.change.verb.removes and not d.due.released]
        if not wanted:
            return list(decisions)
        room = self._room(mapping, len(wanted), now)
        passed = {attempt.due.delivery_id for attempt in wanted[: max(0, room)]}
        if room >= len(wanted):
            self._holding.discard(mapping.name)
        elif mapping.name not in self._holding:
            self._holding.add(mapping.name)
            self._log("mass delete held", mapping=mapping.name, try_="connector list --state held; release or discard")
        held = {attempt.due.delivery_id for attempt in wanted} - passed
        return [_hold(d) if isinstance(d, Attempt) and d.due.delivery_id in held else d for d in decisions]

    def _room(self, mapping: Mapping, wanted: int, now: Instant) -> int:
        """How many more removals may be sent within the hour: the limit is a number *and* a share of the links."""
        count, share = mapping.guard
        done = self._queue.removals(mapping.name, now - HOUR)
        if done + wanted <= count:
            return wanted
        return max(count, int(share * self._count_linked(mapping, now))) - done

    def _count_linked(self, mapping: Mapping, now: Instant) -> int:
        at, linked = self._linked.get(mapping.name, (now - HOUR, 0))
        if abs(now - at) > _COUNT_AGAIN_AFTER:
            linked = self._queue.linked(mapping.destination, mapping.object)
            self._linked[mapping.name] = (now, linked)
        return linked


def _hold(attempt: Attempt) -> Settle:
    return Settle(attempt.due, DeliveryState.HELD, "mass delete: more within an hour than the mapping's guard allows")
