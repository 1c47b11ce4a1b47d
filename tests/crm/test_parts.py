"""The small parts of the REST adapter: templates, paths into JSON, moments, rules, redaction."""

import base64
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.crm.build import refused
from connector.crm.presets.model import Capture, Kind, Reset, Rule, Shape, Values
from connector.crm.rest import classify, jsonpath, moments, redact, template
from connector.crm.rest.answer import Answer, as_id, capture
from connector.crm.rest.request import Writer

NOW = 1_800_000_000_123
text = st.text(st.characters(codec="utf-8"), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)


def answer(
    status: int = 200, body: Any = None, headers: dict[str, str] | None = None, raw: bytes | None = None
) -> Answer:
    return Answer(status, headers or {}, json.dumps(body).encode() if raw is None else raw)


@given(text.filter(lambda value: value not in ("", ".", "..")))
def test_a_value_in_a_path_is_one_segment(value: str) -> None:
    """Whatever an ID holds, it stays one segment, and comes back as it was."""
    path = template.compile_path("/a/{id}/b")({"id": value})
    assert path.count("/") == 3
    parts = urlsplit(f"http://x{path}")
    assert (parts.query, parts.fragment) == ("", "")
    assert unquote(parts.path.split("/")[2]) == value


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_cannot_be_a_segment_is_refused(value: str) -> None:
    """Dots and nothing would lead elsewhere."""
    with pytest.raises(template.UnusableError):
        template.compile_path("/a/{id}")({"id": value})


@given(text, text)
def test_values_in_a_query_stay_values(name: str, value: str) -> None:
    """No value can add a parameter."""
    query = template.compile_query({"q": "{v}", "{n}": "1"}, "repeat")({"v": value, "n": "k" + name})
    assert parse_qsl(query, keep_blank_values=True) == [("q", value), ("k" + name, "1")]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ("repeat", "where[0][x]=1&where[0][y]=a%26b&ids=1&ids=2"),
        ("brackets", "where[0][x]=1&where[0][y]=a%26b&ids[]=1&ids[]=2"),
        ("index", "where[0][x]=1&where[0][y]=a%26b&ids[0]=1&ids[1]=2"),
    ],
)
def test_lists_in_a_query_are_written_as_the_crm_wants(arrays: str, expected: str) -> None:
    """Three styles, and objects inside lists always by their number."""
    query = {"where": [{"x": 1, "y": "{v}"}], "ids": [1, 2], "none": None}
    assert template.compile_query(query, arrays)({"v": "a&b"}) == expected


def test_a_structure_can_be_one_value_of_a_query() -> None:
    """As JSON, or as base64 of JSON."""
    made = template.compile_query({"f": {"$json": [["x", "=", "{v}"]]}, "d": {"$base64": ["{v}"]}}, "repeat")(
        {"v": "é&"}
    )
    found = dict(parse_qsl(made))
    assert json.loads(found["f"]) == [["x", "=", "é&"]]
    assert json.loads(base64.urlsafe_b64decode(found["d"])) == ["é&"]


@given(json_values)
def test_a_template_that_is_one_placeholder_keeps_the_type(value: Any) -> None:
    """`{fields}` is the object itself."""
    assert template.compile_value({"a": ["{x}"]})({"x": value}) == {"a": [value]}


def test_the_star_merges_into_the_object_around_it() -> None:
    """Constant parts and fields stand side by side, nested ones too."""
    made = template.compile_value({"id": "{id}", "a": {"b": 1}, "*": "{fields}"})
    assert made({"id": "7", "fields": {"x": 1, "a": {"c": 2}}}) == {"id": "7", "x": 1, "a": {"b": 1, "c": 2}}


@given(text)
def test_a_value_in_soql_cannot_end_its_text(value: str) -> None:
    """Every quote and backslash is escaped."""
    made = template.compile_text("'{v|soql}'")({"v": value})
    inner, index = made[1:-1], 0
    while index < len(inner):
        assert inner[index] != "'"
        index += 2 if inner[index] == "\\" else 1
    assert index == len(inner)


@pytest.mark.parametrize("wrong", ["{", "a}", "{x|no_such_filter}", "{X}", "{x.y.z}"])
def test_a_template_that_makes_no_sense_is_found_when_it_is_read(wrong: str) -> None:
    """Not when the first record comes."""
    with pytest.raises(template.TemplateError):
        list(template.names_in({"a": [wrong]}))


def test_a_brace_is_written_twice() -> None:
    """For the few who need one."""
    assert template.compile_text("{{{x}}}")({"x": 1}) == "{1}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.b", [1]), ("a.l[1]", [3]), ("a.l[*]", [2, 3]), ("o[*].i", [7, 8]), ("nope.b", []), ("a.l[9]", []), ("", None)],
)
def test_paths_into_json(path: str, expected: list[int] | None) -> None:
    """Names, numbers, and all of a list."""
    data = {"a": {"b": 1, "l": [2, 3]}, "o": [{"i": 7}, {"i": 8}, {}]}
    assert list(jsonpath.find_all(data, path)) == ([data] if expected is None else expected)


@given(json_values, st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,3}|\[[0-9]\]|\[\*\]){0,3}", fullmatch=True))
def test_no_answer_can_break_a_path(data: Any, path: str) -> None:
    """Whatever the CRM sends, a path finds something or nothing."""
    assert isinstance(list(jsonpath.find_all(data, path)), list)


@given(st.binary(max_size=200))
def test_no_body_can_break_an_answer(body: bytes) -> None:
    """Not JSON is not JSON; text is text."""
    got = Answer(200, {}, body)
    assert isinstance(got.text, str)
    assert capture(got, Capture(json="a.b")) is None or got.is_json


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"NaN", b"1" * 10_000, b"\xff\xfe{}", b""])
def test_json_that_is_meant_to_hurt_is_no_json(body: bytes) -> None:
    """Too deep, endless numbers, no numbers."""
    got = Answer(200, {}, body)
    assert not got.is_json or got.json == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, "7"),
        ("a-1", "a-1"),
        (True, None),
        (None, None),
        ("", None),
        ("a b", None),
        ("a\nb", None),
        ("x" * 256, None),
        ([1], None),
        (1.5, None),
        ("\ud800", None),
    ],
)
def test_what_can_be_an_id(value: Any, expected: str | None) -> None:
    """A number or a plain word; nothing else becomes a link."""
    assert as_id(value) == expected


def test_captures_from_everywhere() -> None:
    """JSON, a header, the text; each with a pattern."""
    got = answer(body={"m": "taken by 42"}, headers={"odata-entityid": "https://x/contacts(77)"})
    assert capture(got, Capture(json="m", pattern=r"(\d+)$")) == "42"
    assert capture(got, Capture(header="OData-EntityId", pattern=r"\((\d+)\)")) == "77"
    assert capture(got, Capture(text=r"taken by (\d+)")) == "42"
    assert capture(got, Capture(text="nothing")) is None


SECOND = NOW // 1000


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("auto", "7", NOW + 7000),
        ("auto", "0.5", NOW + 500),
        ("auto", format_datetime(datetime.fromtimestamp(SECOND + 60, UTC), usegmt=True), (SECOND + 60) * 1000),
        ("seconds", "7", NOW + 7000),
        ("milliseconds", "250", NOW + 250),
        ("epoch", str(SECOND + 9), (SECOND + 9) * 1000),
        ("epoch-ms", str(NOW + 9), NOW + 9),
        ("iso", datetime.fromtimestamp(SECOND + 9, UTC).isoformat(), (SECOND + 9) * 1000),
        ("iso", "2027-01-15T09:00:00+01:00", 1_800_000_000_000 + 123),
        ("epoch", str(SECOND - 100), NOW),
        ("seconds", "99999999", NOW + moments.LONGEST),
        ("seconds", "soon", None),
        ("seconds", "-5", None),
        ("iso", "tomorrow", None),
        ("http-date", "7", None),
        ("epoch-ms", "9" * 30, None),
    ],
)
def test_when_to_come_back_in_every_form(form: str, value: str, expected: int | None) -> None:
    """Seconds, dates, epochs; the past is now, a year is two days, nonsense is nothing."""
    reset = Reset(header="X-Again", form=form)
    assert moments.retry_at({"x-again": value}, [reset], NOW) == expected


@given(text, st.sampled_from(["auto", "seconds", "milliseconds", "http-date", "epoch", "epoch-ms", "iso"]))
def test_no_header_can_stop_us_for_long(value: str, form: str) -> None:
    """Never the past, never more than two days."""
    reset = Reset(header="X-Again", form=form)
    found = moments.retry_at({"x-again": value}, [reset], NOW)
    assert found is None or NOW <= found <= NOW + moments.LONGEST


def test_the_first_rule_that_holds_decides() -> None:
    """Order is meaning."""
    rules = [
        Rule(status=("4xx",), json={"code": ["A", "B"]}, outcome=Kind.RETRY),
        Rule(status=("400-409",), header={"X-Kind": "^t"}, outcome=Kind.THROTTLED),
        Rule(text="(?i)gone", outcome=Kind.NOT_FOUND),
        Rule(json={"error": None, "id": "*"}, outcome=Kind.CREATED),
        Rule(json={"error.words": "/locked/"}, outcome=Kind.RETRY),
    ]

    def kind(got: Answer) -> Kind:
        return classify.judge(got, rules, creates=False).kind

    assert kind(answer(404, {"code": "B"})) is Kind.RETRY
    assert kind(answer(404, {"code": "C"}, {"x-kind": "throttle"})) is Kind.THROTTLED
    assert kind(answer(500, "It is GONE")) is Kind.NOT_FOUND
    assert kind(answer(200, {"id": 1})) is Kind.CREATED
    assert kind(answer(200, {"id": 1, "error": {"words": "is locked"}})) is Kind.RETRY
    assert kind(answer(200, {"id": 1, "error": {}})) is Kind.OK


def test_true_is_not_one() -> None:
    """A rule on `true` does not hold for 1."""
    rule = Rule(json={"ok": True}, outcome=Kind.OK)
    assert classify.holds(rule, answer(body={"ok": True}))
    assert not classify.holds(rule, answer(body={"ok": 1}))


@given(st.integers(100, 599), st.booleans())
def test_every_status_means_something(status: int, creates: bool) -> None:
    """Without any rule, too; and only a 2xx is a success."""
    verdict = classify.judge(answer(status, {}), (), creates=creates)
    assert verdict.kind.is_success == (200 <= status < 300)


PRIVATE = st.text(st.characters(categories=("L", "Nd")), min_size=4, max_size=20)


@given(PRIVATE, text, text)
def test_no_value_that_we_sent_is_repeated(value: str, before: str, after: str) -> None:
    """Whatever stands around it."""
    if value.casefold() in (before + after).casefold():
        return
    got = answer(body={"message": f"{before} {value} {after}"})
    said = redact.message(got, ["message"], [{"a": [value]}])
    assert value not in said
    assert len(said) <= redact.LENGTH


def test_what_is_said_is_one_line_without_markup() -> None:
    """A page in the place of JSON is told as its words."""
    got = answer(500, raw=b"<html><h1>Server\n Error</h1>\x1b[31m<p>jan@example.com</p></html>")
    assert redact.message(got, [], []) == "Server Error [31m …"


def test_fields_are_written_as_the_crm_wants_them() -> None:
    """Nested, shaped, joined, and emptied in its own way."""
    shapes = {
        "email": Shape(into="emails", value=[{"value": "{value}"}], empty=[]),
        "custom.*": Shape(
            into="custom", value=[{"id": "{name}", "value": "{value}"}], empty=[{"id": "{name}", "value": None}]
        ),
    }
    write = Writer(Values(clear="", join=";"), shapes)
    fields = {"a.b": 1, "a.c": None, "email": "x@y.nl", "custom.k1": True, "custom.k2": None, "l": [1, 2]}
    assert write(fields) == {  # type: ignore[arg-type]
        "a": {"b": 1, "c": ""},
        "emails": [{"value": "x@y.nl"}],
        "custom": [{"id": "k1", "value": True}, {"id": "k2", "value": None}],
        "l": "1;2",
    }
    assert write({"email": None}) == {"emails": []}


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://api.example.com/v1", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost/x", True),
        ("http://[::1]:80", True),
        ("http://api.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("https://user:pw@example.com", False),
        ("https://example.com/?a=b", False),
        ("https://example.com/#x", False),
        ("https://example.com/\n", False),
        ("ftp://example.com", False),
        ("https://", False),
        ("example.com", False),
        ("https://example.com:99999", False),
    ],
)
def test_which_addresses_can_be_used(url: str, fits: bool) -> None:
    """Encrypted beyond loopback, and nothing hidden in them."""
    assert (refused(url, allow_http=False) is None) == fits


def test_an_unencrypted_address_needs_the_users_word() -> None:
    """`allow_http` says it."""
    assert refused("http://crm.intern", allow_http=True) is None
