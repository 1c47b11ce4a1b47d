"""Threads that carry out jobs, and the one place where the deliverer waits."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from connector.deliver.work import Finished, Job
from connector.domain.clock import Millis

_FEW = 4
_MORE = 2  # threads for each millisecond that jobs take: more could only be needed for more than 2,000 jobs a second
_QUICK: float = 1.5  # milliseconds
_KNOWN = 8  # jobs, before anything is said about what they take
_LOOK_AGAIN = 0.02  # seconds: more threads begin when the first jobs turn out to take long


class ThreadPool:
    """See `connector.deliver.work.Pool`. At most `size` jobs at a time, and `most` of each destination.

    While jobs end at once, a few threads get through more of them than many: those would only pass the interpreter
    round. For the same reason who waits is then woken when the last job has ended, not by each. Threads start when they
    are first needed.
    """

    def __init__(self, size: int, perform: Callable[[Job], Finished], most: Mapping[str, int] | None = None) -> None:
        self._size = size
        self._perform = perform
        self._most = most or {}
        self._jobs: deque[Job] = deque()
        self._at_work: Counter[str] = Counter()
        self._took: float = 0  # milliseconds, of the last jobs on average
        self._ended = 0
        self._free = threading.Condition()
        self._idle = 0
        self._closed = False
        self._finished: deque[Finished] = deque()
        self._woken = threading.Event()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    def submit(self, job: Job) -> None:
        """Carry out a job."""
        self._busy += 1
        with self._free:
            self._jobs.append(job)
            if self._idle:
                self._free.notify()
            elif len(self._threads) < self._size:
                thread = threading.Thread(target=self._work, name=f"deliver-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            result = self._perform(job)
            with self._free:
                self._at_work[job.destination] -= 1
                self._took += (result.took - self._took) / 16
                self._ended += 1
                if self._idle and self._jobs:
                    self._free.notify()
            self._finished.append(result)
            if not (self.is_quick and (self._jobs or self._at_work.total())):
                self._woken.set()

    def _next(self) -> Job | None:
        """Wait for a job that may begin; None when there will be no more."""
        with self._free:
            while not self._closed:
                if self._at_work.total() < min(self._size, max(_FEW, round(self._took * _MORE))):
                    for place, job in enumerate(self._jobs):
                        if self._at_work[job.destination] < self._most.get(job.destination, self._size):
                            del self._jobs[place]
                            self._at_work[job.destination] += 1
                            return job
                self._idle += 1
                self._free.wait(_LOOK_AGAIN if self._jobs else None)
                self._idle -= 1
            return None

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
    def is_quick(self) -> bool:
        """Whether the last jobs took hardly any time."""
        return self._took < _QUICK and self._ended >= _KNOWN

    @property
    def busy(self) -> int:
        """How many jobs are under way, or ended and not yet fetched."""
        return self._busy

    def close(self) -> None:
        """Let idle threads end. One that hangs in a request dies with the process."""
        with self._free:
            self._closed = True
            self._free.notify_all()
