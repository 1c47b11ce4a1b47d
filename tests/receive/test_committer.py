"""Group commit: an answer only after the disk, one transaction for many, and nobody suffers for another."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.outbox.port import (
    NewCall,
    NewUnproven,
    OutboxBrokenError,
    OutboxBusyError,
    OutboxError,
    OutboxFullError,
    Receipt,
)
from connector.receive.committer import Committer
from tests.receive.fakes import FakeInbox
from tests.support.clock import ManualClock


def call(body: bytes = b"x") -> NewCall:
    request = UnverifiedRequest("shop", "POST", "/", (), body, 1, "192.0.2.1", secure=True)
    return NewCall(VerifiedRequest(request, None, None), 2)


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def committer(inbox: FakeInbox, clock: ManualClock) -> Iterator[Committer]:
    made = Committer(inbox.open, clock, timeout=20)
    made.start()
    yield made
    inbox.gate.set()
    made.stop()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as made:
        yield made


def gather(
    committer: Committer, inbox: FakeInbox, pool: ThreadPoolExecutor, calls: Sequence[NewCall]
) -> tuple[Future[Receipt], list["Future[Receipt]"]]:
    """Send one call that holds the committer at the gate, and the others so that they wait behind it."""
    inbox.gate.clear()
    first = pool.submit(committer.keep, call(b"first"))
    assert inbox.entered.acquire(timeout=20)
    others = [pool.submit(committer.keep, one) for one in calls]
    until(lambda: committer._queue.qsize() == len(calls))
    return first, others


def until(condition: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(4000):
        if condition():
            return
        waited.wait(0.005)
    raise AssertionError("it did not come")


def test_calls_that_wait_together_share_one_commit(
    committer: Committer, inbox: FakeInbox, pool: ThreadPoolExecutor
) -> None:
    """Twenty calls behind a slow commit are one transaction, and each has its own receipt."""
    first, others = gather(committer, inbox, pool, [call()] * 20)
    assert not first.done()
    assert not any(one.done() for one in others)
    inbox.gate.set()
    receipts = [one.result(20) for one in [first, *others]]
    assert [len(group) for group in inbox.groups] == [1, 20]
    assert sorted(receipt.event_id for receipt in receipts) == list(range(1, 22))


def test_a_call_that_cannot_be_kept_does_not_harm_the_others(
    committer: Committer, inbox: FakeInbox, pool: ThreadPoolExecutor
) -> None:
    """The group is tried one by one; only the poisoned call has an error, and it is an OutboxError."""

    def fail(calls: Sequence[NewCall | NewUnproven]) -> None:
        if any(one.request.request.body == b"poison" for one in calls):
            raise OverflowError("an integer that is too large")

    inbox.fail = fail
    first, others = gather(committer, inbox, pool, [call(), call(b"poison"), call()])
    inbox.gate.set()
    assert first.result(20)
    assert others[0].result(20)
    assert others[2].result(20)
    with pytest.raises(OutboxError, match="OverflowError"):
        others[1].result(20)
    assert b"poison" not in [one.request.request.body for group in inbox.groups for one in group]


def test_no_room_for_one_does_not_refuse_the_others(
    committer: Committer, inbox: FakeInbox, pool: ThreadPoolExecutor
) -> None:
    """Full can mean: full for this kind of call. Each is tried."""

    def fail(calls: Sequence[NewCall | NewUnproven]) -> None:
        if any(one.request.request.body == b"large" for one in calls):
            raise OutboxFullError("no room")

    inbox.fail = fail
    first, others = gather(committer, inbox, pool, [call(b"large"), call()])
    inbox.gate.set()
    first.result(20)
    assert others[1].result(20)
    with pytest.raises(OutboxFullError):
        others[0].result(20)


def test_an_outbox_that_is_busy_is_tried_once_for_all(
    committer: Committer, inbox: FakeInbox, pool: ThreadPoolExecutor
) -> None:
    """Trying one by one would make each wait for the outbox's time-out."""
    tries: list[int] = []

    def fail(calls: Sequence[NewCall | NewUnproven]) -> None:
        tries.append(len(calls))
        raise OutboxBusyError("locked")

    inbox.fail = fail
    first, others = gather(committer, inbox, pool, [call()] * 5)
    inbox.gate.set()
    for one in [first, *others]:
        with pytest.raises(OutboxBusyError):
            one.result(20)
    assert tries == [1, 5]


def test_who_waits_too_long_is_withdrawn_and_not_stored(
    inbox: FakeInbox, clock: ManualClock, pool: ThreadPoolExecutor
) -> None:
    """A call that was answered 503 before its turn came is not kept afterwards."""
    committer = Committer(inbox.open, clock, timeout=0.1)
    committer.start()
    first, [late] = gather(committer, inbox, pool, [call(b"late")])
    with pytest.raises(OutboxBusyError, match="store_timeout"):
        late.result(20)
    inbox.gate.set()
    committer.stop()
    first.exception(20)  # its commit had begun: stored, whatever it was told
    assert [one.request.request.body for group in inbox.groups for one in group] == [b"first"]


def test_a_broken_file_is_opened_anew(committer: Committer, inbox: FakeInbox) -> None:
    """Once it was restored, calls are stored again, without a restart."""

    def fail(_calls: Sequence[NewCall | NewUnproven]) -> None:
        raise OutboxBrokenError("damaged")

    inbox.fail = fail
    with pytest.raises(OutboxBrokenError):
        committer.keep(call())
    assert (inbox.opened, inbox.closed) == (1, 1)
    inbox.fail = lambda calls: None
    assert committer.keep(call()).event_id == 1
    assert inbox.opened == 2


def test_counts_are_written_together_and_at_the_latest_when_it_stops(inbox: FakeInbox, clock: ManualClock) -> None:
    """A thousand refusals are one write; none is lost at a stop."""
    committer = Committer(inbox.open, clock, timeout=20)
    committer.start()
    for _ in range(1000):
        committer.count("refused.shop.signature")
    committer.note("last_test.shop", "1")
    committer.stop()
    assert inbox.counted == {"refused.shop.signature": 1000}
    assert inbox.notes == {"last_test.shop": "1"}
    assert inbox.closed == 1


def test_counts_that_could_not_be_written_are_kept(inbox: FakeInbox, clock: ManualClock) -> None:
    """They go with the next ones."""

    def fail(_calls: Sequence[NewCall | NewUnproven]) -> None:
        raise OutboxFullError("no room")

    inbox.fail = fail
    committer = Committer(inbox.open, clock, timeout=20)
    committer.start()
    committer.count("a")
    clock.advance(2)
    with pytest.raises(OutboxFullError):
        committer.keep(call())
    until(lambda: committer._flush_at > clock.elapsed() + 2000)
    inbox.fail = lambda calls: None
    committer.count("a")
    committer.stop()
    assert inbox.counted == {"a": 2}


def test_the_deliverer_is_woken_once_per_group(inbox: FakeInbox, clock: ManualClock, pool: ThreadPoolExecutor) -> None:
    """And never before the calls are on disk."""
    woken: list[int] = []
    committer = Committer(inbox.open, clock, timeout=20, committed=lambda: woken.append(len(inbox.groups)))
    committer.start()
    first, others = gather(committer, inbox, pool, [call()] * 5)
    assert woken == []
    inbox.gate.set()
    for one in [first, *others]:
        one.result(20)
    committer.stop()
    assert woken == [1, 2]


def test_what_waits_at_a_stop_is_stored(inbox: FakeInbox, clock: ManualClock, pool: ThreadPoolExecutor) -> None:
    """A stop finishes what is there."""
    committer = Committer(inbox.open, clock, timeout=20)
    committer.start()
    _, others = gather(committer, inbox, pool, [call()] * 5)
    stopping = pool.submit(committer.stop)
    inbox.gate.set()
    stopping.result(20)
    assert all(one.result(20) for one in others)
