"""What the model keeps: deliveries, events, links and locks, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from connector.domain.accepted import Accepted
from connector.domain.clock import Instant, Millis
from connector.domain.delivery import DeliveryState as D
from connector.domain.delivery import Priority
from connector.outbox.port import EventState
from tests.outbox.conformance.calls import Said

Key = tuple[int, str]
Line = tuple[str, str]
LinkKey = tuple[str, str, str]


@dataclass(slots=True)
class Delivery:
    """`due` None: another one of its line goes first. `asked`: a person asked for this very state."""

    event: int
    mapping: str
    record: str
    rank: int
    is_delete: bool
    changed: Instant
    state: D = D.PENDING
    due: Instant | None = None
    priority: Priority = Priority.LIVE
    attempts: int = 0
    counted_ms: Millis = 0
    reason: str = ""
    each: bool = False
    forced: bool = False
    exact: bool = False
    released: bool = False
    erases: bool = False
    again: bool = False
    asked: bool = False
    lease: int | None = None
    lease_until: Millis = 0
    owner: int = 0

    @property
    def key(self) -> Key:
        return self.event, self.mapping

    @property
    def line(self) -> Line:
        return self.record, self.mapping

    @property
    def place(self) -> tuple[int, int]:
        return self.rank, self.event


@dataclass(slots=True)
class Stored:
    """An event that is stored."""

    id: int
    said: Said | None  # None: the operator's own, of an erasure
    record: str | None
    received: Instant
    state: EventState
    wiped: bool = False  # only the IDs are left


@dataclass(slots=True)
class LinkState:
    """What is known of the CRM's record."""

    crm_id: str | None = None
    gone_at: Instant | None = None
    doubt_at: Instant | None = None
    doubt_events: list[int] = field(default_factory=list)
    accepted: dict[str, Accepted] = field(default_factory=dict)


@dataclass(slots=True)
class Lock:
    """`holder`: the delivery whose lease it goes with. `until`: other records than `record` are kept away."""

    holder: Key | None
    record: str
    lasts: Millis
    until: Instant = 0
