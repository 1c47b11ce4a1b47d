"""Opening the configured outbox."""

from connector.config.model import Config
from connector.outbox.sqlite.database import Database, Room


def open_outbox(config: Config, *, readonly: bool = False) -> Database:
    """Open the outbox file. Raises OutboxError and its kinds."""
    room = Room(
        max_bytes=config.outbox.max_bytes,
        free_bytes=config.outbox.free_bytes,
        unproven_calls=config.receiver.unproven_calls,
        unproven_bytes=config.receiver.unproven_bytes,
    )
    return Database(config.outbox.path, busy_timeout=config.outbox.busy_timeout, room=room, readonly=readonly)
