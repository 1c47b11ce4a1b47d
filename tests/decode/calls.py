"""Makes calls as the door hands them on."""

from connector.domain.clock import SECOND, Instant
from connector.domain.record import RecordKind
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Dialect, Proof, Source

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
XML = "application/xml"
SIGNED_AT: Instant = 1_714_550_401_000  # 2024-05-01 08:00:01 UTC

SHOP = Source(name="shop", path="/shop", host="hooks.example.org")
UNSIGNED = Source(name="unsigned", path="/unsigned", host="hooks.example.org", proof=Proof.SECRET, secret="s")
PROFILES = Source(
    name="profiles",
    path="/callback/profile",
    host="hooks.example.org",
    dialect=Dialect.CALLBACK,
    kind=RecordKind.PROFILE,
    scope="1",
    database="1",
)
SUBPROFILES = Source(
    name="subprofiles",
    path="/callback/subprofile",
    host="hooks.example.org",
    dialect=Dialect.CALLBACK,
    kind=RecordKind.SUBPROFILE,
    scope="2",
    database="1",
)
SOURCES = {source.path: source for source in (SHOP, UNSIGNED, PROFILES, SUBPROFILES)}


def call(
    body: bytes,
    content_type: str | None = FORM,
    *,
    source: Source = SHOP,
    signed_at: Instant | None = SIGNED_AT,
    received_at: Instant = SIGNED_AT + SECOND,
) -> VerifiedRequest:
    headers = () if content_type is None else (("Content-Type", content_type),)
    request = UnverifiedRequest(
        source=source.name,
        method="POST",
        target=source.path,
        headers=headers,
        body=body,
        received_at=received_at,
        peer="192.0.2.1",
        secure=True,
    )
    return VerifiedRequest(request, b"p" * 32 if signed_at else None, signed_at)
