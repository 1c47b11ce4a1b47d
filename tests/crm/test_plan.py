"""What would be sent, what `doctor` finds, and how long one send can take."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.crm.port import Association, Finding
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import MatchKey, Verb
from connector.domain.outcome import OutcomeKind
from tests.crm.answers import Answers
from tests.crm.helpers import FixedClock, email, make, upsert

BASE = "http://127.0.0.1:8760"


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[RestCrm]:
    made = make("sample", state=tmp_path)
    yield made
    made.close()


def planned(crm: RestCrm, **how: object) -> list[tuple[str, str, object]]:
    name = str(how.pop("object_name", "contact"))
    return [(each.method, each.url.removeprefix(BASE), each.body) for each in crm.plan(upsert(name, **how))]


def test_the_plan_of_a_linked_record(crm: RestCrm) -> None:
    """Its update, and its links; nothing is sent."""
    link = (Association("company", "company", "9"),)
    assert planned(crm, crm_id="7", full={"a.b": 1}, associations=link) == [
        ("PATCH", "/contacts/7", {"a": {"b": 1}}),
        ("PUT", "/contacts/7/companies/9", None),
    ]


def test_the_plan_of_one_that_is_not_linked(crm: RestCrm) -> None:
    """The look, what is created if nothing is found, and what is updated otherwise."""
    assert planned(crm, match=email("jan@example.com"), full={"a": 1}, create_only={"b": 2}) == [
        ("GET", "/contacts?email=jan%40example.com&limit=10", None),
        ("POST", "/contacts", {"a": 1, "b": 2}),
        ("PATCH", "/contacts/ID", {"a": 1}),
    ]


def test_the_plan_of_an_erasure(crm: RestCrm) -> None:
    """One request."""
    assert planned(crm, verb=Verb.ERASE, crm_id="7") == [("DELETE", "/contacts/7", None)]


def test_the_plan_of_an_upsert_by_key(tmp_path: Path) -> None:
    """One request that does both."""
    made = make("hubspot", state=tmp_path)
    (request,) = made.plan(upsert(match=(MatchKey("email", "a@b.nl"),), full={"x": 5}))
    made.close()
    assert request.url == "https://api.hubapi.com/crm/v3/objects/contacts/batch/upsert"
    assert request.body == {"inputs": [{"id": "a@b.nl", "idProperty": "email", "properties": {"x": "5"}}]}


@pytest.mark.parametrize("name", ["sample", "hubspot", "pipedrive"])
def test_no_plan_shows_a_credential(tmp_path: Path, name: str) -> None:
    """A plan can be shown to anybody who may see the data."""
    made = make(name, state=tmp_path)
    for object_ in made.preset.objects:
        for write in (
            upsert(object_, crm_id="7", full={"a": 1}),
            upsert(object_, match=email("a@b.nl"), full={"a": 1}),
        ):
            assert "tok-secret-value" not in json.dumps([[each.url, each.body, each.why] for each in made.plan(write)])
    made.close()


def test_the_doctor_stops_asking_when_nobody_answers(tmp_path: Path) -> None:
    """One line says that it cannot be reached; not one for every object."""
    made = make("sample", state=tmp_path, base_url="http://127.0.0.1:1")
    findings = made.examine(["contact", "company", "deal"])
    made.close()
    assert [finding.ok for finding in findings] == [False]
    assert "refused" in findings[0].what


def test_the_doctor_tells_a_missing_permission(crm: RestCrm) -> None:
    """Reading is allowed, writing is not: the advice names the permission."""
    with Answers() as mock:
        mock.get(f"{BASE}/contacts", json={"results": []})
        mock.patch(f"{BASE}/contacts/0", status=403, json={"error": {"message": "read only"}})
        findings = crm.examine(["contact"])
    assert findings[0] == Finding("may read contacts", ok=True, what="yes")
    assert not findings[1].ok
    assert "permission" in findings[1].what
    assert "read only" in findings[1].what


def test_the_doctor_shows_what_is_left_of_the_limits(tmp_path: Path) -> None:
    """From the headers that the preset names."""
    made = make("hubspot", state=tmp_path)
    with Answers() as mock:
        headers = {"X-HubSpot-RateLimit-Daily-Remaining": "249000"}
        mock.get("https://api.hubapi.com/crm/v3/objects/contacts", json={"results": []}, headers=headers)
        findings = made.examine([])
    made.close()
    assert Finding("limits left", ok=True, what="calls left today: 249000") in findings


class JumpingClock(FixedClock):
    """Time passes only when somebody waits at the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = 0

    def elapsed(self) -> int:
        return self.gone


def test_a_send_never_takes_longer_than_it_says(tmp_path: Path) -> None:
    """Who waited too long at the gate sends nothing: the lease may be over (S21)."""
    clock = JumpingClock()
    made = make("sample", state=tmp_path, clock=clock)

    class SlowGate:
        def may_send(self, cost: int) -> bool:
            clock.gone += made.longest_send
            return cost > 0

    (outcome,) = made.send([upsert(crm_id="7", full={"a": 1})], SlowGate())
    made.close()
    assert (outcome.kind, outcome.wrote, outcome.requests) == (OutcomeKind.NOT_SENT, False, 0)


def test_the_longest_send_covers_the_longest_request(tmp_path: Path) -> None:
    """For every shipped preset."""
    for name in ("sample", "hubspot", "pipedrive"):
        made = make(name, state=tmp_path)
        assert made.longest_send > made.preset.connection.timeouts.total * 1000
        made.close()
