"""Where does a request end? Enough of HTTP/1.1 to know, so that a thread is only given calls that are here whole.

A thread that reads from a slow sender is a thread less; sixteen slow senders would be the end of a server with sixteen
threads. So the bytes are gathered without one, and the server's own parser (which judges everything else, strictly)
then reads from memory only.
"""

import re
from enum import Enum

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}(?=[ \t;]|\Z)")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_MOST_DIGITS = 15  # what has more is too large in any case, and cut off it still is
_LONGEST_CHUNK_LINE = 256
_LONGEST_REQUEST_LINE = 8190


class Progress(Enum):
    """How far a request is."""

    INCOMPLETE = "incomplete"
    COMPLETE = "complete"
    HEAD_TOO_LARGE = "head too large"
    BODY_TOO_LARGE = "body too large"


class RequestBuffer:
    """The bytes of one connection that no request was made of yet. Limits are in bytes."""

    __slots__ = ("_at", "_body_from", "_chunked", "_end", "_max_body", "_max_head", "data", "wants_continue")

    def __init__(self, max_head: int, max_body: int) -> None:
        self._max_head = max_head
        self._max_body = max_body
        self.data = bytearray()
        self._restart()

    def _restart(self) -> None:
        self._at = 0  # nothing before this needs to be looked at again
        self._body_from = 0
        self._end: int | None = None
        self._chunked = False
        self.wants_continue = False

    def feed(self, data: bytes) -> Progress:
        """Add bytes, and tell whether there is a whole request now. What is malformed counts as complete."""
        self.data += data
        if not self._body_from:
            progress = self._look_for_head()
            if progress is not None:
                return progress
        if self._chunked:
            return self._look_for_last_chunk()
        assert self._end is not None
        return Progress.COMPLETE if len(self.data) >= self._end else Progress.INCOMPLETE

    def take(self) -> bytes:
        """Return the whole request's bytes and keep what follows them, which may be the next one: feed it b""."""
        end = len(self.data) if self._end is None else self._end
        request = bytes(memoryview(self.data)[:end])
        del self.data[:end]
        self._restart()
        return request

    def _look_for_head(self) -> Progress | None:
        data = self.data
        found = data.find(b"\r\n\r\n", max(0, self._at - 3))
        if found < 0:
            bare = _BARE_LF.search(data, self._at)
            self._at = len(data)
            if len(data) > self._max_head + _LONGEST_REQUEST_LINE:
                return Progress.HEAD_TOO_LARGE
            # A line that ends otherwise will never end as it should: the parser says so.
            return Progress.INCOMPLETE if bare is None else Progress.COMPLETE
        head = bytes(memoryview(data)[: found + 2])
        if len(head) - head.find(b"\r\n") > self._max_head:
            return Progress.HEAD_TOO_LARGE
        self._body_from = self._at = found + 4
        self.wants_continue = _EXPECT.search(head) is not None
        if _CHUNKED.search(head):
            self._chunked = True
            return None
        length = _LENGTH.search(head)
        digits = length[1].lstrip(b"0") if length else b""
        size = int(digits[:_MOST_DIGITS] or b"0")
        if size > self._max_body:
            return Progress.BODY_TOO_LARGE
        self._end = self._body_from + size
        return None

    def _look_for_last_chunk(self) -> Progress:
        data = self.data
        while True:
            if self._at - self._body_from > 2 * self._max_body or len(data) - self._body_from > 2 * self._max_body:
                return Progress.BODY_TOO_LARGE  # twice: chunk sizes are no part of the body
            line_end = data.find(b"\r\n", self._at, self._at + _LONGEST_CHUNK_LINE)
            if line_end < 0:
                broken = len(data) - self._at >= _LONGEST_CHUNK_LINE
                return Progress.COMPLETE if broken else Progress.INCOMPLETE
            size_text = _CHUNK_SIZE.match(bytes(data[self._at : line_end]))
            if size_text is None:
                return Progress.COMPLETE  # malformed: the parser says so
            size = int(size_text[0], 16)
            if size == 0:
                return self._look_for_trailer(line_end)
            if size > self._max_body:
                return Progress.BODY_TOO_LARGE
            if line_end + 2 + size + 2 > len(data):
                return Progress.INCOMPLETE
            if data[line_end + 2 + size : line_end + 2 + size + 2] != b"\r\n":
                return Progress.COMPLETE
            self._at = line_end + 2 + size + 2

    def _look_for_trailer(self, line_end: int) -> Progress:
        end = self.data.find(b"\r\n\r\n", line_end)
        if end < 0:
            too_long = len(self.data) - line_end > self._max_head
            return Progress.HEAD_TOO_LARGE if too_long else Progress.INCOMPLETE
        self._end = end + 4
        return Progress.COMPLETE
