"""How fast a destination may be sent to: several rates at once, by the clock that cannot be set."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connector.crm.port import Rate
from connector.deliver.budget import Budget
from connector.domain.clock import Clock, Millis


class Limiter:
    """A generic cell rate limiter per rate; thread-safe.

    Each rate keeps the moment at which its bucket is empty again. A request moves it on by its cost, and has to wait
    for as long as that moment lies further ahead than the bucket is deep. `budget` bounds the day as well.
    """

    def __init__(self, rates: Sequence[Rate], clock: Clock) -> None:
        self.budget: Budget | None = None
        self._rates = tuple(rates)
        self._clock = clock
        self._empty_at: list[float] = [0.0] * len(self._rates)
        self._lock = threading.Lock()

    @contextmanager
    def _levels(self) -> Iterator[list[float]]:
        """Give the moments to read and to change; nobody else does meanwhile."""
        with self._lock:
            yield self._empty_at

    def spend(self, cost: int) -> bool:
        """Take `cost` from the day's budget, if there is one; False when so much is not at hand."""
        return self.budget is None or self.budget.spend(cost)

    def reserve(self, cost: int) -> Millis:
        """Take `cost` and return how long to wait before sending."""
        if not self._rates:
            return 0
        with self._levels() as empty_at:
            now = self._clock.elapsed()
            wait = 0.0
            for i, rate in enumerate(self._rates):
                empty_at[i] = max(empty_at[i], now) + cost * rate.per / rate.cost
                wait = max(wait, empty_at[i] - rate.per - now)
        return max(0, round(wait))

    def delay(self) -> Millis:
        """Return how long a request would have to wait now."""
        if not self._rates:
            return 0
        with self._levels() as empty_at:
            now = self._clock.elapsed()
            waits = [e + r.per / r.cost - r.per - now for e, r in zip(empty_at, self._rates, strict=True)]
        return max(0, round(max(waits)))
