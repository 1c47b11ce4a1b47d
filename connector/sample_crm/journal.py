"""Every request that came in, in order: what others count from."""

import itertools
import json
from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request. `at` is the time of day in milliseconds; `records` are those of a batch, one per input.

    `status` is what the CRM decided; `answered` tells whether that was handed to a connection that still stood.
    `commits` are the numbers of the writes that it made, in the order in which all writes happened; none: nothing
    was written. A request that was cut before it was looked at has no status and no commit.
    """

    seq: int
    at: int
    method: str
    path: str
    body: bytes
    record: str | None = None
    records: tuple[str | None, ...] = ()
    status: int | None = None
    answered: bool = False
    commits: tuple[int, ...] = ()
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the entry as the admin endpoint shows it; a body that is no JSON becomes text."""
        body: Any = None
        if self.body:
            try:
                body = json.loads(self.body)
            except ValueError:
                body = self.body.decode("utf-8", "replace")
        return {
            "seq": self.seq,
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "record": self.record,
            "records": list(self.records),
            "body": body,
            "status": self.status,
            "answered": self.answered,
            "commits": list(self.commits),
            "commit": self.commits[0] if self.commits else None,
            "fault": self.fault,
        }


class Journal:
    """The last `size` requests. `dropped` says how many older ones are no longer there."""

    def __init__(self, size: int) -> None:
        self.total = 0
        self.dropped = 0
        self._entries: deque[Entry] = deque(maxlen=size)

    def open(self, at: int, method: str, path: str, body: bytes) -> Entry:
        """Write a request down; what becomes of it is filled in later."""
        self.total += 1
        entry = Entry(self.total, at, method, path, body)
        if len(self._entries) == self._entries.maxlen:
            self.dropped += 1
        self._entries.append(entry)
        return entry

    def after(self, seq: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries with a higher number, oldest first."""
        first = self._entries[0].seq if self._entries else 0
        start = max(0, seq + 1 - first)
        return list(itertools.islice(self._entries, start, start + limit))

    def clear(self) -> None:
        """Forget what was written down; the numbers go on."""
        self._entries.clear()
        self.dropped = 0
