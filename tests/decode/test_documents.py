"""JSON and XML documents are read within bounds, and a value means the same in both."""

import json
from dataclasses import replace
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.decode import decode
from connector.domain.document import Document, DocumentBounds, DocumentError, Interests, gather_interests
from connector.domain.event import NotUnderstood
from connector.domain.jsondocument import parse_json
from connector.domain.limits import Limits
from connector.domain.xmldocument import parse_xml
from tests.decode.calls import FORM, JSON, SHOP, XML, call

BOUNDS = DocumentBounds(size=10_000, items=20, depth=4, number=10, tag=100)


def json_document(text: str | bytes, charset: str = "") -> Document:
    found = parse_json(text if isinstance(text, bytes) else text.encode(), charset)
    assert isinstance(found, Document), found
    return found


def xml_document(text: str | bytes, charset: str = "") -> Document:
    found = parse_xml(text if isinstance(text, bytes) else text.encode(), charset)
    assert isinstance(found, Document), found
    return found


def refusal(found: Document | DocumentError) -> str:
    assert isinstance(found, DocumentError), found
    return found.detail


def test_json_values_are_the_text_that_a_form_would_have() -> None:
    """True is 1, false is 0, null is missing, a number is as it stands, also a very precise one."""
    document = json_document(
        '{"fields": {"a": true, "b": false, "c": null, "d": 1.10, "e": 1e3, "f": 12345678901234567890}}'
    )
    assert document.maps["fields"] == {"a": "1", "b": "0", "d": "1.10", "e": "1e3", "f": "12345678901234567890"}


def test_interests_in_json_come_as_list_map_or_text() -> None:
    """A list, a map and a single name are all understood; null among them is nothing."""
    for text in ('["a", null]', '{"a": true, "c": null}', '"a"', '{"0": "a"}'):
        assert json_document(f'{{"interests": {text}}}').interests == Interests(frozenset({"a"}))
    assert json_document('{"interests": null}').interests is None
    assert json_document('{"interests": []}').interests == Interests()


def test_of_a_repeated_json_field_the_last_counts_and_it_is_noted() -> None:
    """A field that comes twice has its last value; the operator can see that it came twice."""
    document = json_document('{"fields": {"a": "1", "a": "2"}}')
    assert document.maps["fields"] == {"a": "2"}
    assert len(document.notes) == 1


def test_of_a_repeated_xml_field_the_last_counts_and_it_is_noted() -> None:
    """The same in XML."""
    document = xml_document("<p><fields><a>1</a><a>2</a></fields></p>")
    assert document.maps["fields"] == {"a": "2"}
    assert len(document.notes) == 1


def test_half_a_character_is_replaced() -> None:
    """A lone half of a surrogate pair, which nothing can store, becomes U+FFFD; a whole pair is its character."""
    document = json_document(r'{"fields": {"a\ud83d": "x\ud83dy", "b": "\ud83d\ude00"}}')
    assert document.maps["fields"] == {"a\ufffd": "x\ufffdy", "b": "😀"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_documents_are_read_in_every_unicode_encoding(encoding: str) -> None:
    """JSON and XML come in UTF-8 and UTF-16, with a byte order mark or without."""
    assert json_document('{"fields": {"a": "é"}}'.encode(encoding)).maps["fields"] == {"a": "é"}
    assert xml_document("<p><fields><a>é</a></fields></p>".encode(encoding)).maps["fields"] == {"a": "é"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"fields": {"a": NaN}}', "NaN"),
        ('{"fields": {"a": -Infinity}}', "NaN"),
        ('{"id": 12345678901}', "number"),
        ('{"id": 1.2345678901}', "number"),
        ('{"a": [[[["x"]]]]}', "nested deeper than 4"),
        ('{"a": [' + "1," * 20 + "1]}", "more than 20 values"),
        ("[" * 5_000, "nested deeper"),
        ('{"a": {"b"' + ":{" * 2_000, "nested deeper"),
        ('{"fields": [1]}', "not an object"),
        ('{"fields": "x"}', "not an object"),
        ('{"updated": {"a": {}}}', "not text"),
        ('{"interests": [["a"]]}', "not text"),
        ('{"id": 1, "id": 1}', "more than once"),
        ('"x"', "not an object"),
        ("", "not valid JSON"),
        ('{"a": "' + "x" * 10_000 + '"}', "10000 bytes"),
        ('{"a": "\n"}', "not valid JSON"),
        ('{"a": 1} x', "not valid JSON at character 9"),
    ],
)
def test_json_that_is_not_taken_is_refused_with_the_reason(text: str, reason: str) -> None:
    """Each bound and each rule of JSON has its refusal, which says which one it was."""
    assert reason in refusal(parse_json(text.encode(), "", BOUNDS))


def test_signs_within_json_strings_count_for_no_bound() -> None:
    """A text full of commas, brackets and quotes is one value."""
    value = '[{,"\\' * 1_000
    document = parse_json(json.dumps({"fields": {"a": value}}).encode(), "", DocumentBounds(items=20, depth=4))
    assert isinstance(document, Document)
    assert document.maps["fields"]["a"] == value


BILLION_LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><x><id>&i;</id></x>"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BILLION_LAUGHS, "document type"),
        ('<!DOCTYPE x [<!ENTITY a "' + "a" * 1_000 + '">]><x>' + "&a;" * 1_000 + "</x>", "document type"),
        ('<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd"><x/>', "document type"),
        ('<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><x/>', "document type"),
        ("<!DOCTYPE x><x/>", "document type"),
        ("<x>&a;</x>", "not well-formed"),
        ("<x>&#0;</x>", "not well-formed"),
        ("<x>\0</x>", "not well-formed"),
        ("<x>", "not well-formed"),
        ("<x/><y/>", "not well-formed"),
        ("", "not well-formed"),
        ("<x><a><b><c><d/></c></b></a></x>", "nested deeper than 4"),
        ("<x>" * 3_000, "nested deeper than 4"),
        ("<x>" + "<a/>" * 20 + "</x>", "more than 20 elements"),
        ("<x " + 'a="1" ' * 100 + "/>", "tag of more than 100"),
        ("<x " + "".join(f'a{n}=">" ' for n in range(100)) + "/>", "tag of more than 100"),
        ("<x" + "x" * 100 + "/>", "tag of more than 100"),
        ("<x><fields><a><b>1</b></a></fields></x>", "has elements in it"),
        ("<x><interests><a><b/></a></interests></x>", "has elements in it"),
        ("<x><id>1</id><id>1</id></x>", "more than once"),
        ("<x><fields/><fields/></x>", "more than once"),
        ("<x>" + "a" * 10_000 + "</x>", "10000 bytes"),
    ],
)
def test_xml_that_is_not_taken_is_refused_with_the_reason(text: str, reason: str) -> None:
    """Entities, document types, depth, number and size: each has its refusal, which says which one it was."""
    assert reason in refusal(parse_xml(text.encode(), "", BOUNDS))


def test_long_text_in_xml_is_no_long_tag() -> None:
    """A long value, also one full of quotes in CDATA, is not taken for a tag."""
    text = 'it\'s "5" ' * 500
    bounds = DocumentBounds(tag=100)
    for written in (text, f"<![CDATA[{text}]]>", f"<![CDATA[ < {text}]]>"):
        document = parse_xml(f"<x><fields><a>{written}</a></fields></x>".encode(), "", bounds)
        assert isinstance(document, Document), document
        assert document.maps["fields"]["a"].endswith(text)


def test_the_header_goes_before_what_the_xml_says_of_its_encoding() -> None:
    """The header's character set wins over the declaration; a declaration alone counts."""
    body = '<?xml version="1.0" encoding="iso-8859-1"?><x><fields><a>é</a></fields></x>'
    assert xml_document(body.encode("latin-1")).maps["fields"] == {"a": "é"}
    assert xml_document(body.encode("utf-8"), "utf-8").maps["fields"] == {"a": "é"}
    assert xml_document(body.encode("utf-8")).maps["fields"] == {"a": "Ã©"}


@pytest.mark.parametrize(
    ("items", "on", "off"),
    [
        ([(None, "blue"), (None, "red")], {"blue", "red"}, set()),
        ([("blue", "1"), ("red", "0")], {"blue"}, {"red"}),
        (
            [("blue", "Yes"), ("red", "no"), ("green", ""), ("pink", "TRUE"), ("grey", "x")],
            {"blue", "pink", "grey"},
            {"red", "green"},
        ),
        ([(None, "blue"), ("red", "0")], {"blue"}, {"red"}),
        ([(None, "blue"), ("blue", "0")], set(), {"blue"}),
        ([("0", "blue"), ("1", "1")], {"blue", "1"}, set()),
        ([("0", "1"), ("1", "0")], {"0"}, {"1"}),
        ([(None, "")], set(), set()),
        ([], set(), set()),
    ],
)
def test_interests_come_in_two_shapes_and_mixtures(
    items: list[tuple[str | None, str]], on: set[str], off: set[str]
) -> None:
    """List, map and mixture are normalised to those that are on and those named as off."""
    assert gather_interests(items) == Interests(frozenset(on), frozenset(off))


XML_TEXT = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe\uffff"),
    max_size=20,
)


@given(st.dictionaries(XML_TEXT.filter(bool), XML_TEXT, max_size=10))
def test_fields_are_the_same_in_json_and_in_xml(fields: dict[str, str]) -> None:
    """Any name and value, written as JSON and as XML, is read as the same."""
    written = "".join(f"<field name={quoteattr(name)}>{escape(value)}</field>" for name, value in fields.items())
    assert xml_document(f"<x><fields>{written}</fields></x>").maps["fields"] == fields
    assert json_document(json.dumps({"fields": fields})).maps["fields"] == fields


@given(
    st.binary(max_size=200) | st.text("<>&;![]\"'ax/?= -DOCTYPE", max_size=80).map(str.encode),
    st.sampled_from(["", "utf-8", "latin1", "big5"]),
)
def test_any_bytes_can_be_parsed_as_xml(body: bytes, charset: str) -> None:
    """No body makes the XML parser raise."""
    assert isinstance(parse_xml(body, charset, BOUNDS), Document | DocumentError)


@given(
    st.binary(max_size=200) | st.text('{}[]",:\\u0d8NaNtrue1e+ ', max_size=80).map(str.encode),
    st.sampled_from(["", "utf-8", "latin1", "big5"]),
)
def test_any_bytes_can_be_parsed_as_json(body: bytes, charset: str) -> None:
    """No body makes the JSON parser raise, and no text that comes out is impossible to store."""
    found = parse_json(body, charset, BOUNDS)
    assert isinstance(found, Document | DocumentError)
    if isinstance(found, Document):
        for name, value in found.values.items():
            (name + value).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "bound"),
    [
        (b"&".join(b"a%d=1" % n for n in range(101)), FORM, "pairs"),
        (b"type=update&" + b"a" * 65 + b"=1", FORM, "key"),
        (b"type=update&a[1][2][3][4][5]=1", FORM, "nested deeper"),
        (b'{"tags":[' + b"1," * 100 + b"1]}", JSON, "values"),
        (b'{"a":' * 5 + b"1" + b"}" * 5, JSON, "nested deeper"),
        (b"<x>" + b"<a/>" * 101 + b"</x>", XML, "elements"),
        (b"<x>" * 5 + b"</x>" * 5, XML, "nested deeper"),
    ],
)
def test_the_limits_of_a_body_are_the_sources(body: bytes, content_type: str, bound: str) -> None:
    """Names, the length of a name, nesting: each is configured, and what is over it is kept, with the bound named."""
    narrow = replace(SHOP, limits=Limits(keys=100, key_bytes=64, depth=4))
    found = decode(call(body, content_type, source=narrow), narrow)
    assert isinstance(found, NotUnderstood)
    assert bound in found.reason
    wide = decode(call(body, content_type), SHOP)
    assert not isinstance(wide, NotUnderstood) or bound not in wide.reason
