"""What the flow asks of a mapping: the engine knows this and not the language."""

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from connector.domain.change import Translation
from connector.domain.clock import Millis
from connector.domain.event import Event


class Deliver(StrEnum):
    """What of a line is delivered (S2)."""

    STATE = "state"  # the newest state; older pending ones are superseded
    EACH = "each"  # every event once, in order


class Write(StrEnum):
    """What of a change is written (S9)."""

    CHANGED = "changed"
    ALL = "all"


class Mapping(Protocol):
    """One mapping file, checked and compiled. Immutable; safe to use from several threads."""

    @property
    def name(self) -> str:
        """The mapping's name: with a record it is a line."""
        ...

    @property
    def version(self) -> str:
        """A short hash of the file and what it refers to, for a delivery's history."""
        ...

    @property
    def destination(self) -> str:
        """The configured destination's name."""
        ...

    @property
    def object(self) -> str:
        """The preset's object."""
        ...

    @property
    def deliver(self) -> Deliver:
        """Newest state, or each event."""
        ...

    @property
    def write(self) -> Write:
        """Changed fields, or all."""
        ...

    @property
    def linger(self) -> Millis:
        """How long a change may wait for others to go with it, or for a newer state."""
        ...

    @property
    def guard(self) -> tuple[int, float]:
        """The mass-delete guard (S20): more deletes within an hour than this many *and* this share of the links."""
        ...

    def takes(self, event: Event, source: str) -> bool:
        """Whether the mapping wants this event: its record's database, collection or source, and its type."""
        ...

    def translate(self, event: Event, *, linked: bool, last: Event | None) -> Translation:
        """Return what becomes of the event.

        `linked` says that the record has a link: a delete then needs no match key (S15). `last` is the newest stored
        event of the record that has fields, for a delete that has none. Bounded in time; never raises for what the
        event holds.
        """
        ...


class MappingSet(Protocol):
    """All mappings that are in force."""

    @property
    def mappings(self) -> Dict[str, Mapping]:
        """By name."""
        ...

    def taking(self, event: Event, source: str) -> Sequence[Mapping]:
        """Return the mappings that take the event, in the order of their names."""
        ...
