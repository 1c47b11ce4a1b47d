"""`python -m tests.simulation --seeds N --first M`: run seeds, and say what happened in them."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import click

from tests.simulation.run import Totals, run_range, run_seed

_CHUNK = 25


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seeds", default=300, show_default=True, type=click.IntRange(1), help="how many")
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="the first one")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="processes to share them among")
@click.option("--trace", is_flag=True, help="print every step; for a few seeds")
@click.option("--quick", is_flag=True, help="stop at the first divergence, and print no counts")
def main(seeds: int, first: int, jobs: int, trace: bool, quick: bool) -> None:
    """Run the real engine and outbox in simulated worlds, one for each seed. The same seed is the same world."""
    if trace:
        totals = Totals()
        for seed in range(first, first + seeds):
            for line in run_seed(seed, totals, keep_trace=True).lines:
                click.echo(line)
    elif quick:
        totals = run_range(first, seeds, stop_at_first=True)
    else:
        totals = _run(seeds, first, jobs)
        _print_counts(totals)
    for seed, what in sorted(totals.divergences.items()):
        click.echo(f"seed {seed}: {what}\n  replay it: python -m tests.simulation --first {seed} --seeds 1 --trace")
    click.echo(totals.summary)
    sys.exit(1 if totals.divergences else 0)


def _run(seeds: int, first: int, jobs: int) -> Totals:
    totals = Totals()
    starts = range(first, first + seeds, _CHUNK)
    sizes = [min(_CHUNK, first + seeds - start) for start in starts]
    began = said = time.monotonic()
    with ProcessPoolExecutor(min(jobs, os.cpu_count() or 1)) as pool:
        for part in pool.map(run_range, starts, sizes):
            totals.add(part)
            for seed, what in part.divergences.items():
                click.echo(f"seed {seed}: {what}", err=True)
            if time.monotonic() > said + 10:
                said = time.monotonic()
                click.echo(f"{totals.summary} ({totals.seeds / (said - began):.1f} seeds/s)", err=True)
    return totals


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
