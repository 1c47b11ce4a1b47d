"""M1 G1 S1 U1: what it costs to keep much."""

import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

from bench import bulk, seed
from bench.calls import Calls, read
from bench.figure import QUICK, ROUNDS, Figure, Part, middle
from bench.figures.receive import ALL, r3, received
from bench.house import ROOT, House, run_load
from connector.domain.accepted import Accepted
from connector.domain.clock import MINUTE
from connector.domain.delivery import DeliveryState
from connector.outbox.port import LinkChange, Settlement, Take
from connector.outbox.sqlite.queue import SqliteQueue

FEW = 1000
PENDING = 100_000 if QUICK else 1_000_000
SETTLED = 200_000 if QUICK else 5_000_000
WAITING = 100_000  # pending beside the settled ones
CLAIMS = 450
WORK = 200


def m1(calls: Calls, folder: Path) -> Figure:
    """Memory of receiver and deliverer, each started anew, when both have worked."""
    found: dict[int, list[float]] = {FEW: [], PENDING: []}
    file = calls.file(ALL)
    with House(folder / "few", calls) as few, House(folder / "many", calls) as many:
        bulk.bring(calls, 0, PENDING, many.outbox)
        for turn in range(ROUNDS):
            bulk.bring(calls, 0, FEW, few.outbox)
            for house, values in ((few, found[FEW]), (many, found[PENDING])):
                sink = house.sink(50)
                programs = [house.deliver(), house.serve()]
                run_load(file, programs[1].port, WORK, first=turn * WORK, connections=16)
                sink.wait(WORK, programs[0])
                values.append(sum(program.pss() for program in programs) / 1024**2)
                for program in (*programs, sink.program):
                    program.stop()
    small, large = found[FEW], found[PENDING]
    return Figure(
        [
            Part(
                f"memory with {PENDING:,} pending ÷ with {FEW:,}",
                [b / s for b, s in zip(large, small, strict=True)],
                at_most=1.1,
            ),
            Part("memory, MiB", large, at_most=160),
        ],
        [
            f"{middle(small):.0f} MiB with {FEW:,} pending, {middle(large):.0f} MiB with {PENDING:,} (PSS of all processes)"
        ],
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
    folder.mkdir(parents=True, exist_ok=True)
    small, large = folder / "small.db", folder / "large.db"
    times: dict[Path, list[float]] = {small: [], large: []}
    bulk.bring(calls, SETTLED, WAITING, large)
    _claims(large, 64)  # warms up
    for _ in range(ROUNDS):
        bulk.bring(calls, FEW // 2, FEW // 2, small)
        for outbox, found in times.items():
            found.append(_claims(outbox, CLAIMS))
    size = large.stat().st_size
    for outbox in times:
        bulk.remove(outbox)
    notes = [
        f"{middle(times[small]):.2f} ms per delivery with {FEW:,} rows, {middle(times[large]):.2f} ms with the others",
        f"{SETTLED:,} settled, {WAITING:,} pending: {size / 1024**3:.1f} GiB",
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
    """Bytes on disk per event: of R3's outbox."""
    with House(folder / "size", calls) as house:
        if not received(folder).exists():
            r3(calls, folder)
        bulk.move(received(folder), house.outbox)
        bulk.route(house)
        bodies = sum(len(one.partition(b"\r\n\r\n")[2]) for one in islice(read(calls.file(ALL)), ALL))
        count, size = bulk.events(house.outbox), bulk.size(house.outbox)
    if count != ALL:
        raise RuntimeError(f"{count} events are there, not {ALL}")
    value = (size / count) / (bodies / ALL)
    return Figure(
        [Part("bytes on disk ÷ bytes of the body", [value], at_most=1.0)],
        [
            f"{count:,} events: {size / count:.0f} bytes on disk each, bodies of {bodies / ALL:.0f} bytes",
            "weighed, not timed: once",
        ],
    )


def u1(calls: Calls, folder: Path) -> Figure:
    """How long a look takes."""
    parts, notes = [], []
    for settled, pending in ((0, PENDING), (SETTLED, WAITING)):
        ours, flask = [], []
        with House(folder / "status", calls) as house:
            bulk.bring(calls, settled, pending, house.outbox)
            for turn in range(ROUNDS + 1):
                looked = _wall([sys.executable, "-m", "connector", "status", "--config", house.folder / "config.toml"])
                imported = _wall([sys.executable, "-c", "import flask"])
                if turn:  # the first one warms up
                    ours.append(looked)
                    flask.append(imported)
        what = f"{settled + pending:,} deliveries"
        ratios = [o / f for o, f in zip(ours, flask, strict=True)]
        parts.append(Part(f"`status` ÷ import flask, {what}", ratios, at_most=2))
        notes.append(
            f"{what}, {pending:,} pending: {middle(ours) * 1e3:.0f} ms; import flask {middle(flask) * 1e3:.0f} ms"
        )
    return Figure(parts, notes)


def _wall(command: list[object]) -> float:
    began = time.perf_counter()
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode not in (0, 1):  # 1: something has been due for long
        raise RuntimeError(done.stderr.decode()[-500:])
    return took
