"""Calls on their way into the outbox, and as they lie there."""

from dataclasses import dataclass
from enum import IntEnum

from connector.domain.clock import Instant
from connector.domain.frozen import frozen
from connector.domain.request import UnprovenRequest, VerifiedRequest


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call to keep. `proof_until`: until when its proof is remembered (S31)."""

    request: VerifiedRequest
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


class EventState(IntEnum):
    """Where a stored event is. The numbers are what the outbox stores."""

    NEW = 0  # not yet looked at by the deliverer
    ROUTED = 1  # has deliveries
    UNWANTED = 2  # no mapping wants it (yet): kept, visible, can be replayed
    NOT_UNDERSTOOD = 3  # this version cannot read it: kept, visible, can be replayed


@frozen()
class StoredCall:
    """A stored event: the call as it came, to be read and mapped anew."""

    event_id: int
    request: VerifiedRequest

    @property
    def source(self) -> str:
        """The configured source that it came in by."""
        return self.request.request.source
