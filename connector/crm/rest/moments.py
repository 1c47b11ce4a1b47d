"""When to come back: the CRM's word on it, in every form that is in use."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from connector.crm.presets.model import Reset
from connector.domain.clock import DAY, SECOND, Instant

LONGEST = 2 * DAY
"""No header makes us wait longer than this: a wrong one must not stop a destination for a year."""

_NUMBER = re.compile(r"\d{1,16}(?:\.\d{1,9})?")


def retry_at(headers: Mapping[str, str], resets: Sequence[Reset], now: Instant) -> Instant | None:
    """Return the moment that the first readable header names, not before `now` and bounded; None without one."""
    for reset in resets:
        value = headers.get(reset.header.lower())
        moment = _moment(value.strip(), reset.form, now) if value else None
        if moment is not None:
            return min(max(moment, now), now + LONGEST)
    return None


def _moment(value: str, form: str, now: Instant) -> Instant | None:
    number = float(value) if _NUMBER.fullmatch(value) else None
    if form == "auto":
        form = "seconds" if number is not None else "http-date"
    if form == "http-date":
        return _http_date(value)
    if form == "iso":
        return _iso(value)
    if number is None:
        return None
    forms = {
        "seconds": now + number * SECOND,
        "milliseconds": now + number,
        "epoch": number * SECOND,
        "epoch-ms": number,
    }
    return int(forms[form])


def _http_date(value: str) -> Instant | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return _instant(date)


def _iso(value: str) -> Instant | None:
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        return None
    return _instant(date)


def _instant(date: datetime) -> Instant | None:
    try:
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * SECOND)
    except (ValueError, OverflowError):
        return None
