"""The machine's clocks, in milliseconds."""

import time

from connector.process.clock import SystemClock


def test_the_clocks_are_those_of_the_machine() -> None:
    """The time of day, and the one that counts suspension."""
    clock = SystemClock()
    before, boot = time.time_ns() // 10**6, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10**6
    assert before <= clock.now() <= time.time_ns() // 10**6
    assert boot <= clock.elapsed() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10**6
