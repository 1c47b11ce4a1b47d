"""D1 D2 G3: how fast changes reach the CRM."""

import json
import sys
import time
from pathlib import Path

from bench import bulk, seed
from bench.calls import Calls
from bench.figure import QUICK, ROUNDS, Figure, Part, middle
from bench.house import House

SLOW = 400 if QUICK else 960
FAST = {"ours": 3000, "bare": 10_000, "together": 20_000, "requests": 1500}
if QUICK:
    FAST = {kind: count // 3 for kind, count in FAST.items()}
PENDING = 100_000 if QUICK else 1_000_000
CONCURRENCY = 16


def _rate(calls: Calls, folder: Path, kind: str, latency: float, count: int) -> float:
    """Return deliveries a second, between the first and the last request at the sink; all bodies are checked."""
    with House(folder / "deliver", calls, concurrency=CONCURRENCY) as house:
        sink = house.sink(latency)
        if kind == "ours":
            seed.fill(house.outbox, (seed.call(person) for person in range(1, count + 1)))
            program = house.deliver("--drain")
        else:
            file = house.folder / "bodies"
            file.write_bytes(b"".join(_expected(1 + n % 1000) + b"\n" for n in range(count)))
            program = house.start(
                kind, [sys.executable, "-m", "bench.baselines.bare_client", kind, sink.url, file, str(CONCURRENCY)]
            )
        if program.process.wait(180):
            raise RuntimeError(program.log.read_text()[-2000:])
        sent = sink.end()
    if len(sent) != count:
        raise RuntimeError(f"{len(sent)} requests for {count} deliveries")
    if kind == "ours":
        check(sent, range(1, count + 1))
    return (count - 1) / ((sent[-1][0] - sent[0][0]) / 1e9)


def _expected(person: int, change: int = 0) -> bytes:
    """Return what the plain mapping makes of a person; written without the connector's own code."""
    from bench.calls import pairs

    said = {name[7:-1]: value for name, value in pairs(person, change) if name.startswith("fields[")}
    wanted = {
        "copernica_id": str(person),
        "email": said["e_mail"].strip().lower(),
        "firstname": said["voornaam"],
        "lastname": said["achternaam"],
        "address": {"street": said["straat"], "postcode": said["postcode"], "city": said["plaats"]},
        "score": int(said["punten"]),
        "optin": said["nieuwsbrief"] == "ja",
    }
    return json.dumps(wanted, sort_keys=True).encode()


def check(sent: list[tuple[int, str, bytes]], persons: range, change: int = 0) -> None:
    """See that each person's last request holds what it should. Raises RuntimeError."""
    last = {line.split(" ")[1].rpartition("/")[2]: body for _, line, body in sent}
    for person in persons:
        wanted, found = json.loads(_expected(person, change)), json.loads(last.get(str(person), b"{}"))
        if {**wanted, **found} != wanted or found.get("score") != wanted["score"]:
            raise RuntimeError(f"person {person} is wrong at the CRM: {found}, not {wanted}")


def _compare(calls: Calls, folder: Path, latency: float, counts: dict[str, int]) -> dict[str, list[float]]:
    """Let them take turns; `counts` says how many deliveries each gets in a round: about as long for each."""
    rates: dict[str, list[float]] = {kind: [] for kind in counts}
    for _ in range(ROUNDS):
        for kind, count in counts.items():
            rates[kind].append(_rate(calls, folder, kind, latency, count))
    return rates


def d1(calls: Calls, folder: Path) -> Figure:
    """A usual CRM."""
    rates = _compare(calls, folder, 50, {"ours": SLOW, "bare": SLOW})
    part = Part(
        "deliveries ÷ bare client, 50 ms",
        [o / b for o, b in zip(rates["ours"], rates["bare"], strict=True)],
        at_least=0.95,
    )
    return Figure(
        [part],
        [f"{CONCURRENCY} in flight: {middle(rates['ours']):.0f}/s, bare {middle(rates['bare']):.0f}/s"],
        {"deliveries to a CRM that takes 50 ms": {"ours": rates["ours"], "bare client": rates["bare"]}},
    )


def d2(calls: Calls, folder: Path) -> Figure:
    """A CRM that costs no time."""
    rates = _compare(calls, folder, 0, FAST)
    ours = rates["ours"]
    return Figure(
        [
            Part(
                "deliveries ÷ bare client, 0 ms",
                [o / b for o, b in zip(ours, rates["bare"], strict=True)],
                at_least=0.75,
            ),
            Part(
                "deliveries ÷ bare requests.post",
                [o / b for o, b in zip(ours, rates["requests"], strict=True)],
                at_least=1.5,
            ),
        ],
        [
            f"{middle(ours):.0f}/s, bare {middle(rates['bare']):.0f}/s, requests.post {middle(rates['requests']):.0f}/s",
            f"the bare client, one thread that waits for all answers together: {middle(rates['together']):.0f}/s",
        ],
        {
            "deliveries to a CRM that takes no time": {
                "ours": ours,
                "bare client": rates["bare"],
                "one thread, waiting for all": rates["together"],
                "bare requests.post": rates["requests"],
            }
        },
    )


def g3(calls: Calls, folder: Path) -> Figure:
    """From start to the first delivery."""
    times: dict[int, list[float]] = {1: [], PENDING: []}
    with House(folder / "small", calls) as small, House(folder / "large", calls) as large:
        bulk.bring(calls, 0, PENDING, large.outbox)
        for _ in range(ROUNDS):
            bulk.bring(calls, 0, 1, small.outbox)  # one pending delivery, and nothing else
            for house, found in ((small, times[1]), (large, times[PENDING])):
                sink = house.sink()
                began = time.monotonic_ns()
                program = house.deliver()
                sink.wait(1, program)
                program.stop()
                found.append((sink.end()[0][0] - began) / 1e6)
    notes = [f"{middle(times[1]):.0f} ms with one pending, {middle(times[PENDING]):.0f} ms with {PENDING:,}"]
    return Figure(
        [
            Part(
                "start to first delivery ÷ empty",
                [b / s for b, s in zip(times[PENDING], times[1], strict=True)],
                at_most=1.5,
            )
        ],
        notes,
    )
