"""What keeps the outbox from doing what was asked."""


class OutboxError(Exception):
    """The outbox cannot do what was asked. The message says why and what to do."""


class OutboxBusyError(OutboxError):
    """Another process holds the outbox for too long. Try again later."""


class OutboxFullError(OutboxError):
    """No room: the disk is full, or the outbox has reached its size, or the free-disk floor."""


class OutboxBrokenError(OutboxError):
    """The file is damaged, or not an outbox."""


class OutboxVersionError(OutboxError):
    """The file was made by a newer version of the connector."""
