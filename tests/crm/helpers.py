"""What the tests of the CRM edge share."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.config.model import Destination, SecretRef
from connector.crm.build import build_crm
from connector.crm.port import Association, Write
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import MatchKey, Verb


class FixedClock:
    """A clock that a test moves; `elapsed` runs by itself unless told otherwise."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def elapsed(self) -> int:
        return int(time.monotonic() * 1000)


class OpenGate:
    """Lets everything through, until `limit` requests; remembers the costs."""

    def __init__(self, limit: int = 10_000) -> None:
        self.costs: list[int] = []
        self.limit = limit

    def may_send(self, cost: int) -> bool:
        if len(self.costs) >= self.limit:
            return False
        self.costs.append(cost)
        return True


def secret_of(values: Mapping[str, str]) -> Any:
    def resolve(ref: SecretRef) -> str:
        assert ref.env is not None
        return values[ref.env]

    return resolve


def make(
    preset: str,
    *,
    state: Path,
    secrets: Mapping[str, str] | None = None,
    clock: Any = None,
    presets: Path | None = None,
    **destination: Any,
) -> RestCrm:
    secrets = {"token": "tok-secret-value"} if secrets is None else secrets
    values = {
        "preset": preset,
        "secrets": {name: SecretRef(env=name) for name in secrets},
        **destination,
    }
    return build_crm("test", Destination(**values), secret_of(secrets), state, clock or FixedClock(), presets=presets)


def email(value: str) -> tuple[MatchKey, ...]:
    return (MatchKey("email", value),)


def upsert(object_name: str = "contact", **more: Any) -> Write:
    values: dict[str, Any] = {"id": "w1", "object": object_name, "verb": Verb.UPSERT, "crm_id": None, **more}
    if "full" in values and "changed" not in values:
        values["changed"] = values["full"]
    return Write(**values)


__all__ = ["Association", "FixedClock", "OpenGate", "email", "make", "secret_of", "upsert"]
