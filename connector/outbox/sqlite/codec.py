"""How calls and accepted states lie in the file: small, and readable by every later version."""

import json
import zlib
from collections.abc import Mapping, Sequence

from connector.domain.accepted import HASH_BYTES, Accepted
from connector.domain.clock import Instant
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
_as_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def pack_call(request: UnverifiedRequest, signed_at: Instant | None) -> bytes:
    """Return method, target, headers and body as one compressed blob."""
    head = _as_text([request.method, request.target, request.headers, request.peer, request.secure, signed_at]).encode(
        "utf-8", "surrogateescape"
    )
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    prefix = len(head).to_bytes(4, "big")
    return _VERSION + packer.compress(prefix + head + request.body) + packer.flush()


def unpack_call(blob: bytes, source: str, received_at: Instant, proof: bytes | None = None) -> VerifiedRequest:
    """Return the call that `pack_call` packed. Raises OutboxBrokenError."""
    try:
        unpacker = zlib.decompressobj(-15, _DICTIONARY)
        data = unpacker.decompress(blob[1:]) + unpacker.flush()
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
        headers=tuple((name, value) for name, value in headers),
        body=data[4 + length :],
        received_at=received_at,
        peer=peer,
        secure=secure,
    )
    return VerifiedRequest(request, proof, signed_at)


def pack_shape(paths: Sequence[str]) -> str:
    """Return a list of field paths as the name under which it is kept once."""
    return "shape:" + json.dumps(paths, separators=(",", ":"), ensure_ascii=False)


def unpack_accepted(known: int, shape: str, hashes: bytes) -> Accepted:
    """Return what the CRM last accepted."""
    paths = json.loads(shape.removeprefix("shape:"))
    return Accepted(
        known=bool(known),
        hashes={path: hashes[i * HASH_BYTES : (i + 1) * HASH_BYTES] for i, path in enumerate(paths)},
    )


def pack_hashes(hashes: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Return the shape's name and the hashes in its order."""
    paths = sorted(hashes)
    return pack_shape(paths), b"".join(hashes[path] for path in paths)
