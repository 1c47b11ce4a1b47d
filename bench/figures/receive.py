"""R1 R2 R3 G2: how many calls are taken, and how long the slowest waits."""

import sys
from pathlib import Path
from typing import Any

from bench import bulk
from bench.calls import Calls
from bench.figure import CONNECTIONS, QUICK, ROUNDS, THREADS, WORKERS, Figure, Part, middle, percentile
from bench.house import CACHE, TOOLS, House, Program, free_port, run_load, until_ready, wait_for

CALLS = 2000 if QUICK else 6000
SLOW_CALLS = 500 if QUICK else 1500
ALL = 20_000 if QUICK else 100_000
KEPT = CACHE / "received.db"
PRUNED_RATE = 300
PRUNED_CALLS = 600 if QUICK else 1200


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
    ours, bare, short, cost = [], [], [], []
    used: dict[str, float] = {}
    only = ("bench.baselines.verify_only",)
    with (
        House(folder / "ours", calls, WORKERS, THREADS) as a,
        House(folder / "bare", calls, WORKERS, THREADS) as b,
        House(folder / "short", calls, WORKERS, THREADS) as c,
    ):
        programs = {
            "stored": a.serve(),
            "proven": b.serve(module=only),
            "proven, by the short cut": c.serve({"VERIFY_ONLY": "short"}, only),
        }
        for turn in range(ROUNDS):
            for (name, program), rates in zip(programs.items(), (ours, bare, short), strict=True):
                before = program.cpu()
                done = run_load(file, program.port, CALLS, first=turn * CALLS, connections=CONNECTIONS)
                used[name] = used.get(name, 0) + (program.cpu() - before) / CALLS / ROUNDS * 1e6
                rates.append(CALLS / done["seconds"])
            cost.append(done["cpu"] / CALLS * 1e6)
    notes = [
        f"{middle(ours):.0f} calls/s stored, {middle(bare):.0f} calls/s only proven",
        f"only proven by the short cut that calls take: {middle(short):.0f} calls/s; stored ÷ that {middle([o / s for o, s in zip(ours, short, strict=True)]):.2f}",
        "processor time a call: " + ", ".join(f"{name} {micros:.0f} µs" for name, micros in used.items()),
        f"the load generator used {middle(cost):.0f} µs of processor time a call",
    ]
    return Figure(
        [Part("stored ÷ proven only", [o / b for o, b in zip(ours, bare, strict=True)], at_least=0.65)], notes
    )


def r2(calls: Calls, folder: Path) -> Figure:
    """Storing, compared with a commit for each call."""
    file = calls.file(ALL)
    fast = _against_flask(calls, folder, file, CALLS, {})
    slow = _against_flask(
        calls, folder, file, SLOW_CALLS, {"LD_PRELOAD": str(TOOLS / "slowsync.so"), "SLOWSYNC_US": "5000"}
    )
    unproven = _against_flask(calls, folder, file, CALLS, {"FLASK_COMMIT_PROVE": "no"}, rounds=1)
    notes = [
        f"{name}: {middle([one['rate'] for one in runs]):.0f} calls/s, p99 {middle([one['p99'] for one in runs]) * 1e3:.0f} ms"
        for name, runs in fast.items()
    ]
    notes += [
        f"with a sync 5 ms slower, {name}: {middle([one['rate'] for one in runs]):.0f} calls/s, p99 {middle([one['p99'] for one in runs]) * 1e3:.0f} ms"
        for name, runs in slow.items()
    ]
    notes.append(f"if the Flask views prove nothing (one round): {_ratios(unproven, 'rate')[0]:.2f}")
    notes += [f"syncs a call, {name}: {count:.2f}" for name, count in _syncs(calls, folder, file).items()]
    return Figure(
        [
            Part("÷ the better Flask view", _ratios(fast, "rate"), at_least=2),
            Part("the same, sync 5 ms slower", _ratios(slow, "rate"), at_least=6),
            Part("p99 ÷ theirs, sync 5 ms slower", [1 / one for one in _ratios(slow, "p99")], at_most=0.25),
        ],
        notes,
    )


Runs = dict[str, list[dict[str, Any]]]


def _against_flask(
    calls: Calls, folder: Path, file: Path, count: int, env: dict[str, str], rounds: int = ROUNDS
) -> Runs:
    runs: Runs = {"ours": [], "Flask, sync": [], "Flask, gthread": []}
    with House(folder / "ours", calls, WORKERS, THREADS) as a, House(folder / "flask", calls) as b:
        servers = [a.serve(env), _gunicorn(b, "sync", 2, env), _gunicorn(b, "gthread", WORKERS, env)]
        for turn in range(rounds):
            for server, runs_of in zip(servers, runs.values(), strict=True):
                done = run_load(file, server.port, count, first=turn * count, connections=CONNECTIONS)
                runs_of.append({"rate": count / done["seconds"], "p99": done["p99"], "max": done["max"]})
    return runs


def _ratios(runs: Runs, what: str) -> list[float]:
    """Return ours ÷ the better of the others (for times: theirs ÷ ours), round by round."""
    ours, *others = runs.values()
    if what == "rate":
        return [one["rate"] / max(a["rate"], b["rate"]) for one, a, b in zip(ours, *others, strict=True)]
    return [min(a[what], b[what]) / one[what] for one, a, b in zip(ours, *others, strict=True)]


def _syncs(calls: Calls, folder: Path, file: Path) -> dict[str, float]:
    """Count the syncs of 500 calls with strace."""
    found = {}
    for name in ("ours", "Flask, sync", "Flask, gthread"):
        with House(folder / "strace", calls, WORKERS, THREADS) as house:
            log = house.folder / "strace.log"
            prefix = ("strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(log))
            kind = name.rpartition(" ")[2]
            server = (
                house.serve(prefix=prefix)
                if name == "ours"
                else _gunicorn(house, kind, 2 if kind == "sync" else WORKERS, prefix=prefix)
            )
            before = log.read_text().count("sync(")
            run_load(file, server.port, 500, connections=CONNECTIONS)
            found[name] = (log.read_text().count("sync(") - before) / 500
    return found


def r3(calls: Calls, folder: Path) -> Figure:
    """The slowest of many; the outbox is kept for S1."""
    file = calls.file(ALL)
    with House(folder / "ours", calls, WORKERS, THREADS) as house:
        done = run_load(file, house.serve().port, ALL, connections=CONNECTIONS)
        house.programs[0].stop()
        CACHE.mkdir(exist_ok=True)
        bulk.move(house.outbox, KEPT)
    took = [one[1] for one in done["lines"]]
    fifth = len(took) // 5
    rounds = [max(took[i : i + fifth]) / middle(took[i : i + fifth]) for i in range(0, fifth * 5, fifth)]
    notes = [f"{ALL} calls: {ALL / done['seconds']:.0f}/s, median {done['p50'] * 1e3:.1f} ms, p99 {done['p99'] * 1e3:.1f} ms, slowest {done['max'] * 1e3:.1f} ms",
             "the rounds are the fifths of one run"]  # fmt: skip
    return Figure([Part("slowest ÷ median", rounds, at_most=25, value=max(took) / middle(took))], notes)


def g2(calls: Calls, folder: Path) -> Figure:
    """Calls while old events are pruned."""
    file = calls.file(ALL)
    kept: list[float] = []
    pruned: list[float] = []
    gone = 0
    with (
        House(folder / "kept", calls, WORKERS, THREADS) as a,
        House(folder / "pruned", calls, WORKERS, THREADS, keep=60) as b,
    ):
        for house in (a, b):
            bulk.build(house.outbox, settled=20_000 if QUICK else 60_000, pending=0)
            house.sink()
            house.serve()
        before = bulk.events(b.outbox)
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
        gone = before + PRUNED_CALLS * ROUNDS - bulk.events(b.outbox)
    if not gone:
        raise RuntimeError("nothing was pruned")
    notes = [
        f"{PRUNED_RATE} calls/s; p99 {middle(kept) / 1e6:.1f} ms without, {middle(pruned) / 1e6:.1f} ms with pruning; {gone} events went meanwhile"
    ]
    return Figure(
        [Part("p99 with pruning ÷ without", [p / k for p, k in zip(pruned, kept, strict=True)], at_most=2)], notes
    )
