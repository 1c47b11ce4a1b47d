"""An address is found in a call through any stack of the encodings that people and mail programs use (S28)."""

import base64
import html
import json
import quopri
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from connector.domain.mentions import Needles, addresses, own_addresses, spellings
from connector.domain.request import UnverifiedRequest


def call(body, content_type="application/x-www-form-urlencoded", target="/", headers=()):
    return UnverifiedRequest("shop", "POST", target, (("Content-Type", content_type), *headers), body, 0, "::1", True)


def in_json(text):
    return json.dumps({"x": text}).replace("@", "\\u0040")


def in_xml(text):
    return f"<a b='c'>{html.escape(text).replace('@', '&#x40;')}</a>"


def quoted(text):
    return "Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quopri.encodestring(
        text.encode(), quotetabs=True
    ).decode().replace("@", "=40")


def in_base64(text):
    lines = base64.encodebytes(f"Dear reader, {text}, hello".encode()).decode().replace("\n", "\r\n")
    return f"Content-Transfer-Encoding: base64\r\n\r\n{lines}"


def in_word(text):
    return f"To: =?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


LAYERS = [
    lambda text: f"a=b&c={quote_plus(text)}&d=e",
    lambda text: f"https://example.com/?e={quote(text, safe='')}",
    in_json, in_xml, quoted, in_base64, in_word, str.upper,
    lambda text: f"Some words before, {text}; and after.",
]  # fmt: skip
LOCAL = st.from_regex(r"[a-z0-9]([a-z0-9._+-]{0,8}[a-z0-9])?", fullmatch=True)
ADDRESS = st.builds(
    "{}@{}.{}".format, LOCAL, st.from_regex(r"[a-z]{2,8}", fullmatch=True), st.sampled_from(["nl", "co.uk"])
)


@given(ADDRESS, st.lists(st.sampled_from(LAYERS[:-2] + LAYERS[-1:]), max_size=3))
def test_s28_an_address_is_found_through_three_layers_of_encoding(address, layers):
    """Forms in URLs in JSON, mail parts in forms, and so on, in any order."""
    text = address
    for layer in layers:
        text = layer(text)
    assert Needles([address]).in_call(call(text.encode())) == {address}


@given(ADDRESS, st.sampled_from(["utf-8", "utf-16", "utf-16-le", "latin-1"]))
def test_s28_an_address_is_found_in_any_character_set_and_case(address, charset):
    """Also in UTF-16, where every other byte is empty."""
    body = f"<a>{address.upper()}</a>".encode(charset)
    assert Needles([address]).in_call(call(body, "application/xml")) == {address}


@given(ADDRESS, ADDRESS)
def test_s28_somebody_elses_address_is_not_found(one, other):
    """Unless it is the same."""
    found = Needles([one]).in_call(call(f"email={quote_plus(other)}".encode()))
    assert found == ({one} if one == other else set())


@given(st.binary(max_size=300))
def test_s28_no_body_makes_the_search_fail(body):
    """Whatever was stored can be searched."""
    assert Needles(["a@b.nl"]).in_call(call(body)) <= {"a@b.nl"}
    assert isinstance(own_addresses(call(body)), frozenset)


def test_s28_a_domain_is_recognised_in_both_its_spellings():
    """Unicode, and as DNS has it."""
    assert spellings("Jörg@Müller.nl") == {"jörg@müller.nl", "jörg@xn--mller-kva.nl"}
    assert Needles(["jörg@xn--mller-kva.nl"]).in_text("to jörg@MÜLLER.nl") == {"jörg@xn--mller-kva.nl"}


def test_s28_target_and_headers_are_searched_too():
    """An address can stand in a query as well."""
    needles = Needles(["a+b@x.nl"])
    assert needles.in_call(call(b"", target="/x?e=a%2Bb%40x.nl"))
    assert needles.in_call(call(b"", headers=(("X-Who", "<a+b@x.nl>"),)))


def test_s28_a_records_own_addresses_are_those_of_its_fields_and_parameters():
    """Before and after a change; not those that a message's text names."""
    body = json.dumps({"id": 1, "fields": {"mail": "old@x.nl, second@x.nl"}, "updated": {"mail": "NEW@x.nl"},
                       "parameters": {"by": "by@x.nl"}}).encode()  # fmt: skip
    assert own_addresses(call(body, "application/json")) == {"old@x.nl", "second@x.nl", "new@x.nl", "by@x.nl"}
    bounce = b"type=bounce&recipient=A%40x.nl&mime=From%3A+shop%40firm.nl"
    assert own_addresses(call(bounce)) == {"a@x.nl"}
    assert addresses("no address: a @ b, @x, x@") == frozenset()
