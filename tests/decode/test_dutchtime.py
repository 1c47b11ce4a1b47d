"""Dutch wall-clock stamps become moments, in every hour of the year."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.clock import HOUR, SECOND
from connector.domain.dutchtime import readings, resolve

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


@given(st.integers(315_532_800, 2_145_830_400))
def test_every_moment_survives_the_way_through_the_wall_clock(seconds: int) -> None:
    """A moment written as Dutch time is read as that moment, given only a rough idea of when it was."""
    exact = seconds * SECOND
    stamp = datetime.fromtimestamp(seconds, AMSTERDAM).strftime("%Y-%m-%d %H:%M:%S")
    assert resolve(stamp, exact + 20 * SECOND) == exact
    assert resolve(stamp, exact - 20 * SECOND) == exact
    assert exact in readings(stamp)


def test_the_hour_that_comes_twice_has_two_readings() -> None:
    """02:30 of the last Sunday of October is two moments, an hour apart; the nearer one is taken."""
    summer, winter = instant("2024-10-27T02:30:00+02:00"), instant("2024-10-27T02:30:00+01:00")
    assert readings("2024-10-27 02:30:00") == (summer, winter)
    assert winter - summer == HOUR
    assert resolve("2024-10-27 02:30:00", summer - HOUR) == summer
    assert resolve("2024-10-27 02:30:00", winter + HOUR) == winter


@pytest.mark.parametrize(
    ("stamp", "moment"), [("02:00:00", "03:00:00"), ("02:30:00", "03:30:00"), ("02:59:59", "03:59:59")]
)
def test_the_hour_that_does_not_exist_is_shifted_forward(stamp: str, moment: str) -> None:
    """02:30 of the last Sunday of March is read as 03:30, whatever else is known."""
    expected = instant(f"2024-03-31T{moment}+02:00")
    assert readings(f"2024-03-31 {stamp}") == (expected,)
    assert resolve(f"2024-03-31 {stamp}", expected - HOUR) == expected


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("2024-03-31 01:59:59", "2024-03-31T01:59:59+01:00"),
        ("2024-03-31 03:00:00", "2024-03-31T03:00:00+02:00"),
        ("2024-10-27 01:59:59", "2024-10-27T01:59:59+02:00"),
        ("2024-10-27 03:00:00", "2024-10-27T03:00:00+01:00"),
        (" 2024-02-29T12:00:00.5 ", "2024-02-29T12:00:00+01:00"),
    ],
)
def test_the_hours_around_have_one_reading(stamp: str, moment: str) -> None:
    """The seconds beside both changes of the clock are not ambiguous."""
    assert readings(stamp) == (instant(moment),)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "0000-00-00 00:00:00",
        "0000-00-00",
        "2024-02-30 00:00:00",
        "2023-02-29 00:00:00",
        "2024-01-01 24:00:00",
        "2024-01-01",
        "2024-01-01 00:00:60",
        "yesterday",
        "٢٠٢٤-01-01 00:00:00",
        "1714550400",
        "0001-01-01 00:00:00x",
    ],
)
def test_what_is_no_date_has_no_moment(stamp: str) -> None:
    """An empty or impossible stamp is unknown, never a date made up."""
    assert readings(stamp) == ()
    assert resolve(stamp, 0) is None


@given(st.text(max_size=40) | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\Z"))
def test_no_stamp_makes_it_raise(stamp: str) -> None:
    """Whatever stands there, the answer is none, one or two moments in order."""
    moments = readings(stamp)
    assert len(moments) <= 2
    assert list(moments) == sorted(set(moments))
