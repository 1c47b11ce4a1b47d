"""What an event becomes for each mapping that takes it."""

from collections.abc import Iterable

from connector.domain.clock import Instant
from connector.domain.decode import identity
from connector.domain.event import Event, EventType
from connector.mapping.port import Deliver, Mapping
from connector.outbox.port import Route


def routes(event: Event, mappings: Iterable[Mapping], now: Instant) -> list[Route]:
    """Return a route per mapping, due after the time that the mapping lets a change linger."""
    is_delete = event.type is EventType.DELETE
    return [
        Route(
            mapping=mapping.name,
            destination=mapping.destination,
            object=mapping.object,
            record=event.record,
            rank=event.at // 1000 * 2 + is_delete,
            is_state=mapping.deliver is Deliver.STATE,
            is_create=event.type is EventType.CREATE,
            is_delete=is_delete,
            due_at=now + mapping.linger,
            identity=identity(event) if mapping.deliver is Deliver.EACH else None,
        )
        for mapping in mappings
    ]
