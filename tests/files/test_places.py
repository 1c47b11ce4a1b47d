"""Every key and value of a file is found where it stands."""

import io
import json
import re
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import ScalarToken

from connector.files.document import Document, parse
from connector.files.lines import KeyPath, Lines, Place

LETTERS = st.characters(
    min_codepoint=0x20, max_codepoint=0x2FFF, exclude_categories=("Cc", "Cs", "Cn", "Co", "Zl", "Zp")
)
TEXT = st.one_of(
    st.sampled_from(
        [
            "NO",
            "0123",
            "1_000",
            "2026-01-31",
            "null",
            "true",
            "~",
            "",
            " ",
            "a: b",
            "a # b",
            "[x]",
            "{{ x }}",
            "- a",
            "'",
            '"',
            "<<",
            "=",
            "+31 6",
            "1e3",
            ".5",
            "0x1f",
            "a\\b",
        ]
    ),
    st.text(LETTERS, max_size=12),
    st.text("ab \n\"'\\.#", max_size=8),
).filter(
    lambda text: not text.startswith(("?", ":"))
)  # the YAML writer of this test forgets the quotes that these need
KEY = st.one_of(
    st.sampled_from(["a", "b-1", "First name", "ß.x", "'", '"', "1", "true", "a#b"]),
    st.text(LETTERS, min_size=1, max_size=8),
).filter(lambda text: not text.startswith(("?", ":")))
NUMBER = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
SCALAR = st.one_of(TEXT, NUMBER, st.booleans())


def nested(scalar: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalar,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEY, inner, max_size=3)),
        max_leaves=12,
    )


def paths(value: Any, path: KeyPath = ()) -> list[tuple[KeyPath, Any]]:
    found: list[tuple[KeyPath, Any]] = [(path, value)] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += paths(inner, (*path, key))
    return found


def yaml_scalars(lines: Lines, place: Place) -> set[str]:
    """What a YAML scanner reads first there, in block and in flow style."""
    found: set[str] = set()
    rest = lines.text[lines.index(place) :]
    for prefix, skipped in (("", 0), ("[", 0), ("x: ", 1), (" " * (place.column - 3) + "- ", 0)):
        try:
            tokens = (token.value for token in YAML(pure=True).scan(prefix + rest) if isinstance(token, ScalarToken))
            found.add(next(islice(tokens, skipped, None)))
        except (YAMLError, StopIteration):
            continue
    return found


@settings(deadline=None)
@given(
    st.dictionaries(KEY, nested(st.one_of(SCALAR, st.none())), min_size=1, max_size=4),
    st.sampled_from([None, True, False]),
)
def test_yaml_is_read_as_it_was_meant_and_every_key_is_where_its_place_says(
    data: dict[str, Any], flow: bool | None
) -> None:
    """What another program writes in block or flow style is read back the same, each key and text at its place."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    writer.width = 10_000
    stream = io.StringIO()
    writer.dump(data, stream)
    text = stream.getvalue()
    document = parse(text, file="x.yaml")
    assert document.data == data
    lines = Lines(text)
    assert set(document.keys) == set(document.values) == {path for path, _ in paths(data)}
    for path, value in paths(data):
        if isinstance(path[-1], str):
            assert path[-1] in yaml_scalars(lines, document.keys[path])
        if isinstance(value, str) and value:
            assert value in yaml_scalars(lines, document.values[path])


class TomlWriter:
    """Writes TOML in all the ways that people do, and notes where it wrote what."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.keys: dict[KeyPath, int] = {}
        self.values: dict[KeyPath, int] = {}

    def choose(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def key(self, path: KeyPath, *, is_value: bool = False) -> None:
        name = path[-1]
        assert isinstance(name, str)
        self.keys.setdefault(path, len(self.text))
        if is_value:
            self.values.setdefault(path, len(self.text))
        forms = [json.dumps(name, ensure_ascii=self.choose(True, False) and all(ord(c) < 0x10000 for c in name))]
        if re.fullmatch("[A-Za-z0-9_-]+", name):
            forms.append(name)
        if "'" not in name and "\n" not in name:
            forms.append(f"'{name}'")
        self.text += self.choose(*forms)

    def pair(self, path: KeyPath, value: Any) -> None:
        self.key(path)
        self.text += self.choose("=", " = ", "\t= ")
        self.value(path, value)

    def value(self, path: KeyPath, value: Any) -> None:
        self.values.setdefault(path, len(self.text))
        if isinstance(value, dict):
            self.text += "{" + self.choose("", " ")
            for number, (key, inner) in enumerate(value.items()):
                self.text += ", " if number else ""
                self.pair((*path, key), inner)
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for number, inner in enumerate(value):
                self.text += self.choose("", " ", "\n  ", " # a ] = comment\n\t")
                self.keys[*path, number] = len(self.text)
                self.value((*path, number), inner)
                self.text += ","
            self.text += self.choose("", "\n") + "]"
        elif isinstance(value, str):
            forms = [json.dumps(value, ensure_ascii=False)]
            if "'" not in value:
                forms.append(f"'''{value}'''" if "\n" in value and value[0] != "\n" else f"'''\n{value}'''")
                if "\n" not in value:
                    forms.append(f"'{value}'")
            if '"""' not in value and not value.endswith('"'):
                escaped = value.replace("\\", "\\\\")
                forms.append(f'"""\n{escaped}"""')
            self.text += self.choose(*forms)
        else:
            self.text += json.dumps(value)

    def is_tables(self, value: Any) -> bool:
        many = value if isinstance(value, list) else [value]
        return bool(many) and all(isinstance(one, dict) for one in many)

    def body(self, path: KeyPath, table: dict[str, Any]) -> None:
        later = []
        for key, value in table.items():
            at = (*path, key)
            if isinstance(value, dict) and value and self.choose(True, False, False):
                for inner_key, inner in value.items():  # dotted
                    self.key(at, is_value=True)
                    self.text += self.choose(".", " . ")
                    self.pair((*at, inner_key), inner)
                    self.text += "\n"
            elif self.is_tables(value) and self.choose(True, False):
                later.append((at, value))
            else:
                self.pair(at, value)
                self.text += self.choose("\n", " # c = 'x\n", "\n\n")
        for at, value in later:
            for number, one in enumerate(value) if isinstance(value, list) else [(None, value)]:
                self.header(at, number)
                self.body(at if number is None else (*at, number), one)

    def header(self, path: KeyPath, number: int | None) -> None:
        self.text += self.choose("", "\n", "# [x]\n") + ("[[" if number is not None else "[")
        walked: KeyPath = ()
        for part in path:
            walked = (*walked, part)
            if isinstance(part, str):
                self.text += "" if len([one for one in walked if isinstance(one, str)]) == 1 else "."
                index = len(self.text)
                self.key(walked, is_value=True)
        if number is not None:
            self.keys[*path, number] = self.values[*path, number] = index
        self.text += ("]]" if number is not None else "]") + "\n"


@settings(deadline=None)
@given(st.data())
def test_toml_is_read_as_it_was_meant_and_every_key_is_where_its_place_says(data: st.DataObject) -> None:
    """In tables, arrays of tables, dotted keys, inline tables and multi-line strings, each place is the written one."""
    tree = data.draw(st.dictionaries(KEY, nested(SCALAR), min_size=1, max_size=4))
    writer = TomlWriter(data.draw)
    writer.body((), tree)
    document = parse(writer.text, file="x.toml")
    assert document.data == tree
    lines = Lines(writer.text)
    assert {path: lines.index(place) for path, place in document.keys.items()} == writer.keys
    assert {path: lines.index(place) for path, place in document.values.items()} == writer.values


@pytest.mark.parametrize("ending", ["yaml", "toml"])
@settings(deadline=None)
@given(text=st.text("ab1.: =,[]{}-#&*!|>%@`'\"\\\n\t?<~é", max_size=60))
def test_whatever_stands_in_a_file_there_is_a_document_or_a_problem_inside_the_file(ending: str, text: str) -> None:
    """No text makes the reader fail otherwise, and no problem points outside the file or in a parser's words."""
    from connector.files.problem import ProblemsError

    try:
        document = parse(text, file=f"x.{ending}")
    except ProblemsError as error:
        lines = Lines(text)
        for problem in error.problems:
            assert lines.place(lines.index(Place(problem.line, problem.column))) == Place(problem.line, problem.column)
            assert not re.search("while |token|namespace|scalar|mapping|at line", problem.what)
    else:
        assert set(document.keys) == {path for path, _ in paths(dict(document.data))}


def at(document: Document, path: KeyPath, offset: int) -> tuple[int, int]:
    problem = document.problem(path, "x", offset=offset)
    return problem.line, problem.column


YAML_TEXTS = """\
plain: a + b
single: 'a + b'
double: "a + b"
escaped: "a \\u002b b"
block: |
  a
  + b
folded: >
  a
  + b
list: [ 'a + b' ]
"""
TOML_TEXTS = """\
basic = "a + b"
literal = 'a + b'
escaped = "a \\u002b b"
block = '''
a
  + b'''
inline = { x = ["a + b"] }
"""


def test_a_mistake_inside_a_value_is_shown_at_its_own_column() -> None:
    """An offset counts from the first character after the quotes, over lines; where text is escaped it stays outside."""
    document = parse(YAML_TEXTS, file="x.yaml")
    assert [at(document, (key,), 2) for key in ("plain", "single", "double")] == [(1, 10), (2, 12), (3, 12)]
    assert at(document, ("escaped",), 2) == (4, 10)
    assert at(document, ("block",), 2) == (7, 3)
    assert at(document, ("block",), 4) == (7, 5)
    assert at(document, ("folded",), 2) == (8, 9)
    assert at(document, ("list", 0), 2) == (11, 12)
    document = parse(TOML_TEXTS, file="x.toml")
    assert [at(document, (key,), 2) for key in ("basic", "literal", "escaped")] == [(1, 12), (2, 14), (3, 11)]
    assert at(document, ("block",), 4) == (6, 3)
    assert at(document, ("inline", "x", 0), 2) == (7, 20)


def test_what_is_not_in_the_file_is_shown_at_its_nearest_ancestor() -> None:
    """A problem with a key that is missing points at the key it is missing in, and names the whole path."""
    document = parse("a:\n  b:\n    - c: 1\n", file="x.yaml")
    assert str(document.problem(("a", "b", 0, "First name"), "is wrong")) == 'x.yaml:3:7: a.b[1]."First name": is wrong'
    assert str(document.problem(("a", "x", "y"), "is wrong")) == "x.yaml:1:1: a.x.y: is wrong"
    assert str(document.problem(("z",), "is wrong")) == "x.yaml:1:1: z: is wrong"
    assert str(document.problem(("a", "b"), "is wrong", at_key=True)) == "x.yaml:2:3: a.b: is wrong"
    assert str(document.problem((), "is wrong")) == "x.yaml:1:1: is wrong"


def test_a_toml_table_is_where_its_own_header_is() -> None:
    """A table that was only implied by a longer header before is shown where it is written itself."""
    document = parse("[a.b]\nx = 1\n[a]\ny = 2\n", file="x.toml")
    assert document.keys["a",] == Place(3, 2)
    assert document.keys["a", "b"] == Place(1, 4)


def test_an_alias_is_a_copy_and_mistakes_in_it_are_shown_where_it_is_written() -> None:
    """`*name` stands for what `&name` marks."""
    document = parse("a: &x\n  b: 1\nc: *x\n", file="x.yaml")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.values["c",] == Place(3, 4)
    assert document.keys["c", "b"] == Place(2, 3)


def test_scalars_without_quotes_are_what_json_says_and_text_otherwise() -> None:
    """`NO`, phone numbers, dates and numbers with zeros in front stay text; so does every key."""
    text = "[NO, yes, 0612, +31, 2026-01-31, 1_000, 0x1F, .5, 1e999, .inf, 1.5, -2, 1e3, True, NULL, ~, 1: 2, null: 3]"
    document = parse(f"v: {text}\n1: one\ntrue: x\n", file="x.yaml")
    assert document.data == {
        "v": [
            "NO",
            "yes",
            "0612",
            "+31",
            "2026-01-31",
            "1_000",
            "0x1F",
            ".5",
            "1e999",
            ".inf",
            1.5,
            -2,
            1000.0,
            True,
            None,
            None,
            {"1": 2},
            {"null": 3},
        ],
        "1": "one",
        "true": "x",
    }


def test_dates_in_toml_are_text() -> None:
    """All data is what JSON can say."""
    document = parse(
        "a = 2026-01-31\nb = 2026-01-31T10:00:00Z\nc = 10:00:00\nd = [2026-01-31 10:00:00]\n", file="x.toml"
    )
    assert document.data == {
        "a": "2026-01-31",
        "b": "2026-01-31T10:00:00+00:00",
        "c": "10:00:00",
        "d": ["2026-01-31T10:00:00"],
    }


def test_lines_may_end_as_on_windows() -> None:
    """CR LF counts as one line break in both formats."""
    assert parse("a: 1\r\nb: 2\r\n", file="x.yaml").keys["b",] == Place(2, 1)
    assert parse("a = 1\r\nb = '''x\r\ny'''\r\nc = 1", file="x.toml").keys["c",] == Place(4, 1)
