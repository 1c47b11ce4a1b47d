"""A signing key, a source, and calls signed for it: `signed_request()` makes one that is genuine."""

import base64
from dataclasses import replace
from functools import lru_cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connector.domain.clock import Instant
from connector.domain.keyrecord import Key, KeyAnswer
from connector.domain.request import UnverifiedRequest
from connector.domain.signing import sign
from connector.domain.source import Source

NOW: Instant = 1_769_860_800_000  # 2026-01-31T12:00:00Z
KEY_ID = "one._domainkey.copernica.com"
ACCOUNT = 1234
HOST = "hooks.example.com"
PATH = "/copernica/shop"
BODY = b"type=update&profile=123&database=1&fields%5Bname%5D=Johny"
SOURCE = Source(name="shop", path=PATH, host=HOST, account=ACCOUNT)


def signing_key(bits: int = 2048, which: int = 0) -> rsa.RSAPrivateKey:
    """Return an RSA key, the same one for the same arguments as long as the tests run (making one is slow)."""
    return _made(bits, which)


@lru_cache(maxsize=16)
def _made(bits: int, which: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_base64(key: rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def dkim_text(key: rsa.RSAPrivateKey) -> str:
    return f"v=DKIM1; k=rsa; p={public_base64(key)}"


def find_test_key(key_id: str) -> KeyAnswer:
    """Answer every name with the test key: what `judge` takes as `find_key`."""
    return Key(signing_key().public_key(), key_id)


def signed_request(
    body: bytes = BODY,
    *,
    source: Source = SOURCE,
    target: str | None = None,
    content_type: str | None = "application/x-www-form-urlencoded",
    date: Instant = NOW,
    received_at: Instant | None = None,
    nonce: str | None = "fsd9f2",
    account: int | None = None,
    host: str | None = None,
    key: rsa.RSAPrivateKey | None = None,
    key_id: str = KEY_ID,
    algorithm: str = "rsa-sha256",
    covered: str | None = None,
    extra: tuple[tuple[str, str], ...] = (),
    peer: str = "192.0.2.1",
    secure: bool = True,
) -> UnverifiedRequest:
    """Return a call that is genuine for `source` unless an argument says otherwise; it arrives when it was signed."""
    target = source.path if target is None else target
    headers = sign(
        "POST",
        target,
        [*extra, *([("Content-Type", content_type)] if content_type else [])],
        body,
        key=key or signing_key(),
        key_id=key_id,
        date=date,
        account=account if account is not None else source.account or ACCOUNT,
        nonce=nonce,
        host=host or source.host,
        algorithm=algorithm,
        covered=covered,
    )
    return UnverifiedRequest(
        source.name, "POST", target, tuple(headers), body, date if received_at is None else received_at, peer, secure
    )


def with_header(request: UnverifiedRequest, name: str, value: str | None) -> UnverifiedRequest:
    """Return the call with that header's value replaced (where it stands), or without it."""
    headers = [(key, value if key.lower() == name.lower() else old) for key, old in request.headers]
    return replace(request, headers=tuple((key, new) for key, new in headers if new is not None))


def raw_http(request: UnverifiedRequest) -> bytes:
    """Return the call as it goes over the wire."""
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
    return f"{request.method} {request.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + request.body
