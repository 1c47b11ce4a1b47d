"""Calls that wait in the loop's own thread."""

from concurrent.futures import Executor, Future
from typing import Any

from connector.http.switchboard import Switchboard


class AtOnce(Executor):
    """Has done what it is asked for before anybody can wait for it."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_a_call_goes_on_whose_look_up_is_over_before_it_waits() -> None:
    """A name server that answers at once: the call is answered in the same round, and not when another one comes."""
    board = Switchboard()
    board.open()
    ended: list[int] = []
    board.run(lambda: board.aside(AtOnce(), lambda: 7), ended.append)
    board.flush()
    assert ended == [7]


def test_what_a_call_puts_off_when_it_goes_on_is_done_in_the_same_round() -> None:
    """A call that was looked up is stored without waiting for another one."""
    board = Switchboard()
    board.open()
    stored: list[int] = []

    def call() -> int:
        found = board.aside(AtOnce(), lambda: 7)
        signal = board.signal()

        def store() -> None:
            stored.append(found)
            signal.set()

        board.later(store)
        assert signal.wait(20)
        return found

    ended: list[int] = []
    board.run(call, ended.append)
    board.flush()
    assert (stored, ended) == ([7], [7])
