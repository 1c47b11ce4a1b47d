"""What the filters promise."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.mapping.expression import MISSING, EvaluationError, Scope, compile_expression
from connector.mapping.filters import FILTERS
from tests.expression.events import event

TABLES = {"landen": {"nl": "Nederland", "be": "België"}}
EARLIEST, LATEST = dt.datetime.fromisoformat("1971-01-01"), dt.datetime.fromisoformat("2200-01-01")
EXAMPLES = [(f.name, text, wanted) for f in FILTERS.values() for text, wanted in f.examples]


def value_of(text, fields=None):
    return compile_expression(text, tables=TABLES).evaluate(Scope(event(fields=fields or {})))


@pytest.mark.parametrize(("name", "text", "wanted"), EXAMPLES, ids=[e[1] for e in EXAMPLES])
def test_every_documented_example_gives_what_is_written(name, text, wanted):
    """The examples in docs/expressions.md are true, kinds included."""
    expected = eval(wanted, {"Decimal": Decimal, "date": dt.date})
    got = value_of(text)
    assert got == expected
    assert type(got) is type(expected)
    assert name in compile_expression(text, tables=TABLES).filters


@pytest.mark.parametrize("name", [f.name for f in FILTERS.values() if f.name not in ("default", "if_missing")])
def test_missing_flows_through_every_filter(name):
    """Only default and if_missing catch what is missing."""
    examples = [text for text, _ in FILTERS[name].examples]
    filters = [text.split(f"| {name}", 1)[1] for text in examples]
    for rest in filters:
        source = "parameters.mobiel" if str in FILTERS[name].types else "(parameters.mobiel | json)"
        assert value_of(f"{source} | {name}{rest}") is MISSING


CONVERTING = (
    "int",
    "number",
    "money",
    "bool",
    "date",
    "datetime",
    "e164",
    "email",
    "country",
    "language",
    "gender",
    "postcode",
    "json",
    "epoch",
)


@pytest.mark.parametrize("name", CONVERTING)
def test_empty_stays_empty(name):
    """An empty field is not an error for a filter that converts: it stays an empty text."""
    assert value_of(f"v | {name}", {"v": ""}) == ""


@pytest.mark.parametrize("text", ["0000-00-00", "0000-00-00 00:00:00", "  "])
@pytest.mark.parametrize("name", ["date", "datetime"])
def test_a_zero_date_is_empty(name, text):
    """Copernica's empty date is an empty text."""
    assert value_of(f"v | {name}", {"v": text}) == ""


IDEMPOTENT = ["trim", "lower", "squeeze", "title", "proper_name", "ascii", "slug", "digits"]


@pytest.mark.parametrize("name", IDEMPOTENT)
@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_a_second_time_changes_nothing(name, text):
    """Cleaning what is clean changes nothing, so that a value that was mapped before compares as unchanged."""
    once = value_of(f"v | {name}", {"v": text})
    assert value_of(f"v | {name}", {"v": once}) == once


@settings(deadline=None)
@given(st.decimals(-(10**9), 10**9, places=2))
def test_dutch_amounts_are_read_exactly(amount):
    """1.234,56 is 1234.56, to the cent."""
    written = f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))
    assert value_of("v | money", {"v": written}) == amount
    assert value_of("v | money", {"v": f"€ {written}"}) == amount


@pytest.mark.parametrize(
    "text", ["1.23,4", "12.3456,00", "1,2,3", "abc", "1 - 2", "--1", "€", "1e5", "٣", "NaN", "Infinity"]
)
def test_a_doubtful_amount_is_refused(text):
    """What is not certainly an amount is an error, not a guess."""
    with pytest.raises(EvaluationError):
        value_of("v | money", {"v": text})


@settings(deadline=None)
@given(st.dates(dt.date(1969, 1, 1)))
def test_dates_are_read_in_every_form(day):
    """ISO, Dutch and written-out dates mean the same day."""
    names = [
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
    ]
    forms = [
        day.isoformat(),
        f"{day:%d-%m-}{day.year:04}",
        f"{day.day}/{day.month}/{day.year:04}",
        f"{day.day}.{day.month}.{day.year:04}",
        f"{day.day} {names[day.month - 1]} {day.year:04}",
        f"{day.isoformat()}T12:00:00Z",
        f"{day.isoformat()} 23:59:59",
    ]
    for form in forms:
        assert value_of("v | date", {"v": form}) == day


@pytest.mark.parametrize(
    "text", ["31-02-2024", "2024-13-01", "12 foo 2024", "morgen", "1-2", "99999-1-1", "2024-1-1 25:00"]
)
def test_what_is_no_date_is_refused(text):
    """A date that does not exist is an error, never another date."""
    with pytest.raises(EvaluationError):
        value_of("v | date", {"v": text})


def test_an_hour_that_the_clock_skips_moves_on():
    """02:30 in the night that summer time begins is 03:30."""
    assert value_of("v | datetime | iso", {"v": "2024-03-31 02:30:00"}) == "2024-03-31T03:30:00+02:00"


@settings(deadline=None)
@given(st.datetimes(EARLIEST, LATEST, timezones=st.just(dt.UTC)))
def test_a_unix_time_survives_the_round_trip(moment):
    """epoch and to_epoch are each other's opposite."""
    seconds = int(moment.timestamp())
    assert value_of("v | epoch | to_epoch", {"v": str(seconds)}) == seconds


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("JAN DE VRIES", "Jan de Vries"),
        ("anne-marie van 't hof", "Anne-Marie van 't Hof"),
        ("IJSBRAND", "IJsbrand"),
        ("MacDonald", "MacDonald"),
        ("van den heuvel", "van den Heuvel"),
    ],
)
def test_dutch_names_are_written_as_in_the_netherlands(text, wanted):
    """Particles are small, IJ is one letter, and what a person wrote with care stays."""
    assert value_of("v | proper_name", {"v": text}) == wanted


@pytest.mark.parametrize("code", ["NL", "BE", "DE", "US", "GB", "CW", "CI", "XK"])
def test_a_country_survives_its_names(code):
    """Code, Dutch name, English name and long code mean the same country."""
    for filters in ("country_name", "country_name('en')", "country3", "lower"):
        assert value_of(f"v | {filters} | country", {"v": code}) == code


@pytest.mark.parametrize("text", ["0612345", "12", "abc", "+99912345678", "x" * 1000])
def test_a_phone_number_that_cannot_exist_is_refused(text):
    """No garbage goes out as a phone number."""
    with pytest.raises(EvaluationError, match="phone number"):
        value_of("v | e164('NL')", {"v": text})


def test_a_lookup_takes_no_notice_of_case():
    """A table is found by what people typed, too; else the default, else an error."""
    assert value_of("v | lookup('landen')", {"v": " NL "}) == "Nederland"
    with pytest.raises(EvaluationError, match="table landen"):
        value_of("v | lookup('landen')", {"v": "xx"})
