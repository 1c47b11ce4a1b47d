"""Tryton 8.2, a real ERP, as the CRM: by a preset file and mapping files alone."""

import base64
import json
from pathlib import Path
from typing import Any

from connector.config.model import Destination, SecretRef
from connector.crm.build import build_crm
from connector.crm.port import Write
from connector.domain.change import MatchKey, Verb
from connector.domain.delivery import DeliveryState
from connector.domain.outcome import OutcomeKind
from connector.process.clock import SystemClock
from tests.real.servers import Running
from tests.support.installation import Installation

PRESETS = Path(__file__).parent / "presets"


def found(server: Running, model: str, name: str, value: str, *fields: str) -> list[dict[str, Any]]:
    """Search Tryton itself."""
    domain = base64.urlsafe_b64encode(json.dumps([[name, "=", value]]).encode()).decode()
    answer = server.ask("GET", f"/rest/model/{model}", params={"d": domain, "f": list(fields)})
    answer.raise_for_status()
    return list(answer.json())


def party(server: Running, code: str) -> list[dict[str, Any]]:
    return found(server, "party.party", "code", code, "name", "code", "email")


def opportunity(server: Running, number: int) -> list[dict[str, Any]]:
    return found(server, "sale.opportunity", "reference", f"O{number}", "description", "amount", "party.code")


def test_records_are_made_changed_linked_and_erased(tryton: Running, to_tryton: Installation) -> None:
    """A profile becomes a party, its order an opportunity of that party; changes and deletions arrive."""
    to_tryton.profile("create", 1, naam="Anna de Vries", email="Anna@Example.com ")
    to_tryton.subprofile("create", 901, 1, nummer="17", bedrag="1.234,50")
    to_tryton.drain()
    (anna,) = party(tryton, "C1")
    assert (anna["name"], anna["email"]) == ("Anna de Vries", "anna@example.com")
    (order,) = opportunity(tryton, 901)
    assert order["description"] == "Order 17"
    assert order["amount"]["decimal"] == "1234.5"
    assert order["party"]["code"] == "C1"

    to_tryton.profile("update", 1, naam="Anna Bakker", email="anna@example.com")
    to_tryton.subprofile("update", 901, 1, nummer="17", bedrag="99,00")
    to_tryton.drain()
    (changed,) = party(tryton, "C1")
    assert (changed["id"], changed["name"]) == (anna["id"], "Anna Bakker")
    assert opportunity(tryton, 901)[0]["amount"]["decimal"] in ("99", "99.0")

    to_tryton.subprofile("delete", 901, 1)
    to_tryton.profile("delete", 1)
    to_tryton.drain()
    assert party(tryton, "C1") == []
    assert opportunity(tryton, 901) == []
    assert to_tryton.links() == {}
    assert to_tryton.states().keys() <= {"delivered", "unchanged", "superseded"}


def test_a_party_that_is_there_already_is_taken_over(tryton: Running, to_tryton: Installation) -> None:
    """A party with the same code, made in Tryton by hand, is found and updated; no second one is made."""
    made = tryton.ask("POST", "/rest/model/party.party", {"code": "C2", "name": "Bram, by hand"}).json()
    to_tryton.profile("create", 2, naam="Bram Smit")
    to_tryton.drain()
    (bram,) = party(tryton, "C2")
    assert (bram["id"], bram["name"]) == (made["id"], "Bram Smit")
    assert to_tryton.links() == {"profile/7616/2": str(made["id"])}


def test_erasing_what_a_person_erased_is_done_and_a_new_profile_starts_anew(
    tryton: Running, to_tryton: Installation
) -> None:
    """A delete of a record that is gone (404) is done; an update of one makes it anew, because the mapping says so."""
    to_tryton.profile("create", 3, naam="Cor")
    to_tryton.profile("create", 4, naam="Dirk")
    to_tryton.drain()
    for code in ("C3", "C4"):
        (one,) = party(tryton, code)
        tryton.ask("DELETE", f"/rest/model/party.party/{one['id']}").raise_for_status()
    to_tryton.profile("delete", 3)
    to_tryton.profile("update", 4, naam="Dirk Bos")
    to_tryton.drain()
    assert party(tryton, "C3") == []
    assert [one["name"] for one in party(tryton, "C4")] == ["Dirk Bos"]
    assert "dead" not in to_tryton.states()


def test_a_code_that_another_party_has_is_dead_and_not_tried_for_ever(tryton: Running, to_tryton: Installation) -> None:
    """Tryton's 400 for a duplicate that no match key leads to: looked for once more, then a person has to look."""
    tryton.ask("POST", "/rest/model/party.party", {"code": "N5", "name": "Somebody else"}).raise_for_status()
    to_tryton.profile("create", 5, database=7618, naam="Eva Vis")
    to_tryton.drain()
    assert to_tryton.states() == {"dead": 1}
    (reason,) = to_tryton.reasons(DeliveryState.DEAD)
    assert "answered 400: The code on party must be unique" in reason
    assert "no match key leads to it" in reason
    assert [one["name"] for one in party(tryton, "N5")] == ["Somebody else"]
    assert found(tryton, "party.party", "name", "Eva Vis") == []
    assert to_tryton.query("SELECT count(*) FROM attempts") == [(2,)]


def test_a_field_that_tryton_does_not_have_is_dead_at_once(tryton: Running, to_tryton: Installation) -> None:
    """Tryton answers a wrong field with a 500 and a page of HTML; that is no reason to try again."""
    to_tryton.profile("create", 7, database=7699, naam="Gijs", maat="44")
    to_tryton.drain()
    assert to_tryton.states() == {"dead": 1}
    (reason,) = to_tryton.reasons(DeliveryState.DEAD)
    assert "500" in reason
    assert "Tryton does not know that field" in reason
    assert party(tryton, "W7") == []
    assert to_tryton.query("SELECT count(*) FROM attempts") == [(1,)]


class _Race:
    """A gate that lets a colleague make the same party between our look and our create."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.requests = 0

    def may_send(self, cost: int) -> bool:
        self.requests += cost
        if self.requests == 2:
            body = {"code": "C8", "name": "Hanna, a moment earlier"}
            self.server.ask("POST", "/rest/model/party.party", body).raise_for_status()
        return True


def test_a_create_that_finds_a_duplicate_adopts_it(tryton: Running, tmp_path: Path) -> None:
    """Look, create, 400 (somebody was faster), look again, update: one party, ours."""
    destination = Destination(
        preset=str(PRESETS / "tryton.yaml"),
        base_url=tryton.url,
        settings={"company": tryton.facts["company"], "currency": tryton.facts["currency"]},
        secrets={"token": SecretRef(env="KEY")},
    )
    crm = build_crm("tryton", destination, lambda _: tryton.facts["key"], tmp_path, SystemClock())
    full: dict[str, Any] = {"name": "Hanna Mulder"}
    write = Write(
        id="1",
        object="party",
        verb=Verb.UPSERT,
        crm_id=None,
        match=(MatchKey("code", "C8"),),
        changed=full,
        full=full,
        create_only={"code": "C8"},
    )
    (outcome,) = crm.send([write], _Race(tryton))
    crm.close()
    assert outcome.kind is OutcomeKind.UPDATED
    (hanna,) = party(tryton, "C8")
    assert (str(hanna["id"]), hanna["name"]) == (outcome.crm_id, "Hanna Mulder")


def test_doctor_sees_whether_the_key_is_right(tryton: Running, tmp_path: Path) -> None:
    """A harmless call tells: reachable and authenticated; with another key, what to do."""

    def findings(key: str) -> list[bool]:
        destination = Destination(
            preset=str(PRESETS / "tryton.yaml"),
            base_url=tryton.url,
            settings={"company": 1, "currency": 1},
            secrets={"token": SecretRef(env="KEY")},
        )
        crm = build_crm("tryton", destination, lambda _: key, tmp_path, SystemClock())
        found = [finding.ok for finding in crm.examine(["party"])]
        crm.close()
        return found

    assert findings(tryton.facts["key"]) == [True, True]
    assert findings("0" * 64)[-1] is False
