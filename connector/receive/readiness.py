"""Could a call be stored now? Proven by a write, at most once a second, however often it is asked."""

import threading

from connector.domain.clock import SECOND, Clock, Millis
from connector.outbox.port import OutboxError
from connector.receive.committer import Committer


class Readiness:
    """Asks the outbox, and remembers the answer for a second."""

    def __init__(self, committer: Committer, clock: Clock) -> None:
        self._committer = committer
        self._clock = clock
        self._asking = threading.Lock()
        self._asked_at: Millis | None = None
        self._problem = "not asked yet"

    def problem(self) -> str:
        """Return why nothing can be stored now; empty when it can. Who comes while it is asked gets the last answer."""
        if not self._asking.acquire(blocking=self._asked_at is None):
            return self._problem
        try:
            now = self._clock.elapsed()
            if self._asked_at is None or now - self._asked_at >= SECOND:
                self._problem = self._ask()
                self._asked_at = self._clock.elapsed()
            return self._problem
        finally:
            self._asking.release()

    def _ask(self) -> str:
        try:
            self._committer.ask(lambda inbox: inbox.probe(self._clock.now()))
        except OutboxError as error:
            return str(error) or type(error).__name__
        return ""
