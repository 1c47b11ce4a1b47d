"""Real processes, real sockets, real files, and all that can go wrong with them: one table of faults.

`make torture` runs this. The exit status is 1 when something was lost or made twice, when a promise was broken in another
way, or when a kind of fault was never really injected. What this machine cannot do is said, and counts for nothing.
"""

import argparse
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.torture import crm_down, disk_errors, full_disk, kills, network, power_cut, stops
from tests.torture.row import Row, Say, table


class Kind(Protocol):
    """Injects one kind of fault, and says what came of it."""

    def __call__(self, seed: int, *, quick: bool, say: Say) -> Row: ...


KINDS: dict[str, Kind] = {
    "kills": kills.row,
    "stops": stops.row,
    "full-disk": full_disk.row,
    "disk-errors": disk_errors.row,
    "crm-down": crm_down.row,
    "network": network.row,
    "power-cut": power_cut.row,
}


def run(kinds: dict[str, Kind], seed: int, *, quick: bool, say: Callable[[str], None]) -> int:
    """Run the kinds one after the other, print the table, and return the exit status."""
    rows: list[Row] = []
    for name, kind in kinds.items():
        began = time.monotonic()
        say(f"── {name}")
        try:
            row = kind(seed, quick=quick, say=lambda text: say(f"   {text}"))
        except Exception as error:
            traceback.print_exc()
            row = Row(kind=name, problems=[f"did not come to its end: {error}"])
        rows.append(row)
        say(f"   {'not run' if row.not_run else 'good' if row.is_good else 'BAD'}, {time.monotonic() - began:.0f} s")
    say("")
    say(table(rows))
    say("")
    say(verdict(rows))
    return 0 if all(row.is_good for row in rows) and any(not row.not_run for row in rows) else 1


def verdict(rows: Sequence[Row]) -> str:
    """Return the last line."""
    done = [row for row in rows if not row.not_run]
    parts = [f"{sum(row.injected for row in done)} faults of {len(done)} kinds"]
    parts.append(f"lost {sum(row.lost for row in done)}, duplicated {sum(row.duplicated or 0 for row in done)}")
    bad = [row.kind for row in done if not row.is_good]
    left_out = [row.kind for row in rows if row.not_run]
    parts += [f"NOT GOOD: {', '.join(bad)}"] if bad else []
    parts += [f"not run: {', '.join(left_out)}"] if left_out else []
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default=",".join(KINDS), help="kinds, separated by commas; all: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a minute or two instead of six")
    given = parser.parse_args()
    chosen = [name.strip() for name in given.only.split(",")]
    unknown = sorted(set(chosen) - KINDS.keys())
    if unknown:
        parser.error(f"there is no kind {', '.join(unknown)}; there are {', '.join(KINDS)}")
    began = time.monotonic()

    def say(text: str) -> None:
        print(text, flush=True)

    say(f"seed {given.seed}")
    status = run({name: KINDS[name] for name in chosen}, given.seed, quick=given.quick, say=say)
    say(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    sys.exit(status)


if __name__ == "__main__":
    main()
