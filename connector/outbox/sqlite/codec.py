"""How calls and accepted states lie in the file: small, and readable by every later version."""

import binascii
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from connector.domain.accepted import HASH_BYTES, Accepted
from connector.domain.clock import Instant
from connector.domain.digest import digest_header
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.outbox.port import OutboxBrokenError

# What calls have in common, most frequent last. Blobs name the dictionary by their first byte: it never changes.
_DICTIONARY = (
    b'["POST","/","host","user-agent","Accept","*/*","Connection","close","Content-Type","application/json",'
    b'"text/xml",'
    b'"X-Forwarded-For","X-Forwarded-Proto","https","X-Real-IP","application/x-www-form-urlencoded","Content-Length",'
    b'"X-Copernica-ID","account-","Date"," GMT","Mon, Tue, Wed, Thu, Fri, Sat, Sun, Jan Feb Mar Apr May '
    b'Jun Jul Aug Sep Oct Nov Dec 2026 2027","Digest","SHA-256=","X-Nonce","Host","Signature",'
    b'"keyId=\\"._domainkey.copernica.com\\",'
    b'algorithm=\\"rsa-sha256\\",headers=\\"(request-target) Host Date Content-length Content-type X-Copernica-ID '
    b'Digest X-nonce\\",signature=\\"==\\""]type=delete&type=create&id=&recipient=&ip=&useragent=&original=&'
    b"tags%5B%5D=&"
    b"interests%5B%5D=&interests%5B=1&=0&created=20&modified=20&subprofile=&collection=&parameters%5B%5D=&"
    b"type=update&profile=&database=&timestamp=20-+%3A00%3A&time=17%40gmail.com%40hotmail.com&%5D=&fields%5B"
)
_VERSION = b"\x01"
_LEARNT = b"\x02"  # and two bytes: the number of a dictionary that was made for such calls
_SAME = frozenset(  # headers that say the same in each call of a source; a value of any other could be about a person
    (
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
        "content-type",
        "x-copernica-id",
        "x-forwarded-proto",
    )
)
_NAME = re.compile(rb"[A-Za-z0-9_.+-]{1,64}")
_LONGEST_NUMBER = 19  # digits
_EMAIL_TYPES = frozenset((b"click", b"open", b"delivery", b"bounce", b"failure", b"failed"))
_GLANCE = 1024  # bytes of the body
_SIGNATURE = 'signature="'
_MOST_NAMES = 500
_as_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What a source's calls have in common, learnt from one of them: names, and never a person's values."""

    number: int
    data: bytes


def kind(request: UnverifiedRequest) -> str:
    """Return what tells forms apart, as far as a glance shows it: it only decides what is learnt.

    It stays in the file, so it holds a form's own numbers and nothing that a field could say of a person.
    """
    begin = b"&" + request.body[:_GLANCE]
    scope = _number(begin, b"&collection=") or _number(begin, b"&database=")
    email = _said(begin, b"&type=")
    return f"{request.source}/{scope}/{email.decode() if email in _EMAIL_TYPES else ''}"


def _said(begin: bytes, name: bytes) -> bytes:
    _, _, rest = begin.rpartition(name)  # a regular expression for the same takes ten times as long
    return rest.partition(b"&")[0]


def _number(begin: bytes, name: bytes) -> str:
    said = _said(begin, name)
    return said.decode() if said.isdigit() and len(said) <= _LONGEST_NUMBER else ""


def learn(request: UnverifiedRequest) -> bytes:
    """Return what further calls like this one will most likely repeat.

    It is as much as names and fixed headers are of a call: a quarter of what has to be kept.
    """
    said = [[name, _fixed(name, value)] for name, value in request.headers]
    names = dict.fromkeys(part.partition(b"=")[0] for part in request.body[: 1 << 16].split(b"&"))
    plain = [name for name in names if _NAME.fullmatch(re.sub(rb"%(5[BbDd]|20|2[FfDd])", b"-", name))]
    head = _as_text([request.method, request.target.partition("?")[0], said])
    return head.encode("utf-8", "surrogateescape") + b"".join(b"&%b=" % name for name in plain[:_MOST_NAMES])


def _fixed(name: str, value: str) -> str:
    if name.lower() == "signature":
        before, _, after = _around_signature(value)
        return before + after if before else ""
    return value if name.lower() in _SAME else ""


def pack_call(request: UnverifiedRequest, signed_at: Instant | None, learnt: Dictionary | None = None) -> bytes:
    """Return method, target, headers and body as one compressed blob."""
    headers, signature = _without_noise(request)
    head = _as_text([request.method, request.target, headers, request.peer, request.secure, signed_at]).encode(
        "utf-8", "surrogateescape"
    )
    begin = _VERSION if learnt is None else _LEARNT + learnt.number.to_bytes(2, "big")
    common = _DICTIONARY if learnt is None else _DICTIONARY + learnt.data
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, common)
    prefix = len(signature).to_bytes(2, "big") + signature
    return begin + prefix + packer.compress(len(head).to_bytes(4, "big") + head + request.body) + packer.flush()


def _without_noise(request: UnverifiedRequest) -> tuple[list[tuple[str, object]], bytes]:
    """Return the headers without what no compression makes smaller, and the signature's bytes.

    A digest that fits the body is null; a signature in plain base64 becomes the two texts around it. Left among the
    rest, such noise would make the rest larger, too.
    """
    headers: list[tuple[str, object]] = []
    signature = b""
    for name, value in request.headers:
        kept: object = value
        if name.lower() == "digest" and value == digest_header(request.body):
            kept = None
        elif name.lower() == "signature" and not signature:
            before, inside, after = _around_signature(value)
            signature = _plain_base64(inside)
            if signature:
                kept = [before, after]
        headers.append((name, kept))
    return headers, signature


def _around_signature(value: str) -> tuple[str, str, str]:
    """Return the header's value in three parts, the middle one being the signature's text."""
    start = value.rfind(_SIGNATURE) + len(_SIGNATURE)
    end = value.find('"', start)
    return ("", "", value) if start < len(_SIGNATURE) or end < 0 else (value[:start], value[start:end], value[end:])


def _plain_base64(text: str) -> bytes:
    """Return the bytes, if nothing but they and the usual alphabet made that text; else none."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError:
        return b""
    return data if len(data) < 1 << 16 and binascii.b2a_base64(data, newline=False).decode() == text else b""


def _with_noise(headers: Sequence[tuple[str, object]], signature: bytes, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers as they came."""
    came = []
    for name, kept in headers:
        if kept is None:
            came.append((name, digest_header(body)))
        elif isinstance(kept, list):
            came.append((name, binascii.b2a_base64(signature, newline=False).decode().join(kept)))
        else:
            came.append((name, str(kept)))
    return tuple(came)


def _no_dictionary(number: int) -> bytes:
    raise ValueError(f"dictionary {number} is missing")


def unpack_call(
    blob: bytes,
    source: str,
    received_at: Instant,
    proof: bytes | None = None,
    *,
    dictionary: Callable[[int], bytes] = _no_dictionary,
) -> VerifiedRequest:
    """Return the call that `pack_call` packed. Raises OutboxBrokenError."""
    try:
        begin, common = 1, _DICTIONARY
        if blob[:1] == _LEARNT:
            begin, common = 3, _DICTIONARY + dictionary(int.from_bytes(blob[1:3], "big"))
        noise = int.from_bytes(blob[begin : begin + 2], "big")
        signature = blob[begin + 2 : begin + 2 + noise]
        begin += 2 + noise
        unpacker = zlib.decompressobj(-15, common)
        data = unpacker.decompress(blob[begin:]) + unpacker.flush()
        length = int.from_bytes(data[:4], "big")
        method, target, headers, peer, secure, signed_at = json.loads(
            data[4 : 4 + length].decode("utf-8", "surrogateescape")
        )
    except (zlib.error, ValueError, TypeError) as error:
        raise OutboxBrokenError(f"a stored call of {source} cannot be read ({error}): the outbox is damaged") from error
    request = UnverifiedRequest(
        source=source,
        method=method,
        target=target,
        headers=_with_noise(headers, signature, data[4 + length :]),
        body=data[4 + length :],
        received_at=received_at,
        peer=peer,
        secure=secure,
    )
    return VerifiedRequest(request, proof, signed_at)


@lru_cache(maxsize=1024)
def pack_shape(paths: tuple[str, ...]) -> str:
    """Return a list of field paths as the name under which it is kept once."""
    return "shape:" + json.dumps(paths, separators=(",", ":"), ensure_ascii=False)


def unpack_accepted(known: int, shape: str, hashes: bytes) -> Accepted:
    """Return what the CRM last accepted."""
    paths = _paths(shape)
    return Accepted(
        known=bool(known),
        hashes={path: hashes[i * HASH_BYTES : (i + 1) * HASH_BYTES] for i, path in enumerate(paths)},
    )


@lru_cache(maxsize=1024)
def _paths(shape: str) -> tuple[str, ...]:
    return tuple(json.loads(shape.removeprefix("shape:")))


def pack_hashes(hashes: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return the shape's name and the hashes in its order."""
    paths = tuple(sorted(hashes))
    return pack_shape(paths), b"".join(hashes[path] for path in paths)
