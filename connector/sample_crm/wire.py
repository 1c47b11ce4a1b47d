"""HTTP/1.1, as much of it as a client library speaks to an API: keep-alive, Content-Length, no chunks."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus

from connector.sample_crm.message import ApiError, Request, Response

MAX_HEAD = 32 * 1024
MAX_BODY = 4 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Connection(asyncio.Protocol):
    """One client. Its requests are worked on one after the other, in the order in which they came."""

    def __init__(
        self,
        serve: Callable[["Connection", Request], None],
        peers: set["Connection"],
        is_welcome: Callable[[], bool],
    ) -> None:
        self._serve = serve
        self._peers = peers
        self._is_welcome = is_welcome
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._busy = False
        self._last = False
        self._advancing = False

    @property
    def is_open(self) -> bool:
        """Whether the client still stands."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peers.add(self)
        if not self._is_welcome():  # it was let in a moment before the door was shut
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client has gone, or was cut."""
        self._transport = None
        self._peers.discard(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a part of a request, or several."""
        self._buffer += data
        self._advance()

    def cut(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def reply(self, response: Response) -> bool:
        """Answer the request that is being worked on; tell whether the client was still there."""
        self._busy = False
        if not self.is_open:
            return False
        assert self._transport is not None
        self._transport.write(encode(response, close=self._last))
        if self._last:
            self._transport.close()
        elif self._buffer and not self._advancing:
            self._advance()
        return True

    def _advance(self) -> None:
        self._advancing = True
        try:
            while self._buffer and not self._busy and self.is_open:
                request = self._next()
                if request is None:
                    return
                self._busy = True
                self._serve(self, request)
        except ApiError as error:
            self._last = True
            self.reply(error.response())
        finally:
            self._advancing = False

    def _next(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD:
                raise ApiError(431, "too_large", "the headers are too large")
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        try:
            method, target, version = lines[0].split(" ")
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            length = int(headers.get("content-length", 0))
        except ValueError:
            raise ApiError(400, "bad_request", "this is not HTTP/1.1") from None
        if length < 0 or version not in ("HTTP/1.1", "HTTP/1.0") or not target.startswith("/"):
            raise ApiError(400, "bad_request", "this is not HTTP/1.1")
        if "transfer-encoding" in headers:
            raise ApiError(411, "length_required", "send Content-Length, not chunks")
        if length > MAX_BODY:
            raise ApiError(413, "too_large", "the body is too large")
        start = end + 4
        if len(self._buffer) < start + length:
            if headers.get("expect", "").lower() == "100-continue" and len(self._buffer) == start:
                assert self._transport is not None
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        self._last = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
        return Request(method, target, headers, body)


def encode(response: Response, *, close: bool = False) -> bytes:
    """Return the answer as bytes."""
    status = response.status
    body = b"" if response.body is None else json.dumps(response.body, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
    if status != HTTPStatus.NO_CONTENT:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    for name, value in response.headers.items():
        head += f"{name}: {value}\r\n"
    if close:
        head += "Connection: close\r\n"
    return head.encode("latin-1") + b"\r\n" + body
