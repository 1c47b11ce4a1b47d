"""Asks the judge about a call: `reason(request)` is why it is refused, None when it is proven or kept."""

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from connector.domain import signing
from connector.domain.judgement import Verdict, judge
from connector.domain.keyrecord import KeyAnswer
from connector.domain.request import Refusal, RefusalReason, UnverifiedRequest
from connector.domain.source import Source
from tests.support.signing import BODY, KEY_ID, NOW, PATH, SOURCE, find_test_key, signing_key, with_header


def verdict(request: UnverifiedRequest, source: Source = SOURCE, answer: KeyAnswer | None = None) -> Verdict:
    return judge(request, source, lambda key_id: answer or find_test_key(key_id), now=NOW)


def reason(
    request: UnverifiedRequest, source: Source = SOURCE, answer: KeyAnswer | None = None
) -> RefusalReason | None:
    found = verdict(request, source, answer)
    return found.reason if isinstance(found, Refusal) else None


def header_of(request: UnverifiedRequest, name: str) -> str:
    value = request.header(name)
    assert value is not None
    return value


def resigned(request: UnverifiedRequest, old: str, new: str) -> UnverifiedRequest:
    """Return the call with a part of its Signature header replaced; the part has to be there."""
    signature = header_of(request, "signature")
    assert old in signature
    return with_header(request, "signature", signature.replace(old, new, 1))


def never_asked(key_id: str) -> KeyAnswer:
    raise AssertionError(f"{key_id} was looked up for a call that cheaper checks refuse")


def with_own_account(extra: tuple[tuple[str, str], ...], covered: str | None = None) -> UnverifiedRequest:
    """Sign a call whose X-Copernica-ID is what `extra` says."""
    headers = [("Content-Type", "text/plain"), *extra]
    original = signing.sign(
        "POST", PATH, headers, BODY, key=signing_key(), key_id=KEY_ID, date=NOW, account=1, nonce=None,
        host=SOURCE.host, covered="(request-target) host",
    )  # fmt: skip
    kept = [
        (name, value)
        for name, value in original
        if name != "Signature" and not (name == "X-Copernica-ID" and value == "account-1")
    ]
    return sign_again(kept, covered or "(request-target) Host Date X-Copernica-ID Digest")


def sign_again(
    headers: list[tuple[str, str]], covered: str, *, target: str = PATH, body: bytes = BODY
) -> UnverifiedRequest:
    """Sign these very headers."""
    values = {name.lower(): value.strip(" \t") for name, value in headers}
    text = "\n".join(
        f"{name}: post {target}" if name == "(request-target)" else f"{name}: {values[name]}"
        for name in covered.lower().split()
    )
    signature = base64.b64encode(signing_key().sign(text.encode("latin-1"), padding.PKCS1v15(), hashes.SHA256()))
    value = f'keyId="{KEY_ID}",algorithm="rsa-sha256",headers="{covered}",signature="{signature.decode()}"'
    return UnverifiedRequest("shop", "POST", target, (*headers, ("Signature", value)), body, NOW, "192.0.2.1", True)


def judge_without_key(request: UnverifiedRequest) -> RefusalReason | None:
    found = judge(request, SOURCE, never_asked, now=NOW)
    return found.reason if isinstance(found, Refusal) else None
