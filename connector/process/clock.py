"""The clocks of this machine."""

import time

from connector.domain.clock import Instant, Millis


class SystemClock:
    """See `connector.domain.clock.Clock`."""

    def now(self) -> Instant:
        """Return the time of day."""
        return time.time_ns() // 1_000_000

    def elapsed(self) -> Millis:
        """Return CLOCK_BOOTTIME: it goes on while the machine sleeps, so a lease taken before is over after."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
