"""`connector run`: receiver and deliverer, through the real command."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from tests.http.receiver import Receiver, children, wait_for
from tests.http.test_life import is_running

RUN = [sys.executable, "-m", "connector", "run"]


class Whole(Receiver):
    """`connector run`, which says in its log where it listens."""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = wait_for(lambda: self.lines("listening"), "it listens")[-1]["address"].rpartition(":")
        return host, int(port)

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*RUN, "--config", str(self.config)], env=self._env, stderr=log, stdout=log, start_new_session=True
            )
        if self._wait:
            wait_for(lambda: self.lines("ready") and self.lines("delivering"), "both run")
        return self


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mappings").mkdir()
    return tmp_path


def family(pid: int) -> list[int]:
    found = []
    for child in children(pid):
        found += [child, *family(child)]
    return found


def test_run_takes_calls_and_looks_at_them(folder: Path) -> None:
    """One command: the call is stored, and the deliverer sees it at once. A stop ends both with 0."""
    with Whole(folder) as whole:
        assert whole.post().status == 200
        # no mapping wants it: EventState.UNWANTED, decided by the deliverer
        wait_for(lambda: whole.rows("SELECT count(*) FROM events WHERE state = 2") == [(1,)], "the deliverer saw it")
        assert whole.process is not None
        pids = family(whole.process.pid)
        assert len(pids) == 3  # the receiver, its worker, the deliverer
        whole.process.terminate()
        assert whole.process.wait(60) == 0
    assert not [pid for pid in pids if is_running(pid)]


def test_run_ends_when_the_deliverer_is_killed(folder: Path) -> None:
    """And says so."""
    with Whole(folder) as whole:
        assert whole.process is not None
        pids = family(whole.process.pid)
        [deliverer] = [
            pid for pid in children(whole.process.pid) if b"\0deliver\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(deliverer, signal.SIGKILL)
        assert whole.process.wait(60) == 1
        [line] = whole.lines("one process ended, so the whole ends")
        assert (line["process"], line["how"]) == ("deliverer", "killed by SIGKILL")
    assert not [pid for pid in pids if is_running(pid)]


def test_a_kill_of_run_leaves_nothing_running(folder: Path) -> None:
    """kill -9 of the parent: receiver, worker and deliverer go too."""
    with Whole(folder) as whole:
        assert whole.process is not None
        pids = family(whole.process.pid)
        whole.process.kill()
        whole.process.wait()
        wait_for(lambda: not [pid for pid in pids if is_running(pid)], "all are gone")


def test_run_with_a_wrong_configuration_is_exit_78(folder: Path) -> None:
    """Before anything is started."""
    with Whole(folder, options="treads = 1", wait=False) as whole:
        assert whole.process is not None
        assert whole.process.wait(60) == 78
        assert "threads" in whole.log
