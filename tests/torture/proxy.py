"""A TCP proxy between the deliverer and the CRM that breaks what passes: resets, stalls, cuts.

It looks at the bytes only to tell requests that make a record from others. What it does with the n-th request of a seed is
always the same; which request is the n-th is the processes' own chance.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

KINDS = {
    "reset before the request": 0.01,
    "reset after the request": 0.025,
    "answer cut in the middle": 0.025,
    "answer stalled": 0.01,
    "request stalled": 0.01,
}
"""Shares of all requests. Much more, and most changes would fail: then the destination is paused, which is another test."""

STALL = (0.6, 1.2)
"""Seconds: longer than the deliverer waits for an answer, shorter than the preset's `visible_after`."""

LATEST = 1.5
"""Seconds after which a request goes nowhere any more, however busy this machine is: a later one is promised nothing."""


class Proxy:
    """`with Proxy(seed) as proxy: proxy.before(url)` gives the address to call instead. `hits` counts what it did."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.hits: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self.unanswered_creates = 0
        self.requests = 0
        self.is_breaking = True  # until told otherwise
        self._target = ("", 0)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def before(self, url: str) -> str:
        """Listen; return our address for that of the CRM."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._server = self._run(asyncio.start_server(self._accept, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for _ in range(3):  # what was let in a moment before has a task by then
            await asyncio.sleep(0)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection(*self._target)
            while await self._exchange(reader, writer, back, there):
                pass
        except OSError:
            pass
        finally:
            both = [one for one in (writer, there) if one is not None]
            for one in both:
                one.close()
            for one in both:
                with suppress(OSError, asyncio.CancelledError):
                    await one.wait_closed()
            self._tasks.discard(task)

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        there: asyncio.StreamWriter,
    ) -> bool:
        """Pass one request and its answer on, or break it; tell whether the connections still stand."""
        request = await _message(reader)
        began = self._loop.time()
        if not request or reader.at_eof():
            return False
        self.requests += 1
        fault = self._pick()
        creates = request.startswith(b"POST ") and b'"copernica_id"' in request  # an update sends what has changed
        if fault is not None:
            self.hits[fault] += 1
        if fault == "reset before the request":
            _reset(writer)
            return False
        if fault == "request stalled":
            await asyncio.sleep(self._chance.uniform(*STALL))
        if self._loop.time() > began + LATEST:
            return False
        there.write(request)
        await there.drain()
        answer = await _message(back)
        if fault in ("reset after the request", "answer cut in the middle", "answer stalled"):
            self.unanswered_creates += creates
        if fault == "reset after the request":
            _reset(writer)
            return False
        if fault == "answer cut in the middle":
            writer.write(answer[: self._chance.randrange(1, len(answer))] if answer else b"")
            with suppress(OSError):
                await writer.drain()
            return False
        if fault == "answer stalled":
            await asyncio.sleep(self._chance.uniform(*STALL))
        writer.write(answer)
        await writer.drain()
        return bool(answer)

    def _pick(self) -> str | None:
        draw = self._chance.random()
        if self.is_breaking:
            for kind, share in KINDS.items():
                if draw < share:
                    return kind
                draw -= share
        return None


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Read one HTTP message with a Content-Length, or none; nothing at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        return head + await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
