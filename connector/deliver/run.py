"""From the first turn to the last: what a deliverer's process does between start and stop."""

from collections.abc import Callable
from typing import Protocol

from connector.deliver.engine import Engine
from connector.domain.clock import SECOND, Clock, Millis
from connector.outbox.port import OutboxBusyError, OutboxFullError

_OWN_ERROR_FIRST: Millis = 200
_OWN_ERROR_LONGEST: Millis = 30 * SECOND


class Pulse(Protocol):
    """Somebody who wants to know that the loop is alive (a watchdog)."""

    def __call__(self) -> None:
        """One turn was made."""
        ...


class Runner:
    """Turns the engine until it is told to stop."""

    def __init__(self, engine: Engine, clock: Clock, *, idle_poll: Millis, shutdown: Millis, pulse: Pulse) -> None:
        self._engine = engine
        self._clock = clock
        self._idle_poll = max(10, idle_poll)
        self._shutdown = shutdown
        self._pulse = pulse
        self._trouble: Millis = 0
        self.is_stopping = False

    def stop(self) -> None:
        """Take nothing new, let what is in flight end. From a signal handler."""
        self.is_stopping = True

    def run(self, between: Callable[[], None] = lambda: None) -> None:
        """Run until `stop`. `between` is called between turns: reloading, for example."""
        self._engine.begin()
        while not self.is_stopping:
            between()
            self._turn_or_wait()
        self._finish()

    def drain(self) -> bool:
        """Work until nothing is due; tell whether nothing is left that waits for its time or a paused destination."""
        self._engine.begin()
        while not self.is_stopping:
            if not self._turn_or_wait(longest=20) and self._engine.is_idle:
                due = self._engine.next_due()
                if due is None or due > self._clock.now():
                    break
        self._finish()
        return self._engine.next_at_all() is None

    def _turn_or_wait(self, longest: Millis | None = None) -> bool:
        """One turn, and a wait if there was nothing to do."""
        self._pulse()
        try:
            worked = self._engine.turn()
        except (OutboxBusyError, OutboxFullError) as error:
            # Our own store's trouble is waited out, ever longer: a tight loop would only add to it.
            self._trouble = min(max(_OWN_ERROR_FIRST, self._trouble * 2), _OWN_ERROR_LONGEST)
            self._engine.log("the outbox cannot be used", reason=str(error), again_in=self._trouble)
            self._engine.pool.wait(self._trouble)
            return True
        self._trouble = 0
        if not worked:
            self._engine.pool.wait(self._span(longest or self._idle_poll))
        return worked

    def _span(self, longest: Millis) -> Millis:
        rest = self._engine.rest
        if rest is not None:
            return min(rest, longest)
        due = self._engine.next_due()
        return longest if due is None else max(5, min(longest, due - self._clock.now()))

    def _finish(self) -> None:
        """Wait for what is in flight; what does not end in time keeps its lease, and its doubt, for the next one."""
        deadline = self._clock.elapsed() + self._shutdown
        while not self._engine.is_idle and self._clock.elapsed() < deadline:
            self._engine.pool.wait(50)
            self._engine.finish()
            self._pulse()
