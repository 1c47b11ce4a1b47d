"""The operator's side of the outbox."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from connector.compose.outbox import open_outbox
from connector.config.model import Config
from connector.domain.event import Event, NotUnderstood
from connector.outbox.port import Desk, Linkbook, StoredCall
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.linkbook import SqliteLinkbook


def _read(config: Config, call: StoredCall) -> Event | NotUnderstood:
    from connector.compose.reading import reader  # noqa: PLC0415 - seldom needed, and `status` has to be quick

    return reader(config)(call)


@contextmanager
def open_desk(config: Config, *, readonly: bool) -> Iterator[Desk]:
    """Open the outbox for an operator's command. Looking opens it read-only, and never makes one."""
    database = open_outbox(config, readonly=readonly)
    try:
        yield SqliteDesk(database, partial(_read, config))
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
