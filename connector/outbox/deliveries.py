"""Deliveries as the deliverer has them: due, taken, settled; and what it knows of links and pauses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from connector.domain.accepted import Accepted
from connector.domain.clock import Instant, Millis
from connector.domain.delivery import DeliveryState, Priority
from connector.domain.event import Event, NotUnderstood
from connector.domain.frozen import frozen
from connector.domain.record import Record
from connector.outbox.calls import StoredCall


@frozen(kw_only=True)
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


@frozen()
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


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class Take:
    """Wish to lease a delivery. `event_id` is the event that was decided on: an ID of a delivery may be used again.

    `keys` are the locks that go with it: the link, each match key, the CRM record (S11, S16): nobody else has one of
    them while the lease lasts. Those in `lasting` are kept from other records for `lasts` beyond it when a search may
    not show yet what was written (S22). `during` replaces the link's accepted state in the same transaction, before
    anything leaves (S8); None when the attempt cannot write. `in_doubt_until` is the
    last moment at which a request of this attempt could leave.
    """

    delivery_id: int
    event_id: int
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


@frozen(kw_only=True)
class LinkChange:
    """How an attempt changes the link. What is None stays as it is; `unlink` takes the CRM ID away.

    `touched` is a CRM record that it may have written into without being linked to it: what the records that are linked
    to it have there by the same mapping is unknown from now on (S8).
    """

    crm_id: str | None = None
    unlink: bool = False
    gone_at: Instant | None = None
    doubt_at: Instant | None = None
    certain: bool = False  # no write is under way any more
    resolved: bool = False  # and what those in doubt did is known
    accepted: Accepted | None = None
    forget: bool = False  # the CRM's record is erased: whatever comes later starts anew
    touched: str | None = None


@dataclass(frozen=True, slots=True)
class ParentLink:
    """A record that another is to be linked to. `tried` is the CRM's ID that was asked for, None if there was none."""

    object: str
    record: Record
    tried: str | None = None


@frozen(kw_only=True)
class Settlement:
    """The end of an attempt, or a decision that needed none (`lease` None: only if it is still pending and unchanged).

    `counted` adds one to the attempts. `outcome`, `status`, `requests`, `took` and `version` go into the history;
    without `outcome` no history is written. `wrote`: something that can write left the house. `during` is
    what it may have filled, for when it turns out to have come too late. `may_show_late`: a search may not show it yet,
    so the match keys' locks last (S22). `parents` are the records that it was linked to, or could not be: when one
    of them gets another ID in the CRM, the newest state goes again (S25).
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
    during: Accepted | None = None
    may_show_late: bool = False
    link: LinkChange | None = None
    parents: tuple[ParentLink, ...] = ()
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
