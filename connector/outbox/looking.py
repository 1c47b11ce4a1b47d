"""What an operator asks for, and what the outbox tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connector.domain.clock import Instant, Millis
from connector.domain.delivery import DeliveryState, Priority
from connector.domain.request import UnverifiedRequest
from connector.outbox.deliveries import Pause


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
    unserved: Mapping[str, int] = field(default_factory=dict)  # pending, by a mapping that is not in force any more


@dataclass(frozen=True, slots=True)
class Done:
    """What an operator's command came to. `done` were changed; `left` were not, by reason."""

    done: int
    left: Mapping[str, int] = field(default_factory=dict)
    ids: tuple[int, ...] = ()
