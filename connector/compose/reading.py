"""Reading stored calls as their source says: for routing, for erasing, and for an operator who looks."""

from collections.abc import Callable, Mapping
from functools import partial

from connector.config.model import Config
from connector.config.sources import sources
from connector.domain.decode import decode
from connector.domain.event import Event, Fault, NotUnderstood
from connector.domain.source import Source
from connector.outbox.port import StoredCall


def reader(config: Config) -> Callable[[StoredCall], Event | NotUnderstood]:
    """Return what reads calls. No secret is read for it: they are only to be understood, not proven."""
    return partial(read_call, sources(config, lambda _: "not-needed-to-read-calls"))


def read_call(known: Mapping[str, Source], call: StoredCall) -> Event | NotUnderstood:
    """Read a stored call as its source says; a source that is no longer configured cannot say anything."""
    source = known.get(call.source)
    if source is None:
        return NotUnderstood(Fault.TYPE, f"the source {call.source} is no longer configured; put it back and replay")
    return decode(call.request, source)
