"""Nothing hostile takes more than bounded memory, or more than its share of work."""

import gc
import runpy
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from connector.domain.decode import decode
from connector.domain.event import Event, NotUnderstood
from connector.domain.request import VerifiedRequest
from tests.decode.calls import SHOP

BENCH = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "decode_worst.py"))
HOSTILE = BENCH["hostile"]
CALL: Callable[[bytes, str], VerifiedRequest] = BENCH["call"]
NAMES = [name for name, _, _ in HOSTILE(1024)]


@cache
def requests(size: int) -> dict[str, VerifiedRequest]:
    return {name: CALL(body, content_type) for name, body, content_type in HOSTILE(size)}


@pytest.mark.parametrize("name", NAMES)
def test_the_worst_bodies_are_answered_within_a_bounded_memory(name: str) -> None:
    """A megabyte of each hostile input is answered, and takes no more than 32 MiB at its peak."""
    hostile = requests(1024 * 1024)[name]
    gc.collect()
    tracemalloc.start()
    try:
        answer = decode(hostile, SHOP)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(answer, Event | NotUnderstood)
    assert peak < 32 * 1024 * 1024


def calls_made(hostile: VerifiedRequest) -> int:
    count = 0

    def tick(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(tick)
    try:
        decode(hostile, SHOP)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", NAMES)
def test_twice_the_body_is_at_most_twice_the_work(name: str) -> None:
    """The number of steps grows no faster than the body, for each hostile input."""
    half, whole = (calls_made(requests(size)[name]) for size in (128 * 1024, 256 * 1024))
    assert whole <= 2.2 * half + 1_000


def test_deep_nesting_needs_no_deep_stack() -> None:
    """Depth in a body is never depth on the stack: a small recursion limit is enough for all of them."""
    bodies = requests(64 * 1024).values()
    depth = 0
    frame = sys._getframe()
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 60)
    try:
        answers = [decode(body, SHOP) for body in bodies]
    finally:
        sys.setrecursionlimit(limit)
    assert all(isinstance(answer, Event | NotUnderstood) for answer in answers)
