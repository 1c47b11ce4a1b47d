"""What the checks of a mapping know about the CRM: told by the presets, asked for by `load_mappings`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a preset says about one kind of record (contacts, deals).

    `fields` maps field paths to types (the words of `type:` in a mapping; None: not known); `fields` itself is None
    when the preset takes any field. `required` are those that a new record must have. `relations` maps a relation's
    name to the object at its other end; None when the preset does not say. `match` are the fields by which a record can
    be found; None: any. `removals` are the words of `on_delete` that the preset can do; None: it does not say. A new
    record needs one of the relations in `needs_link`, if there are any.
    """

    fields: Mapping[str, str | None] | None = None
    required: frozenset[str] = frozenset()
    relations: Mapping[str, str | None] | None = field(default_factory=dict)
    match: frozenset[str] | None = None
    removals: frozenset[str] | None = None
    needs_link: frozenset[str] = frozenset()


class UnknownToCrmError(LookupError):
    """The destination or its object does not exist. `known` are the names that do exist, `about` which of the two."""

    def __init__(self, about: str, name: str, known: tuple[str, ...]) -> None:
        self.about = about
        self.name = name
        self.known = known
        super().__init__(f"there is no {about} {name!r}")


CrmObjects: TypeAlias = Callable[[str, str], ObjectFacts | None]
"""From (destination, object) to what is known of it. None: nothing is known, so nothing is checked.

Raises UnknownToCrmError when the configuration has no such destination, or its preset no such object.
"""


def nothing_known(_destination: str, _object: str) -> ObjectFacts | None:
    """Stand in for presets where there are none: a mapping is then checked by itself."""
    return None
