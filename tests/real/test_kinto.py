"""Kinto 26, a real REST store, as the CRM: PUT upserts by our own ID, If-None-Match, and batches."""

import json
from typing import Any

from connector.domain.delivery import DeliveryState
from tests.real.servers import Running
from tests.support.installation import Installation

PEOPLE = "/buckets/crm/collections/people/records"
ORDERS = "/buckets/crm/collections/orders/records"


def record(server: Running, path: str) -> dict[str, Any] | None:
    """Return a record as Kinto has it, without its own fields; None if it has none."""
    answer = server.ask("GET", path)
    if answer.status_code == 404:
        return None
    return {
        name: value for name, value in answer.json()["data"].items() if name not in ("id", "last_modified", "schema")
    }


def asked(server: Running) -> list[tuple[str, str]]:
    """Return method and path of every request that Kinto logged."""
    found = []
    for line in server.log.read_text("utf-8").splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            if entry["Type"] == "request.summary":
                found.append((entry["Fields"]["method"], entry["Fields"]["path"]))
    return found


def test_records_are_made_changed_linked_and_erased(kinto: Running, to_kinto: Installation) -> None:
    """A profile becomes a record under our own ID by PUT; an update changes what differs; a delete erases."""
    to_kinto.profile("create", 1, naam="Anna", email="anna@example.com", punten="3")
    to_kinto.subprofile("create", 901, 1, nummer="17")
    to_kinto.drain()
    assert record(kinto, f"{PEOPLE}/p1") == {"name": "Anna", "email": "anna@example.com", "score": 3}
    assert record(kinto, f"{ORDERS}/o901") == {"title": "Order 17", "person": "p1"}
    assert ("PUT", f"/v1{PEOPLE}/p1") in asked(kinto)
    kinto.ask("PATCH", f"{PEOPLE}/p1", {"data": {"note": "a colleague's"}}).raise_for_status()

    to_kinto.profile("update", 1, naam="Anna", email="", punten="4")
    to_kinto.drain()
    assert record(kinto, f"{PEOPLE}/p1") == {"name": "Anna", "score": 4, "note": "a colleague's"}

    to_kinto.subprofile("delete", 901, 1)
    to_kinto.profile("delete", 1)
    to_kinto.drain()
    assert record(kinto, f"{PEOPLE}/p1") is None
    assert record(kinto, f"{ORDERS}/o901") is None
    assert to_kinto.links() == {}


def test_many_go_in_batches_and_the_bad_ones_alone_are_dead(kinto: Running, to_kinto: Installation) -> None:
    """Sixty profiles take a few batch requests; the statuses per item tell the two that Kinto's schema refuses."""
    for number in range(100, 160):
        to_kinto.profile("create", number, naam=f"N{number}", punten="999" if number in (117, 142) else "5")
    before = len(asked(kinto))
    to_kinto.drain()
    for number in range(100, 160):
        expected = None if number in (117, 142) else {"name": f"N{number}", "score": 5}
        assert record(kinto, f"{PEOPLE}/p{number}") == expected
    assert to_kinto.states() == {"delivered": 58, "dead": 2}
    assert all("400" in reason for reason in to_kinto.reasons(DeliveryState.DEAD))
    ours = [one for one in asked(kinto)[before:] if one[0] in ("PUT", "POST")]
    assert ours.count(("POST", "/v1/batch")) >= 3


def test_batches_change_and_erase_too_and_a_missing_one_spares_the_others(
    kinto: Running, to_kinto: Installation
) -> None:
    """In a batch of updates one record is gone (404 of its own): it is made anew, the others are changed; then all go."""
    numbers = range(200, 230)
    for number in numbers:
        to_kinto.profile("create", number, naam="before")
    to_kinto.drain()
    kinto.ask("DELETE", f"{PEOPLE}/p210").raise_for_status()
    for number in numbers:
        to_kinto.profile("update", number, naam="after")
    to_kinto.drain()
    assert {json.dumps(record(kinto, f"{PEOPLE}/p{number}")) for number in numbers} == {'{"name": "after"}'}
    kinto.ask("DELETE", f"{PEOPLE}/p220").raise_for_status()
    for number in numbers:
        to_kinto.profile("delete", number)
    batches = asked(kinto).count(("POST", "/v1/batch"))
    to_kinto.drain()
    assert all(record(kinto, f"{PEOPLE}/p{number}") is None for number in numbers)
    assert asked(kinto).count(("POST", "/v1/batch")) > batches
    assert to_kinto.states().keys() <= {"delivered", "superseded"}


def test_a_record_under_our_id_is_adopted_when_a_create_is_refused(kinto: Running, to_kinto: Installation) -> None:
    """The search by address finds nobody; `If-None-Match: *` is refused (412), and its answer says which record it is."""
    kinto.ask("PUT", f"{PEOPLE}/r9", {"data": {"email": "old@example.com", "note": "kept"}}).raise_for_status()
    to_kinto.profile("create", 9, database=7617, naam="Hanna", email="hanna@example.com")
    to_kinto.drain()
    assert record(kinto, f"{PEOPLE}/r9") == {"email": "hanna@example.com", "name": "Hanna", "note": "kept"}
    assert to_kinto.links() == {"profile/7617/9": "r9"}
    assert kinto.ask("GET", f"{PEOPLE}?email=hanna@example.com").json()["data"][0]["id"] == "r9"
    assert len(kinto.ask("GET", f"{PEOPLE}?email=hanna@example.com").json()["data"]) == 1


def test_a_value_that_looks_like_a_number_is_searched_as_text(kinto: Running, to_kinto: Installation) -> None:
    """An address of digits only is found again; it does not become a number on the way."""
    kinto.ask("PUT", f"{PEOPLE}/old", {"data": {"email": "77"}}).raise_for_status()
    to_kinto.profile("create", 10, database=7617, naam="Iris", email="77")
    to_kinto.drain()
    assert to_kinto.states() == {"delivered": 1}
    assert to_kinto.links() == {"profile/7617/10": "old"}
