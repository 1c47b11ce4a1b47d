"""The Signature header (draft-cavage-http-signatures-10/-11), and the string that it signs.

Choices that the draft leaves open, each to the safe side:

- `algorithm` has to be there and has to be `rsa-sha256`, `rsa-sha384` or `rsa-sha512`. `hs2019` says "look at the
  key's metadata", and a DKIM record has none beyond `k=rsa`: we would have to guess between PKCS#1 and PSS. Refused.
- `(created)` and `(expires)` may not be signed with an `rsa-` algorithm (section 2.3), so they are refused as covered
  headers; the parameters of those names, and all unknown ones, are ignored.
- A header that is signed has to be there exactly once: joining several, as the draft does, would let somebody on the
  way move a value from one to another. A name listed twice is refused for the same reason.
- A line fold is white space inside the Signature header (senders fold it). In any other signed header it is refused:
  the draft and HTTP itself disagree on what a folded value is. The server reads folds as a space (RFC 9112, 5.2) before
  they come here, so that such a call is genuine only if a space is what was signed.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives import hashes

ALGORITHMS: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "rsa-sha256": hashes.SHA256,
    "rsa-sha384": hashes.SHA384,
    "rsa-sha512": hashes.SHA512,
}
"""What may be used: PKCS#1 v1.5 with one of these."""

REQUEST_TARGET = "(request-target)"
REQUIRED = (REQUEST_TARGET, "host", "date", "x-copernica-id", "digest")
"""What a signature has to cover. One that is valid but covers less proves nothing of the rest."""

MAX_HEADER = 8192
MAX_PARAMETERS = 32
MAX_COVERED = 64

_SPACE = " \t\r\n"
_NO_SPACE = str.maketrans("", "", _SPACE)
_PARAMETER = re.compile(
    r"""([A-Za-z][A-Za-z0-9_-]*+)[ \t\r\n]*+=[ \t\r\n]*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^ \t\r\n,"=]++))""",
    re.DOTALL,
)
_SEPARATOR = re.compile(r"[ \t\r\n,]++")
_PLAIN = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_UNSIGNABLE = re.compile(r"[\0\r\n]")
_NOT_IN_TARGET = re.compile(r"[\0- \x7f]")


class SignatureError(ValueError):
    """The Signature header cannot be read, or cannot be applied to the call. The message says why."""


class CoverageError(SignatureError):
    """The signature names headers that the call does not have exactly once."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A Signature header, taken apart. `algorithm` is in lower case, None when absent; `headers` are in lower case."""

    key_id: str
    algorithm: str | None
    headers: tuple[str, ...]
    signature: bytes


def parse_signature(value: str) -> Signature:
    """Read the value of a Signature header. Raises SignatureError.

    Takes parameters separated by commas, white space or both, and values folded over lines.
    """
    parameters = _split(value)
    for name in ("keyid", "signature"):
        if not parameters.get(name):
            raise SignatureError(f"the parameter {'keyId' if name == 'keyid' else name} is missing")
    algorithm = parameters.get("algorithm")
    return Signature(
        parameters["keyid"].strip(_SPACE),
        None if algorithm is None else algorithm.strip(_SPACE).lower(),
        _covered(parameters.get("headers", "date")),
        _signature(parameters["signature"]),
    )


def signing_string(method: str, target: str, values: Mapping[str, Sequence[str]], covered: Sequence[str]) -> bytes:
    """Return the bytes that a signature over `covered` (lower case) signs.

    `target` is the path and query exactly as sent, `values` the headers' values by name (lower case); they are trimmed,
    as the vendor's verifier does. Raises CoverageError when a covered header is not there exactly once, SignatureError
    for what cannot be signed soundly.
    """
    lines = []
    for name in covered:
        if name == REQUEST_TARGET:
            if not _FIELD_NAME.fullmatch(method.lower()) or not target or _NOT_IN_TARGET.search(target):
                raise SignatureError("the request line holds characters that it cannot have")
            lines.append(f"{name}: {method.lower()} {target}")
            continue
        there = values.get(name, ())
        if len(there) != 1:
            times = f"is there {len(there)} times" if there else "is not there"
            raise CoverageError(f"the signed header {name} {times}; it has to be there exactly once")
        if _UNSIGNABLE.search(there[0]):
            raise SignatureError(f"the signed header {name} is folded over lines, or holds a NUL")
        lines.append(f"{name}: " + there[0].strip(" \t"))
    try:
        return "\n".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise SignatureError("a signed header or the path holds characters that are no bytes") from None


def _split(value: str) -> Mapping[str, str]:
    """Return the parameters. What stands before the signature is the same in each call of a sender."""
    before, found, after = value.partition(',signature="')
    signature = after[:-1]
    if found and after[-1:] == '"' and _PLAIN.fullmatch(signature) and len(value) <= MAX_HEADER:
        alike = _before_signature(before)
        if "signature" not in alike and len(alike) < MAX_PARAMETERS:
            return {**alike, "signature": signature}
    return _parameters(value)


@lru_cache(64)
def _before_signature(value: str) -> Mapping[str, str]:
    return _parameters(value)


def _parameters(value: str) -> dict[str, str]:
    if len(value) > MAX_HEADER:
        raise SignatureError(f"it is longer than {MAX_HEADER} characters")
    parameters: dict[str, str] = {}
    at, separated = 0, True
    while at < len(value):
        if gap := _SEPARATOR.match(value, at):
            at, separated = gap.end(), True
            continue
        found = _PARAMETER.match(value, at)
        if found is None or not separated:
            raise SignatureError(f'at character {at + 1} there is no parameter of the form name="value"')
        name, quoted, plain = found[1].lower(), found[2], found[3]
        if name in parameters:
            raise SignatureError(f"the parameter {name[:40]} is given twice")
        if len(parameters) == MAX_PARAMETERS:
            raise SignatureError(f"it has more than {MAX_PARAMETERS} parameters")
        value_is_plain = quoted is None or "\\" not in quoted
        parameters[name] = (plain if quoted is None else quoted) if value_is_plain else _ESCAPED.sub(r"\1", quoted)
        at, separated = found.end(), False
    return parameters


@lru_cache(64)  # a sender says the same in each call
def _covered(value: str) -> tuple[str, ...]:
    names = tuple(re.split(f"[{_SPACE}]+", value.strip(_SPACE).lower()))
    if len(names) > MAX_COVERED:
        raise SignatureError(f"it covers more than {MAX_COVERED} headers")
    for name in names:
        if name != REQUEST_TARGET and not _FIELD_NAME.fullmatch(name):
            raise SignatureError(f"headers= names {name[:40]!a}, which cannot be signed with an rsa algorithm")
    if len(set(names)) != len(names):
        raise SignatureError("headers= names a header twice")
    return names


def _signature(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass  # it may be folded over lines: then it goes the slower way
    try:
        return base64.b64decode(value.translate(_NO_SPACE), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("signature= is not base64") from None
