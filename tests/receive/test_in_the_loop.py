"""Group commit in the loop: at once where that is possible, by the thread where it is not; the promises are the same."""

import select
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.http.switchboard import Switchboard
from connector.outbox.port import NewCall, NewUnproven, OutboxBusyError, OutboxError, Receipt
from connector.receive.committer import Committer
from tests.receive.fakes import FakeInbox
from tests.support.clock import ManualClock
from tests.support.until import until

Calls = Sequence[NewCall | NewUnproven]


class Receiver:
    """A loop with a committer; `by` has the thread that committed each group."""

    def __init__(self) -> None:
        self.inbox = FakeInbox()
        self.clock = ManualClock()
        self.board = Switchboard()
        self.board.open()
        self.committer = Committer(self.inbox.open, self.clock, timeout=20, loop=self.board)
        self.committer.start()
        self.ended: list[Receipt | OutboxError] = []
        self.by: list[str] = []
        self.trouble: Callable[[Calls], None] = lambda calls: None
        self.inbox.fail = self._note
        self.committer.ask(lambda inbox: None)  # opens it
        self.rest()

    def rest(self) -> None:
        """Wait until the thread has nothing left to do: what it has answered it may not have put away yet."""
        until(lambda: self.committer._handed == 0, "the thread is at rest")

    def _note(self, calls: Calls) -> None:
        if calls:
            self.trouble(calls)
            self.by.append(threading.current_thread().name)

    def call(self, body: bytes) -> None:
        """Let one more call come in this round."""
        request = UnverifiedRequest("shop", "POST", "/", (), body, 1, "192.0.2.1", secure=True)
        new = NewCall(VerifiedRequest(request, None, None), 2)
        self.board.run(partial(self._keep, new), self.ended.append)

    def _keep(self, call: NewCall) -> Receipt | OutboxError:
        try:
            return self.committer.keep(call)
        except OutboxError as error:
            return error

    def go_on(self, until: int) -> None:
        """Go round until so many calls have their answer."""
        self.board.flush()
        while len(self.ended) < until:
            assert select.select([self.board], [], [], 20)[0]
            self.board.resume()

    @property
    def bodies(self) -> list[list[bytes]]:
        return [[call.request.request.body for call in group] for group in self.inbox.groups]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.inbox.gate.set()
    made.committer.stop()


def test_the_calls_of_a_round_are_one_commit_of_the_loop_itself(receiver: Receiver) -> None:
    """No other thread is woken for them, and none is answered before the commit."""
    for number in range(20):
        receiver.call(b"%d" % number)
    assert receiver.ended == []
    receiver.board.flush()
    assert [one.event_id for one in receiver.ended if isinstance(one, Receipt)] == list(range(1, 21))
    assert receiver.bodies == [[b"%d" % number for number in range(20)]]
    assert receiver.by == ["MainThread"]


def test_when_somebody_else_is_writing_the_thread_waits_and_the_loop_goes_on(receiver: Receiver) -> None:
    """The loop never stands in the queue of writers for long."""

    def busy(_: Calls) -> None:
        if threading.current_thread() is threading.main_thread():
            raise OutboxBusyError("another process writes")

    receiver.trouble = busy
    receiver.call(b"a")
    receiver.call(b"b")
    receiver.go_on(2)
    assert [type(one) for one in receiver.ended] == [Receipt, Receipt]
    assert receiver.by == ["committer"]


def test_a_disk_that_takes_its_time_is_left_to_the_thread_for_a_while(receiver: Receiver) -> None:
    """A commit that took long is followed by others in the thread; then the loop tries again."""
    receiver.trouble = lambda _: receiver.clock.advance(0.06)
    receiver.call(b"slow")
    receiver.go_on(1)
    receiver.trouble = lambda _: None
    receiver.call(b"by the thread")
    receiver.go_on(2)
    receiver.rest()
    receiver.clock.advance(3)
    receiver.call(b"by the loop")
    receiver.go_on(3)
    assert receiver.by == ["MainThread", "committer", "MainThread"]


def test_what_comes_later_does_not_overtake_what_the_thread_has(receiver: Receiver) -> None:
    """Calls keep their order of arrival, which decides within a second (S3)."""
    receiver.trouble = lambda _: receiver.clock.advance(0.06)
    receiver.call(b"slow")
    receiver.go_on(1)
    assert receiver.inbox.entered.acquire(timeout=20)
    receiver.inbox.gate.clear()
    receiver.call(b"first")
    receiver.board.flush()
    assert receiver.inbox.entered.acquire(timeout=20)  # the thread has it, and stands at the gate
    receiver.clock.advance(3)
    receiver.call(b"second")
    receiver.board.flush()  # the loop could do it, but for the first one
    receiver.inbox.gate.set()
    receiver.go_on(3)
    assert receiver.bodies == [[b"slow"], [b"first"], [b"second"]]
    assert receiver.by == ["MainThread", "committer", "committer"]


def test_one_call_that_cannot_be_kept_does_not_harm_the_round(receiver: Receiver) -> None:
    """The thread tries them one by one; only the poisoned call has an error."""

    def fail(calls: Calls) -> None:
        if any(one.request.request.body == b"poison" for one in calls):
            raise OverflowError("an integer that is too large")

    receiver.trouble = fail
    for body in (b"a", b"poison", b"b"):
        receiver.call(body)
    receiver.go_on(3)
    assert sorted(type(one).__name__ for one in receiver.ended) == ["OutboxError", "Receipt", "Receipt"]
    assert sorted(body for group in receiver.bodies for body in group) == [b"a", b"b"]
