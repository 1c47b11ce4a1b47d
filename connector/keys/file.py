"""Public keys from a file."""

import os
import re
import threading
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from connector.domain.dkim import parse_records, trusted
from connector.domain.keyrecord import KeyAnswer, NoKey, Silent

MAX_FILE = 65_536

_QUOTED = re.compile(rb'"([^"]*)"')


class FileKeys:
    """One key for all names, read again whenever the file changes.

    A file that cannot be read, or holds no key, is an operator's mistake and not the sender's: the answer is Silent, so
    that calls are kept until it is repaired.
    """

    def __init__(self, path: Path) -> None:
        """Take a PEM public key, or the text of a DKIM TXT record. The file is not read before it is needed."""
        self._path = path
        self._name = str(path)  # asked for with each call, and a path is slow to ask with
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._answer: KeyAnswer = Silent("not read yet")

    def find(self, key_id: str, *, again: bool = False) -> KeyAnswer:  # noqa: ARG002 - the port's signature
        """Return the file's key, whatever name the call gives."""
        with self._lock:
            try:
                state = os.stat(self._name)  # noqa: PTH116
                seen = (state.st_mtime_ns, state.st_size, state.st_ino)
                if seen != self._seen:
                    self._answer = self._read()
                    self._seen = seen
            except OSError as error:
                self._seen = None
                return Silent(f"the key file {self._path} cannot be read: {error.strerror}")
            return self._answer

    def _read(self) -> KeyAnswer:
        with self._path.open("rb") as file:
            text = file.read(MAX_FILE + 1)
        answer = read_key(text, str(self._path)) if len(text) <= MAX_FILE else NoKey(f"{self._path} is too large")
        return Silent(f"{answer.detail}; put the right key there") if isinstance(answer, NoKey) else answer


def read_key(text: bytes, origin: str) -> KeyAnswer:
    """Return the key in a PEM file, or in the text of a DKIM TXT record (quoted in parts or not). Never Silent."""
    if b"-----BEGIN" in text:
        try:
            return trusted(serialization.load_pem_public_key(text), origin)
        except (ValueError, UnsupportedAlgorithm):
            return NoKey(f"{origin} is not a public key in PEM form")
    parts = _QUOTED.findall(text)
    return parse_records([b"".join(parts) if parts else text], origin)
