"""What `connector erase` is made of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from connector.compose.delivering import read_call
from connector.compose.outbox import open_outbox
from connector.config.model import Config
from connector.config.sources import sources
from connector.mapping.load import load_mappings
from connector.outbox.erasure import Eraser, Writers
from connector.outbox.sqlite.erasing import SqliteEraser


@contextmanager
def open_eraser(config: Config, *, readonly: bool) -> Iterator[Eraser]:
    """Open the outbox to erase a person. No secret is read: calls are only to be understood, not proven."""
    known = sources(config, lambda _: "not-needed-to-read-calls")
    database = open_outbox(config, readonly=readonly)
    try:
        yield SqliteEraser(database, partial(read_call, known))
    finally:
        database.close()


def writers(config: Config) -> Writers:
    """Return what tells which mappings write to an object of a destination. Raises ProblemsError."""
    mappings = load_mappings(config.mappings).mappings

    def of(destination: str, obj: str) -> Sequence[str]:
        if destination not in config.destinations:
            return ()
        return sorted(name for name, one in mappings.items() if (one.destination, one.object) == (destination, obj))

    return of
