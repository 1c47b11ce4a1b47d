"""The wanted write: what a mapping makes of an event, before anybody looked at what the CRM has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from connector.domain.frozen import frozen
from connector.domain.record import Record

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
"""A typed value as the CRM's JSON has it."""


class Verb(StrEnum):
    """What is to be done with the CRM's record."""

    UPSERT = "upsert"  # create it, or update it
    UPDATE = "update"  # only if it exists (S19, and `on_delete: set`)
    ERASE = "erase"
    ARCHIVE = "archive"
    ANONYMISE = "anonymise"

    @property
    def removes(self) -> bool:
        """Whether this takes the record away: only done for the last link to it (S16)."""
        return self in (Verb.ERASE, Verb.ARCHIVE, Verb.ANONYMISE)


class WhenGone(StrEnum):
    """What a change does when a person deleted the linked record in the CRM (S10)."""

    STOP = "stop"
    RECREATE = "recreate"


class Many(StrEnum):
    """What to do when more than one CRM record matches (S12)."""

    DEAD = "dead"
    NEWEST = "newest"
    OLDEST = "oldest"


@frozen()
class MatchKey:
    """One way to recognise the CRM's record: the CRM field's name and the value, never empty."""

    name: str
    value: str | int


@dataclass(frozen=True, slots=True)
class Parent:
    """A link to make: the relation's name in the preset, and the Copernica record whose CRM record is meant."""

    relation: str
    mapping: str
    object: str
    record: Record


@frozen(kw_only=True)
class Change:
    """The wanted state of one CRM record, by one mapping.

    `fields` maps CRM field paths (dots for nesting) to typed values. A path in `clears` is empty at Copernica: it is
    sent as None when the CRM may have something there, else omitted (S17). `create_fields` go only in a request that
    can do nothing but create (S13). A path in `volatile` says only "now" and is no change by itself (S9).
    `match` holds the usable keys in their order; `unmatchable` says why the others are not usable.
    """

    destination: str
    object: str
    record: Record
    verb: Verb
    match: tuple[MatchKey, ...] = ()
    unmatchable: str = ""
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    clears: frozenset[str] = frozenset()
    create_fields: Mapping[str, JsonValue] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()
    parents: tuple[Parent, ...] = ()
    when_gone: WhenGone = WhenGone.STOP
    many: Many = Many.DEAD


@dataclass(frozen=True, slots=True)
class Skip:
    """A mapping's decision to do nothing, with its reason (`otherwise: leave`, `on_delete: ignore`, lenient)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Defect:
    """A record that does not fit its mapping (strict): dead, with the field, the value's type and the expectation."""

    reason: str


Translation: TypeAlias = Change | Skip | Defect
