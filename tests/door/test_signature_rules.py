"""The Signature header: what is read, what is refused, each with its reason."""

from dataclasses import replace

import pytest

from connector.domain.digest import digest_header
from connector.domain.request import RefusalReason as R
from connector.domain.request import VerifiedRequest
from connector.domain.signing import COVERED
from tests.support.judging import header_of, judge_without_key, reason, resigned, verdict
from tests.support.signing import KEY_ID, PATH, signed_request, with_header


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "rsa-sha384", "rsa-sha512"])
def test_rsa_with_sha256_and_better_is_taken(algorithm: str) -> None:
    """rsa-sha256, rsa-sha384 and rsa-sha512 prove a call."""
    assert reason(signed_request(algorithm=algorithm)) is None
    assert reason(resigned(signed_request(algorithm=algorithm), algorithm, algorithm.upper())) is None


def test_header_names_may_be_in_any_case_and_values_surrounded_by_white_space() -> None:
    """Case of names and white space around values change nothing, and make no new proof either."""
    request = signed_request()
    shouted = replace(request, headers=tuple((name.upper(), f" \t{value} ") for name, value in request.headers))
    plain, loud = verdict(request), verdict(shouted)
    assert isinstance(plain, VerifiedRequest)
    assert isinstance(loud, VerifiedRequest)
    assert plain.proof == loud.proof


def test_a_call_without_a_signature_is_refused() -> None:
    """No Signature header, no event."""
    assert reason(with_header(signed_request(), "signature", None)) is R.SIGNATURE_MISSING


def test_two_signature_headers_are_refused() -> None:
    """Nobody can say which one counts."""
    request = signed_request()
    twice = replace(request, headers=(*request.headers, ("signature", header_of(request, "signature"))))
    assert reason(twice) is R.SIGNATURE_MALFORMED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('keyId="', 'keyId="a.copernica.com",keyId="'),
        ('keyId="', 'KEYID="a.copernica.com",keyId="'),
        ('signature="', 'signature="AAAA",signature="'),
        ('headers="', 'headers="date",headers="'),
        (f'keyId="{KEY_ID}",', ""),
        ('signature="', 'signature="!'),
        ('signature="', "signature="),
        ("Digest", "Digest digest"),
        ("Digest", "Digest (created)"),
        ("Digest", "Digest (expires)"),
        ("Digest", 'Di"gest'),
        ('",algorithm', '"algorithm'),
    ],
)
def test_a_signature_header_that_can_be_read_in_two_ways_is_refused(old: str, new: str) -> None:
    """Duplicate, missing and broken parameters, headers named twice, and what an rsa signature cannot cover."""
    assert reason(resigned(signed_request(), old, new)) is R.SIGNATURE_MALFORMED


@pytest.mark.parametrize(
    "algorithm",
    [
        "hs2019",
        "hmac-sha256",
        "hmac-sha512",
        "rsa-sha1",
        "rsa-md5",
        "ecdsa-sha256",
        "ed25519",
        "none",
        "",
        "rsa-sha256 x",
    ],
)
def test_other_algorithms_are_refused_whatever_the_signature(algorithm: str) -> None:
    """Nothing but RSA with SHA-256 and better; above all no hmac, whose secret would be our public key."""
    request = resigned(signed_request(), 'algorithm="rsa-sha256"', f'algorithm="{algorithm}"')
    assert judge_without_key(request) is R.ALGORITHM


def test_a_missing_algorithm_is_refused() -> None:
    """We do not guess what the sender meant."""
    assert reason(resigned(signed_request(), 'algorithm="rsa-sha256",', "")) is R.ALGORITHM


@pytest.mark.parametrize("claimed", ["rsa-sha384", "rsa-sha512"])
def test_an_algorithm_that_lies_is_refused(claimed: str) -> None:
    """A signature made with SHA-256 is not one with another hash, and the other way round."""
    assert reason(resigned(signed_request(), "rsa-sha256", claimed)) is R.SIGNATURE
    assert reason(resigned(signed_request(algorithm=claimed), claimed, "rsa-sha256")) is R.SIGNATURE


@pytest.mark.parametrize("missing", ["(request-target)", "Host", "Date", "X-Copernica-ID", "Digest"])
def test_a_valid_signature_that_covers_less_is_a_forgery(missing: str) -> None:
    """Each of the five required headers has to be covered."""
    covered = COVERED.replace(missing, "").strip()
    assert judge_without_key(signed_request(covered=covered)) is R.COVERAGE


def test_a_signature_without_headers_parameter_covers_only_the_date() -> None:
    """The draft's default for headers= is too little."""
    request = signed_request(covered="date")
    assert reason(resigned(request, ',headers="date"', "")) is R.COVERAGE


@pytest.mark.parametrize(
    "name", ["Host", "Date", "X-Copernica-ID", "Digest", "Content-Type", "X-Nonce", "Content-Length"]
)
def test_a_signed_header_that_is_there_twice_is_refused(name: str) -> None:
    """Also with the same value, in front or behind: nobody can say which one the application will use."""
    request = signed_request()
    again = (name.lower(), header_of(request, name))
    assert reason(replace(request, headers=(*request.headers, again))) is R.COVERAGE
    assert reason(replace(request, headers=(again, *request.headers))) is R.COVERAGE


@pytest.mark.parametrize("name", ["Content-Type", "X-Nonce", "Content-Length", "Digest"])
def test_a_signed_header_that_is_gone_is_refused(name: str) -> None:
    """A header that was signed and did not arrive was taken away."""
    assert reason(with_header(signed_request(), name, None)) is R.COVERAGE


@pytest.mark.parametrize("fold", ["\r\n ", "\n\t", "\r", "\0"])
def test_a_signed_header_folded_over_lines_is_refused(fold: str) -> None:
    """A fold has no one meaning, so nothing that is signed may have one."""
    request = signed_request(extra=(("X-Extra", "one two"),), covered=COVERED + " x-extra")
    assert reason(request) is None
    assert reason(with_header(request, "x-extra", f"one{fold}two")) is R.SIGNATURE_MALFORMED


def test_lines_cannot_be_smuggled_into_the_signing_string() -> None:
    """A value that holds what looks like further signed lines does not stand for them."""
    request = signed_request()
    injected = with_header(request, "content-type", f"x\nx-copernica-id: account-1234\ndigest: {digest_header(b'')}")
    assert reason(injected) is R.SIGNATURE_MALFORMED
    assert reason(replace(request, target=f"{PATH}?a\nhost: x")) is R.SIGNATURE_MALFORMED
    assert reason(replace(request, method="post /x\nget")) is R.SIGNATURE_MALFORMED


def test_the_signature_header_itself_may_be_folded_and_lack_commas() -> None:
    """The form of the vendor's own example."""
    request = signed_request()
    value = header_of(request, "signature")
    folded = (
        value.replace(",headers", ",\r\n   headers")
        .replace('",signature', '"\r\n   signature')
        .replace(" Date", "\n Date")
    )
    assert folded.count("\n") == 3
    assert reason(with_header(request, "signature", folded)) is None


def test_a_signature_header_is_bounded() -> None:
    """Parameters, covered headers and characters each have a limit far above what a sender needs."""
    many = ",".join(f'p{number}="x"' for number in range(40))
    assert reason(resigned(signed_request(), 'keyId="', f'{many},keyId="')) is R.SIGNATURE_MALFORMED
    covered = " ".join(f"x-{number}" for number in range(70))
    assert reason(resigned(signed_request(), "Host", f"Host {covered}")) is R.SIGNATURE_MALFORMED
    assert reason(resigned(signed_request(), 'keyId="', f'p="{"x" * 8192}",keyId="')) is R.SIGNATURE_MALFORMED


def test_unknown_parameters_are_ignored() -> None:
    """created, expires and what a later draft may add say nothing to an rsa signature."""
    assert (
        reason(resigned(signed_request(), 'keyId="', 'created=1402170695,expires="1",opaque="x\\"y",keyId="')) is None
    )
