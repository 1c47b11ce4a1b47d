"""Moments and spans: what people type, and what they read."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.moments import both, iso, parse_moment, parse_span, relative, span

NOW = 1_769_860_800_000  # 2026-01-31T12:00:00Z
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - 90_000),
        ("30m", NOW - HOUR // 2),
        ("30 min", NOW - HOUR // 2),
        ("2h", NOW - 2 * HOUR),
        ("3d", NOW - 72 * HOUR),
        ("1W", NOW - 168 * HOUR),
        ("2026-01-31T12:00:00Z", NOW),
        ("2026-01-31T13:00:00+01:00", NOW),
        ("2026-01-31 12:00:00.250+00:00", NOW + 250),
    ],
)
def test_a_moment_is_an_iso_time_or_how_long_ago(text, expected):
    """Both forms, with the units that people use."""
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "h", "-2h", "1.5h", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment_says_what_one_looks_like(text):
    """Nobody has to look up the form."""
    with pytest.raises(ValueError, match=r"2h or 3d \(ago\), or 2026-01-31T12:00:00Z"):
        parse_moment(text, NOW)


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00", "2026-01-31"])
def test_a_time_without_a_zone_is_refused_and_completed(text):
    """An hour's difference would select the wrong events."""
    with pytest.raises(ValueError, match=r"has no time zone: say 2026-01-31T\d\d:00:00Z"):
        parse_moment(text, NOW)


@given(st.integers(0, 253_402_300_799_999))
def test_what_is_printed_for_programs_can_be_given_back(moment):
    """`--since` takes what `--json` prints, to the millisecond."""
    text = iso(moment)
    assert text is not None
    assert parse_moment(text, NOW) == moment


@given(st.integers(0, 10**9))
def test_a_span_names_at_most_two_units_and_is_never_too_long(length):
    """Readable at a glance, and rounded down by less than a part in twenty-three."""
    text = span(length)
    names = {"ms": 1, "s": 1000, "min": 60_000, "h": HOUR, "d": 24 * HOUR}
    words = text.split()
    said = sum(int(number) * names[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert len(words) in (2, 4)
    assert length * 22 // 23 - 999 <= said <= length


def test_a_moment_is_shown_with_how_far_away_it_is():
    """Both what the log has and what a person thinks in."""
    assert both(NOW - 5 * 60_000, NOW) == "2026-01-31 11:55:00Z (5 min ago)"
    assert both(None, NOW) == "never"
    assert relative(NOW + 90_000, NOW) == "in 1 min 30 s"
    assert relative(NOW + 400, NOW) == "now"
    assert parse_span("two hours") is None
    assert dt.datetime.fromisoformat(iso(NOW)) == dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
