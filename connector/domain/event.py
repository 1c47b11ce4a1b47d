"""One verified call, understood: the same value whatever dialect the sender speaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from connector.domain.clock import Instant
from connector.domain.frozen import frozen
from connector.domain.note import Note
from connector.domain.record import Record


class EventType(StrEnum):
    """What happened. The first three are about a record, the others about a message that was sent to someone."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    CLICK = "click"
    OPEN = "open"
    DELIVERY = "delivery"
    BOUNCE = "bounce"
    FAILURE = "failure"

    @property
    def is_email(self) -> bool:
        """Whether this is about a message rather than a record."""
        return self not in (EventType.CREATE, EventType.UPDATE, EventType.DELETE)


class TimeFrom(StrEnum):
    """Where an event's moment was taken from, best first (S3)."""

    TIME = "time"
    TIMESTAMP = "timestamp"
    DATE = "date"
    ARRIVAL = "arrival"


@frozen(kw_only=True)
class Event:
    """What one call says. What is unknown is None, never an empty string or an empty mapping.

    `at` orders the events of a record. `fields` are the current values (of a Publisher callback: `updated` over
    `fields`). `interests` are those that are on, `interests_off` those that were named as off; both None when unknown
    (S18). `parameters` are what the action was called with. `variables` are an e-mail event's own
    (recipient, ip, original, useragent, referer, state, code, extended, description, envelope, mime, tags, action).
    `notes` are what was odd about the call, for the operator; no personal data in them.
    """

    type: EventType
    record: Record
    at: Instant
    at_from: TimeFrom
    profile: str | None = None
    subprofile: str | None = None
    database: str | None = None
    collection: str | None = None
    message: str | None = None
    fields: Mapping[str, str] | None = None
    interests: frozenset[str] | None = None
    interests_off: frozenset[str] | None = None
    parameters: Mapping[str, str] | None = None
    variables: Mapping[str, str | tuple[str, ...]] | None = None
    created: Instant | None = None
    modified: Instant | None = None
    notes: tuple[Note, ...] = field(default=(), compare=False)


class Fault(StrEnum):
    """What kind of thing was not understood; a source without signatures refuses the first two (S30)."""

    CONTENT_TYPE = "content-type"  # not a form, JSON or XML
    CONTENT = "content"  # does not parse, or says nothing that names a record
    TYPE = "type"  # reads well, but is of a type that this version does not know


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A genuine call that this version cannot read: it is kept, visible, and can be replayed after an upgrade."""

    fault: Fault
    reason: str
    notes: tuple[Note, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Rank:
    """An event's place in the order of its record (S3): seconds, a delete last within them, then arrival."""

    second: int
    is_delete: bool
    arrival: int

    @property
    def coarse(self) -> int:
        """The order without arrival, as one number: what is stored."""
        return self.second * 2 + self.is_delete
