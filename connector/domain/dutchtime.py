"""Copernica's stamps have no zone: they are Dutch wall-clock time. Here they become moments, and never stay naive."""

import datetime as dt
import re
from typing import Final
from zoneinfo import ZoneInfo

from connector.domain.clock import Instant

ZONE: Final = ZoneInfo("Europe/Amsterdam")
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.\d{1,9})?", re.ASCII)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SECOND: Final = dt.timedelta(seconds=1)


def readings(stamp: str) -> tuple[Instant, ...]:
    """Return the moments that a stamp (`YYYY-MM-DD HH:MM:SS`) can mean, earliest first.

    None for what is no date (`0000-00-00 …` is how Copernica writes an empty one); two in the hour that comes twice in
    autumn; one else. A stamp in the hour that spring leaves out is shifted forward by it, as clocks are: 02:30 means
    03:30.
    """
    match = _STAMP.fullmatch(stamp.strip()) if stamp else None
    if match is None:
        return ()
    try:
        # The zone is put on in this very expression; fold tells apart the two readings of the doubled hour.
        wall = dt.datetime.fromisoformat(match[1]).replace(tzinfo=ZONE)
        first, offset, other = _instant(wall), wall.utcoffset(), wall.replace(fold=1).utcoffset()
    except (ValueError, OverflowError):
        return ()
    # In the missing hour the two readings are the wrong way round: the first is the one shifted forward.
    if offset is None or other is None or other >= offset:
        return (first,)
    return (first, first + (offset - other) // _SECOND * 1000)


def resolve(stamp: str, near: Instant) -> Instant | None:
    """Return the moment of a stamp; of two possible ones the one nearest to `near`. None: it is no date."""
    found = readings(stamp)
    if len(found) < 2:  # noqa: PLR2004 - nearly always
        return found[0] if found else None
    return min(found, key=lambda moment: abs(moment - near))


def _instant(moment: dt.datetime) -> Instant:
    return (moment - _EPOCH) // _SECOND * 1000
