"""Moments and spans as people type and read them."""

import datetime as dt
import re

from connector.domain.clock import DAY, HOUR, MINUTE, SECOND, Instant, Millis

_SPAN = re.compile(r"(\d{1,9})\s*(s|m|min|h|d|w)")
_UNITS = {"s": SECOND, "m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_STEPS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
_TWO_OF = 2


def parse_span(text: str) -> Millis | None:
    """Return the span that `90s`, `30m`, `2h`, `3d` or `1w` names; None for anything else."""
    found = _SPAN.fullmatch(text.strip().lower())
    return int(found[1]) * _UNITS[found[2]] if found else None


def parse_moment(text: str, now: Instant) -> Instant:
    """Return the moment that a span ago was, or that an ISO date-time with a zone names. Raises ValueError."""
    span = parse_span(text)
    if span is not None:
        return now - span
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no moment: say 2h or 3d (ago), or 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        example = moment.isoformat(timespec="seconds")
        raise ValueError(f"{text!r} has no time zone: say {example}Z, or {example}+01:00")
    try:
        return round(moment.timestamp() * SECOND)
    except (OverflowError, ValueError):
        raise ValueError(f"{text!r} is too far away") from None


def iso(moment: Instant | None) -> str | None:
    """Return the moment for programs: 2026-01-31T12:00:00.123Z."""
    if moment is None:
        return None
    seconds, rest = divmod(moment, SECOND)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def plain(moment: Instant) -> str:
    """Return the moment for people: 2026-01-31 12:00:00Z."""
    return f"{dt.datetime.fromtimestamp(moment // SECOND, dt.UTC):%Y-%m-%d %H:%M:%S}Z"


def span(length: Millis) -> str:
    """Return a span in its two largest units: `3 d 4 h`, `12 s`."""
    if abs(length) < SECOND:
        return f"{length} ms"
    rest, parts = abs(length), list[str]()
    for unit, name in _STEPS:
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
        if len(parts) == _TWO_OF:
            break
    return ("-" if length < 0 else "") + " ".join(parts)


def relative(moment: Instant, now: Instant) -> str:
    """Return how far away a moment is: `5 min ago`, `in 20 s`, `now`."""
    if abs(moment - now) < SECOND:
        return "now"
    return f"{span(now - moment)} ago" if moment < now else f"in {span(moment - now)}"


def both(moment: Instant | None, now: Instant) -> str:
    """Return a moment with how far away it is; `never` for None."""
    return "never" if moment is None else f"{plain(moment)} ({relative(moment, now)})"
