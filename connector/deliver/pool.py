"""Threads that carry out jobs, and the one place where the deliverer waits."""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from connector.crm.overlap import Overlap
from connector.deliver.work import Finished, Job
from connector.domain.clock import Millis

_QUICK = 0.003  # seconds: about as long as it takes to decide about so many
_KNOWN = 16  # jobs, before anything is said about what they take
_HELD_UP = 0.02  # seconds in which nothing begins or ends, after which another thread looks for jobs


@dataclass(slots=True)
class _Run:
    """What one thread does from one wait for jobs to the next. `began` in seconds.

    `is_open`: it will look for another job before it waits for anything.
    """

    overlap: Overlap
    began: float = 0
    ended: int = 0
    is_open: bool = False


class ThreadPool:
    """See `connector.deliver.work.Pool`. At most `size` jobs at a time, and `most` of each destination.

    While jobs end at once, one thread carries out all of them, and they wait for their answers together: threads would
    only pass the interpreter round. For the same reason who waits is then woken when the last job has ended, not by
    each. Else each job has a thread. Threads start when they are first needed. `now` in seconds.
    """

    def __init__(
        self,
        size: int,
        perform: Callable[[Job], Finished],
        most: Mapping[str, int] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._perform = perform
        self._most = most or {}
        self._now = now
        self._jobs: deque[Job] = deque()
        self._open: Counter[str] = Counter()  # by destination: those that wait, and those at work
        self._at_work: Counter[str] = Counter()
        self._took: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=_KNOWN))
        self._usual: dict[str, float] = {}
        self._moved_at: float = 0  # when a job last began or ended
        self._free = threading.Condition()
        self._idle = 0
        self._called = False  # a thread, which has not come yet
        self._runs: list[_Run] = []
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
            self._open[job.destination] += 1
            if not ((self._called or any(run.is_open for run in self._runs)) and self.is_quick):
                self._call()

    def _call(self) -> None:
        """Let one more thread look for jobs."""
        if self._idle:
            self._called = True
            self._free.notify()
        elif len(self._threads) < self._size:
            self._called = True
            thread = threading.Thread(target=self._work, name=f"deliver-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        run = _Run(Overlap())
        self._runs.append(run)
        while (job := self._next(run)) is not None:
            run.overlap.run(partial(self._carry_out, job, run), partial(self._another, run))

    def _carry_out(self, job: Job, run: _Run) -> None:
        waited = run.overlap.waited
        result = self._perform(job)
        with self._free:
            run.ended += 1
            self._moved_at = self._now()
            # What others of the run did meanwhile is not this one's: but if they hold each other up, that shows.
            self._note(job.destination, max(run.overlap.waited - waited, (self._moved_at - run.began) / run.ended))
            self._at_work[job.destination] -= 1
            self._open[job.destination] -= 1
            if self._jobs and not self.is_quick:
                self._call()
            self._finished.append(result)
            is_awaited = not self.is_quick
        if is_awaited:
            self._woken.set()

    def _note(self, destination: str, took: float) -> None:
        """Keep what a job took. A quarter took less than the usual: the others may have waited for the engine."""
        last = self._took[destination]
        last.append(took)
        self._usual[destination] = sorted(last)[len(last) // 4] if len(last) == _KNOWN else 1.0

    def _another(self, run: _Run) -> Callable[[], None] | None:
        """Return what else a thread can do while it waits for an answer; only while jobs end at once."""
        with self._free:
            job = self._take(self._size) if self.is_quick and not self._closed else None
            run.is_open = job is not None
        return None if job is None else partial(self._carry_out, job, run)

    def _next(self, run: _Run) -> Job | None:
        """Wait for a job that may begin; None when there will be no more."""
        with self._free:
            while not self._closed:
                job = self._take(self._size)
                self._called = False
                if job is not None:
                    run.began, run.ended, run.is_open = self._now(), 0, True
                    return job
                self._idle += 1
                self._free.wait()
                self._idle -= 1
            return None

    def _take(self, most: int) -> Job | None:
        """Return a job that may begin when `most` are at work at a time, if there is one."""
        if self._jobs and self._at_work.total() < most:
            for place, job in enumerate(self._jobs):
                if self._at_work[job.destination] < self._most.get(job.destination, self._size):
                    del self._jobs[place]
                    self._at_work[job.destination] += 1
                    self._moved_at = self._now()
                    return job
        return None

    def finished(self) -> Sequence[Finished]:
        """Return the jobs that have ended since the last call."""
        if self._jobs and self._now() - self._moved_at > _HELD_UP:
            with self._free:
                self._call()
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
        """Whether jobs of all destinations that any are open for take hardly any time."""
        usual = self._usual
        known = [usual.get(name, 1.0) for name, open_ in self._open.items() if open_]
        return bool(known) and max(known) < _QUICK

    @property
    def busy(self) -> int:
        """How many jobs are under way, or ended and not yet fetched."""
        return self._busy

    def close(self) -> None:
        """Let idle threads end. One that hangs in a request dies with the process."""
        with self._free:
            self._closed = True
            self._free.notify_all()
