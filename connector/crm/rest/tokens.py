"""Tokens on disk: one file per destination, one writer at a time over all threads and processes."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from connector.domain.clock import Instant


@dataclass(frozen=True, slots=True)
class Token:
    """What the token address gave. `seed` tells from which configured credentials it grew."""

    access: str
    expires_at: Instant
    refresh: str | None = None
    base_url: str | None = None
    seed: str = ""


class TokenFile:
    """Keeps one destination's token. A token is on disk, safely, before anybody uses it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"token-{name}.json"
        self._lock = folder / f"token-{name}.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all others, in every process, from getting a token meanwhile. Raises OSError."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Token | None:
        """Return the token; None if there is none that can be read."""
        try:
            data = json.loads(self._file.read_text("utf-8"))
            return Token(**data)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, token: Token) -> None:
        """Keep the token: when this returns, it survives a power cut. Raises OSError."""
        beside = self._file.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - by descriptor, for its mode
            os.fchmod(stream.fileno(), 0o600)
            json.dump(asdict(token), stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file
