"""How fast a destination may be sent to: several rates at once, by the clock that cannot be set."""

import threading
from collections.abc import Sequence

from connector.crm.port import Rate
from connector.domain.clock import Clock, Millis


class Limiter:
    """A generic cell rate limiter per rate; thread-safe.

    Each rate keeps the moment at which its bucket is empty again. A request moves it on by its cost, and has to wait
    for as long as that moment lies further ahead than the bucket is deep.
    """

    def __init__(self, rates: Sequence[Rate], clock: Clock) -> None:
        self._rates = tuple(rates)
        self._clock = clock
        self._empty_at: list[float] = [0.0] * len(self._rates)
        self._lock = threading.Lock()

    def reserve(self, cost: int) -> Millis:
        """Take `cost` and return how long to wait before sending."""
        if not self._rates:
            return 0
        now = self._clock.elapsed()
        with self._lock:
            wait = 0.0
            for i, rate in enumerate(self._rates):
                empty_at = max(self._empty_at[i], now) + cost * rate.per / rate.cost
                self._empty_at[i] = empty_at
                wait = max(wait, empty_at - rate.per - now)
        return max(0, round(wait))

    def delay(self) -> Millis:
        """Return how long a request would have to wait now."""
        now = self._clock.elapsed()
        with self._lock:
            waits = [e + r.per / r.cost - r.per - now for e, r in zip(self._empty_at, self._rates, strict=True)]
        return max(0, round(max(waits, default=0)))
