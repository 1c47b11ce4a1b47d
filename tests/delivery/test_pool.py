"""The deliverer's threads: who carries out what, and who is woken when that is worth it."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from connector.crm.overlap import wait_beside_others
from connector.deliver.pool import ThreadPool
from connector.deliver.work import Finished, Job
from tests.support.until import until

SIZE = 8
FIRST = 16  # so many have to end before anything is known of a destination


class Pool:
    """Threads whose jobs take as long as they say, by a clock of their own, and end when a test lets them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.takes = 0.0
        self.gate = threading.Semaphore(0)
        self.answers: list[socket.socket] = []
        self.under_way: list[str] = []
        self.threads = ThreadPool(SIZE, self._perform, {"small": 2}, lambda: self.now)

    def _perform(self, job: Job) -> Finished:
        self.now += self.takes
        self.under_way.append(threading.current_thread().name)
        if job.object == "asks":
            mine, theirs = socket.socketpair()
            self.answers.append(theirs)
            with mine:
                assert wait_beside_others(mine, time.monotonic() + 20)
        else:
            assert self.gate.acquire(timeout=20)
        return Finished(job, [], 0)

    def submit(self, number: int, destination: str = "crm", what: str = "waits") -> None:
        for _ in range(number):
            self.threads.submit(Job(destination, what, (), 0))

    def fetch(self, number: int) -> int:
        """Wait until so many have ended; return how often we were woken for that."""
        ended = woken = 0
        while ended < number:
            self.threads.wait(20_000)
            woken += 1
            ended += len(self.threads.finished())
        return woken

    def begin(self, destination: str = "crm") -> None:
        """Let so many end that something is known."""
        self.submit(FIRST, destination)
        self.gate.release(FIRST)
        self.fetch(FIRST)
        until(lambda: self.threads._idle == len(self.threads._threads), "no thread has anything left to do")
        self.threads.wait(0)
        self.under_way.clear()

    def answer(self) -> None:
        """Let those end that asked."""
        answers, self.answers = self.answers, []
        for one in answers:
            one.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.answer()
    made.gate.release(100)
    made.threads.close()


def test_while_answers_come_at_once_one_thread_waits_for_all_of_them(pool: Pool) -> None:
    """Threads would only pass the interpreter round; there are as many requests under way as there may be."""
    pool.begin()
    pool.submit(1)
    until(lambda: len(pool.under_way) == 1, "one thread has begun")
    pool.submit(SIZE + 3, what="asks")
    pool.gate.release(1)
    until(lambda: len(pool.answers) == SIZE, "as many as there may be ask at once")
    assert len(set(pool.under_way)) == 1
    assert pool.threads.is_quick
    pool.answer()
    until(lambda: len(pool.answers) == 3, "the others follow")
    pool.answer()
    pool.fetch(SIZE + 4)
    assert len(set(pool.under_way)) == 1


def test_a_destinations_own_bound_holds_for_requests_of_one_thread(pool: Pool) -> None:
    """A CRM that allows two requests at a time gets two."""
    pool.begin("small")
    pool.submit(5, "small", "asks")
    for left in (2, 2, 1):
        until(lambda left=left: len(pool.answers) == left, "no more than two ask at once")  # type: ignore[misc]
        assert pool.threads._at_work["small"] <= 2
        pool.answer()
    pool.fetch(5)


def test_while_answers_come_at_once_who_waits_is_woken_by_the_last_one(pool: Pool) -> None:
    """Each waking hands the interpreter from one processor to another."""
    pool.begin()
    pool.submit(20)
    pool.gate.release(19)
    until(lambda: len(pool.threads._finished) == 19, "all but one have ended")
    assert not pool.threads._woken.is_set()
    pool.gate.release(1)
    assert pool.fetch(20) == 1


def test_jobs_that_one_holds_up_are_carried_out_by_others(pool: Pool) -> None:
    """A connection that cannot be made keeps its thread, and nothing else waits for it."""
    pool.begin()
    pool.submit(1)
    until(lambda: len(pool.under_way) == 1, "a thread is held up")
    pool.submit(3, what="asks")
    pool.now += 1

    def is_helped() -> bool:
        pool.threads.finished()
        return len(pool.answers) == 3

    until(is_helped, "another thread does the rest")
    pool.answer()


def test_while_answers_take_their_time_each_of_them_wakes_who_waits(pool: Pool) -> None:
    """A slow one does not hold up what follows from a quick one."""
    pool.takes = 0.05
    pool.begin()
    pool.submit(2)
    until(lambda: len(pool.under_way) == 2, "both are under way")
    assert len(set(pool.under_way)) == 2
    assert not pool.threads.is_quick
    pool.gate.release(1)
    assert pool.fetch(1) >= 1
    pool.gate.release(1)
    assert pool.fetch(1) >= 1


def test_a_slow_destination_is_not_waited_for_because_another_is_quick(pool: Pool) -> None:
    """What one of them is like says nothing about the other."""
    pool.begin()
    pool.takes = 0.05
    pool.begin("slow")
    pool.submit(1)
    assert pool.threads.is_quick
    pool.submit(1, "slow")
    assert not pool.threads.is_quick
    pool.gate.release(2)
    pool.fetch(2)


def test_nothing_is_said_about_a_crm_that_hardly_answered_yet(pool: Pool) -> None:
    """The first answers are settled as they come."""
    pool.submit(3)
    pool.gate.release(3)
    pool.fetch(3)
    pool.submit(1)
    assert not pool.threads.is_quick
    pool.gate.release(1)
