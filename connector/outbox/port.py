"""The durable store of events and deliveries: what it keeps, and the promises it makes to its three users.

The receiver sees an `Inbox`, the deliverer a `Queue`, the operator a `Desk`. Every method that writes is one short
transaction, on disk when it returns. Times are from outside: `now` is the time of day, `elapsed` the clock that counts
suspension (both in milliseconds).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

from connector.domain.accepted import Accepted, Hasher
from connector.domain.clock import Instant, Millis
from connector.domain.delivery import DeliveryState, Priority
from connector.domain.event import Event, NotUnderstood
from connector.domain.record import Record
from connector.domain.request import UnprovenRequest, UnverifiedRequest, VerifiedRequest


class OutboxError(Exception):
    """The outbox cannot do what was asked. The message says why and what to do."""


class OutboxBusyError(OutboxError):
    """Another process holds the outbox for too long. Try again later."""


class OutboxFullError(OutboxError):
    """No room: the disk is full, or the outbox has reached its size, or the free-disk floor."""


class OutboxBrokenError(OutboxError):
    """The file is damaged, or not an outbox."""


class OutboxVersionError(OutboxError):
    """The file was made by a newer version of the connector."""


# ── the receiver ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call to keep. `proof_until`: until when its proof is remembered (S31)."""

    request: VerifiedRequest
    event: Event | NotUnderstood
    proof_until: Instant


@dataclass(frozen=True, slots=True)
class NewUnproven:
    """A call to keep until DNS speaks (S32)."""

    request: UnprovenRequest
    proof_until: Instant


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiver's answer: the event's ID, and whether the call was there already."""

    event_id: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class StoredUnproven:
    """A call that waits for its proof. `event_id` is its place in the order of arrival."""

    event_id: int
    request: UnprovenRequest
    tried: int


class Inbox(Protocol):
    """What the receiver needs."""

    def append(self, calls: Sequence[NewCall | NewUnproven]) -> Sequence[Receipt]:
        """Keep the calls in one transaction; they are on disk when this returns.

        A call whose proof is there already is not kept again: its receipt names the first one. Raises OutboxFullError
        (also when there is no room for one more unproven call), OutboxBusyError, OutboxBrokenError.
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


# ── the deliverer ───────────────────────────────────────────────────────────────────────────────────────────────────


class EventState(IntEnum):
    """Where a stored event is. The numbers are what the outbox stores."""

    NEW = 0  # not yet looked at by the deliverer
    ROUTED = 1  # has deliveries
    UNWANTED = 2  # no mapping wants it (yet): kept, visible, can be replayed
    NOT_UNDERSTOOD = 3  # this version cannot read it: kept, visible, can be replayed


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A stored event: the call as it came, to be read and mapped anew."""

    event_id: int
    request: VerifiedRequest

    @property
    def source(self) -> str:
        """The configured source that it came in by."""
        return self.request.request.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One mapping's claim on an event.

    `rank` is Rank.coarse. `identity` recognises the same happening in two calls, for `each` lines (S31).
    """

    mapping: str
    destination: str
    object: str
    record: Record
    rank: int
    is_state: bool
    is_create: bool
    is_delete: bool
    due_at: Instant
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """What routing came to: events looked at, deliveries made, older ones superseded, revivals (S4)."""

    events: int = 0
    deliveries: int = 0
    superseded: int = 0
    revived: int = 0


@dataclass(frozen=True, slots=True)
class LinkView:
    """What the outbox knows of the CRM's record for (destination, object, record).

    `version` changes with every change of it: a claim that was decided on an older one is not granted.
    `attempted`: a request that can write may have left for it. `gone_at`: a person deleted it in the CRM (S10).
    `doubt_at`: a write may have left, at that
    moment at the latest, whose answer is missing (S21, S22): nothing goes before the CRM has had time to finish it.
    `doubt_events` are the events whose creates those may have been: what they would be recognised by.
    """

    crm_id: str | None = None
    version: int = 0
    attempted: bool = False
    gone_at: Instant | None = None
    doubt_at: Instant | None = None
    doubt_events: tuple[int, ...] = ()
    accepted: Accepted = field(default_factory=lambda: Accepted(known=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A delivery whose time has come, with all that deciding about it needs.

    `record` is the record key as the outbox keeps it (an address as its keyed hash). `changed_at`: when it was last
    settled or made. `created_here`: the line saw the record's create, so a delete with nothing ever attempted sends
    nothing (S5). `counted_ms`: how long it has been tried while its destination was healthy (S23).
    """

    delivery_id: int
    mapping: str
    destination: str
    object: str
    record: str
    call: StoredCall
    rank: int
    attempts: int
    counted_ms: Millis
    forced: bool
    exact: bool
    released: bool
    priority: Priority
    is_delete: bool
    created_here: bool
    due_at: Instant
    changed_at: Instant
    link: LinkView
    erases: bool = False  # an operator erases a person: see `connector.outbox.erasure`


@dataclass(frozen=True, slots=True)
class ParentView:
    """What is known of a parent: its CRM ID, or whether a delivery of it is pending or leased (S25)."""

    crm_id: str | None
    coming: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Wish to lease a delivery.

    `keys` are the locks that go with it: the link, each match key, the CRM record (S11, S16): nobody else has one of
    them while the lease lasts. Those in `lasting` are kept from other records for `lasts` beyond it when a search may
    not show yet what was written (S22). `during` replaces the link's accepted state in the same transaction, before
    anything leaves (S8); None when the attempt cannot write. `in_doubt_until` is the
    last moment at which a request of this attempt could leave.
    """

    delivery_id: int
    destination: str
    object: str
    link_version: int
    keys: tuple[bytes, ...]
    lasting: frozenset[bytes] = frozenset()
    lasts: Millis = 0
    lease: int
    lease_until: Millis
    during: Accepted | None
    in_doubt_until: Instant | None = None
    removes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChange:
    """How an attempt changes the link. What is None stays as it is; `unlink` takes the CRM ID away."""

    crm_id: str | None = None
    unlink: bool = False
    gone_at: Instant | None = None
    doubt_at: Instant | None = None
    certain: bool = False  # no write is under way any more
    resolved: bool = False  # and what those in doubt did is known
    accepted: Accepted | None = None
    forget: bool = False  # the CRM's record is erased: whatever comes later starts anew


@dataclass(frozen=True, slots=True)
class MissingParent:
    """A record that a link was to be made to. `tried` is the CRM's ID under which it is not there any more."""

    object: str
    record: Record
    tried: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The end of an attempt, or a decision that needed none (`lease` None: only if it is still pending and unchanged).

    `counted` adds one to the attempts. `outcome`, `status`, `requests`, `took` and `version` go into the history;
    without `outcome` no history is written. `wrote`: something that can write left the house. `may_show_late`: a
    search may not show it yet, so the match keys' locks last (S22). `unlinked_parents` could
    not be linked to yet: when such a link comes into being, the newest state goes again (S25).
    `renew_sharers`: other records share the CRM record, the newest state of one of them goes again (S16).
    """

    delivery_id: int
    destination: str
    object: str
    state: DeliveryState
    lease: int | None = None
    due_at: Instant | None = None
    link_version: int | None = None
    counted: bool = False
    counted_ms: Millis = 0
    reason: str = ""
    outcome: str | None = None
    status: int | None = None
    requests: int = 0
    took: Millis = 0
    version: str = ""
    wrote: bool = False
    may_show_late: bool = False
    link: LinkChange | None = None
    unlinked_parents: tuple[MissingParent, ...] = ()
    renew_sharers: bool = False


class Settled(StrEnum):
    """What became of a settlement."""

    DONE = "done"
    SUPERSEDED = "superseded"  # it was to be tried again, but a newer state of its line is there
    LOST = "lost"  # the lease was no longer ours, or the row had changed: nothing was written to it (S21)


@dataclass(frozen=True, slots=True)
class Pause:
    """A destination, an object of it (`DESTINATION/OBJECT`) or a mapping that is not sent to.

    `until` None: until somebody resumes it. `by`: `operator` or the reason's class (`throttled`, `unreachable`, …).
    `probes` counts the probes that failed since it began.
    """

    subject: str
    by: str
    reason: str
    since: Instant
    until: Instant | None = None
    probes: int = 0


@dataclass(frozen=True, slots=True)
class Keep:
    """How long rows are kept after they were last changed, in milliseconds (S29)."""

    settled: Millis
    dead: Millis
    unwanted: Millis


Router = Callable[[StoredCall], "tuple[Event, Sequence[Route]] | NotUnderstood"]
"""Reads a call and tells which mappings take it."""


class Queue(Protocol):
    """What the deliverer needs."""

    @property
    def hasher(self) -> Hasher:
        """Hashes with the outbox's own key."""
        ...

    def lease(self) -> int:
        """Return a new lease: a number that is this process's own for as long as it lives."""
        ...

    def recover(self, now: Instant, elapsed: Millis, boot_id: str) -> int:
        """End the leases that ran out, of owners that are gone, and of an earlier boot; return how many.

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

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> Sequence[Settled]:
        """Write outcomes and end their leases, each only if the lease is still its own.

        Whose lease is gone after something left marks its link unknown and makes the line's newest state due, forced
        (S21). A delivered one settles the dead and held ones of its line as superseded (S6) and makes the line's next
        one due. A link that comes into being makes its waiting children due (S25).
        """
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

    def clamp(self, mappings: Iterable[str], latest: Instant) -> None:
        """Nothing waits for longer than that: the time of day was set back while no deliverer ran."""
        ...

    def shift(self, by: Millis, now: Instant) -> None:
        """The time of day jumped: move what was planned on the old clock."""
        ...

    def count(self, counts: Mapping[str, int], now: Instant) -> None:
        """Add to durable counters."""
        ...


# ── the operator ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which deliveries, or events. All that is given must hold. `text` is looked for in the reason."""

    ids: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    source: str | None = None
    mapping: str | None = None
    record: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it would take everything."""
        return self == Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A delivery as `list` and `show` have it."""

    id: int
    event_id: int
    mapping: str
    state: DeliveryState
    priority: Priority
    due_at: Instant | None
    attempts: int
    reason: str
    changed_at: Instant
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as `list` and `show` have it. `record` has an address replaced by its keyed hash."""

    id: int
    source: str
    state: str
    record: str | None
    type: str | None
    received_at: Instant
    size: int
    note: str
    deliveries: tuple[DeliveryRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One line of a delivery's history."""

    at: Instant
    delivery_id: int
    outcome: str
    status: int | None
    requests: int
    took: Millis
    reason: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """All that is known of one event. `link` is (destination/object, CRM ID) for each link of its record."""

    event: EventRow
    request: UnverifiedRequest
    attempts: tuple[AttemptRow, ...]
    links: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole at a glance."""

    deliveries: Mapping[str, int]
    events: Mapping[str, int]
    unproven: int
    oldest_due: Instant | None
    oldest_new: Instant | None
    last_received: Instant | None
    last_delivered: Instant | None
    dead: Sequence[tuple[str, str, int]]  # mapping, reason, how many: the most frequent
    held: Sequence[tuple[str, str, int]]
    pauses: Sequence[Pause]
    counters: Mapping[str, int]
    notes: Mapping[str, str]
    bytes: int
    free_bytes: int
    dead_by_mapping: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What an operator's command came to. `done` were changed; `left` were not, by reason."""

    done: int
    left: Mapping[str, int] = field(default_factory=dict)
    ids: tuple[int, ...] = ()


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


# ── record links, as a person sees them ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Link:
    """A Copernica record and the CRM's record that is its own (S7). `record` is the key as the outbox keeps it."""

    destination: str
    object: str
    record: str
    crm_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkDetail:
    """All that is known of one record's link. `sharers` are the other records with that CRM record (S16).

    `waiting` counts the records that were to be linked with this one and could not be (S25).
    """

    destination: str
    object: str
    crm_id: str | None
    gone_at: Instant | None
    doubt_at: Instant | None
    sharers: tuple[str, ...] = ()
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class SharedRecord:
    """A CRM record that several Copernica records are linked to (S16)."""

    destination: str
    object: str
    crm_id: str
    records: tuple[str, ...]


class LinkFate(StrEnum):
    """What becomes of a link that is to be taken in."""

    MADE = "made"
    REPLACED = "replaced"  # the record was linked with another CRM record
    SAME = "same"  # it is there already: nothing is changed
    CONFLICT = "conflict"  # the record is linked with another CRM record, and stays so
    BUSY = "busy"  # a delivery of the record is under way: its result counts, not the file
    ERASED = "erased"  # the person was erased: the link does not come back


@dataclass(frozen=True, slots=True)
class LinkTaken:
    """What became of one link. `before` is the CRM's ID that it had; `children` were made due by it (S25)."""

    fate: LinkFate
    before: str | None = None
    children: int = 0


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
