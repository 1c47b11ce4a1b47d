"""Children that do not outlive us, whatever becomes of us."""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def with_parent(stop: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return what a child does before it starts its program: it asks the kernel to be stopped when we end.

    For `subprocess.Popen(preexec_fn=…)`. To be called before the fork: the child may not do much.
    """
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(stop), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec
