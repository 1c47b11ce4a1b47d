"""What may be sent in a day, over all processes: live traffic goes before replays and backfills."""

import threading
from typing import Final

from connector.domain.clock import DAY, Instant
from connector.outbox.port import Queue

_CHUNKS: Final = 1000  # a day's budget is fetched in that many parts …
_SMALLEST: Final = 50  # … but not in smaller ones
_FOR_LIVE: Final = 0.1  # this share of the day is for live traffic only


class Budget:
    """A destination's units of one UTC day. Parts are fetched from the outbox by the engine and spent by its workers.

    What is fetched counts as spent until it is given back, so that no crash can make it more.
    """

    def __init__(self, name: str, per_day: int, queue: Queue) -> None:
        self.per_day = per_day
        self._name = f"day.{name}"
        self._queue = queue
        self._chunk = max(_SMALLEST, per_day // _CHUNKS)
        self._window = -1
        self._left = 0
        self._dearest = 1  # what the dearest request cost so far: less than that is nothing
        self._lock = threading.Lock()

    def spend(self, cost: int) -> bool:
        """Take `cost` for a request; False when so much is not at hand. From any thread."""
        with self._lock:
            self._dearest = max(self._dearest, cost)
            if self._left < cost:
                return False
            self._left -= cost
            return True

    def refill(self, now: Instant) -> bool:
        """See that there is something to spend; False when the day's budget is used up."""
        with self._lock:
            if self._window != now // DAY:
                self._window, self._left = now // DAY, 0
            if self._left >= max(self._dearest, self._chunk // 2):
                return True
            for part in (max(self._chunk, self._dearest), self.per_day - self._queue.spent(self._name, self._window)):
                if part > 0 and self._queue.budget(self._name, self._window, part, self.per_day):
                    self._left += part
                    break
            return self._left >= self._dearest

    def is_for_live_only(self) -> bool:
        """Whether so little is left that replays and backfills have to wait for the next day."""
        with self._lock:
            spent = self._queue.spent(self._name, self._window) - self._left
        return spent >= self.per_day * (1 - _FOR_LIVE)

    def give_back(self) -> None:
        """Return what was fetched and not spent."""
        with self._lock:
            if self._left:
                self._queue.budget(self._name, self._window, -self._left, self.per_day)
                self._left = 0

    @staticmethod
    def until(now: Instant) -> Instant:
        """When the next day's budget begins: midnight UTC."""
        return (now // DAY + 1) * DAY
