"""A disk that fails: writes and syncs of the outbox's files end with EIO now and then, for receiver and deliverer.

A preloaded shim (`native/failing_disk.c`, compiled here) does it. A file that the processes map says how often, and there
the shim counts what it has done.
"""

import mmap
import random
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.torture.ground import Ground
from tests.torture.row import Row, Say

SOURCE = Path(__file__).parent / "native" / "failing_disk.c"
STATE = struct.Struct("8Q")
WRITES_FAIL, SYNCS_FAIL, WRITES, SYNCS, FAILED_WRITES, FAILED_SYNCS = range(2, 8)
MILLION = 1_000_000
NEEDS_A_PERSON = 78


class Disk:
    """What one program's writes and syncs come upon; sound at first."""

    def __init__(self, folder: Path, name: str, shim: Path, seed: int) -> None:
        path = folder / f"{name}.disk"
        path.write_bytes(STATE.pack(seed, 0, 0, 0, 0, 0, 0, 0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), STATE.size)
        self.env = {
            "LD_PRELOAD": str(shim),
            "FAILING_DISK_STATE": str(path),
            "FAILING_DISK_FILES": str(folder.resolve() / "outbox.db"),
        }

    def fail(self, writes: float, syncs: float) -> None:
        """From now on that share of all writes and syncs fails."""
        struct.pack_into("2Q", self._map, 8 * WRITES_FAIL, round(writes * MILLION), round(syncs * MILLION))

    def read(self, what: int) -> int:
        """Return a count of the shim."""
        return int(struct.unpack_from("Q", self._map, 8 * what)[0])


def compiled(folder: Path) -> Path:
    """Build the shim."""
    shim = folder / "failing_disk.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(shim), str(SOURCE), "-ldl"], check=True)
    return shim


def row(seed: int, *, quick: bool, say: Say) -> Row:
    """Fail in spells of other strengths, with sound ones between; then all has to be delivered, and the file sound."""
    kind = "EIO from the disk"
    if shutil.which("cc") is None:
        return Row(kind=kind, not_run="there is no C compiler (cc) to build the shim with")
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="connector-eio-") as name:
        folder = Path(name)
        shim = compiled(folder)
        disks = {one: Disk(folder, one, shim, seed + place) for place, one in enumerate(("serve", "deliver"))}
        ground = Ground(folder, seed=seed, env={one: disk.env for one, disk in disks.items()})
        ended: list[tuple[str, int]] = []
        with ground:
            ground.load.start()
            for number in range(3 if quick else 16):
                _spell(ground, disks, chance, ("writes", "syncs", "all", "both")[number % 4], ended)
            ground.rest(ended)
            say(f"{ground.load.ledger.statuses}, ended: {ended}")
            refused = ground.load.ledger.refusals
            own = ground.said("deliver", "the outbox cannot be used")
            count, undelivered = ground.count(), ground.undelivered()
            codes = [(one, ground.end(ground.program(one))) for one in ("serve", "deliver")]
            verdict = integrity(folder / "outbox.db")
        faults = {
            f"{program} {what}": disks[one].read(place)
            for one, program in (("serve", "receiver"), ("deliver", "deliverer"))
            for what, place in (("writes", FAILED_WRITES), ("syncs", FAILED_SYNCS))
        }
    problems = [*undelivered, *([f"integrity_check: {verdict}"] if verdict != "ok" else [])]
    problems += [f"{one} ended with {code} though nothing is damaged" for one, code in ended if code == NEEDS_A_PERSON]
    problems += [f"{one} ended with {code} when it was stopped" for one, code in codes if code]
    if count.taken_back:
        problems.append(f"taken back to an older state: {count.taken_back}")
    return Row(
        kind=kind,
        faults=faults,
        survived=sum(faults.values()),
        lost=count.lost,
        duplicated=count.duplicated,
        notes=[
            f"{count.answered} calls answered 2xx, {refused} answered 503, deliverer held up {own} times",
            f"ended by it and started anew: {len(ended)}" + (f" ({ended})" if ended else ""),
            f"integrity_check: {verdict}",
        ],
        problems=problems,
    )


def _spell(
    ground: Ground, disks: dict[str, Disk], chance: random.Random, how: str, ended: list[tuple[str, int]]
) -> None:
    """Let the disk fail until it has done so in both programs, and at least for a moment; then let it work."""
    few = chance.uniform(0.002, 0.02)
    writes, syncs = {"writes": (few, 0.0), "syncs": (0.0, few * 5), "both": (few, few * 5), "all": (1.0, 1.0)}[how]
    counts = [FAILED_SYNCS] if how == "syncs" else [FAILED_WRITES]
    before = {one: [disk.read(place) for place in counts] for one, disk in disks.items()}
    for disk in disks.values():
        disk.fail(writes, syncs)
    until = time.monotonic() + chance.uniform(0.5, 1.5)
    ground.wait(
        lambda: (
            time.monotonic() > until
            and all(
                disk.read(place) > old
                for one, disk in disks.items()
                for place, old in zip(counts, before[one], strict=True)
            )
        ),
        "the disk fails in both programs",
        restarted=ended,
    )
    for disk in disks.values():
        disk.fail(0, 0)
    stored = ground.load.ledger.calls
    ground.wait(lambda: ground.load.ledger.calls > stored, "calls are stored again", restarted=ended)


def integrity(outbox: Path) -> str:
    """Return what SQLite thinks of the file."""
    with closing(sqlite3.connect(outbox)) as conn:
        return "; ".join(str(one[0]) for one in conn.execute("PRAGMA integrity_check"))
