"""R1 R2 R3 G2: how many calls are taken, and how long the slowest waits."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import bulk
from bench.calls import Calls
from bench.figure import CONNECTIONS, QUICK, ROUNDS, THREADS, WORKERS, Figure, Part, middle, percentile
from bench.house import TOOLS, House, Program, free_port, run_load, until_ready, wait_for

ROUND = 0.7 if QUICK else 2.0  # seconds
WARM = 300
LEAST = 300  # calls in a round: fewer have no 99th percentile
ALL = 20_000 if QUICK else 100_000
TRACED = 300
PRUNED_RATE = 300
PRUNED_CALLS = 600 if QUICK else 900


Runs = dict[str, list[dict[str, Any]]]


def _gunicorn(
    house: House, kind: str, workers: int, env: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
) -> Program:
    """Start the plain Flask view under a worker class; it has a database of its own."""
    port = free_port()
    command = [
        *prefix,
        sys.executable,
        "-m",
        "gunicorn",
        "-k",
        kind,
        "-w",
        str(workers),
        "-b",
        f"127.0.0.1:{port}",
        "--no-control-socket",
    ]
    command += ["--threads", str(THREADS)] if kind == "gthread" else []
    program = house.start(f"flask-{kind}", [*command, "--backlog", "2048", "--keep-alive", "30", "bench.baselines.flask_commit:app"], {
        "FLASK_COMMIT_DB": str(house.folder / f"{kind}.db"), "FLASK_COMMIT_KEY": str(house.folder / "key.txt"), **(env or {})})  # fmt: skip
    program.port = port
    until_ready(program)
    return program


def r1(calls: Calls, folder: Path) -> Figure:
    """Storing, compared with the same application that only proves."""
    file = calls.file(ALL)
    rates: dict[str, list[float]] = {"stored": [], "proven": [], "proven, by the short cut": []}
    used: dict[str, list[float]] = {name: [] for name in rates}
    cost = []
    only = ("bench.baselines.verify_only",)
    with (
        House(folder / "ours", calls, WORKERS, THREADS) as a,
        House(folder / "bare", calls, WORKERS, THREADS) as b,
        House(folder / "short", calls, WORKERS, THREADS) as c,
    ):
        programs = [a.serve(), b.serve(module=only), c.serve({"VERIFY_ONLY": "short"}, only)]
        counts = [_warm(file, program) for program in programs]
        for turn in range(ROUNDS):
            for name, program, count in zip(rates, programs, counts, strict=True):
                before = program.cpu()
                done = run_load(file, program.port, count, first=WARM + turn * count, connections=CONNECTIONS)
                used[name].append((program.cpu() - before) / count * 1e6)
                rates[name].append(count / done["seconds"])
                cost.append(done["cpu"] / count * 1e6)
    ours, bare, short = rates.values()
    notes = [
        f"{middle(ours):.0f} calls/s stored, {middle(bare):.0f} calls/s only proven",
        f"only proven by the short cut that calls take: {middle(short):.0f} calls/s; stored ÷ that {middle([o / s for o, s in zip(ours, short, strict=True)]):.2f}",
        "processor time a call: " + ", ".join(f"{name} {middle(micros):.0f} µs" for name, micros in used.items()),
        f"the load generator used {middle(cost):.0f} µs of processor time a call",
    ]
    return Figure(
        [Part("stored ÷ proven only", [o / b for o, b in zip(ours, bare, strict=True)], at_least=0.65)],
        notes,
        {
            "calls, proven": {
                "and stored": ours,
                "and not stored (Flask route)": bare,
                "and not stored (short cut)": short,
            }
        },
    )


def r2(calls: Calls, folder: Path) -> Figure:
    """Storing, compared with a commit for each call."""
    file = calls.file(ALL)
    ours, sync, gthread, unproven = "ours", "Flask, sync", "Flask, gthread", "Flask, sync, nothing proven"
    fast = _against_flask(calls, folder, file, (ours, sync, gthread, unproven), {})
    slower = {"LD_PRELOAD": str(TOOLS / "slowsync.so"), "SLOWSYNC_US": "5000"}
    slow = _against_flask(calls, folder, file, (ours, sync, gthread), slower)
    bare = fast.pop(unproven)
    notes = [_said(name, runs) for name, runs in fast.items()]
    notes += [f"with a sync 5 ms slower, {_said(name, runs)}" for name, runs in slow.items()]
    notes.append(
        f"{_said(unproven, bare)}; ours ÷ that {middle([o['rate'] / b['rate'] for o, b in zip(fast[ours], bare, strict=True)]):.2f}"
    )
    notes.append(
        "syncs a call (strace): " + ", ".join(f"{name} {n:.2f}" for name, n in _syncs(calls, folder, file).items())
    )
    return Figure(
        [
            Part("÷ the better Flask view", _ratios(fast, "rate"), at_least=2),
            Part("the same, sync 5 ms slower", _ratios(slow, "rate"), at_least=6),
            Part("p99 ÷ theirs, sync 5 ms slower", [1 / one for one in _ratios(slow, "p99")], at_most=0.25),
        ],
        notes,
        {"calls, proven and stored": _rates(fast), "the same where a sync takes 5 ms longer": _rates(slow)},
    )


def _rates(runs: Runs) -> dict[str, list[float]]:
    return {name: [one["rate"] for one in of] for name, of in runs.items()}


def _said(name: str, runs: list[dict[str, Any]]) -> str:
    rate, p99 = middle([one["rate"] for one in runs]), middle([one["p99"] for one in runs])
    return f"{name}: {rate:.0f} calls/s, p99 {p99 * 1e3:.0f} ms"


def _warm(file: Path, program: Program) -> int:
    """Send the first calls, which count for nothing; return how many calls make a round for this server."""
    run_load(file, program.port, WARM // 3, connections=CONNECTIONS)
    rest = WARM - WARM // 3
    seconds = run_load(file, program.port, rest, first=WARM // 3, connections=CONNECTIONS)["seconds"]
    return min(max(round(ROUND * rest / seconds), LEAST), (ALL - WARM) // ROUNDS)


def _against_flask(calls: Calls, folder: Path, file: Path, names: Sequence[str], env: dict[str, str]) -> Runs:
    """Let them take turns, about as long each."""
    runs: Runs = {name: [] for name in names}
    with ExitStack() as stack:
        houses = [stack.enter_context(House(folder / f"{n}", calls, WORKERS, THREADS)) for n in range(len(names))]
        servers = [_server(house, name, env) for house, name in zip(houses, names, strict=True)]
        counts = [_warm(file, server) for server in servers]
        for turn in range(ROUNDS):
            for name, server, count in zip(names, servers, counts, strict=True):
                done = run_load(file, server.port, count, first=WARM + turn * count, connections=CONNECTIONS)
                runs[name].append({"rate": count / done["seconds"], "p99": done["p99"]})
    return runs


def _server(house: House, name: str, env: dict[str, str], prefix: tuple[str, ...] = ()) -> Program:
    """Start ours, or the Flask view that the name tells."""
    if name == "ours":
        return house.serve(env, prefix=prefix)
    kind = name.split(", ")[1]
    if name.endswith("nothing proven"):
        env = {**env, "FLASK_COMMIT_PROVE": "no"}
    return _gunicorn(house, kind, 2 if kind == "sync" else WORKERS, env, prefix)


def _ratios(runs: Runs, what: str) -> list[float]:
    """Return ours ÷ the better of the others (for times: theirs ÷ ours), round by round."""
    ours, *others = runs.values()
    if what == "rate":
        return [one["rate"] / max(a["rate"], b["rate"]) for one, a, b in zip(ours, *others, strict=True)]
    return [min(a[what], b[what]) / one[what] for one, a, b in zip(ours, *others, strict=True)]


def _syncs(calls: Calls, folder: Path, file: Path) -> dict[str, float]:
    """Count the syncs of a few hundred calls with strace."""
    found = {}
    for name in ("ours", "Flask, sync", "Flask, gthread"):
        with House(folder / "strace", calls, WORKERS, THREADS) as house:
            log = house.folder / "strace.log"
            # -D: beside the program, not in its place; else it would keep SIGTERM from it.
            prefix = ("strace", "-D", "-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", str(log))
            server = _server(house, name, {}, prefix)
            before = log.read_text().count("sync(")
            run_load(file, server.port, TRACED, connections=CONNECTIONS)
            found[name] = (log.read_text().count("sync(") - before) / TRACED
    return found


def r3(calls: Calls, folder: Path) -> Figure:
    """The slowest of many; the outbox is kept for S1."""
    file = calls.file(ALL)
    with House(folder / "ours", calls, WORKERS, THREADS) as house:
        done = run_load(file, house.serve().port, ALL, connections=CONNECTIONS)
        house.programs[0].stop()
        bulk.move(house.outbox, received(folder))
    took = [one[1] for one in done["lines"]]
    fifth = len(took) // 5
    rounds = [max(took[i : i + fifth]) / middle(took[i : i + fifth]) for i in range(0, fifth * 5, fifth)]
    notes = [f"{ALL} calls: {ALL / done['seconds']:.0f}/s, median {done['p50'] * 1e3:.1f} ms, p99 {done['p99'] * 1e3:.1f} ms, slowest {done['max'] * 1e3:.1f} ms",
             "the rounds are the fifths of one run"]  # fmt: skip
    return Figure([Part("slowest ÷ median", rounds, at_most=25, value=max(took) / middle(took))], notes)


def received(folder: Path) -> Path:
    """Return where R3's outbox is kept for S1, for as long as the run lasts."""
    return folder.parent / "received.db"


def g2(calls: Calls, folder: Path) -> Figure:
    """Calls while old events are pruned."""
    file = calls.file(ALL)
    kept: list[float] = []
    pruned: list[float] = []
    old = 20_000 if QUICK else 60_000
    with (
        House(folder / "kept", calls, WORKERS, THREADS) as a,
        House(folder / "pruned", calls, WORKERS, THREADS, keep=60) as b,
    ):
        for house in (a, b):
            bulk.bring(calls, old, 0, house.outbox)
            house.sink()
            house.serve()
        left = old
        for turn in range(ROUNDS):
            for house, found in ((a, kept), (b, pruned)):
                deliverer = house.deliver()
                wait_for(lambda d=deliverer: b'"delivering"' in d.log.read_bytes(), deliverer)
                done = run_load(
                    file,
                    house.programs[1].port,
                    PRUNED_CALLS,
                    first=turn * PRUNED_CALLS,
                    connections=16,
                    rate=PRUNED_RATE,
                )
                deliverer.stop()
                found.append(percentile([one[1] for one in done["lines"]], 0.99))
            before, left = left, bulk.events(b.outbox, old)
            if not 0 < left < before:
                raise RuntimeError(
                    f"not all of round {turn + 1} was spent on pruning: {left} of {before} old events are left"
                )
    notes = [
        f"{PRUNED_RATE} calls/s; p99 {middle(kept) / 1e6:.1f} ms without, {middle(pruned) / 1e6:.1f} ms with pruning",
        f"{old - left:,} of {old:,} old events went meanwhile, in each round some",
    ]
    return Figure(
        [Part("p99 with pruning ÷ without", [p / k for p, k in zip(pruned, kept, strict=True)], at_most=2)], notes
    )
