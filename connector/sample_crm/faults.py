"""How the sample CRM breaks when it is told to."""

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from connector.sample_crm.message import ApiError


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"  # answers `status` (with Retry-After if given) and does nothing else
    STALL = "stall"  # waits `delay_ms`; then does the work only if the client still waits
    SLOW_COMMIT = "slow-commit"  # waits `delay_ms`; then does the work, also if the client gave up
    SLOW_ANSWER = "slow-answer"  # does the work at once, and answers `delay_ms` later
    CUT_BEFORE = "cut-before"  # cuts the connection and does nothing
    CUT_AFTER = "cut-after"  # does the work, then cuts the connection (after `delay_ms`) instead of answering


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to break, for the next `count` requests that fit, for `for_ms`, or until it is cleared.

    `method` and `path` say which requests fit; `path` may have `*`. `share` is the part of them that is hit, at random.
    """

    kind: FaultKind
    status: int = 503
    retry_after: int | None = None
    delay_ms: int = 0
    count: int | None = None
    for_ms: int | None = None
    method: str | None = None
    path: str | None = None
    share: float = 1.0

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Fault":
        """Read what the admin endpoint and `--fault` take. Raises ApiError (422)."""
        wanted: dict[str, type | tuple[type, ...]] = {
            "kind": str,
            "status": int,
            "retry_after": int,
            "delay_ms": int,
            "count": int,
            "for_ms": int,
            "method": str,
            "path": str,
            "share": (int, float),
        }
        for name, given in value.items():
            if name not in wanted:
                raise ApiError(422, "unknown_field", f"a fault has no {name}", field=name)
            if given is not None and not isinstance(given, wanted[name]):
                raise ApiError(422, "wrong_type", f"{name} is of a wrong type", field=name)
        kinds = ", ".join(FaultKind)
        if value.get("kind") not in list(FaultKind):
            raise ApiError(422, "wrong_type", f"kind has to be one of: {kinds}", field="kind")
        given = {name: one for name, one in value.items() if one is not None}
        return cls(**{**given, "kind": FaultKind(value["kind"])})


@dataclass(slots=True)
class _Active:
    fault: Fault
    left: int | None
    until: float | None
    hits: int = 0


class Faults:
    """The faults in force. The first that fits a request hits it."""

    def __init__(self, clock: Callable[[], float], seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._active: list[_Active] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force, behind those that are."""
        until = None if fault.for_ms is None else self._clock() + fault.for_ms / 1000
        self._active.append(_Active(fault, fault.count, until))

    def clear(self) -> None:
        """End all."""
        self._active.clear()

    def pick(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request."""
        if not self._active:
            return None
        now = self._clock()
        self._active = [one for one in self._active if one.left != 0 and (one.until is None or now < one.until)]
        for one in self._active:
            fault = one.fault
            if fault.method not in (None, method) or not fnmatchcase(path, fault.path or "*"):
                continue
            if fault.share < 1 and self._random.random() >= fault.share:
                continue
            one.hits += 1
            if one.left is not None:
                one.left -= 1
            return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return what is in force, with how often it hit."""
        return [{**asdict(one.fault), "left": one.left, "hits": one.hits} for one in self._active]
