"""A model is built from a document, or every mistake is told in plain words."""

import json
from typing import Annotated, Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ErrorType

from connector.domain.event import EventType
from connector.files import words
from connector.files.build import build
from connector.files.document import parse
from connector.files.problem import ProblemsError


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Value(Strict):
    form: str = Field(description="what it is made of")
    empty: Literal["clear", "omit"] = "omit"


class Lookup(Strict):
    lookup: dict[str, str]
    default: str | None = None


def is_even(number: int) -> int:
    if number % 2:
        raise ValueError("an even number is needed here")
    return number


def expression(text: str) -> str:
    if "?" in text:
        context = {"offset": text.index("?"), "hint": "`or`"}
        raise PydanticCustomError("expression", "there is no operator {sign}", {**context, "sign": "`?`"})
    return text


def lower(text: str) -> str:
    if text != text.lower():
        raise ValueError("small letters only")
    return text


class Limits(Strict):
    least: int = 0
    most: int = 9

    @model_validator(mode="after")
    def in_order(self) -> "Limits":
        if self.most < self.least:
            raise PydanticCustomError("limits", "most is less than least", {"path": ("most",), "at_key": True})
        return self


class File(Strict):
    name: str = "x"
    count: int = Field(1, ge=1, le=9)
    share: float = 0.5
    live: bool = False
    mode: Literal["state", "each"] = "state"
    types: tuple[EventType, ...] = ()
    set: dict[str, Value | Lookup | str | int | None] = Field(default_factory=dict)
    either: Literal["a", "b"] | int = 1
    several: list[str] | str = ""
    shared_secret: Literal["a"] | int = 1
    token: Literal["a"] = "a"
    pair: tuple[int, Value] | None = None
    even: Annotated[int, AfterValidator(is_even)] = 0
    when: Annotated[str, AfterValidator(expression)] = ""
    limits: Limits = Limits()
    by_name: dict[Annotated[str, AfterValidator(lower)], int] = Field(default_factory=dict)
    by_type: dict[EventType, int] = Field(default_factory=dict)
    short: str = Field("ab", min_length=2, pattern="[a-z]+")


CASES = [
    ("nme: x", "1:1: unknown key `nme`; try `name`"),
    ("Share: 1", "1:1: unknown key `Share`; try `share`"),
    ("limits: {foo: 1}", "1:10: limits: unknown key `foo` (known here: least, most)"),
    ("name: 5", '1:7: name: expected text, not a number; try `"5"`'),
    ("name: {a: 1}", "1:7: name: expected text, not keys with values"),
    ("name: null", "1:7: name: expected text, not nothing"),
    ("count: '3'", "1:8: count: expected a whole number, not text; try `3`, without quotes"),
    ("count: many", "1:8: count: expected a whole number, not text"),
    ("count: 1.5", "1:8: count: expected a whole number, not `1.5`"),
    ("count: true", "1:8: count: expected a whole number, not true"),
    ("count: 10", "1:8: count: this can be at most 9"),
    ("count: 0", "1:8: count: this has to be at least 1"),
    ("share: half", "1:8: share: expected a number, not text"),
    ("live: yes", "1:7: live: expected true or false, not text; try `true`"),
    ("live: 1", "1:7: live: expected true or false, not a number"),
    ("mode: States", "1:7: mode: expected state or each, not `States`; try `state`"),
    ("mode: 1", "1:7: mode: expected state or each, not a number"),
    ("types: create", '1:8: types: expected a list, not text; try `["create"]`'),
    (
        "types: [create, updated]",
        "1:17: types[2]: expected create, update, delete, click, open, delivery, bounce or failure, not `updated`; try `update`",
    ),
    ("set: {Mail: [x]}", "1:13: set.Mail: expected keys with values, text or a whole number, not a list"),
    (
        "set: {Mail: {frm: a}}",
        "1:7: set.Mail: `form` is missing (what it is made of)\n1:14: set.Mail: unknown key `frm`; try `form`",
    ),
    ("set: {Mail: {form: a, empty: no}}", "1:30: set.Mail.empty: expected clear or omit, not `no`"),
    ("set: {Mail: {lookup: {a: 1}}}", '1:26: set.Mail.lookup.a: expected text, not a number; try `"1"`'),
    ("either: c", "1:9: either: expected a whole number, `a` or `b`, not text"),
    ("several: 5", "1:10: several: expected a list or text, not a number; try `[5]`"),
    ("shared_secret: hunter2", "1:16: shared_secret: expected a whole number or `a`, not text"),
    ("token: hunter2", "1:8: token: expected a, not this"),
    ("pair: [1, {form: 2}]", '1:18: pair[2].form: expected text, not a number; try `"2"`'),
    ("pair: [1]", "1:1: pair: entry 2 is missing"),
    ("even: 3", "1:7: even: an even number is needed here"),
    ("when: a ? b", "1:9: when: there is no operator `?`; try `or`"),
    ("when: 'a ? b'", "1:10: when: there is no operator `?`; try `or`"),
    ("limits: {least: 5, most: 3}", "1:20: limits.most: most is less than least"),
    ("limits: 5", "1:9: limits: expected keys with values, not a number"),
    ("by_name: {Abc: 1}", "1:11: by_name.Abc: small letters only"),
    (
        "by_type: {creates: 1}",
        "1:11: by_type.creates: `creates` is not possible as a key: expected create, update, delete, click, open, delivery, bounce or failure, not `creates`; try `create`",
    ),
    ("short: a", "1:8: short: this has to have at least 2 characters"),
    ("short: 12", '1:8: short: expected text, not a number; try `"12"`'),
    ("short: '12'", "1:8: short: this does not have the form [a-z]+"),
    ("name: 1\ncount: x\nfoo: 1\nset: {a: {form: 1}}", None),
]


def complaints(text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        build(File, parse(text, file="m.yaml"))
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("text", "lines"), CASES[:-1])
def test_a_mistake_is_told_in_one_line_at_its_place(text: str, lines: str) -> None:
    """Wrong types, choices, bounds, keys and a model's own words: each is one line, also where many forms are allowed."""
    assert complaints(text) == [f"m.yaml:{line}" for line in lines.splitlines()]


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order() -> None:
    """Nobody has to run it again for the next one."""
    assert [line.split(" ")[0] for line in complaints("name: 1\ncount: x\nfoo: 1\nset: {a: {form: 1}}")] == [
        "m.yaml:1:7:",
        "m.yaml:2:8:",
        "m.yaml:3:1:",
        "m.yaml:4:17:",
    ]


def test_a_part_of_a_document_can_be_built() -> None:
    """Places and paths are those of the whole file."""
    document = parse("a:\n  b:\n    least: x\n    foo: 1\n", file="m.yaml")
    with pytest.raises(ProblemsError) as caught:
        build(Limits, document, at=("a", "b"))
    assert str(caught.value).splitlines() == [
        "m.yaml:3:12: a.b.least: expected a whole number, not text",
        "m.yaml:4:5: a.b: unknown key `foo` (known here: least, most)",
    ]
    assert build(Limits, parse("a: {least: 3}", file="m.yaml"), at=("a",)) == Limits(least=3)


def test_what_is_right_is_built_as_it_stands() -> None:
    """Text is never taken for a number, nor a number for text."""
    text = 'set: {a: "5", b: 5, c: null, d: {form: x}, e: {lookup: {"1": one}}}\ntypes: [create]\npair: [1, {form: x}]'
    built = build(File, parse(text, file="m.yaml"))
    assert built.set == {"a": "5", "b": 5, "c": None, "d": Value(form="x"), "e": Lookup(lookup={"1": "one"})}
    assert built.types == (EventType.CREATE,)
    assert built.pair == (1, Value(form="x"))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(File.model_fields)),
        st.recursive(
            st.one_of(
                st.text("abc?", max_size=4),
                st.integers(),
                st.booleans(),
                st.none(),
                st.floats(allow_nan=False, allow_infinity=False),
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=2),
                st.dictionaries(st.sampled_from(["form", "lookup", "x", "str"]), inner, max_size=2),
            ),
            max_leaves=5,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_stands_in_a_file_there_is_a_model_or_problems_inside_it(data: dict[str, Any]) -> None:
    """No value makes `build` fail otherwise, no value has two sentences for one kind of mistake, none is pydantic's."""
    document = parse(json.dumps(data), file="m.yaml")
    problems = []
    try:
        build(File, document)
    except ProblemsError as error:
        problems = error.problems
    assert len(problems) == len(set(problems))
    for problem in problems:
        assert not any(word in problem.what for word in ("Input should", "valid", "Value error", "field"))


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_every_kind_of_error_that_pydantic_knows_has_words(kind: str) -> None:
    """Also the rare ones say something, and never more than they may."""
    what, hint = words.explain(kind, {}, "hunter2", hidden=True)
    assert what
    assert "hunter2" not in what + hint
