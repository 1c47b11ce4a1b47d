"""A full disk: a small file system of our own (tmpfs) in a user namespace of our own is filled up, and emptied again.

Where the kernel does not let us have one, every file of the processes may grow no further instead (RLIMIT_FSIZE).
"""

import argparse
import errno
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.torture.ground import Ground, processes
from tests.torture.row import Row, Say

SIZE = 64 * 1024 * 1024
LEFT = (0, 400_000)
"""Bytes that are left free when the disk is filled up: what comes next meets the end at another place each time."""
REFUSALS = 5
ROOT = Path(__file__).parent.parent.parent

Full = Callable[[Ground, int], AbstractContextManager[None]]


def row(seed: int, *, quick: bool, say: Say) -> Row:
    """Fill the disk up, again and again, under load; full means that several calls were answered 503."""
    with tempfile.TemporaryDirectory(prefix="connector-disk-") as name:
        if not _may_mount(name):
            say("no tmpfs of our own is permitted: RLIMIT_FSIZE instead")
            return _torture(Path(name), seed, _limited, "RLIMIT_FSIZE", quick=quick, say=say)
        inside = [sys.executable, "-m", "tests.torture.full_disk", name, str(seed)]
        done = subprocess.run(
            [*_mounted(name), *inside, *(["--quick"] if quick else [])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        *said, last = done.stdout.splitlines()
        for line in said:
            say(line)
        return Row(**json.loads(last))


def _mounted(folder: str) -> list[str]:
    """Return the begin of a command line that runs in a namespace where that folder is small."""
    script = f'mount -t tmpfs -o size={SIZE} tmpfs "$0" && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, folder]


def _may_mount(folder: str) -> bool:
    try:
        return subprocess.run([*_mounted(folder), "true"], capture_output=True, timeout=30).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _torture(folder: Path, seed: int, full: Full, how: str, *, quick: bool, say: Say) -> Row:
    chance = random.Random(seed)
    times = 2 if quick else 8
    survived = 0
    with Ground(folder, seed=seed) as ground:
        ledger = ground.load.ledger
        ground.load.start()
        for number in range(times):
            ground.wait(lambda: ground.states().get("delivered", 0) > 0, "something is delivered")
            refused = ledger.refusals
            with full(ground, chance.randint(*LEFT)):
                ground.wait(lambda had=refused: ledger.refusals >= had + REFUSALS, "calls are answered 503")
            stored, delivered = ledger.calls, ground.states().get("delivered", 0)
            ground.wait(lambda had=stored: ledger.calls > had, "calls are stored again")
            ground.wait(lambda had=delivered: ground.states()["delivered"] > had, "it delivers again")
            survived += 1
            say(f"{number + 1}: full, {ledger.refusals} calls answered 503 so far, and not full")
        ground.rest()
        count, problems = ground.count(), ground.undelivered()
        own = ground.said("deliver", "the outbox cannot be used")
    if count.taken_back:
        problems.append(f"taken back to an older state: {count.taken_back}")
    return Row(
        kind="full disk",
        faults={f"full ({how})": survived},
        survived=survived,
        lost=count.lost,
        duplicated=count.duplicated,
        notes=[
            f"{ledger.refusals} calls answered 503, the deliverer was held up {own} times",
            f"{count.answered} calls answered 2xx",
            "the logs are on the same disk",
            "no process was started anew",
        ],
        problems=problems,
    )


@contextmanager
def _filled(ground: Ground, left: int) -> Iterator[None]:
    """Fill the folder's file system up to the last byte, then give back a few."""
    ballast = ground.folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(max(0, file.tell() - left))
        yield
    finally:
        ballast.unlink()


@contextmanager
def _limited(ground: Ground, left: int) -> Iterator[None]:
    """Let no file of the programs grow further than the outbox is, and a few bytes."""
    longest = (ground.folder / "outbox.db").stat().st_size
    with ExitStack() as stack:
        for pid in [pid for program in ground.programs for pid in processes(program)]:
            before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (longest + left, before[1]))
            stack.callback(resource.prlimit, pid, resource.RLIMIT_FSIZE, before)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description="The part that runs where the folder is small.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    made = _torture(
        given.folder,
        given.seed,
        _filled,
        "tmpfs",
        quick=given.quick,
        say=lambda text: print(text, flush=True),
    )
    print(json.dumps(asdict(made)))


if __name__ == "__main__":
    main()
