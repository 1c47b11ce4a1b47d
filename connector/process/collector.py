"""Python's garbage collector, for processes that make much and give nearly all of it back by themselves."""

import gc

_ALLOCATIONS = 20_000


def collect_seldom() -> None:
    """Look for garbage that refers to itself after 20,000 new objects, not 700; never again among those of the start.

    Looking through what the deliverer remembers took a tenth of its time. What is there when this is called stays for
    good.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 10, 10)
