"""What `connector erase` is made of."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connector.compose.outbox import open_outbox
from connector.compose.reading import reader
from connector.config.model import Config
from connector.mapping.load import load_mappings
from connector.outbox.erasure import Eraser, Writers
from connector.outbox.sqlite.erasing import SqliteEraser


@contextmanager
def open_eraser(config: Config, *, readonly: bool) -> Iterator[Eraser]:
    """Open the outbox to erase a person."""
    database = open_outbox(config, readonly=readonly)
    try:
        yield SqliteEraser(database, reader(config))
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
