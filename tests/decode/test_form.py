"""Forms are read as PHP reads them, but for names that a customer typed."""

import string
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.domain.form import Bounds, Branch, Form, FormError, decode_form

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
Tree = dict[str, "str | Tree"]


def http_build_query(tree: Tree, prefix: str = "") -> str:
    """Encode as PHP's function of that name does: nested keys in percent-encoded brackets, nothing for an empty array."""
    parts = []
    for key, value in tree.items():
        name = f"{prefix}%5B{quote_plus(key, safe='')}%5D" if prefix else quote_plus(key, safe="")
        if isinstance(value, dict):
            parts.append(http_build_query(value, name))
        else:
            parts.append(f"{name}={quote_plus(value, safe='')}")
    return "&".join(part for part in parts if part)


def decoded(body: str | bytes, charset: str = "utf-8") -> Form:
    form = decode_form(body if isinstance(body, bytes) else body.encode("latin-1"), charset)
    assert isinstance(form, Form)
    return form


@given(st.dictionaries(TEXT, TEXT, max_size=30), st.dictionaries(TEXT, TEXT, max_size=10))
def test_what_php_encodes_comes_out_with_the_same_names_and_values(
    fields: dict[str, str], parameters: dict[str, str]
) -> None:
    """Any field name and any value, encoded as http_build_query does, is decoded to exactly that name and value."""
    form = decoded(http_build_query({"fields": dict(fields), "parameters": dict(parameters)}))
    assert form.flat.get("fields", {}) == fields
    assert form.flat.get("parameters", {}) == parameters
    assert form.values == {}


PHP_KEY = st.text(string.ascii_letters + "é ._-", min_size=1, max_size=6).filter(lambda key: key.strip() == key)
TOP_KEY = st.text(string.ascii_letters + "é-", min_size=1, max_size=6).filter(
    lambda key: key not in ("fields", "parameters")
)
NESTED = st.recursive(TEXT, lambda below: st.dictionaries(PHP_KEY, below, min_size=1, max_size=3), max_leaves=8)


@given(st.dictionaries(TOP_KEY, NESTED, max_size=5))
def test_nested_values_come_out_as_php_nested_them(tree: Tree) -> None:
    """Nested arrays under any other name keep their structure."""
    assert decoded(http_build_query(tree)).values == tree


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "iso-8859-1", "gb18030", "shift_jis", "x-martian"]))
def test_any_bytes_can_be_decoded(body: bytes, charset: str) -> None:
    """No body makes the decoder raise, and no text that comes out is impossible to store."""
    form = decode_form(body, charset)
    assert isinstance(form, Form | FormError)
    repr(form).encode()


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("a[b][]=1&a[b][]=2", {"a": {"b": {"0": "1", "1": "2"}}}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b.c d[e=1", {"a_b_c_d_e": "1"}),
        ("a]=1", {"a]": "1"}),
        ("[a]=1", {}),
        ("=1", {}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("&&a=1&&", {"a": "1"}),
        ("a.b c=1", {"a_b_c": "1"}),
        ("a.b[c.d e]=1", {"a_b": {"c.d e": "1"}}),
        ("++a=1", {"a": "1"}),
        ("a=1&a=2", {"a": "2"}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=2&a=1", {"a": "1"}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a[b]c[d]=1", {"a": {"b": "1"}}),
        ("a[b][c=1", {"a": {"b": "1"}}),
        ("a[b[c]]=1", {"a": {"b[c": "1"}}),
        ("a[+]=1", {"a": {"0": "1"}}),
        ("a[+b]=1", {"a": {" b": "1"}}),
        ("a[5]=x&a[]=y&a[05]=z", {"a": {"5": "x", "6": "y", "05": "z"}}),
        ("a[][b]=1&a[][b]=2", {"a": {"0": {"b": "1"}, "1": {"b": "2"}}}),
        ("a%3D=1", {"a=": "1"}),
        ("a=%zz%4", {"a": "%zz%4"}),
        ("a=%2B+%20%2b", {"a": "+  +"}),
        ("a=%255B%%5D", {"a": "%5B%]"}),
    ],
)
def test_other_keys_follow_the_rules_of_php(body: str, values: Tree) -> None:
    """Brackets, dots, spaces, repetition and broken keys come out as PHP's own decoder has them."""
    assert decoded(body).values == values


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("fields[a[b]]=1", {"a[b]": "1"}),
        ("fields[a][b]=1", {"a][b": "1"}),
        ("fields[]=1", {"": "1"}),
        ("fields[a.b c]=1", {"a.b c": "1"}),
        ("fields[a]b=1", {"a": "1"}),
        ("fields[a]=1&fields[a]=2", {"a": "2"}),
        ("fields%5ba%5d=1", {"a": "1"}),
        ("fields[%5b%5d%5D]=1", {"[]]": "1"}),
    ],
)
def test_field_names_are_flat_and_exactly_as_typed(body: str, fields: dict[str, str]) -> None:
    """The name of a field is everything between the first [ and the last ]."""
    assert decoded(body).flat == {"fields": fields}


def test_a_list_can_be_told_from_a_map_of_numbers() -> None:
    """What came from [] is remembered, unless a typed key took its place."""
    branch = decoded("a[]=x&a[7]=y&a[]=z&a[0]=w").values["a"]
    assert isinstance(branch, Branch)
    assert branch == {"0": "w", "7": "y", "8": "z"}
    assert branch.appended == {"8"}


@pytest.mark.parametrize("count", [5_000, 40_000])
def test_thousands_of_fields_arrive_whole(count: int) -> None:
    """A database with 5,000 fields, and many more, is no matter."""
    fields = {f"Veld {number}": f"waarde {number} é" for number in range(count)}
    assert decoded(http_build_query({"fields": dict(fields)})).flat["fields"] == fields


@settings(max_examples=25)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.integers(0, 7))
def test_long_values_are_decoded_as_short_ones_are(text: str, shift: int) -> None:
    """A value that is decoded in pieces is the same, wherever the pieces end."""
    value = "x" * shift + text * (35_000 // len(text))
    assert decoded(f"mime={quote_plus(value)}").values["mime"] == value


@pytest.mark.parametrize("body", ["%" * 70_000, "%4" * 40_000, "a%" * 40_000, "%41%" * 20_000])
def test_broken_escapes_stay_as_they_are(body: str) -> None:
    """A percent sign that begins no escape is itself, in short values and in long ones."""
    assert decoded(f"a={body}").values["a"] == body.replace("%41", "A")


def test_a_bound_that_is_passed_is_named() -> None:
    """A body over a bound is an answer, which says which bound it was."""
    bounds = Bounds(pairs=3, key=10, depth=2)
    assert isinstance(decode_form(b"a=1&b=2&c=3", "", bounds), Form)
    for body, bound in {
        b"a&a&a&a": "pairs",
        b"a[][]=1&a[][]=1&a[][]=1": "pairs",
        b"a" * 11: "key",
        b"a[b][c]=1": "",
        b"a[b][ccc][]=1": "key",
        b"a[][][]=1": "depth",
    }.items():
        result = decode_form(body, "", bounds)
        assert (result.bound if isinstance(result, FormError) else "") == bound, body


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"%E9", "ISO-8859-1", "é"),
        (b"\xe9", "latin1", "é"),
        (b"%80", "iso-8859-1", "€"),
        (b"%A4", "iso-8859-15", "€"),
        (b"%C3%A9", "", "é"),
        (b"%C3%A9", "'UTF-8'", "é"),
        (b"\xc3\xa9", "ascii", "é"),
        (b"%E9", "utf-8", "é"),
        (b"%E9%81", "utf-8", "é\x81"),
        (b"%ED%A0%80", "utf-8", "í\xa0€"),
        (b"%C3%A9", "punycode", "é"),
        (b"%82%A0", "Shift_JIS", "あ"),
    ],
)
def test_the_character_set_of_the_header_counts(raw: bytes, charset: str, text: str) -> None:
    """Named character sets are used; what is not valid in them, and sets that nobody knows, lose nothing."""
    assert decoded(b"a=" + raw, charset).values["a"] == text


def test_an_unknown_character_set_is_noted() -> None:
    """The operator can see that a header names a character set that was not known."""
    assert len(decoded(b"a=1", "x-martian").notes) == 1
    assert decoded(b"a=1", "utf-8").notes == ()
