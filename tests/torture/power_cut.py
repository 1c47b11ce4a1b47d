"""A power cut at each answer: what was synced when the answer's first byte was written has to hold the call.

The receiver runs under strace. From the log of its system calls the disk is built up again as it is for certain: a write
counts from the end of a sync that began after the write had ended. At each 2xx that disk is opened by SQLite; the answered
call and all answered before it have to be there, and the file has to be sound, also when any part of what was not synced
has reached the disk all the same.
"""

import random
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.ground import Ground
from tests.torture.row import Row, Say
from tests.torture.tracing import COMMAND, Step, read

SECTOR = 512
ANSWER = re.compile(rb"^HTTP/1\.1 2\d\d ")
STORED = re.compile(rb"stored (\d+)")


@dataclass(slots=True)
class File:
    """A file: what is on the disk for certain, and what was written since, oldest first."""

    synced: bytearray = field(default_factory=bytearray)
    ended: list[Step] = field(default_factory=list)
    under_sync: dict[int, int] = field(default_factory=dict)

    def begin_sync(self, thread: int) -> None:
        """What has ended by now is what this sync is about."""
        self.under_sync[thread] = len(self.ended)

    def end_sync(self, thread: int) -> None:
        """It is on the disk."""
        covered = self.under_sync.pop(thread)
        for step in self.ended[:covered]:
            apply(self.synced, step)
        del self.ended[:covered]
        self.under_sync = {other: max(0, count - covered) for other, count in self.under_sync.items()}

    def torn(self, chance: random.Random) -> bytes:
        """Return the file with any sectors of what was not synced."""
        image = bytearray(self.synced)
        for step in self.ended:
            if step.call == "ftruncate":
                if chance.random() < 0.5:
                    apply(image, step)
                continue
            for start in range(0, len(step.data), SECTOR):
                if chance.random() < 0.5:
                    part = step.data[start : start + SECTOR]
                    apply(image, Step(step.thread, step.call, step.path, part, step.number + start))
        return bytes(image)


def apply(image: bytearray, step: Step) -> None:
    """Do to an image what a system call did to the file."""
    if step.call == "ftruncate":
        del image[step.number :]
        image.extend(bytes(step.number - len(image)))
        return
    image.extend(bytes(max(0, step.number - len(image))))
    image[step.number : step.number + len(step.data)] = step.data


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment at which a 2xx was about to be sent. `event` is the call's; the files are as they are then."""

    event: int
    files: dict[str, File]


def cuts(steps: Iterable[Step], outbox: Path, *, believing: bool = True) -> Iterator[Cut]:
    """Yield each answer that stored a call. `believing` False: as if no sync ever happened."""
    names = {
        str(outbox): outbox.name,
        f"{outbox}-wal": f"{outbox.name}-wal",
        f"{outbox}-journal": f"{outbox.name}-journal",
    }
    files: dict[str, File] = {}
    waiting: dict[int, dict[str, File]] = {}
    for step in steps:
        name = names.get(step.path)
        if name is None:
            # The head may go first, the body after it: what counts is when the first byte went.
            if not step.is_end and ANSWER.match(step.data):
                waiting[step.handle] = _frozen(files)
            stored = STORED.search(step.data) if not step.is_end and step.handle in waiting else None
            if stored and (step.call.startswith("send") or step.call in ("write", "writev")):
                yield Cut(int(stored[1]), waiting.pop(step.handle))
        elif step.call == "unlink":
            if step.is_end:
                files.pop(name, None)
        elif step.call in ("fsync", "fdatasync"):
            if believing:
                file = files.setdefault(name, File())
                (file.end_sync if step.is_end else file.begin_sync)(step.thread)
        elif step.is_end:
            files.setdefault(name, File()).ended.append(step)


def _frozen(files: dict[str, File]) -> dict[str, File]:
    return {name: File(file.synced[:], file.ended[:]) for name, file in files.items()}


def events_in(folder: Path, name: str, images: dict[str, bytes], *, check: bool) -> tuple[set[int], str]:
    """Open what is left after a power cut; return which calls are in it, and what SQLite says of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file, image in images.items():
        (folder / file).write_bytes(image)
    try:
        with closing(sqlite3.connect(folder / name)) as conn:
            found = {int(row[0]) for row in conn.execute("SELECT id FROM events")}
            verdict = str(conn.execute("PRAGMA integrity_check").fetchone()[0]) if check else "ok"
    except sqlite3.DatabaseError as error:
        return set(), str(error)
    return found, verdict


@dataclass
class Verdict:
    """What the power cuts did."""

    tried: int = 0
    survived: int = 0
    lost: set[int] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def judge(moments: Iterable[Cut], scratch: Path, outbox: str, chance: random.Random) -> Verdict:
    """Try each moment twice: with nothing of what was not synced, and with some of it."""
    verdict = Verdict()
    answered: set[int] = set()
    for moment in moments:
        answered.add(moment.event)
        images = {name: bytes(file.synced) for name, file in moment.files.items()}
        torn = {name: file.torn(chance) for name, file in moment.files.items()}
        verdict.tried += 1
        fine = True
        for what, image in (("what was synced", images), ("that and some of the rest", torn)):
            there, said = events_in(scratch, outbox, image, check=verdict.tried % 10 == 1)
            verdict.lost |= answered - there
            if said != "ok":
                verdict.problems.append(f"at the answer to call {moment.event}, with {what}: {said}")
            fine = fine and said == "ok" and not answered - there
        verdict.survived += fine
    return verdict


def row(seed: int, *, quick: bool, say: Say) -> Row:
    """Trace some hundred calls; quick: sixty. The same log without its syncs has to lose them all."""
    kind = "power cut"
    if shutil.which("strace") is None:
        return Row(kind=kind, not_run="strace is not installed")
    with tempfile.TemporaryDirectory(prefix="connector-power-") as name:
        folder = Path(name).resolve()
        log = folder / "strace.log"
        if not _may_trace(folder):
            return Row(kind=kind, not_run="strace is not permitted here (ptrace)")
        prefix = {"serve": (*COMMAND, f"--output={log}")}
        with Ground(folder, seed=seed, deliverers=0, prefix=prefix, pause=0) as ground:
            wanted = 60 if quick else 300
            ground.load.start()
            ground.wait(lambda: ground.load.ledger.calls >= wanted, f"{wanted} calls are answered")
            ground.load.stop()
            answered = ground.load.ledger.calls
            ground.end(ground.program("serve"))
        say(f"{answered} calls were answered under strace")
        chance = random.Random(seed)
        outbox = folder / "outbox.db"
        verdict = judge(cuts(read(log), outbox), folder / "after", outbox.name, chance)
        control = judge(
            (cut for cut, _ in zip(cuts(read(log), outbox, believing=False), range(10), strict=False)),
            folder / "after",
            outbox.name,
            chance,
        )
        syncs = sum(step.is_end and step.call in ("fsync", "fdatasync") for step in read(log))
        checkpoints = sum(step.is_end and step.path == str(outbox) and step.call.endswith("sync") for step in read(log))
    problems = verdict.problems[:5]
    if verdict.tried != answered:
        problems.append(f"{answered} calls were answered, and {verdict.tried} were found in strace's log")
    if len(control.lost) != control.tried:
        problems.append("with no sync believed nothing is lost: this check could not fail")
    return Row(
        kind=kind,
        faults={"calls answered 2xx": verdict.tried},
        survived=verdict.survived,
        lost=len(verdict.lost),
        duplicated=None,
        notes=[
            f"{syncs} syncs, {checkpoints} of them of the file itself",
            "duplicated is not known: no CRM takes part",
            f"control: with no sync believed, {len(control.lost)} of {control.tried} are lost",
        ],
        problems=problems,
    )


def _may_trace(folder: Path) -> bool:
    done = shutil.which("true")
    assert done is not None
    return subprocess.run([*COMMAND, f"--output={folder / 'try.log'}", done], capture_output=True).returncode == 0
