"""A configured sender: how its calls are proven, and how they are read."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from connector.domain.event import EventType
from connector.domain.limits import DEFAULT_LIMITS, Limits
from connector.domain.record import RecordKind


class Proof(StrEnum):
    """How a source's calls are proven genuine. Everything but COPERNICA is a visible choice, logged at start."""

    COPERNICA = "copernica"  # signed; the key comes from DNS, below copernica.com
    KEY_FILE = "key-file"  # signed; the key comes from a file (tests, private senders)
    SECRET = "secret"  # noqa: S105 - not signed; a shared secret is the last segment of the path
    NONE = "none"  # not signed, nothing asked; only with `addresses`


class Dialect(StrEnum):
    """What the sender speaks."""

    WEBHOOK = "webhook"  # Marketing Suite: a form that names its record
    CALLBACK = "callback"  # Publisher: a JSON or XML document; the source has to say which record `id` means


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One sender's expectations, all pinned.

    `path` is the path below which the source is called, as the public URL has it (prefix included), for example
    `/copernica/shop`; with Proof.SECRET the call's path is `path/SECRET`. `host` is the public host name, with the port
    if the public URL names one. `account` is the number in X-Copernica-ID. `kind` and `scope` say, for a callback, what
    its `id` means. `declined` types cost nothing but the 2xx and a count (S34). `past` and `future` bound the signed
    Date, in seconds. `max_body` is in bytes; `limits` bound what a body may hold.
    """

    name: str
    path: str
    host: str
    proof: Proof = Proof.COPERNICA
    account: int | None = None
    dialect: Dialect = Dialect.WEBHOOK
    kind: RecordKind | None = None
    scope: str | None = None
    database: str | None = None
    secret: str | None = field(default=None, repr=False)
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    require_https: bool = True
    declined: frozenset[EventType] = frozenset()
    past: int = 60
    future: int = 60
    max_body: int = 4 * 1024 * 1024
    limits: Limits = DEFAULT_LIMITS

    @property
    def is_signed(self) -> bool:
        """Whether calls carry a signature, and so a proof that makes a call recognisable (S31)."""
        return self.proof in (Proof.COPERNICA, Proof.KEY_FILE)
