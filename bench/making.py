"""What is made once and kept for later runs: said when it is made, and counted apart."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

spent: list[float] = []
"""Seconds, one for each thing that this run had to make."""


@contextmanager
def making(what: str) -> Iterator[None]:
    """Say that it is being made, and how long that took."""
    print(f"      {what}: made once, and kept …", end="", flush=True)
    began = time.monotonic()
    yield
    spent.append(time.monotonic() - began)
    print(f" {spent[-1]:.0f} s", flush=True)
