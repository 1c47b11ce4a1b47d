"""E1 E2: from the call to the CRM."""

import subprocess
import sys
import time
from pathlib import Path

import requests

from bench.calls import Calls
from bench.figure import CONNECTIONS, QUICK, ROUNDS, THREADS, WORKERS, Figure, Part, middle, percentile
from bench.figures.deliver import check
from bench.figures.receive import ALL
from bench.house import ROOT, House, free_port, run_load, until_ready, until_said
from bench.making import making

COUNT = {"ours": 1000, "plain": 300, "tuned": 400} if QUICK else {"ours": 2500, "plain": 700, "tuned": 900}
HUEY = ROOT / ".venv-bench"
LIGHT = 40 if QUICK else 50
WARM = 20
HUEY_VERSION = "3.5.4"


def huey_python() -> Path:
    """Return a Python that has huey beside the connector; made once."""
    python = HUEY / "bin" / "python"
    if not (HUEY / "ready").exists():
        with making("an environment with huey"):
            subprocess.run([sys.executable, "-m", "venv", HUEY], check=True)
            install = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*install, "-c", ROOT / "constraints.txt", "-e", ROOT, f"huey=={HUEY_VERSION}"], check=True)
            (HUEY / "ready").touch()
    return python


def _ours(calls: Calls, folder: Path, turn: int) -> float:
    count = COUNT["ours"]
    with House(folder / "whole", calls, WORKERS, THREADS) as house:
        sink = house.sink()
        deliverer, receiver = house.deliver(), house.serve()
        until_said(deliverer, '"delivering"')
        done = run_load(calls.file(ALL), receiver.port, count, first=turn * count, connections=CONNECTIONS)
        last = sink.wait(count, deliverer)
        began = min(line[0] for line in done["lines"])
        check(sink.end(), range(turn * count + 1, (turn + 1) * count + 1))
    return count / ((last - began) / 1e9)


def _huey(calls: Calls, folder: Path, turn: int, client: str) -> float:
    """Flask under gunicorn and huey's consumer; `client` is plain or tuned."""
    count = COUNT[client]
    with House(folder / "huey", calls) as house:
        sink = house.sink()
        env = {"HUEY_DB": str(house.folder / "huey.db"), "HUEY_URL": sink.url, "HUEY_CLIENT": client}
        port, python = free_port(), huey_python()
        gunicorn = [python, "-m", "gunicorn", "-k", "gthread", "-w", str(WORKERS), "--threads", str(THREADS), "-b", f"127.0.0.1:{port}",
                    "--no-control-socket", "--keep-alive", "30", "bench.baselines.huey_app:app"]  # fmt: skip
        consumer = house.start(
            "consumer",
            [
                HUEY / "bin" / "huey_consumer",
                "bench.baselines.huey_app.huey",
                "-k",
                "thread",
                "-w",
                str(THREADS),
                "-d",
                "0.01",
                "-m",
                "0.1",
            ],
            env,
        )
        server = house.start("flask", gunicorn, env)
        server.port = port
        until_ready(server)
        until_said(consumer, "consumer started")
        done = run_load(calls.file(ALL), port, count, first=turn * count, connections=CONNECTIONS)
        last = sink.wait(count, consumer)
        began = min(line[0] for line in done["lines"])
    return count / ((last - began) / 1e9)


def e1(calls: Calls, folder: Path) -> Figure:
    """Everything together, compared with a web framework and a task queue."""
    ours, plain, tuned = [], [], []
    for turn in range(ROUNDS):
        ours.append(_ours(calls, folder, turn))
        plain.append(_huey(calls, folder, turn, "plain"))
        tuned.append(_huey(calls, folder, turn, "tuned"))
    return Figure(
        [
            Part("end to end ÷ Flask + huey", [o / p for o, p in zip(ours, plain, strict=True)], at_least=4),
            Part("end to end ÷ Flask + huey, tuned", [o / t for o, t in zip(ours, tuned, strict=True)], at_least=2.5),
        ],
        [
            f"{middle(ours):.0f}/s with signatures; huey {HUEY_VERSION} (fsync, {THREADS} threads): {middle(plain):.0f}/s, tuned {middle(tuned):.0f}/s, without"
        ],
        {
            "from the call to the CRM": {
                "ours, signatures proven": ours,
                "Flask + huey": plain,
                "Flask + huey, tuned": tuned,
            }
        },
    )


def e2(calls: Calls, folder: Path) -> Figure:
    """A call now and then."""
    medians, tails, posts, all_of = [], [], [], []
    with House(folder / "light", calls, WORKERS, THREADS) as house:
        sink = house.sink()
        deliverer, receiver = house.deliver(), house.serve()
        file, lines = calls.file(ALL), []
        run_load(file, receiver.port, WARM, connections=4, rate=10)
        for turn in range(ROUNDS):
            first = WARM + turn * LIGHT
            lines.append(run_load(file, receiver.port, LIGHT, first=first, connections=4, rate=10)["lines"])
            sink.wait(first + LIGHT + len(posts), deliverer)
            posts += [_post(sink.url) for _ in range(30)]
        arrived = {line.split(" ")[1].rpartition("/")[2]: when for when, line, _ in sink.end()}
    for turn in range(ROUNDS):
        took = [arrived[str(WARM + turn * LIGHT + i + 1)] - begun for i, (begun, _, _) in enumerate(lines[turn])]
        all_of += took
        medians.append(middle(took) / middle(posts[turn * 30 : (turn + 1) * 30]))
        tails.append(percentile(took, 0.99) / middle(took))
    note = (
        f"p50 {middle(all_of) / 1e6:.1f} ms; p99 {percentile(all_of, 0.99) / 1e6:.1f} ms, of all rounds together"
        f" {percentile(all_of, 0.99) / middle(all_of):.2f} times that; a bare requests.post {middle(posts) / 1e6:.2f} ms"
    )
    return Figure(
        [
            Part("first byte in to the CRM, p50 ÷ a bare POST", medians, at_most=8),
            Part("p99 ÷ p50", tails, at_most=5),
        ],
        [note],
    )


def _post(url: str) -> int:
    began = time.monotonic_ns()
    requests.post(f"{url}/bare", data=b"{}", timeout=5).json()
    return time.monotonic_ns() - began
