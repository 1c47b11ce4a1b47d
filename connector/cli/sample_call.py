"""A call as Copernica makes it: the body for `connector simulate`."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from connector.domain.clock import SECOND, Instant
from connector.domain.record import RecordKind

FORM = "application/x-www-form-urlencoded"
DUTCH = ZoneInfo("Europe/Amsterdam")

SAMPLE_FIELDS: Mapping[RecordKind, Mapping[str, str]] = {
    RecordKind.PROFILE: {"email": "johny@example.com", "voornaam": "Johny", "achternaam": "de Boer", "optin": "yes"},
    RecordKind.SUBPROFILE: {"order": "2026-0042", "amount": "12.50", "status": "paid"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCall:
    """What is to be said. `profile` is the owner when it is about a subprofile."""

    kind: RecordKind
    type: str
    at: Instant
    database: int = 1
    profile: int = 123
    collection: int = 2
    subprofile: int = 456
    fields: Mapping[str, str] = field(default_factory=dict)
    interests: Sequence[str] = ()

    def form(self) -> bytes:
        """Return it as a Marketing Suite webhook sends it: a form with PHP's brackets."""
        seconds = self.at // SECOND
        stamp = f"{dt.datetime.fromtimestamp(seconds, DUTCH):%Y-%m-%d %H:%M:%S}"
        pairs = [("type", self.type), ("timestamp", stamp), ("time", str(seconds)), ("profile", str(self.profile))]
        if self.kind is RecordKind.SUBPROFILE:
            pairs += [("subprofile", str(self.subprofile)), ("collection", str(self.collection))]
        if self.type == "delete":
            # A delete says which record it was, and nothing of what was in it.
            if self.kind is RecordKind.PROFILE:
                pairs.append(("database", str(self.database)))
            return encode(pairs)
        pairs += [("id", str(self.profile)), ("database", str(self.database)), ("created", stamp), ("modified", stamp)]
        pairs += [(f"parameters[{name}]", value) for name, value in self.fields.items()]
        pairs += [(f"fields[{name}]", value) for name, value in self.fields.items()]
        if self.kind is RecordKind.PROFILE:
            pairs += [("interests[]", interest) for interest in self.interests]
        return encode(pairs)

    def document(self) -> bytes:
        """Return it as a Publisher callback sends it: a JSON document."""
        identity = self.profile if self.kind is RecordKind.PROFILE else self.subprofile
        document = {
            "id": identity,
            "action": self.type,
            "fields": dict(self.fields),
            "interests": list(self.interests),
        }
        return json.dumps(document, ensure_ascii=False).encode()


def encode(pairs: Sequence[tuple[str, str]]) -> bytes:
    """Encode as PHP's http_build_query does."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()
