"""What is refused at the door, each with its reason, and what is not (S30-S33)."""

import hashlib
from dataclasses import replace
from ipaddress import ip_network

import pytest

from connector.domain.clock import SECOND
from connector.domain.digest import digest_header
from connector.domain.judgement import explain, judge
from connector.domain.keyrecord import Key, KeyAnswer, NoKey, RevokedKey, Silent, WeakKey
from connector.domain.request import Refusal, RefusalReason, UnprovenRequest, UnverifiedRequest, VerifiedRequest
from connector.domain.source import Proof, Source
from tests.support.judging import judge_without_key, never_asked, reason, sign_again, verdict, with_own_account
from tests.support.signing import (
    BODY,
    KEY_ID,
    NOW,
    PATH,
    SOURCE,
    find_test_key,
    signed_request,
    signing_key,
    with_header,
)

R = RefusalReason


# genuine


def test_a_genuine_call_is_proven_and_known_by_its_signing_string() -> None:
    """The proof is the SHA-256 of what was signed, and the signed Date comes along."""
    request = signed_request()
    text = "\n".join(
        [
            f"(request-target): post {PATH}",
            "host: hooks.example.com",
            "date: Sat, 31 Jan 2026 12:00:00 GMT",
            f"content-length: {len(BODY)}",
            "content-type: application/x-www-form-urlencoded",
            "x-copernica-id: account-1234",
            f"digest: {digest_header(BODY)}",
            "x-nonce: fsd9f2",
        ]
    )
    assert verdict(request) == VerifiedRequest(request, hashlib.sha256(text.encode()).digest(), NOW)


def test_keys_of_1024_bits_are_taken() -> None:
    """The sender's DKIM keys may have 1024 bits."""
    key = signing_key(1024)
    assert reason(signed_request(key=key), answer=Key(key.public_key(), KEY_ID)) is None


@pytest.mark.parametrize(
    "account", ["account-1234", "account_1234", "environment-1234", "environment_1234", "Account-1234", "account-01234"]
)
def test_the_account_is_taken_in_all_its_spellings(account: str) -> None:
    """Kind and number count, not the punctuation."""
    extra = (("X-Copernica-ID", account),)
    assert reason(with_own_account(extra)) is None


def test_the_query_is_signed_as_sent_and_is_no_part_of_the_address() -> None:
    """The path is compared without its query; odd percent-encoding stays as it was sent."""
    assert reason(signed_request(target=f"{PATH}?a=%7e&b=%7E&c=+")) is None
    changed = replace(signed_request(target=f"{PATH}?a=%7e"), target=f"{PATH}?a=%7E")
    assert reason(changed) is R.SIGNATURE


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("hooks.example.com", "HOOKS.Example.com"),
        ("hooks.example.com", "hooks.example.com:443"),
        ("hooks.example.com:443", "hooks.example.com"),
        ("hooks.example.com:8443", "hooks.example.com:8443"),
        ("[2001:db8::1]", "[2001:DB8::1]:443"),
    ],
)
def test_the_host_is_compared_without_case_and_default_port(ours: str, theirs: str) -> None:
    """What means the same host is the same host."""
    assert reason(signed_request(host=theirs), replace(SOURCE, host=ours)) is None


def test_an_empty_body_can_be_genuine() -> None:
    """A call without a body is judged like any other."""
    assert reason(signed_request(b"")) is None


# the same call, and other calls


def test_two_calls_with_equal_bodies_have_two_proofs_and_one_call_sent_twice_has_one() -> None:
    """A call is recognised by its signature's string: a signed nonce makes two of what is otherwise equal."""

    def proof(request: UnverifiedRequest) -> bytes | None:
        found = verdict(request)
        assert isinstance(found, VerifiedRequest)
        return found.proof

    assert proof(signed_request(nonce="a")) == proof(signed_request(nonce="a"))
    assert proof(signed_request(nonce="a")) != proof(signed_request(nonce="b"))
    covered = "(request-target) host date x-copernica-id digest"
    unsigned = signed_request(nonce="a", covered=covered)
    assert proof(unsigned) == proof(with_header(unsigned, "x-nonce", "b"))


# refused: the connection


def test_a_call_without_https_is_refused_unless_the_source_allows_it() -> None:
    """HTTPS is asked for at the edge; a source may do without."""
    assert reason(signed_request(secure=False)) is R.INSECURE
    assert reason(signed_request(secure=False), replace(SOURCE, require_https=False)) is None


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("192.0.2.9", None),
        ("::ffff:192.0.2.9", None),
        ("192.0.3.1", R.ADDRESS),
        ("2001:db8::1", R.ADDRESS),
        ("", R.ADDRESS),
    ],
)
def test_addresses_come_on_top_of_the_signature(peer: str, expected: RefusalReason | None) -> None:
    """With addresses, a call from elsewhere is refused however genuine it is."""
    source = replace(SOURCE, addresses=(ip_network("192.0.2.0/24"),))
    assert reason(signed_request(peer=peer), source) is expected


# refused: whose call it is


@pytest.mark.parametrize(
    "key_id",
    [
        "evilcopernica.com",
        "one.evilcopernica.com",
        "copernica.com.evil.example",
        "copernica.com",
        ".copernica.com",
        "one..copernica.com",
        "one.copernica.com..",
        "one.copernica.org",
        "one.copernica.com/../x",
        "on e.copernica.com",
        "-one.copernica.com",
        "x" * 64 + ".copernica.com",
        ("x" * 60 + ".") * 4 + "copernica.com",
        "öne.copernica.com",
        "one.copernica.com#.example",
        "https://one.copernica.com",
    ],
)
def test_a_key_that_is_not_below_the_vendors_zone_is_refused_without_a_look_up(key_id: str) -> None:
    """Whoever owns another domain signs nothing here."""
    assert judge_without_key(signed_request(key_id=key_id)) is R.KEY_ID


@pytest.mark.parametrize("key_id", ["ONE._domainkey.Copernica.COM", "one.copernica.com.", "a.b.c.d.copernica.com"])
def test_key_names_are_names_as_dns_has_them(key_id: str) -> None:
    """Any case, a trailing dot, any depth."""
    assert reason(signed_request(key_id=key_id)) is None


@pytest.mark.parametrize(
    "account",
    [
        "account-1235",
        "account-12345",
        "account-",
        "1234",
        "account1234",
        "customer-1234",
        "account-1234 x",
        "account-１",
    ],
)
def test_a_call_about_another_account_is_refused(account: str) -> None:
    """The account is pinned: another customer of the vendor has genuine signatures too."""
    if account.isascii():
        assert reason(with_own_account((("X-Copernica-ID", account),))) is R.ACCOUNT
    else:
        assert reason(with_header(signed_request(), "x-copernica-id", account)) is R.SIGNATURE_MALFORMED


def test_a_source_that_pins_no_account_takes_nothing() -> None:
    """Without an account there is nothing to compare, so nothing is let in."""
    assert reason(signed_request(account=1234), replace(SOURCE, account=None)) is R.ACCOUNT


@pytest.mark.parametrize(
    "host", ["other.example.com", "hooks.example.com:8443", "hooks.example.com.", "hooks.example.com:80", ""]
)
def test_a_call_for_another_host_is_refused(host: str) -> None:
    """A call that was made for another receiver is not ours."""
    request = with_header(signed_request(), "host", host)
    assert judge_without_key(request) is R.HOST


@pytest.mark.parametrize(
    "target",
    [
        PATH + "/",
        PATH + "/x",
        "/",
        PATH.upper(),
        "/copernica/sho%70",
        "//copernica/shop",
        f"https://hooks.example.com{PATH}",
        "/copernica/./shop",
    ],
)
def test_a_call_for_another_path_is_refused(target: str) -> None:
    """A genuine call for one source is none for another, and no spelling of a path is taken for another."""
    assert judge_without_key(signed_request(target=target)) is R.PATH


# refused: the body


def test_a_changed_body_is_refused_without_a_look_up() -> None:
    """The Digest is checked before anybody is asked for a key."""
    request = signed_request()
    assert judge_without_key(replace(request, body=BODY.replace(b"123", b"124"))) is R.DIGEST


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (digest_header(BODY, "SHA-512"), None),
        (digest_header(BODY, "sha-256"), None),
        (f"MD5=abc, {digest_header(BODY)}", None),
        (f"{digest_header(BODY)},{digest_header(BODY, 'SHA-512')}", None),
        (f"{digest_header(BODY)},{digest_header(b'x', 'SHA-512')}", R.DIGEST),
        (f"{digest_header(b'x')},{digest_header(BODY)}", R.DIGEST),
        ("MD5=rL0Y20zC+Fzt72VPzMSk2A==", R.DIGEST),
        ("SHA=2jmj7l5rSw0yVb/vlWAYkK/YBwk=", R.DIGEST),
        ("SHA-256=", R.DIGEST),
        ("SHA-256=!", R.DIGEST),
        (digest_header(BODY)[:-5] + "=", R.DIGEST),
        ("", R.DIGEST),
        (",".join([digest_header(BODY)] * 17), R.DIGEST),
    ],
)
def test_every_digest_that_we_know_has_to_fit_and_one_has_to_be_known(
    digest: str, expected: RefusalReason | None
) -> None:
    """SHA-256 and SHA-512 in any case, alone or in a list; others alone prove nothing."""
    headers = [
        ("Host", SOURCE.host),
        ("Date", "Sat, 31 Jan 2026 12:00:00 GMT"),
        ("X-Copernica-ID", "account-1234"),
        ("Digest", digest),
    ]
    assert reason(sign_again(headers, "(request-target) host date x-copernica-id digest")) is expected


@pytest.mark.parametrize("length", ["56", "58", "0", "-57", "57, 57", "", "0x39"])
def test_a_content_length_that_lies_is_refused(length: str) -> None:
    """Also when it is not signed: what came is not what was announced."""
    request = signed_request(covered="(request-target) host date x-copernica-id digest")
    assert reason(request) is None
    assert reason(with_header(request, "content-length", length)) is R.DIGEST


def test_a_chunked_call_has_no_length_and_needs_none() -> None:
    """Without Content-Length, the Digest alone says what the body is."""
    request = signed_request(covered="(request-target) host date x-copernica-id digest")
    assert reason(with_header(request, "content-length", None)) is None


# refused: the date


@pytest.mark.parametrize(
    ("age", "expected"), [(60, None), (61, R.DATE), (-60, None), (-61, R.DATE), (0, None), (86_400 * 365, R.DATE)]
)
def test_the_date_has_a_window_both_ways(age: int, expected: RefusalReason | None) -> None:
    """By default a minute back and a minute ahead."""
    assert reason(signed_request(date=NOW - age * SECOND)) is expected


def test_the_window_is_the_sources() -> None:
    """A source may have a wider or narrower window."""
    source = replace(SOURCE, past=300, future=5)
    assert reason(signed_request(date=NOW - 300 * SECOND), source) is None
    assert reason(signed_request(date=NOW + 6 * SECOND), source) is R.DATE


def test_a_call_that_is_genuine_but_for_its_date_says_how_far_the_clocks_differ() -> None:
    """Positive: the sender's Date lies behind our clock."""
    late = verdict(signed_request(date=NOW - 90 * SECOND))
    early = verdict(signed_request(date=NOW + 3600 * SECOND))
    assert isinstance(late, Refusal)
    assert isinstance(early, Refusal)
    assert (late.reason, late.clock_off_by) == (R.DATE, 90)
    assert (early.reason, early.clock_off_by) == (R.DATE, -3600)


@pytest.mark.parametrize("answer", [NoKey("no"), RevokedKey("no"), WeakKey("no"), Silent("no"), None])
def test_a_forgery_with_an_old_date_says_nothing_about_the_clocks(answer: KeyAnswer | None) -> None:
    """Only a signature that holds proves that the Date is the sender's."""
    old = signed_request(date=NOW - 90 * SECOND)
    if answer is None:
        old = with_header(old, "x-nonce", "other")
    found = verdict(old, answer=answer)
    assert isinstance(found, Refusal)
    assert (found.reason, found.clock_off_by) == (R.DATE, None)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "2026-01-31T12:00:00Z",
        "Sat, 99 Jan 2026 12:00:00 GMT",
        "x" * 9000,
        "Sat, 31 Jan 99999999999 12:00:00 GMT",
        "²",
    ],
)
def test_a_date_that_cannot_be_read_is_refused(date: str) -> None:
    """What is no date is refused, whatever it is."""
    assert judge_without_key(with_header(signed_request(), "date", date)) is R.DATE


# refused: the key


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(NoKey("n"), R.KEY_UNKNOWN), (RevokedKey("n"), R.KEY_REVOKED), (WeakKey("n"), R.KEY_WEAK)],
)
def test_a_key_that_is_not_usable_refuses_the_call(answer: KeyAnswer, expected: RefusalReason) -> None:
    """No key, a revoked one and a weak one are told apart."""
    assert reason(signed_request(), answer=answer) is expected


def test_a_signature_of_another_key_is_refused() -> None:
    """A signature proves something only with the key that its keyId names."""
    assert reason(signed_request(key=signing_key(which=1))) is R.SIGNATURE


# kept


def test_a_call_is_kept_unproven_while_dns_is_silent() -> None:
    """Everything else holds: it is kept, with its proof, its Date and its key's name."""
    request = signed_request()
    proven = verdict(request)
    assert isinstance(proven, VerifiedRequest)
    assert verdict(request, answer=Silent("no answer")) == UnprovenRequest(request, proven.proof or b"", NOW, KEY_ID)


def test_a_kept_call_is_judged_by_its_date_at_arrival() -> None:
    """The caller says which moment counts: with that of arrival, a call proves itself hours later too."""
    request = signed_request(date=NOW - 50 * SECOND, received_at=NOW)
    hours_later = NOW + 3 * 3600 * SECOND
    assert isinstance(judge(request, SOURCE, find_test_key, now=request.received_at), VerifiedRequest)
    assert isinstance(judge(request, SOURCE, find_test_key, now=hours_later), Refusal)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (signed_request(account=1), R.ACCOUNT),
        (signed_request(host="x.example.com"), R.HOST),
        (signed_request(target="/x"), R.PATH),
        (signed_request(key_id="a.example.com"), R.KEY_ID),
        (signed_request(covered="date"), R.COVERAGE),
        (replace(signed_request(), body=b"x"), R.DIGEST),
        (signed_request(date=NOW - 61 * SECOND), R.DATE),
    ],
)
def test_nothing_is_kept_that_fails_without_a_key(request_: UnverifiedRequest, expected: RefusalReason) -> None:
    """DNS that is silent is no way in for what can be refused now."""
    assert reason(request_, answer=Silent("no answer")) is expected


# other ways in


def test_a_key_from_a_file_takes_any_name_and_proves_the_same() -> None:
    """Private senders name their key as they like; all else is as for Copernica."""
    source = replace(SOURCE, proof=Proof.KEY_FILE)
    assert reason(signed_request(key_id="test key 1".replace(" ", "-")), source) is None
    assert reason(signed_request(key_id="with space"), source) is R.KEY_ID
    assert reason(signed_request(key_id="x" * 256), source) is R.KEY_ID
    assert reason(signed_request(account=1), source) is R.ACCOUNT


SECRET = Source(name="old", path="/copernica/old", host="hooks.example.com", proof=Proof.SECRET, secret="s3cr%t/ü")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/copernica/old/s3cr%25t%2F%C3%BC", None),
        ("/copernica/old/s3cr%25t%2f%c3%bc?x=1", None),
        ("/copernica/old/s3cr%25t%2F%C3%BD", R.SECRET),
        ("/copernica/old/", R.SECRET),
        ("/copernica/old", R.PATH),
        ("/copernica/other/s3cr%25t%2F%C3%BC", R.PATH),
        ("/s3cr%25t%2F%C3%BC", R.PATH),
    ],
)
def test_a_secret_in_the_path_is_asked_for_and_never_shown(target: str, expected: RefusalReason | None) -> None:
    """For senders that cannot sign. What was tried is not in the refusal: it may be nearly right."""
    request = UnverifiedRequest("old", "POST", target, (), b"", NOW, "192.0.2.1", True)
    found = judge(request, SECRET, never_asked, now=NOW)
    if expected is None:
        assert found == VerifiedRequest(request, None, None)
    else:
        assert isinstance(found, Refusal)
        assert found.reason is expected
        assert "s3cr" not in found.detail


@pytest.mark.parametrize("secret", [None, ""])
def test_a_source_without_its_secret_lets_nobody_in(secret: str | None) -> None:
    """An empty secret is no secret."""
    request = UnverifiedRequest("old", "POST", "/copernica/old/", (), b"", NOW, "192.0.2.1", True)
    found = judge(request, replace(SECRET, secret=secret), never_asked, now=NOW)
    assert isinstance(found, Refusal)


def test_a_source_without_any_proof_needs_addresses() -> None:
    """Nothing asked means: from these addresses only; without addresses, from nowhere."""
    request = UnverifiedRequest("old", "POST", "/x", (), b"", NOW, "192.0.2.1", True)
    open_ = Source(name="old", path="/x", host="h", proof=Proof.NONE, addresses=(ip_network("192.0.2.0/24"),))
    assert judge(request, open_, never_asked, now=NOW) == VerifiedRequest(request, None, None)
    assert reason(replace(request, peer="192.0.3.1"), open_) is R.ADDRESS
    assert reason(request, replace(open_, addresses=())) is R.ADDRESS
    assert reason(replace(request, secure=False), open_) is R.INSECURE


# what people see


def test_the_explanation_is_the_judgement() -> None:
    """Steps are shown up to the first that fails, and the verdict is the door's own."""
    good = list(explain(signed_request(), SOURCE, find_test_key, now=NOW))
    assert [step.name for step in good] == [
        "address", "https", "signature header", "algorithm", "coverage", "key ID", "account", "host", "path", "digest",
        "content-length", "date", "key", "signing string", "signature",
    ]  # fmt: skip
    assert all(step.ok for step in good)
    bad = list(explain(signed_request(host="other.example.com"), SOURCE, never_asked, now=NOW))
    assert (bad[-1].name, bad[-1].ok) == ("host", False)
    assert (bad[-1].expected, bad[-1].found) == ("hooks.example.com", "other.example.com")


def test_a_signature_over_something_else_shows_both_hashes() -> None:
    """The hash that the sender signed can be read from the signature, so both are shown."""
    request = signed_request()
    sent = list(explain(request, SOURCE, find_test_key, now=NOW))[-2].found
    step = list(explain(with_header(request, "x-nonce", "other"), SOURCE, find_test_key, now=NOW))[-1]
    assert step.found == "SHA256 " + hashlib.sha256(sent.encode()).hexdigest()
    assert step.expected == "SHA256 " + hashlib.sha256(sent.replace("fsd9f2", "other").encode()).hexdigest()


def test_what_a_stranger_sends_cannot_break_our_log() -> None:
    """What is quoted in a refusal is short and printable."""
    found = verdict(with_header(signed_request(), "x-copernica-id", "\x1b[31m" + "é" * 5000))
    assert isinstance(found, Refusal)
    assert found.detail.isprintable()
    assert found.detail.isascii()
    assert len(found.detail) < 1500


def test_every_reason_of_a_refused_signature_is_401() -> None:
    """The caller learns nothing but that it is refused."""
    assert {reason.status for reason in list(R)[6:]} == {401}
