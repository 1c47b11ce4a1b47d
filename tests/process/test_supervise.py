"""Two processes that live and die together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.http.receiver import wait_for
from tests.http.test_life import is_running

CHILD = """
import os, signal, sys, time
folder, name, how = sys.argv[1:]
open(f"{folder}/{name}", "w").write(str(os.getpid()))
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
elif how.isdecimal():
    while not os.path.exists(f"{folder}/go"):
        time.sleep(0.01)
    sys.exit(int(how))
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
open(f"{folder}/{name}.ready", "w").close()
while True:
    time.sleep(0.05)
"""
PARENT = """
import sys
from connector.process.logging import configure
from connector.process.supervise import Program, run_together
configure("json")
folder, one, two = sys.argv[1:]
programs = [Program(name, [sys.executable, f"{folder}/child.py", folder, name, how])
            for name, how in (("one", one), ("two", two))]
sys.exit(run_together(programs, patience=1.0))
"""


class Pair:
    def __init__(self, folder: Path, one: str, two: str) -> None:
        (folder / "child.py").write_text(CHILD)
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(folder), one, two], stderr=subprocess.PIPE, text=True
        )
        self.pids = [self._pid(name) for name in ("one", "two")]
        for name, how in (("one", one), ("two", two)):
            if not how.isdecimal():
                wait_for((folder / f"{name}.ready").exists, "the child is ready")

    def _pid(self, name: str) -> int:
        path = self.folder / name
        return int(wait_for(lambda: path.exists() and path.read_text(), "the child runs"))

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    @property
    def running(self) -> list[int]:
        return [pid for pid in self.pids if is_running(pid)]


@pytest.mark.parametrize(("code", "whole"), [("78", 78), ("75", 75), ("0", 1)])
def test_when_one_ends_the_other_ends_and_the_code_says_why(tmp_path: Path, code: str, whole: int) -> None:
    """Also when it ends well: a half of the whole is not the whole."""
    pair = Pair(tmp_path, code, "patient")
    (tmp_path / "go").touch()
    ended, said = pair.end()
    assert ended == whole
    assert f'"process": "one", "how": "exit code {code}"' in said
    assert pair.running == []


def test_a_child_that_is_killed_takes_the_other_with_it(tmp_path: Path) -> None:
    """And the log says by which signal."""
    pair = Pair(tmp_path, "patient", "patient")
    os.kill(pair.pids[1], signal.SIGKILL)
    ended, said = pair.end()
    assert (ended, "killed by SIGKILL" in said) == (1, True)
    assert pair.running == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_goes_to_both_and_is_exit_0(tmp_path: Path, number: int) -> None:
    """Ctrl-C or SIGTERM: both end as they like to."""
    pair = Pair(tmp_path, "patient", "patient")
    pair.process.send_signal(number)
    assert pair.end()[0] == 0
    assert pair.running == []


def test_who_does_not_stop_is_killed_after_the_patience(tmp_path: Path) -> None:
    """And that is no success."""
    pair = Pair(tmp_path, "stubborn", "patient")
    pair.process.terminate()
    ended, said = pair.end()
    assert (ended, "does not stop" in said) == (1, True)
    assert pair.running == []


def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    """kill -9 of `connector run` leaves nothing running."""
    pair = Pair(tmp_path, "patient", "patient")
    pair.process.kill()
    pair.end()
    wait_for(lambda: pair.running == [], "the children are gone")
