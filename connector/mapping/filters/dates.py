"""Filters on dates and times. None asks what time it is: an evaluation gives the same today and tomorrow.

An empty date (also `0000-00-00`, as Copernica writes it) stays empty: every filter here gives an empty text for it.
A text without a zone is read as Dutch time, which is what Copernica writes.
"""

import datetime as dt
import re
from functools import lru_cache
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connector.mapping.filters.registry import Prepared, register
from connector.mapping.scope import COPERNICA_ZONE
from connector.mapping.values import UnfitError, is_zero_date

_LONGEST = 64
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "jan januari january",
            "feb februari february",
            "mrt maart mar march",
            "apr april",
            "mei may",
            "jun juni june",
            "jul juli july",
            "aug augustus august",
            "sep sept september",
            "okt oktober oct october",
            "nov november",
            "dec december",
        ),
        1,
    )
    for name in names.split()
}
_DUTCH_MONTHS: Final = (
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
)
_TIME = (
    r"(?:(?:[T ]|,? )\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?(?: ?uur)?)?"
)
_ZONE = r"(?P<zone> ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?"
_FORMS: Final = tuple(
    re.compile(rf"{form}{_TIME}{_ZONE}\Z", re.ASCII | re.IGNORECASE)
    for form in (
        r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
        r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
        r"(?P<day>\d{1,2})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
        r"(?:[a-z]{2,9},? )?(?P<day>\d{1,2})(?:e|st|nd|rd|th)?[ -](?P<word>[a-z]{3,9})\.?,?[ -](?P<year>\d{4}|\d{2})",
        r"(?P<word>[a-z]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})",
    )
)
_DIRECTIVES: Final = {
    "d": r"(?P<day>\d{1,2})",
    "m": r"(?P<month>\d{1,2})",
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<year>\d{2})",
    "H": r"(?P<hour>\d{1,2})",
    "M": r"(?P<minute>\d{1,2})",
    "S": r"(?P<second>\d{1,2})",
    "B": r"(?P<word>[a-z]{3,9})",
    "b": r"(?P<word>[a-z]{3,9})",
    "z": r"(?P<zone>Z|[+-]\d{2}:?\d{2})",
}
_FORMAT_LIMIT = 40
_WRITTEN: Final = "dmYyHMSBbzjn"
_PIVOT = 69  # as POSIX: 69–99 are 19xx, 00–68 are 20xx; a rule that does not move with the calendar
_EPOCH_LIMIT = 253_402_300_799


def _pattern(value: Any) -> re.Pattern[str] | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _FORMAT_LIMIT:
        raise ValueError(f"a format such as '%d-%m-%Y', of at most {_FORMAT_LIMIT} characters")
    parts, used = [], set()
    for match in re.finditer(r"%(.?)|([^%]+)", value, re.DOTALL):
        letter, plain = match.groups()
        if plain is not None:
            parts.append(re.escape(plain))
        elif letter not in _DIRECTIVES:
            raise ValueError(f"a format of {' '.join('%' + each for each in _DIRECTIVES)}; %{letter} is not among them")
        else:
            name = _DIRECTIVES[letter].split(">", 1)[0]
            if name in used:
                raise ValueError("a format that names every part once")
            used.add(name)
            parts.append(_DIRECTIVES[letter])
    groups = {name.removeprefix("(?P<") for name in used}
    if not {"day", "year"} <= groups or not groups & {"month", "word"}:
        raise ValueError("a format with a day, a month and a year, such as '%d-%m-%Y'")
    return re.compile("".join(parts) + r"\Z", re.ASCII | re.IGNORECASE)


def _zone(value: Any) -> ZoneInfo:
    try:
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z]+(?:[/_+-][A-Za-z0-9_+-]+)*", value):
            return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError("a time zone, such as 'Europe/Amsterdam' or 'UTC'")


def _output(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _FORMAT_LIMIT:
        raise ValueError(f"a format such as '%d-%m-%Y', of at most {_FORMAT_LIMIT} characters")
    for letter in re.findall(r"%(.?)", value, re.DOTALL):
        if letter not in _WRITTEN:
            raise ValueError(f"a format of {' '.join('%' + each for each in _WRITTEN)}; %{letter} is not among them")
    return value


def _unit(value: Any) -> str:
    if value not in ("s", "ms"):
        raise ValueError("'s' or 'ms'")
    return str(value)


Format = Annotated[re.Pattern[str] | None, Prepared(_pattern, "a format, such as '%d-%m-%Y'")]
Zone = Annotated[ZoneInfo, Prepared(_zone, "a time zone, such as 'Europe/Amsterdam'")]
Unit = Annotated[str, Prepared(_unit, "'s' or 'ms'")]
OutputFormat = Annotated[str, Prepared(_output, "a format, such as '%d-%m-%Y'")]


def _found(text: str, pattern: re.Pattern[str] | None) -> tuple[dt.datetime, bool] | None:
    return _parsed(text, pattern) if len(text) <= _LONGEST else None


@lru_cache(maxsize=2048)
def _parsed(text: str, pattern: re.Pattern[str] | None) -> tuple[dt.datetime, bool] | None:
    """Return the moment (aware only if the text names a zone) and whether it has a time; None if it is no date."""
    plain = " ".join(text.split())
    for form in _FORMS if pattern is None else (pattern,):
        if match := form.match(plain):
            return _moment(match.groupdict())
    return None


def _moment(parts: dict[str, str | None]) -> tuple[dt.datetime, bool] | None:
    year = int(parts["year"] or 0)
    if len(parts["year"] or "") == 2:  # noqa: PLR2004 - two digits
        year += 1900 if year >= _PIVOT else 2000
    word = parts.get("word")
    month = _MONTHS.get(word.lower(), 0) if word else int(parts.get("month") or 0)
    fraction = parts.get("fraction") or ""
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    try:
        moment = dt.datetime(  # noqa: DTZ001 - naive means: as the text has it
            year, month, int(parts["day"] or 0), hour, minute, second, int(fraction[:6].ljust(6, "0"))
        )
        zone = (parts.get("zone") or "").strip()
        if zone:
            moment = moment.replace(tzinfo=_offset(zone))
            moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return moment, parts.get("hour") is not None


def _offset(zone: str) -> dt.timezone:
    if zone[0] not in "+-":
        return dt.UTC
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    span = dt.timedelta(hours=hours, minutes=minutes)
    return dt.timezone(-span if zone[0] == "-" else span)


@register(
    "Dates and times",
    ("'31-12-2024' | date", "date(2024, 12, 31)"),
    ("'12 maart 2024' | date", "date(2024, 3, 12)"),
    ("'1/2/24' | date", "date(2024, 2, 1)"),
    ("'2024-07-01 23:30:00' | date", "date(2024, 7, 1)"),
    ("'07.1999.31' | date('%m.%Y.%d')", "date(1999, 7, 31)"),
    ("'0000-00-00' | date", "''"),
)
def date(value: str | dt.date | dt.datetime, format: Format = None) -> dt.date | str:  # noqa: A002 - its name in files
    """Reads a date: ISO (2024-12-31), Dutch (31-12-2024, 31/12/24, 31.12.2024, 12 maart 2024), English month names.

    The day stands before the month, unless the year comes first. Two digits of a year: 69 to 99 are 19xx. A time
    behind it is left off; of a moment with a zone, the date is that of its own zone. A format (%d %m %Y %y %B %b %H
    %M %S %z) makes it read that form only.
    """
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    if is_zero_date(value.strip()) or not value.strip():
        return ""
    found = _found(value, format)
    if found is None:
        raise UnfitError("a date in the given format" if format else "a date, such as 31-12-2024 or 2024-12-31")
    return found[0].date()


@register(
    "Dates and times",
    ("'2024-07-01 12:00:00' | datetime | iso", "'2024-07-01T12:00:00+02:00'"),
    ("'1-7-2024 9:30' | datetime('UTC') | iso", "'2024-07-01T09:30:00+00:00'"),
    ("'2024-07-01T12:00:00Z' | datetime | iso", "'2024-07-01T12:00:00+00:00'"),
)
def datetime(
    value: str | dt.date | dt.datetime,
    zone: Zone = COPERNICA_ZONE,
    format: Format = None,  # noqa: A002 - its name in files
) -> dt.datetime | str:
    """Reads a date with a time; a text without a zone is in the given one, Dutch time by default.

    A date without a time is midnight. An hour that comes twice is taken the first time.
    """
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=zone)
    if is_zero_date(value.strip()) or not value.strip():
        return ""
    found = _found(value, format)
    if found is None:
        raise UnfitError("a date with a time, such as 2024-12-31 12:00:00 or 31-12-2024 12:00")
    moment = found[0]
    return moment if moment.tzinfo else _settled(moment.replace(tzinfo=zone))


def _settled(moment: dt.datetime) -> dt.datetime:
    """Return the moment, moved on when the clock skipped it."""
    try:
        back = moment.astimezone(dt.UTC).astimezone(moment.tzinfo)
    except OverflowError:
        return moment
    return moment if back.replace(tzinfo=None) == moment.replace(tzinfo=None) else back


@register(
    "Dates and times",
    ("'2024-07-01T12:00:00Z' | datetime | in_zone('Europe/Amsterdam') | iso", "'2024-07-01T14:00:00+02:00'"),
)
def in_zone(value: dt.datetime, zone: Zone) -> dt.datetime:
    """Gives the same moment on the clock of another zone."""
    return _in(value, zone)


def _in(value: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    try:
        return value.astimezone(zone)
    except (OverflowError, ValueError):
        raise UnfitError("a moment from the year 1 to 9999") from None


@register(
    "Dates and times",
    ("'1719828000' | epoch | iso", "'2024-07-01T12:00:00+02:00'"),
    ("1719828000000 | epoch('ms') | iso", "'2024-07-01T12:00:00+02:00'"),
)
def epoch(value: str | int, unit: Unit = "s") -> dt.datetime:
    """Reads a Unix time in seconds ('s') or milliseconds ('ms'); gives Dutch time."""
    if isinstance(value, str):
        plain = value.strip()
        if not re.fullmatch(r"-?[0-9]{1,16}", plain):
            raise UnfitError("a Unix time: a whole number")
        value = int(plain)
    seconds, rest = divmod(value, 1000) if unit == "ms" else (value, 0)
    if not 0 <= seconds <= _EPOCH_LIMIT - 86400:
        raise UnfitError("a Unix time from 1970 to 9999")
    return dt.datetime.fromtimestamp(seconds, COPERNICA_ZONE).replace(microsecond=rest * 1000)


@register(
    "Dates and times",
    ("'2024-07-01 12:00' | datetime | to_epoch", "1719828000"),
    ("'2024-07-01 12:00' | datetime | to_epoch('ms')", "1719828000000"),
    ("'2024-07-01' | date | to_epoch", "1719792000"),
)
def to_epoch(value: dt.date | dt.datetime, unit: Unit = "s") -> int:
    """Gives the Unix time, in seconds or milliseconds. Of a date without a time: midnight UTC, as CRMs want it."""
    moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    span = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return span // dt.timedelta(milliseconds=1 if unit == "ms" else 1000)


@register("Dates and times", ("'31-12-2024' | date | iso", "'2024-12-31'"))
def iso(value: dt.date | dt.datetime) -> str:
    """Writes a date or moment in ISO 8601, with the zone's offset and without fractions of a second."""
    return value.isoformat(timespec="seconds") if isinstance(value, dt.datetime) else value.isoformat()


@register("Dates and times", ("'2024-07-01 12:00' | datetime | utc", "'2024-07-01T10:00:00Z'"))
def utc(value: dt.datetime) -> str:
    """Writes a moment in ISO 8601 in UTC, ending in Z."""
    return _in(value, dt.UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


@register(
    "Dates and times",
    ("'2024-03-09' | date | format_date('%d-%m-%Y')", "'09-03-2024'"),
    ("'2024-03-09' | date | format_date('%j %B %Y')", "'9 maart 2024'"),
)
def format_date(value: dt.date | dt.datetime, format: OutputFormat) -> str:  # noqa: A002 - its name in files
    """Writes a date in a form of your own: %d %m %Y %y, %j and %n without zeros, %B and %b Dutch month, %H %M %S %z."""
    moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    month = _DUTCH_MONTHS[moment.month - 1]
    parts = {
        "d": f"{moment.day:02}",
        "j": str(moment.day),
        "m": f"{moment.month:02}",
        "n": str(moment.month),
        "Y": f"{moment.year:04}",
        "y": f"{moment.year % 100:02}",
        "H": f"{moment.hour:02}",
        "M": f"{moment.minute:02}",
        "S": f"{moment.second:02}",
        "B": month,
        "b": "mrt" if moment.month == 3 else month[:3],  # noqa: PLR2004 - maart
        "z": moment.strftime("%z"),
    }
    return re.sub(r"%(.)", lambda match: parts[match.group(1)], format)


@register("Dates and times", ("'31-12-2024' | date | year", "2024"))
def year(value: dt.date | dt.datetime) -> int:
    """Gives the year."""
    return value.year


@register("Dates and times", ("'31-12-2024' | date | month", "12"))
def month(value: dt.date | dt.datetime) -> int:
    """Gives the month, 1 to 12."""
    return value.month


@register("Dates and times", ("'31-12-2024' | date | day", "31"))
def day(value: dt.date | dt.datetime) -> int:
    """Gives the day of the month."""
    return value.day


@register("Dates and times", ("'31-12-2024' | date | add_days(1)", "date(2025, 1, 1)"))
def add_days(value: dt.date | dt.datetime, days: int) -> dt.date | dt.datetime:
    """Moves a date or moment by so many days, back with a minus sign."""
    try:
        return value + dt.timedelta(days=days)
    except OverflowError:
        raise UnfitError("a date from the year 1 to 9999") from None


@register(
    "Dates and times",
    ("'29-2-2000' | date | age('28-2-2024' | date)", "23"),
    ("'1-3-2000' | date | age('1-3-2024' | date)", "24"),
)
def age(value: dt.date | dt.datetime, on: dt.date | dt.datetime) -> int:
    """Gives the full years from this date to another one, such as the time of the event."""
    before = (on.month, on.day) < (value.month, value.day)
    return on.year - value.year - before
