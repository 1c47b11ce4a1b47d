"""The operator's side of the outbox."""

from collections.abc import Iterator
from contextlib import contextmanager

from connector.compose.outbox import open_outbox
from connector.config.model import Config
from connector.outbox.port import Desk
from connector.outbox.sqlite.desk import SqliteDesk


@contextmanager
def open_desk(config: Config, *, readonly: bool) -> Iterator[Desk]:
    """Open the outbox for an operator's command. Looking opens it read-only, and never makes one."""
    database = open_outbox(config, readonly=readonly)
    try:
        yield SqliteDesk(database)
    finally:
        database.close()
