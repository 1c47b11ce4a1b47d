"""Is a call genuine? One list of checks, for the door (`judge`) and for people (`explain`).

Everything is judged on what was sent, before anything is parsed (S30). What needs no key comes first, so that a
stranger costs us no look-up. A call whose Date is off goes on to the signature: only a call that is genuine in
everything else says something about the clocks (S33).
"""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Generator
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from connector.domain.clock import SECOND, Instant
from connector.domain.digest import DigestError, check_digest
from connector.domain.keyname import is_below_zone
from connector.domain.keyrecord import Key, KeyAnswer, NoKey, RevokedKey, Silent
from connector.domain.request import Refusal, RefusalReason, UnprovenRequest, UnverifiedRequest, VerifiedRequest
from connector.domain.signature import (
    ALGORITHMS,
    REQUIRED,
    CoverageError,
    Signature,
    SignatureError,
    parse_signature,
    signing_string,
)
from connector.domain.source import Proof, Source

FindKey: TypeAlias = Callable[[str], KeyAnswer]
Verdict: TypeAlias = VerifiedRequest | UnprovenRequest | Refusal

MAX_KEY_ID = 255
MAX_DATE = 64

_ACCOUNT = re.compile(r"(account|environment)[-_]([0-9]{1,20})", re.IGNORECASE)
_PORT = re.compile(r":([0-9]{1,5})$")
_PADDING = padding.PKCS1v15()
_PRINTABLE = re.compile(r"[!-~]+")


class Step(NamedTuple):
    """One check, as a person wants to see it. `ok` is None when nobody can tell now (DNS is silent).

    Of a check that fails, `expected` is what we hold to be right and `found` what the call says. (No dataclass: each
    call makes a dozen, and a tuple is made in a third of the time.)
    """

    name: str
    ok: bool | None
    detail: str = ""
    expected: str = ""
    found: str = ""


class _Failed(Exception):  # noqa: N818 - a verdict on its way out, not an error
    """A check that fails, with the refusal that it means."""

    def __init__(self, name: str, reason: RefusalReason, detail: str, expected: str = "", found: str = "") -> None:
        super().__init__(detail)
        self.step = Step(name, False, detail, expected, found)
        self.reason = reason

    def refusal(self) -> Refusal:
        step = self.step
        both = f" (expected {_shown(step.expected)}, found {_shown(step.found)})" if step.expected or step.found else ""
        return Refusal(self.reason, step.detail + both)


def judge(
    request: UnverifiedRequest, source: Source, find_key: FindKey, *, now: Instant, zone: str = "copernica.com"
) -> Verdict:
    """Return the call as proven, as kept until DNS speaks, or refused for the first reason that there is.

    `now` is the moment that the signed Date is held against: that of arrival, also when a kept call is judged again
    (S32). `find_key` is asked at most once, and only if everything holds that needs no key (the Date excepted). Never
    raises for what a request holds.
    """
    steps = explain(request, source, find_key, now=now, zone=zone)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            verdict: Verdict = end.value
            return verdict


def explain(
    request: UnverifiedRequest, source: Source, find_key: FindKey, *, now: Instant, zone: str = "copernica.com"
) -> Generator[Step, None, Verdict]:
    """Yield each check as it is made, up to the first that fails; the generator's return value is the verdict.

    Only after a Date that is off do the key and the signature follow.
    """
    try:
        yield _address(request, source)
        yield _https(request, source)
        if source.proof is Proof.NONE:
            return VerifiedRequest(request, None, None)
        if source.proof is Proof.SECRET:
            yield _secret(request, source)
            return VerifiedRequest(request, None, None)
        signature, step = _signature_header(request)
        yield step
        yield _algorithm(signature)
        text, step = _coverage(request, signature)
        yield step
        yield _key_id(signature, source, zone)
        yield _account(request, source)
        yield _host(request, source)
        yield _path(request, source)
        yield _digest(request)
        yield _length(request)
        signed_at = _date(request)
    except _Failed as failed:
        yield failed.step
        return failed.refusal()
    late = _window(signed_at, source, now)
    yield Step("date", True) if late is None else late.step
    return (yield from _with_key(request, signature, text, find_key, signed_at, late, now))


def _with_key(
    request: UnverifiedRequest,
    signature: Signature,
    text: bytes,
    find_key: FindKey,
    signed_at: Instant,
    late: _Failed | None,
    now: Instant,
) -> Generator[Step, None, Verdict]:
    proof = hashlib.sha256(text).digest()
    answer = find_key(signature.key_id)
    if isinstance(answer, Silent):
        yield Step("key", None, answer.detail)
        return late.refusal() if late else UnprovenRequest(request, proof, signed_at, signature.key_id)
    try:
        key = _key(answer)
        yield Step("key", True, f"{key.public.key_size} bits, from {key.origin}")
        yield Step("signing string", True, found=text.decode("latin-1"))
        yield _verified(key, signature, text)
    except _Failed as failed:
        yield failed.step
        return (late or failed).refusal()
    if late:
        off_by = round((now - signed_at) / SECOND)
        return Refusal(RefusalReason.DATE, late.refusal().detail, clock_off_by=off_by)
    return VerifiedRequest(request, proof, signed_at)


# ── what the connection says ────────────────────────────────────────────────────────────────────────────────────────


def _address(request: UnverifiedRequest, source: Source) -> Step:
    if not source.addresses:
        if source.proof is Proof.NONE:
            raise _Failed("address", RefusalReason.ADDRESS, "the source proves nothing and names no addresses")
        return Step("address", True, "any")
    allowed = ", ".join(map(str, source.addresses))
    try:
        peer = ipaddress.ip_address(request.peer)
    except ValueError:
        peer = None
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    if peer is None or not any(peer in network for network in source.addresses):
        raise _Failed(
            "address", RefusalReason.ADDRESS, "the caller is not among the source's addresses", allowed, request.peer
        )
    return Step("address", True, str(peer))


def _https(request: UnverifiedRequest, source: Source) -> Step:
    if source.require_https and not request.secure:
        raise _Failed("https", RefusalReason.INSECURE, "the call did not come over HTTPS, as far as we were told")
    return Step("https", True, "" if source.require_https else "not required")


def _secret(request: UnverifiedRequest, source: Source) -> Step:
    base, _, last = request.target.partition("?")[0].rpartition("/")
    if base != source.path.rstrip("/"):
        # the path that was called is not shown: the secret may stand in it
        raise _Failed("path", RefusalReason.PATH, f"the path is not {source.path}/ and the secret")
    given = unquote_to_bytes(last)
    expected = (source.secret or "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(given, expected) or not expected:
        raise _Failed("secret", RefusalReason.SECRET, "the secret in the path is wrong")
    return Step("secret", True)


# ── what the signature says of itself ───────────────────────────────────────────────────────────────────────────────


def _signature_header(request: UnverifiedRequest) -> tuple[Signature, Step]:
    values = request.values.get("signature", ())
    if not values:
        raise _Failed("signature header", RefusalReason.SIGNATURE_MISSING, "there is no Signature header")
    if len(values) > 1:
        raise _malformed(f"there are {len(values)} Signature headers")
    try:
        signature = parse_signature(values[0])
    except SignatureError as error:
        raise _malformed(f"the Signature header cannot be read: {error}") from None
    return signature, Step("signature header", True)


def _malformed(detail: str) -> _Failed:
    return _Failed("signature header", RefusalReason.SIGNATURE_MALFORMED, detail)


def _algorithm(signature: Signature) -> Step:
    if signature.algorithm not in ALGORITHMS:
        raise _Failed(
            "algorithm",
            RefusalReason.ALGORITHM,
            "the signature's algorithm is not one of those that are taken",
            ", ".join(ALGORITHMS),
            signature.algorithm or "none",
        )
    return Step("algorithm", True, signature.algorithm)


def _coverage(request: UnverifiedRequest, signature: Signature) -> tuple[bytes, Step]:
    missing = [name for name in REQUIRED if name not in signature.headers]
    if missing:
        raise _Failed(
            "coverage",
            RefusalReason.COVERAGE,
            f"the signature does not cover {', '.join(missing)}",
            " ".join(REQUIRED),
            " ".join(signature.headers),
        )
    try:
        text = signing_string(request.method, request.target, request.values, signature.headers)
    except CoverageError as error:
        raise _Failed("coverage", RefusalReason.COVERAGE, str(error)) from None
    except SignatureError as error:
        raise _Failed("coverage", RefusalReason.SIGNATURE_MALFORMED, str(error)) from None
    return text, Step("coverage", True, " ".join(signature.headers))


def _key_id(signature: Signature, source: Source, zone: str) -> Step:
    key_id = signature.key_id
    if source.proof is Proof.COPERNICA and not is_below_zone(key_id, zone):
        raise _Failed("key ID", RefusalReason.KEY_ID, "the keyId is not a name below the zone", f"NAME.{zone}", key_id)
    if len(key_id) > MAX_KEY_ID or not _PRINTABLE.fullmatch(key_id):
        raise _Failed("key ID", RefusalReason.KEY_ID, "the keyId is too long, or holds odd characters", found=key_id)
    return Step("key ID", True, key_id)


# ── what was signed ─────────────────────────────────────────────────────────────────────────────────────────────────


def _only(request: UnverifiedRequest, name: str) -> str:
    """Return a header that the coverage check has found to be there exactly once, trimmed as it is signed."""
    return (request.header(name) or "").strip(" \t")


def _account(request: UnverifiedRequest, source: Source) -> Step:
    given = _only(request, "x-copernica-id")
    found = _ACCOUNT.fullmatch(given)
    if source.account is None or found is None or int(found[2]) != source.account:
        expected = "none: the source names no account" if source.account is None else f"account-{source.account}"
        raise _Failed("account", RefusalReason.ACCOUNT, "the call is about another account", expected, given)
    return Step("account", True, given)


def _host(request: UnverifiedRequest, source: Source) -> Step:
    given = _only(request, "host")
    if _plain_host(given, source) != _plain_host(source.host, source):
        raise _Failed("host", RefusalReason.HOST, "the call is for another host", source.host, given)
    return Step("host", True, given)


def _plain_host(host: str, source: Source) -> str:
    """Return the host in lower case, without a port that says nothing."""
    silent = {"443"} if source.require_https else {"443", "80"}
    port = _PORT.search(host)
    return (host[: port.start()] if port and port[1] in silent else host).lower()


def _path(request: UnverifiedRequest, source: Source) -> Step:
    path = request.target.partition("?")[0]
    if path != source.path:
        raise _Failed("path", RefusalReason.PATH, "the call is for another path", source.path, path)
    return Step("path", True, path)


def _digest(request: UnverifiedRequest) -> Step:
    try:
        check_digest(_only(request, "digest"), request.body)
    except DigestError as error:
        raise _Failed("digest", RefusalReason.DIGEST, str(error), error.expected, error.found) from None
    return Step("digest", True)


def _length(request: UnverifiedRequest) -> Step:
    given = [value.strip(" \t") for value in request.values.get("content-length", ())]
    if given and given != [str(len(request.body))]:
        raise _Failed(
            "content-length",
            RefusalReason.DIGEST,
            "Content-Length is not the number of bytes that came",
            str(len(request.body)),
            ", ".join(given),
        )
    return Step("content-length", True, f"{len(request.body)} bytes")


def _date(request: UnverifiedRequest) -> Instant:
    given = _only(request, "date")
    try:
        return _moment(given[:MAX_DATE])
    except (ValueError, TypeError, IndexError, OverflowError):
        raise _Failed(
            "date", RefusalReason.DATE, "the Date header cannot be read", "Sun, 05 Jan 2014 21:31:40 GMT", given
        ) from None


@lru_cache(64)  # calls of one second have one Date
def _moment(date: str) -> Instant:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND


def _window(signed_at: Instant, source: Source, now: Instant) -> _Failed | None:
    off = now - signed_at
    if -source.future * SECOND <= off <= source.past * SECOND:
        return None
    where = "behind" if off > 0 else "ahead of"
    detail = f"the signed Date lies {abs(off) / SECOND:.0f} s {where} our clock"
    limit = f"at most {source.past} s behind, {source.future} s ahead"
    return _Failed("date", RefusalReason.DATE, detail, limit, f"{-off / SECOND:+.0f} s")


# ── the key ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _key(answer: KeyAnswer) -> Key:
    if isinstance(answer, Key):
        return answer
    if isinstance(answer, NoKey | Silent):
        raise _Failed("key", RefusalReason.KEY_UNKNOWN, answer.detail)
    reason = RefusalReason.KEY_REVOKED if isinstance(answer, RevokedKey) else RefusalReason.KEY_WEAK
    raise _Failed("key", reason, answer.detail)


def _verified(key: Key, signature: Signature, text: bytes) -> Step:
    algorithm = ALGORITHMS[signature.algorithm or ""]()
    try:
        key.public.verify(signature.signature, text, _PADDING, algorithm)
    except InvalidSignature:
        hasher = hashes.Hash(algorithm)
        hasher.update(text)
        ours = f"{algorithm.name.upper()} {hasher.finalize().hex()}"
        try:
            signed = key.public.recover_data_from_signature(signature.signature, padding.PKCS1v15(), algorithm)
        except InvalidSignature:
            detail = f"the signature was not made with the key of {key.origin} and {signature.algorithm}"
            raise _Failed("signature", RefusalReason.SIGNATURE, detail) from None
        detail = "the sender signed another string: a signed header or the request line changed on the way"
        theirs = f"{algorithm.name.upper()} {signed.hex()}"
        raise _Failed("signature", RefusalReason.SIGNATURE, detail, ours, theirs) from None
    return Step("signature", True)


def _shown(value: str) -> str:
    """Return what a stranger sent in a form that is safe in a log: short, and without odd characters."""
    return ascii(value if len(value) <= 200 else value[:200] + "...")  # noqa: PLR2004 - a line that people can read
