"""E1 E2: from the call to the CRM."""

import subprocess
import sys
import time
from pathlib import Path

import requests

from bench.calls import Calls
from bench.figure import CONNECTIONS, QUICK, ROUNDS, THREADS, WORKERS, Figure, Part, middle, percentile
from bench.figures.deliver import check
from bench.house import ROOT, House, free_port, run_load, until_ready

COUNT = 1500 if QUICK else 4000
HUEY = ROOT / ".venv-bench"
LIGHT = 40 if QUICK else 60
HUEY_VERSION = "3.5.4"


def huey_python() -> Path:
    """Return a Python that has huey beside the connector; made once."""
    python = HUEY / "bin" / "python"
    if not (HUEY / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", HUEY], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-c", ROOT / "constraints.txt", "-e", ROOT, f"huey=={HUEY_VERSION}"], check=True)
        (HUEY / "ready").touch()
    return python


def _ours(calls: Calls, folder: Path, turn: int) -> float:
    with House(folder / "whole", calls, WORKERS, THREADS) as house:
        sink = house.sink()
        deliverer, receiver = house.deliver(), house.serve()
        done = run_load(calls.file(COUNT * ROUNDS), receiver.port, COUNT, first=turn * COUNT, connections=CONNECTIONS)
        last = sink.wait(COUNT, deliverer)
        began = min(line[0] for line in done["lines"])
        check(sink.end(), range(turn * COUNT + 1, (turn + 1) * COUNT + 1))
    return COUNT / ((last - began) / 1e9)


def _huey(calls: Calls, folder: Path, turn: int, client: str) -> float:
    """Flask under gunicorn and huey's consumer; `client` is plain or tuned."""
    count = COUNT // 4
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
        done = run_load(calls.file(COUNT * ROUNDS), port, count, first=turn * COUNT, connections=CONNECTIONS)
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
    )


def e2(calls: Calls, folder: Path) -> Figure:
    """A call now and then."""
    medians, tails, posts, all_of = [], [], [], []
    with House(folder / "light", calls, WORKERS, THREADS) as house:
        sink = house.sink()
        deliverer, receiver = house.deliver(), house.serve()
        file, lines = calls.file(LIGHT * (ROUNDS + 1)), []
        for turn in range(ROUNDS + 1):  # the first one warms up
            done = run_load(file, receiver.port, LIGHT, first=turn * LIGHT, connections=4, rate=10)
            lines.append(done["lines"])
            sink.wait(LIGHT * (turn + 1) + len(posts), deliverer)
            if turn:
                posts += [_post(sink.url) for _ in range(30)]
        arrived = {line.split(" ")[1].rpartition("/")[2]: when for when, line, _ in sink.end()}
    for turn in range(1, ROUNDS + 1):
        took = [arrived[str(turn * LIGHT + i + 1)] - begun for i, (begun, _, _) in enumerate(lines[turn])]
        all_of += took
        medians.append(middle(took) / middle(posts[(turn - 1) * 30 : turn * 30]))
        tails.append(percentile(took, 0.99) / middle(took))
    note = f"p50 {middle(all_of) / 1e6:.1f} ms, p99 {percentile(all_of, 0.99) / 1e6:.1f} ms; a bare requests.post {middle(posts) / 1e6:.2f} ms"
    return Figure(
        [
            Part("first byte in to the CRM, p50 ÷ a bare POST", medians, at_most=8),
            Part("p99 ÷ p50", tails, at_most=5, value=percentile(all_of, 0.99) / middle(all_of)),
        ],
        [note],
    )


def _post(url: str) -> int:
    began = time.monotonic_ns()
    requests.post(f"{url}/bare", data=b"{}", timeout=5).json()
    return time.monotonic_ns() - began
