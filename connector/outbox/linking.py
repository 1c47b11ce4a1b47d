"""Record links as a person sees them, takes them out and brings them in."""

from dataclasses import dataclass
from enum import StrEnum

from connector.domain.clock import Instant


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
