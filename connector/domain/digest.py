"""The Digest header (RFC 3230, RFC 5843): does it fit the raw body?"""

import base64
import binascii
import hashlib
import hmac

MAX_VALUES = 16

_ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


class DigestError(ValueError):
    """The header does not fit the body, or cannot be read. `expected` and `found` are the values that differ."""

    def __init__(self, message: str, expected: str = "", found: str = "") -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


def check_digest(value: str, body: bytes) -> None:
    """Raise DigestError unless every SHA-256 and SHA-512 in the header fits, and there is at least one.

    Names are taken in any case; other algorithms in the list are ignored.
    """
    entries = [entry.strip(" \t") for entry in value.split(",")]
    if len(entries) > MAX_VALUES:
        raise DigestError(f"the Digest header lists more than {MAX_VALUES} values")
    known = 0
    for entry in entries:
        name, _, encoded = entry.partition("=")
        algorithm = _ALGORITHMS.get(name.rstrip(" \t").lower())
        if algorithm is None:
            continue
        known += 1
        digest = algorithm(body).digest()
        try:
            given = base64.b64decode(encoded.strip(" \t"), validate=True)
        except (binascii.Error, ValueError):
            raise DigestError("the Digest header is not base64") from None
        if not hmac.compare_digest(given, digest):
            expected = f"{name.upper()}={base64.b64encode(digest).decode()}"
            raise DigestError(f"the body of {len(body)} bytes is not the one that was signed", expected, entry[:200])
    if not known:
        raise DigestError("the Digest header has neither SHA-256 nor SHA-512", "SHA-256 or SHA-512", value[:200])


def digest_header(body: bytes, algorithm: str = "SHA-256") -> str:
    """Return the value of a Digest header for that body. Raises KeyError for an unknown algorithm."""
    return f"{algorithm}={base64.b64encode(_ALGORITHMS[algorithm.lower()](body).digest()).decode()}"
