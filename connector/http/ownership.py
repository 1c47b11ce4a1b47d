"""Verification files, by which Copernica sees that an address is ours: such names only, nothing else from the disk."""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from connector.domain.source import Source

NAME = re.compile(r"[a-z][a-z0-9]{1,31}[-_][A-Za-z0-9][A-Za-z0-9_-]{0,127}\.txt")
"""smtpeter-xxxxx.txt, and what later senders call it: a lower-case word, a dash, an identifier, .txt."""

LARGEST = 64 * 1024
"""Bytes; the real ones have less than a hundred."""


class Ownership:
    """Serves verification files from one folder, at the server's root and in the folder of every source's address."""

    def __init__(self, folder: Path, sources: Iterable[Source]) -> None:
        self._folder = folder
        self._places = {"/"}
        for source in sources:
            base = source.path.rstrip("/")
            self._places |= {f"{base}/", f"{base.rpartition('/')[0]}/"}

    def find(self, path: str) -> bytes | None:
        """Return the file that is to be served at a path, if there is one. `path` is as sent, without its query."""
        place, slash, name = path.rpartition("/")
        if f"{place}{slash}" not in self._places or not NAME.fullmatch(name):
            return None
        return _read(self._folder / name)


def _read(path: Path) -> bytes | None:
    try:
        # A link could lead anywhere, and a pipe would keep us waiting.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = os.read(handle, LARGEST + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else None
    finally:
        os.close(handle)
    return content if content is not None and len(content) <= LARGEST else None
