"""Threads that carry out jobs, and the one place where the deliverer waits."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from connector.deliver.work import Finished, Job
from connector.domain.clock import Millis


class ThreadPool:
    """See `connector.deliver.work.Pool`. Threads start when they are first needed, at most `size`."""

    def __init__(self, size: int, perform: Callable[[Job], Finished]) -> None:
        self._size = size
        self._perform = perform
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._finished: deque[Finished] = deque()
        self._woken = threading.Event()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    def submit(self, job: Job) -> None:
        """Carry out a job."""
        self._busy += 1
        if len(self._threads) < min(self._size, self._busy):
            thread = threading.Thread(target=self._work, name=f"deliver-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._finished.append(self._perform(job))
            self._woken.set()

    def finished(self) -> Sequence[Finished]:
        """Return the jobs that have ended since the last call."""
        results = []
        while self._finished:
            results.append(self._finished.popleft())
        self._busy -= len(results)
        return results

    def wait(self, timeout: Millis) -> None:
        """Wait until a job ends or somebody wakes us, at most that long."""
        self._woken.wait(timeout / 1000)
        self._woken.clear()

    def wake(self) -> None:
        """End a wait; from any thread, or a signal handler."""
        self._woken.set()

    @property
    def busy(self) -> int:
        """How many jobs are under way, or ended and not yet fetched."""
        return self._busy

    def close(self) -> None:
        """Let idle threads end. One that hangs in a request dies with the process."""
        for _ in self._threads:
            self._jobs.put(None)
