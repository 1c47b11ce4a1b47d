"""The durable store of events and deliveries: what it keeps, and the promises it makes to its three users.

The receiver sees an `Inbox`, the deliverer a `Queue`, the operator a `Desk`. Every method that writes is one short
transaction, on disk when it returns. Times are from outside: `now` is the time of day, `elapsed` the clock that counts
suspension (both in milliseconds).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from connector.domain.accepted import Hasher
from connector.domain.clock import Instant, Millis
from connector.domain.record import Record
from connector.outbox.calls import EventState, NewCall, NewUnproven, Receipt, StoredCall, StoredUnproven
from connector.outbox.deliveries import (
    Due,
    Keep,
    LinkChange,
    LinkView,
    ParentLink,
    ParentView,
    Pause,
    Route,
    Routed,
    Router,
    Settled,
    Settlement,
    Take,
)
from connector.outbox.errors import OutboxBrokenError, OutboxBusyError, OutboxError, OutboxFullError, OutboxVersionError
from connector.outbox.linking import Link, LinkDetail, LinkFate, LinkTaken, SharedRecord
from connector.outbox.looking import AttemptRow, DeliveryRow, Detail, Done, EventRow, Filter, Status

__all__ = [
    "AttemptRow",
    "DeliveryRow",
    "Desk",
    "Detail",
    "Done",
    "Due",
    "EventRow",
    "EventState",
    "Filter",
    "Inbox",
    "Keep",
    "Link",
    "LinkChange",
    "LinkDetail",
    "LinkFate",
    "LinkTaken",
    "LinkView",
    "Linkbook",
    "NewCall",
    "NewUnproven",
    "OutboxBrokenError",
    "OutboxBusyError",
    "OutboxError",
    "OutboxFullError",
    "OutboxVersionError",
    "ParentLink",
    "ParentView",
    "Pause",
    "Queue",
    "Receipt",
    "Route",
    "Routed",
    "Router",
    "Settled",
    "Settlement",
    "SharedRecord",
    "Status",
    "StoredCall",
    "StoredUnproven",
    "Take",
]


class Inbox(Protocol):
    """What the receiver needs."""

    def append(self, calls: Sequence[NewCall | NewUnproven], *, patience: float | None = None) -> Sequence[Receipt]:
        """Keep the calls in one transaction; they are on disk when this returns.

        A call whose proof is there already is not kept again: its receipt names the first one. Raises OutboxFullError
        (also when there is no room for one more unproven call), OutboxBusyError, OutboxBrokenError. `patience` is how
        many seconds others may go on writing first; None: as long as the outbox is set up to wait.
        """
        ...

    def probe(self, now: Instant) -> None:
        """Prove by a write that a call could be stored now. Raises as `append` does."""
        ...

    def count(self, counts: Mapping[str, int], now: Instant) -> None:
        """Add to durable counters (`declined.SOURCE.TYPE`, `refused.SOURCE.REASON`, …)."""
        ...

    def note(self, name: str, value: str, now: Instant) -> None:
        """Remember a small fact for `status` (the last test call of a source, how far the clocks differ)."""
        ...

    def unproven(self, limit: int) -> Sequence[StoredUnproven]:
        """Return calls that wait for their proof, least tried first."""
        ...

    def judge(self, event_id: int, verdict: NewCall | str | None, now: Instant) -> None:
        """Settle an unproven call: keep it as an event in its place, refuse it for a reason, or (None) count a try."""
        ...


class Queue(Protocol):
    """What the deliverer needs."""

    @property
    def hasher(self) -> Hasher:
        """Hashes with the outbox's own key."""
        ...

    def lease(self) -> int:
        """Return a new lease: a number that is this process's own for as long as it lives."""
        ...

    def gone(self) -> Collection[int]:
        """Return the owners of leases whose processes have ended: whatever they sent left before this was asked."""
        ...

    def recover(self, now: Instant, elapsed: Millis, boot_id: str, gone: Collection[int]) -> int:
        """End the leases that ran out, of owners that are gone, and of an earlier boot; return how many.

        `now` was read after `gone` was asked: a process that is stopped in between must not take it for earlier.
        The doubt about what they sent stays on their links.
        """
        ...

    def route(self, now: Instant, limit: int, router: Router) -> Routed:
        """Give up to `limit` new events to the router and keep what it says: superseding, order and holds included."""
        ...

    def due(self, now: Instant, mapping: str, destination: str, object_name: str, limit: int) -> Sequence[Due]:
        """Return the mapping's due deliveries, live ones first, longest due first; only the head of each line."""
        ...

    def next_due(self, mappings: Iterable[str]) -> Instant | None:
        """When the next pending delivery of these mappings is due; None when there is none."""
        ...

    def last_state(self, event_id: int) -> StoredCall | None:
        """Return the newest other stored call of that event's record that has fields (S15)."""
        ...

    def stored(self, event_id: int) -> StoredCall | None:
        """Return a stored call; None when it is pruned."""
        ...

    def parents(self, destination: str, wanted: Sequence[tuple[str, str, Record]]) -> Sequence[ParentView]:
        """Look up parents, given as (mapping, object, record)."""
        ...

    def sharers(self, destination: str, object_name: str, crm_id: str, but: str) -> Sequence[str]:
        """Return the other records (as the outbox keeps them) that are linked to that CRM record (S16)."""
        ...

    def removals(self, mapping: str, since: Instant) -> int:
        """How many deliveries of that mapping were leased since then to take a record away (S20)."""
        ...

    def linked(self, destination: str, object_name: str) -> int:
        """How many records are linked to such an object. Counts them: not to be asked often."""
        ...

    def take(
        self, takes: Sequence[Take], settlements: Sequence[Settlement], now: Instant
    ) -> tuple[Sequence[bool], Sequence[Settled]]:
        """Lease and settle in one transaction; tell which leases were granted and what became of the settlements."""
        ...

    def settle(self, settlements: Sequence[Settlement], now: Instant, *, sync: bool = True) -> Sequence[Settled]:
        """Write outcomes and end their leases, each only if the lease is still its own.

        Without `sync` a power cut may take it away until something else is synced: `take` or `sync`. It is then as if
        the process had died before it could settle.

        Whose lease is gone after something left marks its link unknown and makes the line's newest state due, forced
        (S21). A delivered one settles the dead and held ones of its line as superseded (S6) and makes the line's next
        one due. A link that comes into being makes its waiting children due (S25).
        """
        ...

    def sync(self) -> None:
        """See that everything is on disk that was settled without it."""
        ...

    def pauses(self, now: Instant) -> Mapping[str, Pause]:
        """Return what is paused, by subject; an operator's pause is over when its time has passed."""
        ...

    def pause(self, pause: Pause) -> None:
        """Pause, or replace the pause of that subject."""
        ...

    def resume(self, subject: str) -> bool:
        """End a pause; tell whether there was one."""
        ...

    def budget(self, name: str, window: int, cost: int, limit: int) -> bool:
        """Take `cost` from the budget `name` of that window (a number that grows); False when it is used up.

        A negative `cost` gives back what was not needed.
        """
        ...

    def spent(self, name: str, window: int) -> int:
        """How much of the budget `name` of that window was taken, by all processes."""
        ...

    def release_observed(self, mappings: Sequence[str], now: Instant) -> int:
        """Make pending what was held because its destination was only observed (S27)."""
        ...

    def prune(self, now: Instant, keep: Keep, limit: int) -> Mapping[str, int]:
        """Remove up to `limit` events whose time has passed, and what stands beside them; return counts by what it was.

        One small step: call it again while it returns anything. What is pending or leased stays. Links, order and
        tombstones stay (S7); dead and held rows that pass their time are counted as such.
        """
        ...

    def begin(self, mappings: Iterable[str], latest: Instant) -> Mapping[str, int]:
        """Remember which mappings are in force; return how many deliveries wait for one that is not, by its name.

        Nothing waits longer than until `latest`: the time of day may have been set back while no deliverer ran.
        """
        ...

    def shift(self, before: Millis, after: Millis, boot_id: str, now: Instant) -> None:
        """The time of day jumped: move what was planned on the old clock, once for all processes.

        `before` and `after` are by how much it is ahead of the other clock, as this process knows it.
        """
        ...

    def count(self, counts: Mapping[str, int], now: Instant) -> None:
        """Add to durable counters."""
        ...


class Desk(Protocol):
    """What the operator's commands need. The first four only read."""

    def status(self) -> Status:
        """Return the figures, fast however large the outbox is."""
        ...

    def list(self, wanted: Filter, limit: int, after: int = 0) -> Sequence[EventRow]:
        """Return events with their deliveries, newest first; `after` (an event ID) pages on to older ones."""
        ...

    def show(self, event_id: int) -> Detail | None:
        """Return all of one event."""
        ...

    def matching(self, wanted: Filter) -> Done:
        """What a command with that filter would act on (`--dry-run`)."""
        ...

    def replay(self, wanted: Filter, now: Instant, *, exact: bool, again: bool, dry_run: bool) -> Done:
        """Make the newest stored state of each selected record due again, forced, below live traffic (S26).

        Selected older events are settled superseded and counted in `left`. `exact` sends that very event. Events of
        `each` mappings replay singly; one that succeeded only with `again`. Events that no mapping wanted, or that
        were not understood, are looked at anew.
        """
        ...

    def hold(self, wanted: Filter, now: Instant, *, dry_run: bool) -> Done:
        """Hold pending deliveries, and later states of a named record or mapping too (S27)."""
        ...

    def release(self, wanted: Filter, now: Instant, *, dry_run: bool) -> Done:
        """End holds: the newest state of each becomes due."""
        ...

    def discard(self, wanted: Filter, now: Instant, *, dry_run: bool) -> Done:
        """Throw away what is pending, held or dead."""
        ...

    def pause(self, pause: Pause) -> None:
        """Pause a destination or mapping."""
        ...

    def resume(self, subject: str) -> bool:
        """End a pause; tell whether there was one."""
        ...


class Linkbook(Protocol):
    """What `connector links` needs."""

    def page(
        self, destination: str | None, object_name: str | None, limit: int, after: int = 0
    ) -> tuple[Sequence[Link], int]:
        """Return links in the order in which they were made, and what the next page begins `after`; 0: no more.

        Links of addresses are left out: their keys are hashes that mean nothing elsewhere.
        """
        ...

    def weigh(self, links: Sequence[Link], *, replace: bool) -> Sequence[LinkTaken]:
        """Tell what `take_in` would do; nothing is changed."""
        ...

    def take_in(self, links: Sequence[Link], now: Instant, *, replace: bool) -> Sequence[LinkTaken]:
        """Make links, in one transaction; tell of each what became of it.

        What the CRM last accepted is unknown for a link that comes into being, so the next change sends all fields;
        its waiting children are due (S25). One that differs from what is there is made only with `replace`.
        """
        ...

    def of_record(self, record: Record) -> Sequence[LinkDetail]:
        """Return what is known of a record's links."""
        ...

    def shared(self, destination: str | None, object_name: str | None) -> Sequence[SharedRecord]:
        """Return the CRM records with more than one Copernica record. Looks at every link: not to be asked often."""
        ...
