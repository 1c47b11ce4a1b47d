"""Public keys as DKIM TXT records (RFC 6376), and what makes a public key one to trust.

Choices: `v=` may be missing, and stand anywhere, but what says another version is not a DKIM record (SPF and DMARC look
alike). Two different DKIM records under one name are refused: RFC 6376 leaves open which one counts. Tags about mail
(`h`, `s`, `t`, `g`, `n`) say nothing about HTTP and are ignored.
"""

import base64
import binascii
import re
from collections.abc import Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from connector.domain.keyrecord import Key, KeyAnswer, NoKey, RevokedKey, WeakKey

MIN_BITS = 1024
"""The least that is accepted. 2048 would be better, but DKIM keys of 1024 bits are still what senders publish."""
MAX_BITS = 8192
"""The most: a larger key costs more time per call than a stranger should be able to take."""
MAX_RECORD = 16_384
MAX_RECORDS = 64

_SPACE = re.compile(r"[ \t\r\n]+")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def parse_records(records: Iterable[bytes], origin: str) -> KeyAnswer:
    """Return the key in the TXT records of one name, each with its character strings joined. Never Silent."""
    keys = {}
    for count, record in enumerate(records):
        if count == MAX_RECORDS:
            return NoKey(f"{origin} has more than {MAX_RECORDS} TXT records")
        tags = _tags(record)
        if tags is not None:
            keys[tags.get("k", "rsa"), tags["p"]] = tags
    if not keys:
        return NoKey(f"{origin} has no DKIM record")
    if len(keys) > 1:
        return NoKey(f"{origin} has {len(keys)} different DKIM records, so it is not known which one counts")
    ((kind, encoded),) = keys
    return _key(kind, encoded, origin)


def trusted(public: PublicKeyTypes, origin: str) -> Key | WeakKey:
    """Return the key if it is RSA and of a size between MIN_BITS and MAX_BITS."""
    if not isinstance(public, RSAPublicKey):
        return WeakKey(f"the key of {origin} is not RSA")
    if public.key_size < MIN_BITS:
        return WeakKey(f"the key of {origin} has {public.key_size} bits; {MIN_BITS} is the least")
    if public.key_size > MAX_BITS:
        return WeakKey(f"the key of {origin} has {public.key_size} bits; {MAX_BITS} is the most")
    return Key(public, origin)


def _tags(record: bytes) -> dict[str, str] | None:
    """Return the tags of a DKIM key record without white space in the values; None if it is something else."""
    if len(record) > MAX_RECORD:
        return None
    tags: dict[str, str] = {}
    for part in record.decode("latin-1").split(";"):
        name, equals, value = part.strip(" \t\r\n").partition("=")
        name = name.rstrip(" \t\r\n")
        if not name and not equals:
            continue
        if not equals or not _TAG.fullmatch(name) or name in tags:
            return None
        tags[name] = _SPACE.sub("", value)
    if "p" not in tags or tags.get("v", "DKIM1") != "DKIM1":
        return None
    return tags


def _key(kind: str, encoded: str, origin: str) -> KeyAnswer:
    if not encoded:
        return RevokedKey(f"the key of {origin} was revoked (an empty p=)")
    if kind.lower() != "rsa":
        return WeakKey(f"the key of {origin} is not RSA (k={kind[:40]!a})")
    try:
        public = serialization.load_der_public_key(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        return NoKey(f"p= of {origin} is not base64")
    except (ValueError, UnsupportedAlgorithm):
        return NoKey(f"p= of {origin} is not a public key")
    return trusted(public, origin)


def key_record(public: RSAPublicKey) -> str:
    """Return the text of the TXT record that publishes a key (RFC 6376, section 3.6.1)."""
    encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(encoded).decode('ascii')}"
