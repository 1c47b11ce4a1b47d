"""Erasing a person: what is meant, what was found, and the receipt (S28)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from connector.domain.clock import SECOND, Instant
from connector.domain.record import Record, RecordKind
from connector.domain.request import UnverifiedRequest


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to erase: one record, or everybody whose stored calls mention an address. Exactly one of the two."""

    record: Record | None = None
    address: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What the outbox has of a person.

    `records` are record keys, an address as its keyed hash. `addresses` are all that the records ever had and that no
    other record has. `shared` are the records that have one of the other addresses: they are left alone. `events` and
    `unproven` are calls to be removed. `is_known`: one of the
    records was ever seen. All calls up to the event ID `seen` were searched.
    """

    records: frozenset[str]
    addresses: frozenset[str] = field(repr=False)
    shared: frozenset[str]
    events: frozenset[int]
    unproven: frozenset[int]
    seen: int
    is_known: bool

    @property
    def is_empty(self) -> bool:
        """Whether the outbox knows nothing of that person."""
        return not (self.is_known or self.events or self.unproven)


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """A CRM record that a person's record is linked to. `event` is what `connector show` takes; None: none is made."""

    destination: str
    object: str
    crm_id: str
    event: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The receipt. Counts, record keys and CRM IDs only.

    `erasing` are being removed from the CRM, `kept` are left there, `by_hand` have no mapping any more that writes to
    them, `in_doubt` are objects (`DESTINATION/OBJECT`) where a create may have arrived whose answer is missing.
    `deletes` are deletes of Copernica that still wait, with their IDs only. `rewritten`: the whole file was written
    anew. `traces`: files in which the address was still found afterwards.
    """

    records: Sequence[str]
    shared: Sequence[str]
    events: int
    unproven: int
    erasing: Sequence[CrmRecord] = ()
    kept: Sequence[CrmRecord] = ()
    by_hand: Sequence[CrmRecord] = ()
    in_doubt: Sequence[str] = ()
    deletes: int = 0
    rewritten: bool = False
    traces: Sequence[str] = ()


Writers = Callable[[str, str], Sequence[str]]
"""Which configured mappings write to (destination, object)."""


class Eraser(Protocol):
    """What `connector erase` needs of the outbox."""

    def find(self, person: Person) -> Found:
        """Search everything that is stored. Takes a while in a large outbox; holds nobody up."""
        ...

    def preview(self, found: Found, writers: Writers, *, crm: bool) -> Erasure:
        """Return what `erase` would come to, and change nothing."""
        ...

    def erase(self, found: Found, now: Instant, writers: Writers, *, crm: bool, rewrite: bool) -> Erasure:
        """Remove it all, leave tombstones, and (with `crm`) have the linked CRM records removed.

        `rewrite` writes a large file anew as well. Raises OutboxBusyError while one of the records is being sent.
        """
        ...


_HEADER = "X-Erase"


def placeholder(
    record: Record | None, source: str, at: Instant, links: Sequence[tuple[str, str, str]]
) -> UnverifiedRequest:
    """Return what stands in the place of a call that is gone: a delete that holds IDs and nothing else.

    `links` are the CRM records to erase, as (destination, object, CRM ID). `record` None: known by an address only.
    """
    values = {"type": "delete", "time": str(at // SECOND)}
    if record is not None and record.kind is not RecordKind.RECIPIENT:
        scope = "database" if record.kind is RecordKind.PROFILE else "collection"
        values |= {str(record.kind): record.id, scope: record.scope}
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    headers += [(_HEADER, f"{destination}/{obj}={crm_id}") for destination, obj, crm_id in links]
    return UnverifiedRequest(source, "POST", "/", tuple(headers), urlencode(values).encode(), at, "", True)


def erased_id(call: UnverifiedRequest, destination: str, object_name: str) -> str | None:
    """Return the CRM ID that an operator's erasure is about."""
    prefix = f"{destination}/{object_name}="
    found = (value for name, value in call.headers if name == _HEADER and value.startswith(prefix))
    return next((value.removeprefix(prefix) for value in found), None)
