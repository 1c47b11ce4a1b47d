"""What Copernica says in the demonstration, and what has to be in the CRM after it: both written out by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a step does."""

    CALL = "call"
    AGAIN = "again"  # the very same bytes as the call before: a captured call, or an impatient proxy
    FORGED = "forged"  # signed with a key that is not Copernica's
    CRM_DOWN = "crm-down"
    WAIT = "wait"  # until everything that came is delivered


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. `pairs` are the form's; `time` is added, a second later each step unless `late`."""

    what: str
    pairs: Sequence[tuple[str, str]] = ()
    kind: Kind = Kind.CALL
    status: int = 200
    late: int = 0


def _profile(kind: str, profile: int, interests: Sequence[str] = (), **fields: str) -> list[tuple[str, str]]:
    pairs = [("type", kind), ("profile", str(profile)), ("id", str(profile)), ("database", "7616")]
    pairs += [(f"fields[{name.replace('_', ' ')}]", value) for name, value in fields.items()]
    return pairs + [("interests[]", interest) for interest in interests]


def _order(kind: str, order: int, profile: int, **fields: str) -> list[tuple[str, str]]:
    pairs = [("type", kind), ("subprofile", str(order)), ("profile", str(profile)), ("id", "12"), ("collection", "22")]
    return pairs + [(f"fields[{name}]", value) for name, value in fields.items()]


STEPS: Sequence[Step] = (
    Step(
        "Anna is created",
        _profile(
            "create", 1, ["wijn"], email="Anna@Example.com", voornaam="Anna", Achter_naam="de Vries", plaats="Goes"
        ),
    ),
    Step("Bram is created", _profile("create", 2, email="bram@example.com", voornaam="Bram", plaats="Hulst")),
    Step("Chris is created", _profile("create", 3, email="chris@example.com", voornaam="Chris", plaats="Sluis")),
    Step("Anna orders", _order("create", 900, 1, nummer="17", bedrag="1.234,50", status="open")),
    Step("Bram orders", _order("create", 901, 2, nummer="18", bedrag="80,00", status="open")),
    Step(
        "Anna moves, and takes another address",
        _profile(
            "update",
            1,
            ["wijn", "boeken"],
            email="anna@devries.example",
            voornaam="Anna",
            Achter_naam="de Vries",
            plaats="Veere",
            nieuwsbrief="ja",
        ),
    ),
    Step("the same call comes again: a duplicate", kind=Kind.AGAIN),
    Step(
        "somebody forges a call",
        _profile("update", 1, email="mallory@example.com", voornaam="Mallory"),
        kind=Kind.FORGED,
        status=401,
    ),
    Step("all of that is delivered", kind=Kind.WAIT),
    Step("the CRM goes down", kind=Kind.CRM_DOWN),
    Step("Anna pays", _order("update", 900, 1, nummer="17", bedrag="1.234,50", status="betaald")),
    Step("Bram moves", _profile("update", 2, email="bram@example.com", voornaam="Bram", plaats="Axel")),
    Step("Bram moves again", _profile("update", 2, email="bram@example.com", voornaam="Bram", plaats="Zierikzee")),
    Step("Dirk is created", _profile("create", 4, email="dirk@example.com", voornaam="Dirk", plaats="Yerseke")),
    Step("Chris is deleted", [("action", "delete"), ("profile", "3"), ("database", "7616")]),
    Step(
        "an old state of Dirk comes late",
        _profile("update", 4, email="dirk@example.com", voornaam="Dirk", plaats="before"),
        late=600,
    ),
    Step(
        "Bram's order is deleted",
        [("action", "delete"), ("subprofile", "901"), ("profile", "2"), ("collection", "22")],
    ),
)

CONTACTS: Mapping[str, Mapping[str, Any]] = {
    "1": {
        "email": "anna@devries.example",
        "firstname": "Anna",
        "lastname": "de Vries",
        "address": {"city": "Veere"},
        "optin": True,
        "tags": ["boeken", "wijn"],
    },
    "2": {"email": "bram@example.com", "firstname": "Bram", "address": {"city": "Zierikzee"}},
    "4": {"email": "dirk@example.com", "firstname": "Dirk", "address": {"city": "Yerseke"}},
}
"""By Copernica's profile ID."""

DEALS: Mapping[str, Mapping[str, Any]] = {
    "900": {"title": "Order 17", "amount": 1234.5, "stage": "won", "contact": "1"},
    "901": {"title": "Order 18", "amount": 80, "stage": "cancelled", "contact": "2"},
}
"""By Copernica's subprofile ID; `contact` is the profile that the deal is linked to."""
