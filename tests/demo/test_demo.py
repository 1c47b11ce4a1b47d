"""`make demo` is the first thing that anybody runs."""

import os
import signal
import subprocess
import sys

from tests.support.until import until


def demo(*arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "connector", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


def processes_of(folder):
    """All processes whose command line names the folder."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if folder.encode() in line:
            found.append(int(pid))
    return found


def test_the_demo_ends_with_both_sides_in_agreement():
    """Exit 0, the tables agree, the forged call was refused, and the temporary folder is gone."""
    running = demo()
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert "agrees with Copernica" in said
    assert "somebody forges a call → 401" in said
    folder = said.split("sample CRM in ")[1].split()[0]
    assert not os.path.exists(folder)
    assert processes_of(folder) == []


def test_a_demo_that_is_killed_halfway_leaves_nothing_running():
    """Also by kill -9, which nobody can clean up after: the kernel stops the others."""
    running = demo()
    folder = ""
    assert running.stdout is not None
    for line in running.stdout:
        if "sample CRM in " in line:
            folder = line.split("sample CRM in ")[1].split()[0]
        if "Anna is created" in line:
            break
    assert len(processes_of(folder)) >= 3
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()
    until(lambda: processes_of(folder) == [], "the programs end with the demo", seconds=30)
