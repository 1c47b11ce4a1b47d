"""All figures, or some: python -m bench.run [R1,E1]. QUICK=1: one short round of each, to see that all works."""

import importlib.metadata
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from bench import making
from bench.calls import Calls
from bench.figure import CONNECTIONS, QUICK, ROUNDS, THREADS, WORKERS, Figure, spread
from bench.figures import crm, deliver, receive, size, whole
from bench.house import CACHE, HERE, build_tools

FIGURES = {
    "R1": receive.r1, "R2": receive.r2, "R3": receive.r3, "D1": deliver.d1, "D2": deliver.d2, "E1": whole.e1, "E2": whole.e2,
    "C1": crm.c1, "C2": crm.c2, "C3": crm.c3, "M1": size.m1, "G1": size.g1, "G2": receive.g2, "G3": deliver.g3, "S1": size.s1, "U1": size.u1,
}  # fmt: skip
PACKAGES = ("flask", "gunicorn", "greenlet", "cryptography", "requests", "urllib3", "structlog")


def settings() -> str:
    """Return versions and settings in a line."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}; {os.cpu_count()} processors, Linux {platform.release()};"
        f" {WORKERS} worker, {THREADS} threads, {CONNECTIONS} connections, WAL, synchronous = FULL; {ROUNDS} rounds"
    )


def show(name: str, figure: Figure, seconds: float) -> None:
    for part in figure.parts:
        verdict = ("holds" if part.holds else "FAILS") if part.target else ""
        print(
            f"{name:3} {part.what:44} {part.value:9.3f}  {part.target:8} {verdict:5}  {spread(part.rounds)}", flush=True
        )
        name = ""
    for note in figure.notes:
        print(f"      {note}", flush=True)
    print(f"      ({seconds:.0f} s)", flush=True)


def minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def main(chosen: str) -> int:
    names = [name.strip().upper() for name in chosen.split(",") if name.strip()] or list(FIGURES)
    unknown = sorted(set(names) - set(FIGURES))
    if unknown:
        print(f"there is no figure {', '.join(unknown)}; one of {', '.join(FIGURES)}", file=sys.stderr)
        return 64
    started = time.monotonic()
    build_tools()
    results = HERE / "results.json"
    found = json.loads(results.read_text()) if results.exists() else {}
    print(settings())
    print(f"{'':3} {'':44} {'median':>9}  {'target':8} {'':5}  least … greatest")
    fails = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as temporary:
        calls = Calls(CACHE / "calls")
        for name in names:
            began, made = time.monotonic(), sum(making.spent)
            try:
                figure = FIGURES[name](calls, Path(temporary) / name)
            except Exception as error:  # noqa: BLE001 - one figure that cannot be had does not take the others with it
                print(f"{name:3} void: {type(error).__name__}: {error}", flush=True)
                found[name] = {"value": None, "holds": False, "void": str(error)[:500]}
                fails.append(name)
                continue
            show(name, figure, time.monotonic() - began - (sum(making.spent) - made))
            found[name] = figure.as_json() | {"quick": QUICK}
            fails += [] if found[name]["holds"] else [name]
            results.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"\n{len(names) - len(fails)} of {len(names)} hold" + (f"; not: {', '.join(fails)}" if fails else ""))
    kept = (
        f", {minutes(sum(making.spent))} of them for what is kept in {CACHE.relative_to(HERE.parent)}"
        if making.spent
        else ""
    )
    print(f"{minutes(time.monotonic() - started)}{kept}")
    return int(bool(fails))


if __name__ == "__main__":
    sys.exit(main(",".join(sys.argv[1:])))
