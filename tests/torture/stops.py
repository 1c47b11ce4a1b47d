"""SIGSTOP: a deliverer sleeps past the end of its leases, and wakes; the receiver sleeps in the middle of calls.

Two deliverers work. What the stopped one held when it fell asleep is noted; the other one has to take all of it over;
when the first one wakes, it has to find out, of each single lease, that it is no longer its own.
"""

import fcntl
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from connector.demo.house import Program
from connector.outbox.port import Settled
from connector.outbox.sqlite.owner import OWNER_SHIFT
from tests.torture.ground import Ground, processes
from tests.torture.load import Count
from tests.torture.row import Row, Say

SEND = 3.0
"""Seconds, the destination's `timeouts.send`: with the margins a lease is 51 s long."""

LATENCY_MS = 200
"""How long the CRM takes for an answer, so that there are leases to be stopped with."""

SHORT = """
import connector.crm.rest.adapter, connector.deliver.engine
connector.crm.rest.adapter._MARGIN = 0
connector.deliver.engine._LEASE_MARGIN = 500
from connector.cli.main import main
main()
"""
"""A deliverer with hardly any margins: its leases are 6.5 s long, and nothing else is other."""


@dataclass
class Found:
    """What was seen of the leases of those who slept."""

    deliverers: int = 0
    receivers: int = 0
    seconds: float = 0
    held: int = 0
    refused: int = 0
    at_the_lock: int = 0
    problems: list[str] = field(default_factory=list)


def row(seed: int, *, quick: bool, say: Say) -> Row:
    """Stop a deliverer, then the receiver; full: again, and a deliverer whose leases are as long as they are."""
    chance = random.Random(seed)
    found = Found()
    counts = [_round(seed, chance, found, say, times=1 if quick else 2, launch={"deliver": ("-c", SHORT)})]
    if not quick:
        counts.append(_round(seed + 1, chance, found, say, times=1, launch={}))
    stops = {"deliverer": found.deliverers, "receiver": found.receivers}
    return Row(
        kind="SIGSTOP",
        faults=stops,
        survived=sum(stops.values()),
        lost=sum(count.lost for count in counts),
        duplicated=sum(count.duplicated for count in counts),
        notes=[
            f"{found.held} leases ended in a sleep and were taken over by the other deliverer",
            f"of them {found.refused} refused to the woken one, {found.held - found.refused} settled by it",
            f"asleep for {found.seconds:.0f} s together, longer than the leases",
            f"woken at once for holding the outbox's lock: {found.at_the_lock}",
            f"shown older for a moment: {sum(count.taken_back for count in counts)}",
            f"{sum(count.answered for count in counts)} calls answered 2xx",
        ],
        problems=found.problems,
    )


def _round(
    seed: int, chance: random.Random, found: Found, say: Say, *, times: int, launch: Mapping[str, Sequence[str]]
) -> Count:
    with (
        tempfile.TemporaryDirectory(prefix="connector-stops-") as name,
        Ground(
            Path(name), seed=seed, deliverers=2, send=SEND, timeout=1, latency_ms=0, pause=0.03, launch=launch
        ) as ground,
    ):
        ground.load.start()
        ground.wait(lambda: all(ground.said(one, "delivering") for one in ("deliver", "deliver-2")), "both are there")
        ground.wait(lambda: len(ground.sample.records("contacts")) == ground.records, "every record is made")
        ground.sample.set(latency_ms=LATENCY_MS)
        for _ in range(times):
            _stop_deliverer(ground, chance, found)
            _stop_receiver(ground, found)
            say(f"{found.held} leases ended in a sleep, {found.refused} were refused to their old owner")
        ground.rest()
        found.problems += ground.undelivered()
        return ground.count()


def _stop_deliverer(ground: Ground, chance: random.Random, found: Found) -> None:
    """Stop one that has leases, until the other one has taken them over and settled them; then see what it does."""
    ledger = ground.load.ledger
    both = [ground.program(one) for one in ("deliver", "deliver-2")]
    while True:
        chance.shuffle(both)
        busy: list[Program] = []
        ground.wait(lambda to=busy: to.extend(one for one in both if len(_leases(ground, one)) > 1) or to, "leases")
        program, stored, began = busy[0], ledger.calls, time.monotonic()
        with _asleep(program):
            is_free, leases = _is_free(ground), _leases(ground, program)
            found.at_the_lock += not is_free
            if is_free and len(leases) > 1:
                _wait_for_the_other(ground, leases)
                already = len(_attempts(program))
                break
        # One that sleeps with the outbox locked holds up all others, and that ends with its sleep.
        ground.wait(lambda had=stored: ledger.calls > had, "calls are stored")
    found.seconds += time.monotonic() - began
    _see_that_it_settles_nothing(ground, program, set(leases.values()), already, found)


def _wait_for_the_other(ground: Ground, leases: Mapping[int, int]) -> None:
    """Wait until the leases have ended, and what they were about is settled."""
    held = ",".join(str(lease) for lease in leases)
    events = ",".join(str(event) for event in leases.values())
    ended = f"SELECT count(*) FROM deliveries WHERE lease IN ({held})"
    settled = f"SELECT count(*) FROM deliveries WHERE event IN ({events}) AND state = 1"
    ground.wait(lambda: ground.query(ended) == [(0,)], "the other deliverer takes over")
    ground.wait(lambda: ground.query(settled) == [(0,)], "the other deliverer settles")


def _see_that_it_settles_nothing(
    ground: Ground, program: Program, events: set[int], already: int, found: Found
) -> None:
    """What it says of each of those events first, after so many attempts, is about the lease that it slept through."""
    firsts: dict[int, str] = {}

    def has_found_out() -> bool:
        for event, state in _attempts(program)[already:]:
            if event in events:
                firsts.setdefault(event, state)
        return firsts.keys() == events

    ground.wait(has_found_out, "the woken deliverer finds out that its leases have ended")
    found.deliverers += 1
    found.held += len(events)
    found.refused += sum(state == Settled.LOST.value for state in firsts.values())
    found.problems += [
        f"event {event}: the woken deliverer settled it as {state}, by a lease that had ended"
        for event, state in firsts.items()
        if state != Settled.LOST.value
    ]


def _stop_receiver(ground: Ground, found: Found) -> None:
    """Stop it in the middle of calls, until all that is stored is delivered."""
    program, ledger = ground.program("serve"), ground.load.ledger
    while True:
        stored = ledger.calls
        ground.wait(lambda had=stored: ledger.calls > had and ledger.in_flight, "a call is under way")
        with _asleep(program):
            if ledger.in_flight and _is_free(ground):
                ground.wait(lambda: ground.open_rows() == 0, "what is stored is delivered meanwhile")
                calls = ledger.calls
                break
            found.at_the_lock += 1
    ground.wait(lambda: ledger.calls > calls, "calls are answered again")
    found.receivers += 1


@contextmanager
def _asleep(program: Program) -> Iterator[None]:
    """Stop the program and its children; wait until the kernel says that they are."""
    os.killpg(program.process.pid, signal.SIGSTOP)
    try:
        while any(_state(pid) not in "TZ" for pid in processes(program)):
            time.sleep(0.001)
        yield
    finally:
        os.killpg(program.process.pid, signal.SIGCONT)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def _is_free(ground: Ground) -> bool:
    """Whether others can still write to the outbox: the sleeper is not in the middle of a write."""
    for name in ("outbox.db.turn", "outbox.db.lock"):
        deadline = time.monotonic() + 0.3
        with (ground.folder / name).open("rb") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        return False
                    time.sleep(0.0005)
    return True


def _leases(ground: Ground, program: Program) -> dict[int, int]:
    """Return that program's own leases, with their events."""
    owner = _owner(program.process.pid)
    if owner is None:
        return {}
    rows = ground.query(f"SELECT lease, event FROM deliveries WHERE state = 1 AND lease >> {OWNER_SHIFT} = {owner}")
    return {int(str(lease)): int(str(event)) for lease, event in rows}


def _owner(pid: int) -> int | None:
    """Return the number under which that process takes leases: it keeps a lock on a file of that name."""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = handle.readlink().name
        except FileNotFoundError:
            continue
        if ".owner-" in name:
            return int(name.rpartition("-")[2])
    return None


def _attempts(program: Program) -> list[tuple[int, str]]:
    """Return the attempts that its log tells of: the event, and what became of it."""
    found = []
    for line in program.log.read_bytes().split(b"\n")[:-1]:
        if b'"event": "attempt"' in line:
            value = json.loads(line)
            found.append((value["id"], value["state"]))
    return found
