"""All mappings that are in force, and which of them take an event."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from connector.domain.event import Event
from connector.domain.record import RecordKind
from connector.mapping.translate import CompiledMapping

_Key: TypeAlias = tuple[RecordKind | None, str | None]


class Mappings:
    """A `connector.mapping.port.MappingSet`. Immutable: a reload makes a new one."""

    def __init__(self, mappings: Iterable[CompiledMapping]) -> None:
        by_name = {mapping.name: mapping for mapping in sorted(mappings, key=lambda mapping: mapping.name)}
        self._mappings = MappingProxyType(by_name)
        self._by_origin: dict[_Key, list[CompiledMapping]] = {}
        for mapping in by_name.values():
            self._by_origin.setdefault((mapping.origin.kind, mapping.origin.scope), []).append(mapping)

    @property
    def mappings(self) -> Mapping[str, CompiledMapping]:
        """By name."""
        return self._mappings

    def taking(self, event: Event, source: str) -> Sequence[CompiledMapping]:
        """Return the mappings that take the event, in the order of their names."""
        record = event.record
        keys: tuple[_Key, ...] = ((record.kind, record.scope), (record.kind, None), (None, None))
        found = [mapping for key in keys for mapping in self._by_origin.get(key, ()) if mapping.takes(event, source)]
        return sorted(found, key=lambda mapping: mapping.name)
