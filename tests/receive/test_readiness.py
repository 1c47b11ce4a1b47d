"""Could a call be stored now? Asked by a write, but not for everyone who asks."""

import threading
from concurrent.futures import ThreadPoolExecutor

from connector.outbox.port import OutboxFullError
from connector.receive.committer import Committer
from connector.receive.readiness import Readiness
from tests.receive.fakes import FakeInbox
from tests.support.clock import ManualClock


class Probed(FakeInbox):
    """Counts probes, and can make them wait or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.probes = 0
        self.full = False
        self.probing = threading.Semaphore(0)

    def probe(self, now: int) -> None:
        self.probes += 1
        self.probing.release()
        assert self.gate.wait(30)
        if self.full:
            raise OutboxFullError("the disk is full")


def test_it_is_proven_by_a_write_at_most_once_a_second() -> None:
    """However often it is asked; and a change is seen a second later."""
    inbox, clock = Probed(), ManualClock()
    committer = Committer(inbox.open, clock, timeout=20)
    committer.start()
    readiness = Readiness(committer, clock)
    assert [readiness.problem() for _ in range(100)] == [""] * 100
    assert inbox.probes == 1
    inbox.full = True
    assert readiness.problem() == ""
    clock.advance(1)
    assert readiness.problem() == "the disk is full"
    assert inbox.probes == 2
    committer.stop()


def test_who_asks_while_it_is_asked_gets_the_last_answer_at_once() -> None:
    """A disk that hangs must not hold all threads in /readyz."""
    inbox, clock = Probed(), ManualClock()
    committer = Committer(inbox.open, clock, timeout=20)
    committer.start()
    readiness = Readiness(committer, clock)
    assert readiness.problem() == ""
    assert inbox.probing.acquire(timeout=20)
    clock.advance(1)
    inbox.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(readiness.problem)
        assert inbox.probing.acquire(timeout=20)
        assert readiness.problem() == ""
        assert not asking.done()
        inbox.gate.set()
        assert asking.result(20) == ""
    committer.stop()
