"""C1 C2 C3: how little the CRM is asked. Counted by the CRM, which is looked through afterwards."""

import json
import multiprocessing
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import seed
from bench.calls import Calls, body
from bench.figure import QUICK, ROUNDS, Figure, Part
from bench.figures.deliver import _expected, check
from bench.house import House
from connector.compose.delivering import Delivering, delivering, destinations
from connector.compose.loading import load_all
from connector.compose.secrets import secret_reader
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.sample_crm.server import Options, SampleCrm

RECORDS = 500 if QUICK else 10_000
CHANGES = 5
MINUTE = 60_000
TICK = 250
FEW = 200


@dataclass
class Clock:
    """A clock that moves when it is told to: an hour takes as long as the work that is in it."""

    at: int

    def now(self) -> int:
        return self.at

    def elapsed(self) -> int:
        return self.at


@dataclass
class Play:
    """A deliverer and the sample CRM, in one process, by that clock."""

    clock: Clock
    parts: Delivering
    inbox: SqliteInbox
    crm: SampleCrm
    seen: list[tuple[int, int]]

    def work(self) -> None:
        """Deliver all that is due now."""
        engine = self.parts.engine
        while engine.turn() or not engine.is_idle:
            if not engine.is_idle:
                engine.pool.wait(20)
        self.seen.append((self.crm._journal.total, self.clock.at))

    def until_done(self, longest: int) -> None:
        end = self.clock.at + longest
        while self.parts.engine.next_at_all() is not None:
            if self.clock.at > end:
                raise RuntimeError("not everything is delivered")
            self.clock.at += TICK
            self.work()


@contextmanager
def play(calls: Calls, folder: Path) -> Iterator[Play]:
    with House(
        folder / "crm", calls, preset="sample", mappings=str(Path(__file__).parent.parent / "mappings" / "linger")
    ) as house:
        token = (house.folder / "token").read_text().strip()
        with SampleCrm(Options(token=token)) as crm:
            house.crm = crm.url
            house.configure()
            clock = Clock(1_795_300_000_000)
            loaded = load_all(house.folder / "config.toml", os.environ, secret_reader(os.environ))
            config = loaded.config.model_copy(
                update={"outbox": loaded.config.outbox.model_copy(update={"path": house.outbox})}
            )
            crms = destinations(config, secret_reader(os.environ), clock)
            database, inbox = seed.open_inbox(house.outbox)
            parts = delivering(
                config, loaded.sources, loaded.mappings, crms, clock, lambda *_a, **_k: None, lambda: None
            )
            parts.engine.begin()
            try:
                yield Play(clock, parts, inbox, crm, [])
            finally:
                parts.close()
                database.close()


def storm(one: Play, chance: random.Random) -> dict[int, int]:
    """Bring all changes within a minute; return when each record's first one came."""
    changes = [(person, change) for person in range(1, RECORDS + 1) for change in range(CHANGES)]
    chance.shuffle(changes)
    first: dict[int, int] = {}
    each = len(changes) * TICK // MINUTE + 1
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # so that the other processor has something to do
        bodies = pool.imap(_body, changes, chunksize=each)
        for start in range(0, len(changes), each):
            part = changes[start : start + each]
            one.inbox.append([seed.said(next(bodies), one.clock.at) for _ in part])
            for person, _ in part:
                first.setdefault(person, one.clock.at)
            one.work()
            one.clock.at += TICK
    one.until_done(5 * MINUTE)
    return first


def _body(of: tuple[int, int]) -> bytes:
    return body(*of)


def right(one: Play) -> None:
    """See that the CRM has the last state of each record, and nothing else. Raises RuntimeError."""
    rows = {row["copernica_id"]: row for row in one.crm._store.rows("contacts")}
    if len(rows) != RECORDS:
        raise RuntimeError(f"{len(rows)} contacts at the CRM, not {RECORDS}")
    for person in range(1, RECORDS + 1):
        wanted = json.loads(_expected(person, CHANGES - 1))
        found = {name: rows[str(person)].get(name) for name in wanted}
        if found != wanted:
            raise RuntimeError(f"person {person} is wrong at the CRM: {found}, not {wanted}")


def c1(calls: Calls, folder: Path) -> Figure:
    """A storm, lingering, in batches."""
    with play(calls, folder) as one:
        first = storm(one, random.Random(1))
        right(one)
        entries = one.crm._journal.after(0, 1 << 30)
        oldest = 0
        for entry in entries:
            at = next(moment for total, moment in one.seen if total >= entry.seq)
            items = json.loads(entry.body).get("inputs", []) if entry.body else []
            oldest = max([oldest, *(at - first[int(item["copernica_id"])] for item in items if "copernica_id" in item)])
        requests = len(entries)
    scale = RECORDS / 10_000
    notes = [f"{RECORDS} records × {CHANGES} changes within a minute; {requests} requests; all right at the CRM",
             "by a clock that stands still while the deliverer works; the CRM counts real requests"]  # fmt: skip
    return Figure(
        [
            Part("CRM requests (a count: once)", [requests / scale], at_most=130),
            Part("oldest change at the CRM, s", [oldest / 1000], at_most=75),
        ],
        notes,
    )


def c2(calls: Calls, folder: Path) -> Figure:
    """Every record is touched, and nothing changes for the CRM."""
    with play(calls, folder) as one:
        few = range(1, FEW + 1)
        one.inbox.append([seed.said(body(person), one.clock.at) for person in few])
        one.work()
        one.until_done(5 * MINUTE)
        rounds = []
        for turn in range(1, ROUNDS + 1):
            before = one.crm._journal.total
            one.clock.at += MINUTE
            one.inbox.append([seed.said(_touched(person, turn * 10), one.clock.at) for person in few])
            one.work()
            one.until_done(5 * MINUTE)
            rounds.append(float(one.crm._journal.total - before))
    return Figure([Part("CRM requests for nothing new", rounds, at_most=0)], [f"{FEW} records touched in each round"])


def _touched(person: int, later: int) -> bytes:
    """Return the same state, so many seconds later."""
    said = body(person)
    time = said.rpartition(b"time=")[2]
    return said.replace(b"time=" + time, b"time=%d" % (int(time) + later))


def c3(calls: Calls, folder: Path) -> Figure:
    """One request per changed record."""
    first: dict[str, list[float]] = {"bench": [], "search": []}
    then: list[float] = []
    for turn in range(ROUNDS):
        with ThreadPoolExecutor() as pool:  # what is counted does not depend on time
            counted = pool.map(partial(_requests, calls, folder, turn), first)
            for found, (new, changed) in zip(first.values(), counted, strict=True):
                found.append(new)
                then.append(changed)
    return Figure(
        [
            Part("requests per record, one-call upsert", first["bench"], at_most=1.0),
            Part("requests per record, linked", then, at_most=1.0),
            Part("requests per record, search then create", first["search"], at_most=2.0),
        ],
        [f"{FEW} records in each round"],
    )


def _requests(calls: Calls, folder: Path, turn: int, preset: str) -> tuple[float, float]:
    """Return the requests for each record: when it is new, and when it has changed."""
    persons = range(1, FEW + 1)
    with House(folder / preset, calls, preset=preset) as house:
        sink = house.sink()
        counts = [0]
        for change in (turn * 2, turn * 2 + 1):
            seed.fill(house.outbox, (seed.call(person, change) for person in persons))
            if house.deliver("--drain").process.wait(60):
                raise RuntimeError("the deliverer did not finish")
            counts.append(sink.count()[0])
        if preset == "bench":
            check_first(sink.end(), persons, turn * 2)
    return counts[1] / FEW, (counts[2] - counts[1]) / FEW


def check_first(sent: list[tuple[int, str, bytes]], persons: range, change: int) -> None:
    """See that the upserts hold what they should; the changes after them hold the score only."""
    check([one for one in sent if one[1].startswith("PUT")], persons, change)
    for _, line, said in sent:
        if line.startswith("PATCH"):
            person = int(line.split(" ")[1].rpartition("/")[2])
            wanted = {"score": json.loads(_expected(person, change + 1))["score"]}
            if json.loads(said) != wanted:
                raise RuntimeError(f"person {person}: {said!r}, not {wanted}")
