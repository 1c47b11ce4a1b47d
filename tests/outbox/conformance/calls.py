"""Calls for the machine: what they say stands in a table under their body, so that no decoding is in the way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from connector.domain.clock import Instant, Millis
from connector.domain.event import Event, EventType, Fault, NotUnderstood, TimeFrom
from connector.domain.record import Record, RecordKind
from connector.domain.request import UnprovenRequest, UnverifiedRequest, VerifiedRequest
from connector.outbox.port import NewCall, NewUnproven, Route, StoredCall

RECORDS = tuple(Record(RecordKind.PROFILE, "1", str(number)) for number in (1, 2, 3))


@dataclass(frozen=True, slots=True)
class Kind:
    """A mapping. `people` and `flags` write to one object, so they share links; `clicks` delivers each event."""

    destination: str
    object: str
    is_state: bool


MAPPINGS = {
    "people": Kind("crm", "contact", is_state=True),
    "flags": Kind("crm", "contact", is_state=True),
    "clicks": Kind("mail", "click", is_state=False),
}


@dataclass(slots=True)
class Said:
    """What one call says, and which mappings want it (None: it is not understood). The machine may change its mind."""

    body: bytes
    record: Record
    type: EventType
    at: Instant
    wanted: tuple[str, ...] | None
    linger: Millis
    identity: str | None

    def __deepcopy__(self, memo: object) -> Said:
        return self  # it is the call itself, wherever it is mentioned

    @property
    def rank(self) -> int:
        """S3: seconds, a delete last within them."""
        return self.at // 1000 * 2 + (self.type is EventType.DELETE)

    @property
    def event(self) -> Event | NotUnderstood:
        if self.wanted is None:
            return NotUnderstood(Fault.TYPE, "said so")
        return Event(type=self.type, record=self.record, at=self.at, at_from=TimeFrom.TIME)

    def request(self, now: Instant) -> UnverifiedRequest:
        return UnverifiedRequest("shop", "POST", "/shop", (("Date", "x"),), self.body, now, "127.0.0.1", True)

    def call(self, now: Instant, proof: bytes | None, until: Instant) -> NewCall:
        return NewCall(VerifiedRequest(self.request(now), proof, None if proof is None else signed_at(proof)), until)

    def unproven(self, now: Instant, proof: bytes, until: Instant) -> NewUnproven:
        return NewUnproven(UnprovenRequest(self.request(now), proof, signed_at(proof), "key"), until)


def signed_at(proof: bytes) -> Instant:
    """The signed Date is part of what makes the proof: a call that is sent again has both."""
    return 1_700_000_000_000 + proof[0] * 1000


def proof_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


class Table:
    """Everything that any call says; the router and the decoder look it up."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Said] = {}
        self.now: Instant = 0

    def decode(self, call: StoredCall) -> Event | NotUnderstood:
        said = self.rows.get(call.request.request.body)
        return NotUnderstood(Fault.CONTENT, "nobody said this") if said is None else said.event

    def route(self, call: StoredCall) -> tuple[Event, list[Route]] | NotUnderstood:
        said = self.rows[call.request.request.body]
        event = said.event
        if isinstance(event, NotUnderstood):
            return event
        return event, [
            Route(
                mapping=name,
                destination=MAPPINGS[name].destination,
                object=MAPPINGS[name].object,
                record=said.record,
                rank=said.rank,
                is_state=MAPPINGS[name].is_state,
                is_create=said.type is EventType.CREATE,
                is_delete=said.type is EventType.DELETE,
                due_at=self.now + said.linger,
                identity=None if MAPPINGS[name].is_state else said.identity,
            )
            for name in said.wanted or ()
        ]
