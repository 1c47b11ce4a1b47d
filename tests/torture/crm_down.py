"""A CRM that is down for longer than the whole schedule of retries, in four ways, and comes back each time."""

import random
import tempfile
import time
from pathlib import Path

from tests.torture.ground import Ground
from tests.torture.row import Row, Say

SCHEDULE = "first = 0.2\nfactor = 2\nlongest = 0.8\nattempts = 4\ngive_up_after = 1.5"
"""All of it is over 1.5 s after the first try: 0.2, 0.4 and 0.8 s between four tries."""

WHOLE = 1.5
WAYS = ("refused", "status", "cut-before", "stall")
PROBES = 2


def row(seed: int, *, quick: bool, say: Say) -> Row:
    """Be down three times as long as the schedule, and until the destination was probed in vain several times."""
    chance = random.Random(seed)
    ways = [chance.choice(WAYS[:2])] if quick else list(WAYS)
    outages = dict.fromkeys(ways, 0)
    failed, problems = 0, []
    with (
        tempfile.TemporaryDirectory(prefix="connector-down-") as name,
        Ground(Path(name), seed=seed, schedule=SCHEDULE, timeout=0.5, pause=0.02) as ground,
    ):
        ground.load.start()
        for way in ways:
            ground.wait(lambda: _delivered(ground) > 0, "the CRM works")
            before = len(ground.sample.journal())
            _end(ground, way)
            _wait_in_vain(ground)
            failed += sum(entry.fault is not None for entry in ground.sample.journal()[before:])
            problems += [f"{problem}, in an outage ({way})" for problem in ground.undelivered()]
            delivered = _delivered(ground)
            _begin_again(ground, way)
            ground.wait(lambda had=delivered: _delivered(ground) > had, "it delivers again")
            ground.wait(lambda: not ground.query("SELECT 1 FROM pauses"), "the destination is resumed")
            outages[way] += 1
            say(f"{way}: down and up again")
        ground.rest()
        count = ground.count()
        problems += ground.undelivered()
        tries = int(str(ground.query("SELECT count(*) FROM attempts WHERE status IS NULL OR status >= 500")[0][0]))
    if count.taken_back:
        problems.append(f"taken back to an older state: {count.taken_back}")
    return Row(
        kind="CRM down",
        faults=outages,
        survived=sum(outages.values()),
        lost=count.lost,
        duplicated=count.duplicated,
        notes=[
            f"each at least {3 * WHOLE} s, where the schedule is over in {WHOLE} s",
            f"{tries} tries came to nothing, {failed} requests failed at the CRM",
            f"{count.answered} calls answered 2xx",
        ],
        problems=problems,
    )


def _end(ground: Ground, way: str) -> None:
    """Take the CRM away."""
    if way == "refused":
        ground.sample.down()
    else:
        ground.sample.fail(way, delay_ms=1500 if way == "stall" else 0)


def _begin_again(ground: Ground, way: str) -> None:
    if way == "refused":
        ground.sample.up()
    else:
        ground.sample.heal()


def _wait_in_vain(ground: Ground) -> None:
    until = time.monotonic() + 3 * WHOLE  # the fault's own length, not a wait for something
    probes = f"SELECT 1 FROM pauses WHERE probes >= {PROBES}"
    ground.wait(lambda: time.monotonic() > until and ground.query(probes), "the destination was probed in vain")


def _delivered(ground: Ground) -> int:
    return ground.states().get("delivered", 0)
