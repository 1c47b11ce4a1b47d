"""kill -9 of the receiver under load and of the deliverer in the middle of a call, again and again.

`make kills` runs this alone. It counts what the CRM's own journal of requests shows: nothing that was answered 2xx is
lost, no record goes back to an older state, no record is there twice.
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.torture.ground import Ground
from tests.torture.load import Count
from tests.torture.row import Row, Say


@dataclass(frozen=True, slots=True)
class Result:
    """The figures."""

    receiver: int
    deliverer: int
    in_flight: int
    count: Count

    @property
    def kills(self) -> int:
        return self.receiver + self.deliverer

    def __str__(self) -> str:
        return f"kills {self.kills}, with a call or a lease in flight {self.in_flight}, {self.count}"


def torture(kills: int, seed: int, *, say: Say = print) -> Result:
    """Kill at random moments; then let everything come to rest, and read the CRM's journal."""
    chance = random.Random(seed)
    hit = {"serve": 0, "deliver": 0}
    in_flight = 0
    with (
        tempfile.TemporaryDirectory(prefix="connector-kills-") as name,
        Ground(Path(name), seed=seed, pause=0.0) as ground,
    ):
        ground.load.start()
        ledger = ground.load.ledger
        for number in range(kills):
            time.sleep(chance.uniform(0.0, 0.5))  # the moment of the kill: this is the test's own chance
            which = "serve" if chance.random() < 0.5 else "deliver"
            if which == "serve":
                in_flight += ledger.in_flight > 0
                ground.kill(ground.program(which))
                ground.start_receiver()
            else:
                ground.kill(ground.program(which))
                in_flight += ground.query("SELECT count(*) FROM deliveries WHERE state = 1") > [(0,)]
                ground.start_deliverer()
            hit[which] += 1
            if (number + 1) % 10 == 0:
                say(f"{number + 1} kills, {in_flight} with something in flight, {ledger.calls} calls answered")
        ground.rest()
        return Result(hit["serve"], hit["deliver"], in_flight, ground.count())


def row(seed: int, *, quick: bool, say: Say) -> Row:
    """Kill for about one and a half minutes; quick: for ten seconds."""
    result = torture(10 if quick else 100, seed, say=say)
    taken_back = result.count.taken_back
    return Row(
        kind="kill -9",
        faults={"receiver": result.receiver, "deliverer": result.deliverer},
        survived=result.kills,
        lost=result.count.lost,
        duplicated=result.count.duplicated,
        notes=[f"{result.in_flight} with a call or a lease in flight", f"{result.count.answered} calls answered 2xx"],
        problems=[f"taken back to an older state: {taken_back}"] if taken_back else [],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    began = time.monotonic()
    result = torture(given.kills, given.seed, say=lambda text: print(text, flush=True))
    print(f"{result} ({time.monotonic() - began:.0f} s)")
    sys.exit(0 if result.count.is_clean and result.in_flight * 2 >= result.kills else 1)


if __name__ == "__main__":
    main()
