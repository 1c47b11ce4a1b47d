"""Each single-byte change of each signed part does not verify."""

import base64
from dataclasses import replace

import pytest

from connector.domain.judgement import judge
from connector.domain.request import Refusal, UnverifiedRequest, VerifiedRequest
from tests.support.signing import KEY_ID, NOW, PATH, SOURCE, find_test_key, signed_request, with_header

TARGET = f"{PATH}?x=1%2F2"
REQUEST = signed_request(target=TARGET)
SIGNED = ["host", "date", "content-length", "content-type", "x-copernica-id", "digest", "x-nonce"]


def is_refused(request: UnverifiedRequest) -> bool:
    return isinstance(judge(request, SOURCE, find_test_key, now=NOW), Refusal)


def changes(value: str) -> list[str]:
    """Each single-byte change that means something else: one bit, the case bit, one byte gone, one byte more."""
    found = set()
    for at, char in enumerate(value):
        for bit in (1, 0x20, 0x80):
            found.add(value[:at] + chr(ord(char) ^ bit) + value[at + 1 :])
        found.add(value[:at] + value[at + 1 :])
        found.add(value[:at] + "0" + value[at:])
    return sorted(found - {value})


def test_the_call_is_genuine_to_begin_with() -> None:
    """Otherwise the rest would prove nothing."""
    assert isinstance(judge(REQUEST, SOURCE, find_test_key, now=NOW), VerifiedRequest)


@pytest.mark.parametrize("name", SIGNED)
def test_no_byte_of_a_signed_header_can_be_changed(name: str) -> None:
    """White space around a value is trimmed by the signature's own rules; everything else counts."""
    value = REQUEST.header(name)
    assert value
    for changed in changes(value):
        if changed.strip(" \t") != value:
            assert is_refused(with_header(REQUEST, name, changed)), changed


def test_no_byte_of_the_path_or_query_can_be_changed() -> None:
    for changed in changes(TARGET):
        assert is_refused(replace(REQUEST, target=changed)), changed


def test_the_method_cannot_be_changed() -> None:
    """The draft signs it in lower case, so only its case is free."""
    for changed in changes("POST"):
        if changed.lower() != "post":
            assert is_refused(replace(REQUEST, method=changed)), changed


def test_no_byte_of_the_body_can_be_changed() -> None:
    body = REQUEST.body.decode("latin-1")
    for changed in changes(body):
        assert is_refused(replace(REQUEST, body=changed.encode("latin-1"))), changed


def test_no_bit_of_the_signature_can_be_changed() -> None:
    """All 2048 of them."""
    header = REQUEST.header("signature") or ""
    before, _, encoded = header.rpartition('signature="')
    signature = base64.b64decode(encoded.rstrip('"'))
    for at in range(len(signature)):
        for bit in range(8):
            changed = bytearray(signature)
            changed[at] ^= 1 << bit
            value = f'{before}signature="{base64.b64encode(bytes(changed)).decode()}"'
            assert is_refused(with_header(REQUEST, "signature", value))
    for other in (signature[:-1], signature + b"\0", b"\0" + signature, b"", signature * 2):
        value = f'{before}signature="{base64.b64encode(other).decode()}"'
        assert is_refused(with_header(REQUEST, "signature", value))


def test_no_byte_of_the_list_of_signed_headers_can_be_changed() -> None:
    """Leaving one out, naming another, another order: none verifies. Only the case of names is free."""
    header = REQUEST.header("signature") or ""
    covered = header.partition('headers="')[2].partition('"')[0]
    for changed in changes(covered):
        if changed.lower() != covered.lower():
            assert is_refused(with_header(REQUEST, "signature", header.replace(covered, changed))), changed
    names = covered.split()
    for at in range(len(names) - 1):
        swapped = [*names[:at], names[at + 1], names[at], *names[at + 2 :]]
        assert is_refused(with_header(REQUEST, "signature", header.replace(covered, " ".join(swapped))))


def test_the_key_that_is_named_is_the_key_that_is_used() -> None:
    """Another keyId leads to another key, and the signature does not fit it."""
    asked = []

    def find(key_id: str):  # type: ignore[no-untyped-def]
        asked.append(key_id)
        return find_test_key(key_id)

    header = (REQUEST.header("signature") or "").replace(KEY_ID, "two.copernica.com")
    judge(with_header(REQUEST, "signature", header), SOURCE, find, now=NOW)
    assert asked == ["two.copernica.com"]
