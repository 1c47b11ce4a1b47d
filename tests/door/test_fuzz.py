"""Whatever comes in is judged: nothing raises, nothing takes more than its bounds."""

import base64
from dataclasses import replace
from ipaddress import ip_network

from hypothesis import example, given, settings
from hypothesis import strategies as st

from connector.domain.digest import DigestError, check_digest, digest_header
from connector.domain.dkim import parse_records
from connector.domain.judgement import Verdict, explain, judge
from connector.domain.keyname import is_below_zone
from connector.domain.keyrecord import Key, KeyAnswer, NoKey, RevokedKey, Silent, WeakKey
from connector.domain.request import Refusal, UnverifiedRequest, VerifiedRequest
from connector.domain.signature import MAX_COVERED, MAX_HEADER, SignatureError, parse_signature, signing_string
from connector.domain.source import Proof, Source
from connector.keys.file import read_key
from tests.support.signing import BODY, NOW, PATH, SOURCE, dkim_text, find_test_key, signed_request, signing_key

LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
GENUINE = signed_request()
WORDS = [
    "keyId",
    "algorithm",
    "headers",
    "signature",
    "=",
    '"',
    "\\",
    ",",
    " ",
    "\r\n ",
    "(request-target)",
    "date",
    "A",
    "é",
    "1",
]
HEADERISH = st.one_of(
    LATIN,
    st.lists(st.sampled_from(WORDS), max_size=60).map("".join),
    st.builds(
        lambda at, cut, more: (GENUINE.header("signature") or "")[: at % 600] + more + (GENUINE.header("signature") or "")[(at + cut) % 600 :],
        st.integers(0, 600), st.integers(0, 9), LATIN,
    ),
)  # fmt: skip


@given(HEADERISH)
@example('"' * 8192)
@example("\\" * 8192)
@example('a="' + '\\"' * 4000)
@example("a" * 8192)
@example("a =" * 2700)
@example(" " * 8192 + "x")
@example("a=b," * 2048)
@settings(max_examples=500, deadline=None)
def test_any_signature_header_is_read_or_refused(value: str) -> None:
    """And what is read keeps to its bounds."""
    try:
        signature = parse_signature(value)
    except SignatureError:
        pass
    else:
        assert len(value) <= MAX_HEADER
        assert 0 < len(signature.headers) <= MAX_COVERED
        assert len(set(signature.headers)) == len(signature.headers)


@given(
    st.permutations(["keyId", "algorithm", "headers", "signature"]),
    st.lists(st.sampled_from([",", " ", ", ", "\r\n\t", " ,\n "]), min_size=5, max_size=5),
    st.sampled_from(["=", " = ", "= ", "\n ="]),
    st.binary(min_size=1, max_size=300),
)
def test_parameters_are_read_in_any_order_and_with_any_separator(
    order: list[str], separators: list[str], equals: str, signature: bytes
) -> None:
    """Commas, white space and folds separate; the order says nothing."""
    values = {
        "keyId": "one.copernica.com",
        "algorithm": "rsa-sha256",
        "headers": "(request-target) Host",
        "signature": base64.b64encode(signature).decode(),
    }
    text = separators[0] + "".join(
        f'{name}{equals}"{values[name]}"{separator}' for name, separator in zip(order, separators[1:], strict=True)
    )
    found = parse_signature(text)
    assert (found.key_id, found.algorithm, found.headers, found.signature) == (
        "one.copernica.com", "rsa-sha256", ("(request-target)", "host"), signature,
    )  # fmt: skip


RECORD = dkim_text(signing_key()).encode()
RECORDISH = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"v=DKIM1", b"p=", b"k=rsa", b";", b" ", b"=", b"AAAA", b"MII", b"\r\n", b"\xff"]), max_size=30).map(b"".join),
    st.builds(
        lambda at, cut, more: RECORD[:at] + more + RECORD[at + cut :],
        st.integers(0, len(RECORD)), st.integers(0, 9), st.binary(max_size=5),
    ),
)  # fmt: skip


@given(st.lists(RECORDISH, max_size=4))
@settings(max_examples=500, deadline=None)
def test_any_txt_record_is_read_or_refused(records: list[bytes]) -> None:
    """And no key under 1024 bits ever comes out."""
    answer = parse_records(records, "fuzz")
    assert isinstance(answer, Key | NoKey | RevokedKey | WeakKey)
    if isinstance(answer, Key):
        assert 1024 <= answer.public.key_size <= 8192


@given(st.binary(max_size=400) | RECORDISH.map(lambda text: b"-----BEGIN PUBLIC KEY-----\n" + text))
@settings(deadline=None)
def test_any_key_file_is_read_or_refused(text: bytes) -> None:
    """A damaged file is no crash."""
    assert isinstance(read_key(text, "fuzz"), Key | NoKey | RevokedKey | WeakKey)


@given(LATIN, st.binary(max_size=50))
def test_any_digest_is_checked_or_refused(value: str, body: bytes) -> None:
    """Only what fits passes, and what fits passes."""
    try:
        check_digest(value, body)
    except DigestError:
        check_digest(digest_header(body), body)
    else:
        assert digest_header(body)[8:] in value or digest_header(body, "SHA-512")[8:] in value


@given(st.text(max_size=300), st.sampled_from(["copernica.com", "", ".", "com"]))
def test_any_name_is_below_a_zone_or_not(name: str, zone: str) -> None:
    """And what is below it is safe to ask for and to log."""
    if is_below_zone(name, zone):
        assert name.isascii()
        assert name.isprintable()
        assert " " not in name


MUTATION = st.tuples(st.integers(0, len(GENUINE.headers) - 1), st.integers(0, 3), HEADERISH)


SOURCES = st.builds(
    lambda proof, addresses, https: replace(SOURCE, proof=proof, addresses=addresses, require_https=https, secret="s"),
    st.sampled_from(list(Proof)),
    st.sampled_from([(), (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))]),
    st.booleans(),
)
ANSWERS = st.sampled_from([None, None, NoKey("n"), RevokedKey("r"), WeakKey("w"), Silent("s")])


def judged(request: UnverifiedRequest, source: Source, answer: KeyAnswer | None = None) -> Verdict:
    def find(key_id: str) -> KeyAnswer:
        assert key_id.isascii()
        return answer or find_test_key(key_id)

    return judge(request, source, find, now=NOW)


@given(
    st.lists(MUTATION, max_size=4),
    st.none() | LATIN | st.sampled_from([f"{PATH}/s", f"{PATH}/x", f"{PATH}?q"]),
    st.none() | st.binary(max_size=50),
    LATIN | st.sampled_from(["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:db9::1"]),
    st.integers(-200, 200),
    SOURCES,
    ANSWERS,
)
@settings(max_examples=1000, deadline=None)
def test_any_mutated_call_is_judged(
    mutations: list[tuple[int, int, str]],
    target: str | None,
    body: bytes | None,
    peer: str,
    age: int,
    source: Source,
    answer: KeyAnswer | None,
) -> None:
    """Headers replaced, added, doubled and dropped, other targets, bodies, dates, keys: a verdict, never an exception."""
    headers = list(GENUINE.headers)
    for where, how, value in mutations:
        at = where % (len(headers) or 1)
        if how == 0 and headers:
            headers[at] = (headers[at][0], value)
        elif how == 1 and headers:
            headers.insert(at, (headers[at][0], value))
        elif how == 2 and headers:
            del headers[at]
        else:
            headers.append((value, value))
    request = replace(
        GENUINE,
        headers=tuple(headers),
        target=GENUINE.target if target is None else target,
        body=BODY if body is None else body,
        peer=peer,
    )
    if not mutations and age:
        request = signed_request(date=NOW - age * 1000, source=source)
    found = judged(request, source, answer)
    if isinstance(found, Refusal):
        assert len(found.detail) < 3000
        assert found.detail.isprintable()
    assert sum(1 for _ in explain(request, source, find_test_key, now=NOW)) <= 15
    if mutations and source.is_signed and isinstance(found, VerifiedRequest):
        signed = GENUINE.header("signature") or ""
        covered = parse_signature(signed).headers
        ours = signing_string(GENUINE.method, GENUINE.target, GENUINE.values, covered)
        assert signing_string(request.method, request.target, request.values, covered) == ours
        assert request.body == GENUINE.body


@given(
    st.binary(max_size=2000),
    st.text(st.sampled_from("abcxyz%2F/?&=+é"), max_size=30),
    st.none() | st.text(st.sampled_from("abc019-"), min_size=1, max_size=20),
    st.lists(
        st.tuples(st.sampled_from(["X-A", "X-B", "Accept"]), LATIN.filter(lambda v: not set(v) & set("\r\n\0"))),
        max_size=3,
    ),
)
@settings(deadline=None)
def test_every_call_that_is_signed_soundly_is_genuine(
    body: bytes, query: str, nonce: str | None, extra: list[tuple[str, str]]
) -> None:
    """Any body, any query, any further headers."""
    request = signed_request(body, target=f"{SOURCE.path}?{query}", nonce=nonce, extra=tuple(extra))
    assert isinstance(judged(request, SOURCE), VerifiedRequest)
