"""`connector sample-crm` as a program."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.sample_crm.conftest import wait_until


@pytest.fixture
def started(tmp_path):
    """Start one with these arguments; wait until its ready file is there; give the process and the address."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        ready = tmp_path / f"ready{len(processes)}"
        command = [sys.executable, "-m", "connector", "sample-crm", "--token-file", str(tmp_path / "token")]
        process = subprocess.Popen(
            [*command, "--ready-file", str(ready), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        wait_until(lambda: ready.exists() or process.poll() is not None, 60)
        return process, ready.read_text().strip() if ready.exists() else ""

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def get(url: str, token: str, path: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_says_where_it_is_and_stops_with_0(started, tmp_path, stop):
    """The ready file has the address once calls are taken, and goes when it stops; the token file is made, mode 600."""
    process, url = started()
    token_file = tmp_path / "token"
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert get(url, token_file.read_text().strip(), "/contacts").json() == {"results": [], "next": None}
    process.send_signal(stop)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, url + "\n", "")
    assert not (tmp_path / "ready0").exists()


def test_options_reach_it(started, tmp_path):
    """A given token, uniqueness, lag, latency, rate and faults."""
    (tmp_path / "token").write_text("given\n")
    options = ["--no-unique", "--search-lag", "5000", "--latency", "1", "--rate", "100", "--rate-ms", "500"]
    _, url = started(*options, "--fault", '{"kind": "status", "status": 502, "count": 1}', "--journal", "7")
    assert get(url, "given", "/contacts").status_code == 502
    assert get(url, "given", "/contacts").status_code == 200
    assert get(url, "given", "/_admin/settings").json() == {
        "unique": False,
        "search_lag_ms": 5000,
        "latency_ms": 1,
        "rate": 100,
        "rate_ms": 500,
    }


def test_a_port_that_is_taken_exits_69(started, tmp_path):
    """With what to try."""
    _, url = started()
    process, ready = started("--port", url.rpartition(":")[2])
    _, err = process.communicate(timeout=60)
    assert (process.returncode, ready) == (69, "")
    assert err.startswith("Error: cannot listen on 127.0.0.1 port ")
    assert "\nTry: " in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--token-file"),
        (["--token-file", "empty"], "is empty"),
        (["--token-file", "t", "--fault", "{"], "--fault"),
        (["--token-file", "t", "--fault", '{"kind": "x"}'], "kind has to be one of: status, stall"),
        (["--token-file", "t", "--ready-file", "/nowhere/x"], "cannot write /nowhere/x"),
    ],
)
def test_a_mistake_in_the_options_exits_2(tmp_path: Path, options, words):
    """And nothing is started."""
    (tmp_path / "empty").touch()
    done = subprocess.run(
        [sys.executable, "-m", "connector", "sample-crm", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
