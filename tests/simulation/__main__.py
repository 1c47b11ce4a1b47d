"""`python -m tests.simulation --seeds N --first M`: run seeds, and say what happened in them."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait

import click

from tests.simulation.run import Totals, run_range, run_seed

_CHUNK = 10
_SAY_EVERY = 10.0  # seconds
_INTERRUPTED = 130  # what a shell says of a command that Ctrl-C has ended


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seeds", default=300, show_default=True, type=click.IntRange(1), help="how many")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="the first one")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="processes to share them among")
@click.option("--trace", is_flag=True, help="print every step; for a few seeds")
@click.option("--quick", is_flag=True, help="stop at the first divergence, and print no counts")
def main(seeds: int, first: int, jobs: int, trace: bool, quick: bool) -> None:
    """Run the real engine and outbox in simulated worlds, one for each seed. The same seed is the same world."""
    is_whole = True
    if trace:
        totals = Totals()
        for seed in range(first, first + seeds):
            for line in run_seed(seed, totals, keep_trace=True).lines:
                click.echo(line)
    elif quick:
        totals = run_range(first, seeds, stop_at_first=True)
    else:
        totals, is_whole = _run(seeds, first, jobs)
        _print_counts(totals)
    for seed, what in sorted(totals.divergences.items()):
        click.echo(f"seed {seed}: {what}\n  replay it: python -m tests.simulation --first {seed} --seeds 1 --trace")
    click.echo(totals.summary if is_whole else f"interrupted after {totals.summary}")
    sys.exit(1 if totals.divergences else 0 if is_whole else _INTERRUPTED)


def _run(seeds: int, first: int, jobs: int) -> tuple[Totals, bool]:
    """Run them all, or until Ctrl-C; tell what was run, and whether it was all."""
    totals = Totals()
    began = said = time.monotonic()
    end = first + seeds
    pool = ProcessPoolExecutor(min(jobs, os.cpu_count() or 1), initializer=_ignore_interrupts)
    try:
        left = {pool.submit(run_range, start, min(_CHUNK, end - start)) for start in range(first, end, _CHUNK)}
        while left:
            done, left = wait(left, timeout=_SAY_EVERY, return_when=FIRST_COMPLETED)
            for part in done:
                totals.add(part.result())
                for seed, what in part.result().divergences.items():
                    click.echo(f"seed {seed}: {' '.join(what.split())}", err=True)
            if time.monotonic() > said + _SAY_EVERY:
                said = time.monotonic()
                click.echo(
                    f"{totals.seeds} of {seeds} seeds, {len(totals.divergences)} divergences,"
                    f" {totals.seeds / (said - began):.1f} seeds/s",
                    err=True,
                )
    except KeyboardInterrupt:
        pass
    finally:
        pool.shutdown(cancel_futures=True)
    return totals, totals.seeds == seeds


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the one that shares the seeds out sees to the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _print_counts(totals: Totals) -> None:
    for title, counts in (
        ("faults", totals.faults), ("transitions of deliveries", totals.transitions), ("what else happened", totals.counts),
    ):  # fmt: skip
        click.echo(f"{title}:")
        for name, count in sorted(counts.items()):
            click.echo(f"  {count:>9}  {name}")
    for name in totals.missing() if totals.seeds >= 300 else ():
        click.echo(f"never occurred: {name}")


if __name__ == "__main__":
    main()
