"""`connector run`: two processes that live and die together."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

_PR_SET_PDEATHSIG = 1
_NOT_FOR_CHILDREN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Program:
    """A child: its name for the log, and its command line."""

    name: str
    command: Sequence[str]


def run_together(programs: Sequence[Program], *, patience: float) -> int:
    """Start the programs and wait; when one ends, end the others. Returns the exit code for the whole.

    SIGTERM and SIGINT go on to all, and 0 is returned if all end well after it. `patience` is how many seconds each
    gets before it is killed. A child that dies by a signal, or ends with 0 on its own, makes it 1. Should we
    be killed ourselves, the kernel tells the children to stop. To be called from the main thread.
    """
    libc = ctypes.CDLL(None)  # loaded before the fork: the child may not do much
    parent = os.getpid()
    watched = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    # Blocked, so that none is lost between looking and waiting.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    environ = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CHILDREN}
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for program in programs:
            children[program.name] = subprocess.Popen(  # noqa: S603 - our own command lines
                program.command,
                preexec_fn=before_exec,  # noqa: PLW1509 - one thread, and nothing in it that could be locked
                start_new_session=True,  # Ctrl-C reaches us alone, and we pass it on
                env=environ,
            )
        code = _watch(children, watched)
    finally:
        ended = _end(children, patience)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if code is not None:
        return code
    return 0 if not any(ended.values()) else 1


def _watch(children: Mapping[str, "subprocess.Popen[bytes]"], watched: set[signal.Signals]) -> int | None:
    """Wait until a child ends (its exit code) or somebody asks us to stop (None)."""
    while True:
        for name, child in children.items():
            code = child.poll()
            if code is not None:
                log.error("one process ended, so the whole ends", process=name, how=_how(code))
                return code if code > 0 else 1
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            log.info("stopping", signal=signal.Signals(number).name)
            return None


def _end(children: Mapping[str, "subprocess.Popen[bytes]"], patience: float) -> dict[str, int]:
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    codes = {}
    for name, child in children.items():
        try:
            codes[name] = child.wait(patience)
        except subprocess.TimeoutExpired:
            log.error("does not stop, and is killed", process=name)  # noqa: TRY400 - no traceback
            child.kill()
            codes[name] = child.wait()
    return codes


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def this_program(*arguments: str) -> Sequence[str]:
    """Return the command line of another command of this program, by the same interpreter."""
    return [sys.executable, "-m", "connector", *arguments]
