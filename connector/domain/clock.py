"""Time comes in from outside, so that a simulation can be its master."""

from typing import Protocol, TypeAlias

Instant: TypeAlias = int
"""A moment: milliseconds since the Unix epoch, UTC."""

Millis: TypeAlias = int
"""A span of time, or a moment on the clock that counts suspension, in milliseconds."""

SECOND: Millis = 1_000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR


class Clock(Protocol):
    """Two clocks: the one people read, and the one that cannot be set."""

    def now(self) -> Instant:
        """Return the time of day. It may jump, both ways."""
        ...

    def elapsed(self) -> Millis:
        """Return a clock that only moves forward and counts suspension (CLOCK_BOOTTIME): leases live on it."""
        ...
