"""M1 G1 S1 U1: what it costs to keep much."""

import subprocess
import sys
import time
from pathlib import Path

from bench import bulk, seed
from bench.calls import PATH, Calls, read
from bench.figure import QUICK, ROUNDS, Figure, Part, middle
from bench.figures.receive import ALL, KEPT
from bench.house import CACHE, ROOT, House, Program
from connector.domain.accepted import Accepted
from connector.domain.clock import MINUTE
from connector.domain.delivery import DeliveryState
from connector.domain.judgement import judge
from connector.domain.keyrecord import Key
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.outbox.port import LinkChange, NewCall, Settlement, Take
from connector.outbox.sqlite.queue import SqliteQueue

PENDING = 100_000 if QUICK else 1_000_000
SETTLED = 200_000 if QUICK else 5_000_000
CLAIMS = 500


def m1(calls: Calls, folder: Path) -> Figure:
    """Memory of receiver and deliverer at work."""
    found: dict[int, list[float]] = {1000: [], PENDING: []}
    for pending, values in found.items():
        with House(folder / "memory", calls) as house:
            bulk.build(house.outbox, settled=0, pending=pending)
            house.sink(50)
            programs: list[Program] = [house.serve(), house.deliver()]
            time.sleep(2)
            for _ in range(max(ROUNDS, 5)):
                time.sleep(0.4)
                values.append(sum(program.pss() for program in programs) / 1024**2)
    small, large = found[1000], found[PENDING]
    return Figure(
        [
            Part(
                f"memory with {PENDING} pending ÷ with 1,000",
                [b / s for b, s in zip(large, small, strict=True)],
                at_most=1.1,
            ),
            Part("memory, MiB", large, at_most=160),
        ],
        [f"{middle(small):.0f} MiB with 1,000 pending, {middle(large):.0f} MiB with {PENDING} (PSS of all processes)"],
    )


def _claims(outbox: Path, count: int) -> float:
    """Claim and settle, sixteen at a time; return milliseconds per delivery."""
    database, _ = seed.open_inbox(outbox)
    queue, done, spent = SqliteQueue(database), 0, 0.0
    while done < count:
        now = round(time.time() * 1000)
        began = time.perf_counter()
        dues = queue.due(now, "people", "crm", "contact", 16)
        takes = [
            Take(delivery_id=due.delivery_id, event_id=due.call.event_id, destination="crm", object="contact", link_version=due.link.version,
                 keys=(due.delivery_id.to_bytes(16, "big"),), lease=queue.lease(), lease_until=now + MINUTE,
                 during=Accepted(known=False), in_doubt_until=now + MINUTE, removes=False)
            for due in dues
        ]  # fmt: skip
        granted, _ = queue.take(takes, [], now)
        queue.settle(
            [
                Settlement(delivery_id=take.delivery_id, destination="crm", object="contact", state=DeliveryState.DELIVERED, lease=take.lease,
                           outcome="created", status=200, requests=1, took=1, version="1", wrote=True,
                           link=LinkChange(crm_id=str(take.delivery_id), certain=True, accepted=Accepted(known=True)))
                for take, ok in zip(takes, granted, strict=True) if ok
            ],
            now,
        )  # fmt: skip
        spent += time.perf_counter() - began
        done += len(dues)
    queue.close()
    database.close()
    return spent / done * 1000


def g1(calls: Calls, folder: Path) -> Figure:
    """Claim and settle in an outbox of millions."""
    del calls
    large = CACHE / f"bulk-{SETTLED}.db"
    CACHE.mkdir(exist_ok=True)
    if not large.exists():
        bulk.build(large.with_suffix(".new"), SETTLED, 100_000)
        bulk.move(large.with_suffix(".new"), large)
    folder.mkdir(parents=True, exist_ok=True)
    small = folder / "small.db"
    times: dict[Path, list[float]] = {small: [], large: []}
    bulk.build(small, 500, 500)
    for outbox in times:
        _claims(outbox, 64)  # warms up
    for _ in range(ROUNDS):
        for outbox, found in times.items():
            if outbox is small:
                for file in bulk.files(small):
                    file.unlink()
                bulk.build(small, 500, 500)
            found.append(_claims(outbox, CLAIMS - 50))
    notes = [
        f"{middle(times[small]):.2f} ms per delivery with 1,000 rows, {middle(times[large]):.2f} ms with {SETTLED} settled, 100,000 pending; {large.stat().st_size / 1024**3:.1f} GiB"
    ]
    return Figure(
        [
            Part(
                "claim + settle, large ÷ small",
                [b / s for b, s in zip(times[large], times[small], strict=True)],
                at_most=1.3,
            )
        ],
        notes,
    )


def s1(calls: Calls, folder: Path) -> Figure:
    """Bytes on disk per event."""
    outbox = KEPT
    if not (outbox.exists() and bulk.events(outbox) == ALL):
        outbox = folder / "size.db"
        folder.mkdir(parents=True, exist_ok=True)
        seed.fill(outbox, _signed(calls))
    bulk.route(outbox)
    bodies = sum(len(one.partition(b"\r\n\r\n")[2]) for one in read(calls.file(ALL)))
    count, size = bulk.events(outbox), bulk.size(outbox)
    for file in bulk.files(outbox):
        file.unlink()
    value = (size / count) / (bodies / ALL)
    return Figure(
        [Part("bytes on disk ÷ bytes of the body", [value], at_most=1.0)],
        [f"{count} events: {size / count:.0f} bytes on disk each, bodies of {bodies / ALL:.0f} bytes"],
    )


def _signed(calls: Calls):  # type: ignore[no-untyped-def]
    from connector.domain.source import Proof, Source

    source = Source(
        name="shop", path=PATH, host=seed.HOST, proof=Proof.KEY_FILE, account=seed.ACCOUNT, past=10**6, future=10**6
    )
    key = Key(calls.key.public_key(), "the file")
    for raw in read(calls.file(ALL)):
        head, _, body = raw.partition(b"\r\n\r\n")
        headers = tuple(tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")[1:])
        now = round(time.time() * 1000)
        verdict = judge(
            UnverifiedRequest("shop", "POST", PATH, headers, body, now, "127.0.0.1", secure=True),
            source,
            lambda *_a, **_k: key,
            now=now,
        )
        assert isinstance(verdict, VerifiedRequest), verdict
        yield NewCall(verdict, now + 10**9)


def u1(calls: Calls, folder: Path) -> Figure:
    """How long a look takes."""
    ours, flask = [], []
    with House(folder / "status", calls) as house:
        bulk.build(house.outbox, settled=0, pending=PENDING)
        for turn in range(max(ROUNDS, 5) * 2 + 1):
            looked = _wall([sys.executable, "-m", "connector", "status", "--config", house.folder / "config.toml"])
            imported = _wall([sys.executable, "-c", "import flask"])
            if turn:  # the first one warms up
                ours.append(looked)
                flask.append(imported)
    notes = [f"{middle(ours) * 1e3:.0f} ms; import flask: {middle(flask) * 1e3:.0f} ms"]
    return Figure(
        [Part("`connector status` ÷ import flask", [o / f for o, f in zip(ours, flask, strict=True)], at_most=2)], notes
    )


def _wall(command: list[object]) -> float:
    began = time.perf_counter()
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode not in (0, 1):  # 1: something has been due for long
        raise RuntimeError(done.stderr.decode()[-500:])
    return took
