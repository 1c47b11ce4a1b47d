"""The deliverer's threads: who waits for answers is woken when that is worth it."""

import threading
from collections.abc import Iterator

import pytest

from connector.deliver.pool import ThreadPool
from connector.deliver.work import Finished, Job
from tests.support.until import until


class Pool:
    """Threads whose jobs take as long as they say, by a clock of their own, and end when a test lets them."""

    def __init__(self) -> None:
        self.took = 0
        self.gate = threading.Semaphore(0)
        self.threads = ThreadPool(4, self._perform)

    def _perform(self, job: Job) -> Finished:
        assert self.gate.acquire(timeout=20)
        return Finished(job, [], self.took)

    def submit(self, number: int) -> None:
        for _ in range(number):
            self.threads.submit(Job("crm", "contacts", (), 0))

    def fetch(self, number: int) -> int:
        """Wait until so many have ended; return how often we were woken for that."""
        ended = woken = 0
        while ended < number:
            self.threads.wait(20_000)
            woken += 1
            ended += len(self.threads.finished())
        return woken


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.gate.release(100)
    made.threads.close()


def test_while_answers_come_at_once_who_waits_is_woken_by_the_last_one(pool: Pool) -> None:
    """Each waking hands the interpreter from one processor to another."""
    pool.submit(20)
    pool.gate.release(20)
    pool.fetch(20)
    assert pool.threads.is_quick
    until(lambda: pool.threads._idle == len(pool.threads._threads), "no thread has anything left to say")
    pool.threads.wait(0)
    pool.submit(20)
    pool.gate.release(19)
    until(lambda: len(pool.threads._finished) == 19, "all but one have ended")
    assert not pool.threads._woken.is_set()
    pool.gate.release(1)
    assert pool.fetch(20) == 1


def test_while_answers_take_their_time_each_of_them_wakes_who_waits(pool: Pool) -> None:
    """A slow one does not hold up what follows from a quick one."""
    pool.took = 50
    pool.submit(20)
    pool.gate.release(20)
    pool.fetch(20)
    assert not pool.threads.is_quick
    pool.submit(2)
    pool.gate.release(1)
    assert pool.fetch(1) >= 1
    pool.gate.release(1)
    assert pool.fetch(1) >= 1


def test_nothing_is_said_about_a_crm_that_hardly_answered_yet(pool: Pool) -> None:
    """The first answers are settled as they come."""
    pool.submit(3)
    pool.gate.release(3)
    pool.fetch(3)
    assert not pool.threads.is_quick
