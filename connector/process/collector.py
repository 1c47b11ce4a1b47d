"""Python's garbage collector, for a process that keeps thousands of values for a while and then lets go of them."""

import gc

_ALLOCATIONS = 20_000


def collect_seldom() -> None:
    """Look for garbage that refers to itself after 20,000 new objects, not 700; never again among those of the start.

    Nearly all that the deliverer makes is given back by itself. Looking through what it remembers took a tenth of its
    time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 10, 10)
