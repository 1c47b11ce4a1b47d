"""What the worst that can be sent costs a running receiver: time, memory, and the wait of genuine calls meanwhile.

Run: .venv/bin/python -m bench.bounds [MEGABYTES]    (default: just below 4, as `max_body`; prints Markdown tables)

Bodies are genuinely signed: an unsigned one never gets as far as the decoder. Memory is the worker's: by how much its
resident peak lies above what it was at rest, and its PSS. While each input is worked on, a second sender goes on with
usual calls, one after another; the longest that one of them waits is the last column.
"""

import os
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.decode_worst import hostile
from tests.http.receiver import Receiver, genuine, read_answer

USUAL = b"type=update&profile=123&database=1&fields%5Bname%5D=Johny"
SHOWN = {
    "one long value, plain",
    "one long value, every character escaped",
    "percent signs only",
    "invalid UTF-8 only",
    "a million keys",
    "just as many keys as are taken",
    "just as many branches as are taken",
    "deep brackets",
    "open brackets only",
    "keys as long as is taken",
    "fields of brackets as long as is taken",
    "numbers as keys (their hash is the number)",
    "JSON: deep arrays",
    "JSON: deep objects",
    "JSON: empty arrays",
    "JSON: as many fields as are taken",
    "JSON: a number of that size",
    "XML: billion laughs",
    "XML: quadratic blow-up",
    "XML: deep elements",
    "XML: many elements",
    "XML: a million attributes",
    "XML: character references only",
}


class Memory:
    """The worker's, in MiB."""

    def __init__(self, receiver: Receiver) -> None:
        self._process = Path("/proc") / str(receiver.workers()[0])

    @property
    def pss(self) -> float:
        return self._read("smaps_rollup", "Pss:")

    @property
    def peak(self) -> float:
        return self._read("status", "VmHWM:")

    @property
    def rss(self) -> float:
        return self._read("status", "VmRSS:")

    def forget_peak(self) -> None:
        (self._process / "clear_refs").write_text("5")

    def _read(self, file: str, name: str) -> float:
        [line] = [one for one in (self._process / file).read_text().splitlines() if one.startswith(name)]
        return int(line.split()[1]) / 1024


class Sender(threading.Thread):
    """Sends usual calls, one after another, and remembers how long each waited."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(daemon=True)
        self._receiver = receiver
        self._end = threading.Event()
        self.waits: list[float] = []
        self.refused = 0

    def run(self) -> None:
        while not self._end.is_set():
            call = genuine(USUAL)
            began = time.perf_counter()
            self.refused += self._receiver.send(call).status != 200
            self.waits.append(time.perf_counter() - began)
            self._end.wait(0.002)

    def stop(self) -> None:
        self._end.set()
        self.join()


@contextmanager
def beside(receiver: Receiver) -> Iterator[Sender]:
    sender = Sender(receiver)
    sender.start()
    while not sender.waits:
        time.sleep(0.001)
    try:
        yield sender
    finally:
        sender.stop()


def bodies(receiver: Receiver, size: int) -> None:
    memory = Memory(receiver)
    print(f"Worker at rest: {memory.pss:.0f} MiB (PSS), {memory.rss:.0f} MiB resident.\n")
    print("| body | bytes | outcome | time | peak above rest | longest wait of a usual call |")
    print("|---|---|---|---|---|---|")
    rows = [row for row in hostile(size) if row[0] in SHOWN]
    rows.append(("random bytes (they do not compress)", os.urandom(size), "application/x-www-form-urlencoded"))
    for name, body, content_type in rows:
        call = genuine(body, content_type=content_type)
        with beside(receiver) as sender:
            memory.forget_peak()
            rest, began = memory.rss, time.perf_counter()
            answer = receiver.send(call)
            taken = time.perf_counter() - began
            peak = memory.peak - rest
        [line] = [line for line in receiver.lines("call") if line.get("bytes") == len(body)][-1:]
        outcome = line.get("detail") or f"{line['outcome']}: {line.get('type')}"
        assert (answer.status, sender.refused) == (200, 0)
        wait = f"{max(sender.waits) * 1000:.0f} ms"
        print(f"| {name} | {len(body):,} | {outcome} | {taken * 1000:.0f} ms | +{peak:.0f} MiB | {wait} |")


def crowd(receiver: Receiver, size: int, calls: int = 96, at_once: int = 16) -> None:
    """Percent bombs, many at a time."""
    memory = Memory(receiver)
    [bomb] = [row for row in hostile(size) if row[0] == "one long value, every character escaped"]
    lock, begun, statuses = threading.Lock(), [], []

    def send() -> None:
        while True:
            with lock:
                if len(begun) == calls:
                    return
                begun.append(None)
            statuses.append(receiver.send(genuine(bomb[1])).status)

    memory.forget_peak()
    rest, began = memory.rss, time.perf_counter()
    with beside(receiver) as sender:
        threads = [threading.Thread(target=send) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    again = Counter(line["reason"] for line in receiver.lines("call") if line["status"] != 200)
    what = f"{calls} percent bombs, {at_once} at a time, {time.perf_counter() - began:.1f} s in all"
    why = ", ".join(f"{count} {reason}" for reason, count in again.items())
    seen = f"{statuses.count(200)} stored" + (f", others: {why}" if why else "")
    row(what, seen, memory, rest, sender)


def row(what: str, seen: str, memory: Memory, rest: float, sender: Sender) -> None:
    wait = f"{max(sender.waits) * 1000:.0f} ms"
    calls = f"{len(sender.waits)} usual calls meanwhile, {sender.refused} refused, longest wait {wait}"
    print(f"| {what} | {seen}; {calls} | +{max(0, memory.peak - rest):.0f} MiB | {memory.pss:.0f} MiB |")


def half_calls(receiver: Receiver, count: int = 40) -> None:
    """Senders of a body less its last byte."""
    memory = Memory(receiver)
    memory.forget_peak()
    rest = memory.rss
    size = 4 * 1024 * 1024
    head = f"POST /in/shop HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode()
    with ExitStack() as stack, beside(receiver) as sender:
        socks = [stack.enter_context(receiver.connect()) for _ in range(count)]
        for sock in socks:
            with suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(head + b"x" * (size - 1))
        refused = 0
        for sock in socks:
            sock.settimeout(0.05)
            with suppress(TimeoutError, AssertionError, ConnectionResetError):
                refused += read_answer(sock).status == 503
    what = f"{count} bodies of 4 MiB less a byte (room for 16)"
    row(what, f"{refused} were told to come again (503)", memory, rest, sender)


def slow(receiver: Receiver, count: int = 500, seconds: float = 25) -> None:
    """Senders of a byte now and then, until the receiver has enough of them."""
    memory = Memory(receiver)
    memory.forget_peak()
    rest, call = memory.rss, genuine(USUAL)
    with ExitStack() as stack, beside(receiver) as sender:
        socks = [stack.enter_context(receiver.connect()) for _ in range(count)]
        for sock in socks:
            sock.setblocking(False)
        end, at, gone = time.monotonic() + seconds, 0, 0
        while time.monotonic() < end:
            for sock in list(socks):
                try:
                    sock.sendall(call[at % 300 : at % 300 + 1])
                    if sock.recv(100).startswith(b"HTTP/1.1 408"):
                        gone += 1
                        socks.remove(sock)
                except BlockingIOError:
                    pass
                except OSError:
                    socks.remove(sock)
            at += 1
            time.sleep(0.3)
    row(f"{count} senders of three bytes a second", f"{gone} answered 408 after `body_timeout`", memory, rest, sender)


def idle(receiver: Receiver, count: int = 10_000) -> None:
    """Connections that say nothing, opened as fast as can be."""
    memory = Memory(receiver)
    memory.forget_peak()
    rest = memory.rss
    with ExitStack() as stack, beside(receiver) as sender:
        began = time.perf_counter()
        for _ in range(count):
            stack.enter_context(receiver.connect())
        opened = time.perf_counter() - began
        began = time.perf_counter()
        assert receiver.post().status == 200
        after = time.perf_counter() - began
    seen = f"a call right after them takes {after * 1000:.0f} ms"
    row(f"{count:,} idle connections, opened in {opened:.1f} s", seen, memory, rest, sender)


def main() -> None:
    """Print both tables."""
    size = round(float(sys.argv[1]) * 1024 * 1024) if len(sys.argv) > 1 else 4 * 1024 * 1024 - 1024
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder, Receiver(Path(folder)) as receiver:
        bodies(receiver, size)
        print("\n| what | what was seen | peak above before | PSS after |\n|---|---|---|---|")
        parts: list[Callable[[], None]] = [
            lambda: crowd(receiver, size), lambda: half_calls(receiver), lambda: slow(receiver), lambda: idle(receiver),
        ]  # fmt: skip
        for part in parts:
            part()
        assert receiver.post().status == 200
        assert "Traceback" not in receiver.log


if __name__ == "__main__":
    main()
