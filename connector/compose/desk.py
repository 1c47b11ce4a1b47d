"""The operator's side of the outbox."""

from collections.abc import Iterator
from contextlib import contextmanager

from connector.compose.outbox import open_outbox
from connector.config.model import Config
from connector.outbox.port import Desk, Linkbook
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.linkbook import SqliteLinkbook


@contextmanager
def open_desk(config: Config, *, readonly: bool) -> Iterator[Desk]:
    """Open the outbox for an operator's command. Looking opens it read-only, and never makes one."""
    database = open_outbox(config, readonly=readonly)
    try:
        yield SqliteDesk(database)
    finally:
        database.close()


@contextmanager
def open_linkbook(config: Config, *, readonly: bool) -> Iterator[Linkbook]:
    """Open the outbox for `connector links`."""
    database = open_outbox(config, readonly=readonly)
    try:
        yield SqliteLinkbook(database)
    finally:
        database.close()
