"""A call on its way through the door. What is not proven genuine cannot go on as an event, by type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from connector.domain.clock import Instant
from connector.domain.frozen import frozen


@frozen()
class UnverifiedRequest:
    """A call as it came in: the raw bytes and what the connection says of them.

    `target` is the path and query exactly as sent (percent-encoding untouched). `headers` are all of them, in order,
    with the names as sent, values decoded as latin-1. `peer` is the address of the caller (behind a trusted proxy: what
    the proxy says). `secure` tells whether it came over HTTPS as far as we can know.
    """

    source: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: Instant
    peer: str
    secure: bool
    _values: Mapping[str, Sequence[str]] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def values(self) -> Mapping[str, Sequence[str]]:
        """Return the headers' values by name, which is in lower case."""
        found = self._values
        if found is None:
            found = by_name(self.headers)
            object.__setattr__(self, "_values", found)  # a call is asked for a dozen of them
        return found

    def header(self, name: str) -> str | None:
        """Return the value of the only header of that name (any case); None when absent or given more than once."""
        values = self.values.get(name.lower(), ())
        return values[0] if len(values) == 1 else None


def by_name(headers: Sequence[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    """Return headers' values by name, which is in lower case."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    return values


@frozen()
class VerifiedRequest:
    """A call that was proven genuine, or comes from a source that is trusted by other means.

    `proof` identifies the call itself, not its content (S31): the SHA-256 of the signing string; None for a source
    without signatures, whose calls are never taken for one another. `signed_at` is the signed Date header.
    """

    request: UnverifiedRequest
    proof: bytes | None
    signed_at: Instant | None


@dataclass(frozen=True, slots=True)
class UnprovenRequest:
    """A call for which everything holds that needs no key, while DNS does not give the key (S32)."""

    request: UnverifiedRequest
    proof: bytes
    signed_at: Instant
    key_id: str


class RefusalReason(StrEnum):
    """Why a call was refused. The log says it; the caller is only given the status that goes with it."""

    METHOD = "method"  # 405
    SOURCE = "source"  # 404: no such source
    TOO_LARGE = "too-large"  # 413
    BROKEN_HTTP = "broken-http"  # 400
    CONTENT_TYPE = "content-type"  # 415, sources without signature only
    CONTENT = "content"  # 400, sources without signature only
    INSECURE = "insecure"  # 401 from here on
    ADDRESS = "address"
    SECRET = "secret"  # noqa: S105 - a reason, not a secret
    SIGNATURE_MISSING = "signature-missing"
    SIGNATURE_MALFORMED = "signature-malformed"
    ALGORITHM = "algorithm"
    COVERAGE = "coverage"
    DIGEST = "digest"
    ACCOUNT = "account"
    HOST = "host"
    PATH = "path"
    DATE = "date"
    KEY_ID = "key-id"
    KEY_UNKNOWN = "key-unknown"
    KEY_REVOKED = "key-revoked"
    KEY_WEAK = "key-weak"
    SIGNATURE = "signature"

    @property
    def status(self) -> int:
        """The HTTP status that the caller gets."""
        return _STATUS.get(self, 401)


_STATUS = {
    RefusalReason.METHOD: 405,
    RefusalReason.SOURCE: 404,
    RefusalReason.TOO_LARGE: 413,
    RefusalReason.BROKEN_HTTP: 400,
    RefusalReason.CONTENT_TYPE: 415,
    RefusalReason.CONTENT: 400,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that is not taken. `detail` is for our log only: it names both values that differ, no personal data."""

    reason: RefusalReason
    detail: str
    clock_off_by: int | None = None  # seconds; only for a call that is genuine but for its Date (S33)
