"""A clock that a test moves by hand."""

from connector.domain.clock import SECOND, Instant, Millis


class ManualClock:
    """Both clocks stand still until `advance` is called."""

    def __init__(self, now: Instant = 1_769_860_800_000) -> None:
        self._now = now
        self._elapsed: Millis = 1_000_000

    def now(self) -> Instant:
        return self._now

    def elapsed(self) -> Millis:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * SECOND)
        self._elapsed += round(seconds * SECOND)
