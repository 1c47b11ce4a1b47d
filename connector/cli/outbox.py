"""Opening the outbox for an operator."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connector.config.load import load
from connector.config.model import Config
from connector.outbox.port import Desk, OutboxError


def configured(config_file: Path | None) -> Config:
    """Return the configuration of an outbox that is there.

    An operator's command never makes an outbox: a wrong path would look like an empty one. Raises ProblemsError and
    OutboxError.
    """
    config = load(config_file, os.environ)
    path = config.outbox.path
    try:
        path.stat()
    except FileNotFoundError:
        raise OutboxError(f"there is no outbox at {path}; the receiver makes it when it starts") from None
    except OSError as error:
        raise OutboxError(f"the outbox at {path} cannot be opened: {error.strerror}") from None
    return config


@contextmanager
def opened(config_file: Path | None, *, readonly: bool) -> Iterator[tuple[Config, Desk]]:
    """Give the configuration and the desk of its outbox. Raises as `configured` does."""
    from connector.compose import open_desk  # noqa: PLC0415 - it knows every adapter; a wrong file needs none

    config = configured(config_file)
    with open_desk(config, readonly=readonly) as desk:
        yield config, desk
