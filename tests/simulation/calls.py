"""What Copernica sends, and how it reaches us: signed again or twice, late, out of order, or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlencode

from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Source
from connector.outbox.port import NewCall
from tests.simulation.kernel import T0

SOURCE = Source(name="shop", path="/shop", host="hooks.example.com", account=1234)


@dataclass(frozen=True, slots=True)
class Call:
    """One webhook call as it was signed. `record` is the record's key; `parent` a subprofile's profile."""

    type: str
    kind: str  # profile, subprofile, recipient
    id: str
    second: int  # of the event, after the beginning
    nonce: str
    fields: dict[str, str] | None = None
    parent: str = ""
    message: str = ""

    @property
    def record(self) -> str:
        scope = {"profile": "1", "subprofile": "2", "recipient": "shop"}[self.kind]
        return f"{self.kind}/{scope}/{self.id}"

    @property
    def rank(self) -> int:
        return (T0 // 1000 + self.second) * 2 + (self.type == "delete")

    @property
    def happening(self) -> tuple[str, ...]:
        """What makes an e-mail event the same in two calls (S31)."""
        return (self.type, self.message, self.id, str(self.second))

    @property
    def proof(self) -> bytes:
        return hashlib.sha256(self.nonce.encode()).digest()

    @property
    def signed_at(self) -> int:
        return T0 + self.second * 1000

    def stored(self, now: int) -> NewCall:
        """The call as the receiver hands it to the outbox."""
        pairs = {"type": self.type, "time": str(T0 // 1000 + self.second)}
        if self.kind == "profile":
            pairs |= {"profile": self.id, "database": "1"}
        elif self.kind == "subprofile":
            pairs |= {"subprofile": self.id, "profile": self.parent, "collection": "2"}
        else:
            pairs |= {"id": self.message, "recipient": self.id}
        pairs |= {f"fields[{name}]": value for name, value in (self.fields or {}).items()}
        request = UnverifiedRequest(
            source="shop",
            method="POST",
            target="/shop",
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
            body=urlencode(pairs).encode(),
            received_at=now,
            peer="127.0.0.1",
            secure=True,
        )
        verified = VerifiedRequest(request, self.proof, self.signed_at)
        return NewCall(verified, now + 30 * 86_400_000)


@dataclass(slots=True)
class Subject:
    """A record at Copernica: how it is there, now."""

    kind: str
    id: str
    parent: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    alive: bool = False
    ever: bool = False
