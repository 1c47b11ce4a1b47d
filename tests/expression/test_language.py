"""What an expression means, what it refuses, and where."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.domain.event import EventType
from connector.mapping.expression import (
    MISSING,
    EvaluationError,
    ExpressionError,
    Kind,
    Scope,
    compile_expression,
    to_json,
)
from tests.expression.events import event

MISTAKES = [
    # text, offset, part of the message, part of the hint
    ("", 0, "empty", "field"),
    ("voornaam = 'x'", 9, "= is not a comparison", "=="),
    ("voornaam == = 'x'", 12, "one = too many", "=="),
    ("voornaam == 'x", 12, "never closed", "'"),
    ("voornaam ==", 11, "missing at the end", "field"),
    ("== 'x'", 0, "missing before ==", "field"),
    ("or voornaam", 0, "missing before `or`", "field"),
    ("e164(telefoon)", 0, "calls", "| e164"),
    ("voornaam.upper()", 14, "calls", "| upper"),
    ("(voornaam)('x')", 10, "calls", "filter"),
    ("fields.get('x')", 10, "calls", "fields["),
    ("fields.__class__", 7, "__class__ is not data", "fields["),
    ("voornaam.__class__.__mro__", 9, "is not data", ""),
    ("__import__", 0, "is not data", ""),
    ("[x for x in interests]", 3, "no loops", "filter"),
    ("for x in y", 0, "no loops", "filter"),
    ("lambda x: x", 0, "no loops or statements", ""),
    ("9**9**9", 1, "powers", "*"),
    ("'a' * 10", 0, "* is for numbers", "| number"),
    ("'%s' % voornaam", 0, "% is for numbers", "~"),
    ("voornaam + ' x'", 0, "+ adds numbers", "~"),
    ("voornaam | format('x')", 11, "no filter format", "~"),
    ("voornaam | tirm", 11, "no filter tirm", "trim"),
    ("voornaam | trim(3)", 16, "takes no values", "| trim"),
    ("voornaam | replace('a')", 11, "replace needs new", "replace(old, new)"),
    ("voornaam | replace('', 'b')", 19, "not empty", ""),
    ("voornaam | e164('XX')", 16, "two letters", ""),
    ("voornaam | lookup('lnaden')", 18, "no table lnaden", "'landen'"),
    ("voornaam | lookup(voornaam)", 18, "written out", "lookup"),
    ("voornaam | lookup('landen', defualt='y')", 28, "no parameter defualt", "default"),
    ("voornaam | truncate(-1)", 20, "whole number", ""),
    ("voornaam | pad_left(999999999)", 20, "whole number", ""),
    ("voornaam | date('%Q')", 16, "%Q is not among them", ""),
    ("voornaam | datetime('../../etc/passwd')", 20, "time zone", ""),
    ("voornaam | round", 11, "takes a number", "| number"),
    ("interests | lower", 12, "takes a text", "join"),
    ("aantal > 5", 0, "compares numbers or dates", "number"),
    ("aantal == 5", 0, "never the same as a number", "'5'"),
    ("'x' if optin else ''", 7, "neither yes nor no", "bool"),
    ("not optin", 4, "neither yes nor no", "bool"),
    ("optin == ja", 9, "ja without quotes", "'ja'"),
    ("voornaam == null", 12, "null is not known", "none"),
    ("e-mail", 1, "subtraction", "fields['e-mail']"),
    ("voornaam.x", 9, "no members", "fields['voornaam.x']"),
    ("fields[voornaam]", 7, "text in quotes", "fields['"),
    ("profile.name", 8, "only the ID", "profile.id"),
    ("record.x", 7, "a kind, a scope and an id", "record.id"),
    ("voornaam[0:3]", 10, "slices", "slice(0, 3)"),
    ("voornaam achternaam", 9, "side by side", "fields['voornaam achternaam']"),
    ("'a' 'b'", 4, "operator is missing", "~"),
    ("{{ voornaam }}", 0, "no braces", "leaving out"),
    ("{% if x %}", 0, "statements", ""),
    ("voornaam ? 1 : 2", 9, "? : form", "if"),
    ("‘x’ == voornaam", 0, "typographic", "'"),
    ("(voornaam", 0, "never closed", ")"),
    ("voornaam)", 8, "closes nothing", ")"),
    ("{a: 1}", 1, "text in quotes", "{'name'"),
    ("voornaam && x", 9, "&&", "and"),
    ("1 / 0", 0, "divides by zero", ""),
    ("1 < 2 < 3", 6, "chained", "and"),
    ("voornaam |", 10, "name of a filter", "trim"),
    ("voornaam is defined", 12, "empty or missing", "is not missing"),
    ("'\\d' | upper", 1, "no meaning", "\\\\"),
    ("99999999999999999999999999999", 0, "too large", "quotes"),
    ("voornaam; x", 8, "; cannot", ""),
]


@pytest.mark.parametrize(("text", "offset", "message", "hint"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_told_at_its_place_in_plain_words(text, offset, message, hint):
    """A mistake in a file gets its own column, what is wrong, and what to try."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, tables={"landen": {}})
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.offset == offset


def mistake_in(text):
    try:
        compile_expression(text)
    except ExpressionError as error:
        return error
    return None


@settings(deadline=None)
@given(st.text(alphabet="ab'\"|~()[]{}.,=<>!+-*/% 019_\\\n§é", max_size=40))
def test_any_text_is_an_expression_or_an_expression_error(text):
    """Nothing that a person writes gives a traceback, and the place is inside the text."""
    error = mistake_in(text)
    assert error is None or (error.message and 0 <= error.offset <= len(text))


def test_it_knows_what_it_reads():
    """Names, fields, filters and tables are known before there is an event."""
    e = compile_expression(
        "fields['x y'] | trim ~ voornaam | lookup('t', default=type) if 'a' in interests else parameters.q",
        tables={"t": {}},
    )
    assert e.names == {"fields", "voornaam", "type", "interests", "parameters"}
    assert e.fields == {"x y", "voornaam"}
    assert set(e.filters) == {"trim", "lookup"}
    assert e.tables == {"t"}
    assert not e.is_copy


@pytest.mark.parametrize(
    ("text", "copy"),
    [
        ("voornaam", True),
        ("fields.x", True),
        ("fields['x y']", True),
        ("a | trim", False),
        ("type", False),
        ("'a'", False),
        ("profile.id", False),
    ],
)
def test_a_plain_copy_is_known_as_one(text, copy):
    """Copying one field is told apart from everything else."""
    assert compile_expression(text).is_copy is copy


def test_explain_shows_every_step():
    """Each part of an expression is shown with its value, in the order in which it is computed."""
    steps = compile_expression("email | trim | lower ~ '!'").explain(Scope(event()))
    assert [(s.text, s.value) for s in steps] == [
        ("email", " Jan@X.NL "),
        ("trim", "Jan@X.NL"),
        ("lower", "jan@x.nl"),
        ("email | trim | lower ~ '!'", "jan@x.nl!"),
    ]


def test_explain_ends_at_the_error():
    """Where a value does not fit, the explanation says so and stops."""
    steps = compile_expression("voornaam | int | text").explain(Scope(event()))
    assert [s.text for s in steps] == ["voornaam", "int"]
    assert "whole number" in steps[-1].error


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_a_reason_never_holds_the_value(secret):
    """What goes wrong with a value is told without the value: it may be personal data."""
    marked = f"zq{secret}qz"
    for text in ("v | int", "v | date", "v | e164", "v | email", "v | country", "v | json", "v | bool", "v | money"):
        with pytest.raises(EvaluationError) as caught:
            compile_expression(text).evaluate(Scope(event(fields={"v": marked})))
        assert marked not in caught.value.reason
        assert text.split("| ")[1] in caught.value.reason


def test_names_of_an_event_are_typed():
    """Everything of an event is there, with its kind; what is unknown is missing."""
    s = Scope(event(), "winkel")
    assert compile_expression("time").evaluate(s).isoformat() == "2024-07-01T12:00:00.250000+02:00"
    assert compile_expression("interests").evaluate(s) == ["blauw", "rood"]
    assert compile_expression("interests_off").evaluate(s) is MISSING
    assert compile_expression("source").evaluate(s) == "winkel"
    assert compile_expression("profile == profile.id").evaluate(s) is True
    assert compile_expression("subprofile.id").evaluate(s) is MISSING
    assert compile_expression("record.scope").evaluate(s) == "7616"
    assert compile_expression("parameters.voornaam").evaluate(s) == "Jan"


def test_words_of_email_events_are_fields_elsewhere():
    """`description` is the server's answer on a failure, and a field on a profile."""
    text = "description"
    failure = event(type=EventType.FAILURE, variables={"description": "vol", "tags": ("a",)}, fields={text: "veld"})
    assert compile_expression(text).evaluate(Scope(failure)) == "vol"
    assert compile_expression("tags").evaluate(Scope(failure)) == ["a"]
    assert compile_expression("code").evaluate(Scope(failure)) is MISSING
    assert compile_expression(text).evaluate(Scope(event(fields={text: "veld"}))) == "veld"


def test_kinds_are_known():
    """What an expression gives is known when it is loaded, as far as it is certain."""
    kinds = {
        text: compile_expression(text).kind
        for text in ("a", "a | int", "a == 'b'", "a | date", "a | split", "a | json", "a | default('x')")
    }
    assert list(kinds.values()) == [Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.LIST, Kind.ANY, Kind.TEXT]


def test_json_is_exact_where_it_can_be():
    """A number without fraction leaves as an integer, dates in ISO form."""
    assert to_json([Decimal("12.00"), Decimal("1.5"), dt.date(2024, 1, 2)]) == [12, 1.5, "2024-01-02"]
    assert type(to_json(Decimal("12.00"))) is int


def test_a_condition_is_no_text():
    """`when: optin` is refused, since 'nee' would count as yes."""
    for text in ("optin", "optin or email", "type == 'update' and optin"):
        with pytest.raises(ExpressionError):
            compile_expression(text, condition=True)
    assert compile_expression("optin == 'ja' or type == 'create'", condition=True).evaluate(Scope(event())) is True
