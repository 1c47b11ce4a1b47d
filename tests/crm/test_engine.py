"""Presets under the real engine and a real outbox: what `status` shows, batches, erasure, links that are needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from connector.cli.overview import lines, sections
from connector.config.model import Config
from connector.crm.port import Rate
from connector.crm.rest.adapter import RestCrm
from connector.deliver.limits import Limiter
from connector.domain.change import MatchKey, Verb, WhenGone
from connector.domain.event import EventType
from connector.domain.outcome import OutcomeKind
from connector.mapping.port import Deliver
from connector.outbox.port import Filter, Link
from connector.outbox.sqlite.linkbook import SqliteLinkbook
from connector.sample_crm.server import Options, SampleCrm
from tests.crm.answers import Answers
from tests.crm.fakes import Pipedrive, Teamleader
from tests.crm.helpers import FixedClock, OpenGate, email, make, upsert
from tests.crm.raw_http import TokenServer
from tests.crm.test_tokens import PRESET as ROTATING
from tests.support.world import SimpleMapping, SmallCrm, World


def over(world: World, crm: RestCrm) -> World:
    """Let that world deliver to a CRM of the real adapter's."""
    world.crm = crm  # type: ignore[assignment]
    world.engine = world.deliverer()
    return world


def shown(world: World) -> str:
    """Return what `status` prints."""
    config = Config.model_construct(destinations={})
    return "\n".join(lines(sections(world.desk.status(), config, world.clock.now()), []))


@pytest.fixture
def sample() -> Iterator[SampleCrm]:
    with SampleCrm(Options(token="t")) as made:
        yield made


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_refresh_pauses_the_destination_and_status_says_what_to_do(tmp_path: Path) -> None:
    """Nothing is lost and no try counts; after a new authorisation it goes on by itself."""
    preset = tmp_path / "rotating.yaml"
    preset.write_text(ROTATING + "    find: {path: /find, body: '{key.value}', reads: true}\n")
    secrets = {"client_secret": "shh-client", "refresh_token": "withdrawn"}
    with TokenServer() as server:
        mapping = SimpleMapping(object="contact", match=None)
        world = World(mapping)
        over(
            world,
            make(str(preset), state=tmp_path, secrets=secrets, clock=world.clock, settings={"url": server.url}),
        )
        world.call("create", 7, email="a@example.com")
        _link(world, "profile/1/7", "7")
        world.settle()
        text = shown(world)
        assert "Paused" in text
        assert "unauthorised: the token address answered 400" in text
        assert "authorise the connector anew and put the new refresh token into the secret 'refresh_token'" in text
        assert "withdrawn" not in text
        assert "shh-client" not in text
        world.wait(24 * 3600_000)
        (row,) = world.desk.list(Filter(), 10)
        assert (row.deliveries[0].state.word, row.deliveries[0].attempts) == ("pending", 0)
        secrets["refresh_token"] = "r0"  # an operator authorised it anew
        world.wait(3600_000)
        assert world.states() == ["delivered"]
        assert world.desk.status().pauses == ()
        world.crm.close()


def _link(world: World, record: str, crm_id: str) -> None:
    SqliteLinkbook(world.db).take_in([Link("crm", "contact", record, crm_id)], world.clock.now(), replace=False)


# ── one writer ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_match_key_has_one_writer_over_all_deliverers() -> None:
    """Two deliverers on one outbox, two profiles with one address: the second waits, and finds the first one's record."""
    world = World()
    first, second = world.engine, world.deliverer()
    world.call("create", 1, email="a@example.com", name="One")
    first.pool.hold_back = True  # type: ignore[attr-defined]
    first.turn()
    assert first.pool.busy == 1
    world.call("create", 2, email="a@example.com", name="Two")
    for _ in range(5):
        second.turn()
    assert world.states() == ["leased", "pending"]
    assert world.crm.calls == 0
    first.pool.hold_back = False  # type: ignore[attr-defined]
    for _ in range(200):
        first.turn()
        second.turn()
        world.clock.pass_(1_000)
    assert world.states() == ["delivered", "delivered"]
    assert [contact["firstname"] for contact in world.contacts()] == ["Two"]


# ── batches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Recording(SmallCrm):
    """Notes which writes went together."""

    def __init__(self) -> None:
        super().__init__(batch=10)
        self.together: list[list[str]] = []

    def send(self, writes, gate):  # type: ignore[no-untyped-def]
        self.together.append([str(write.match[0].value) for write in writes])
        return super().send(writes, gate)


def test_s24_a_batch_has_distinct_match_keys() -> None:
    """Two records with one address are two writers of one CRM record: they never go together."""
    crm = Recording()
    world = World(crm=crm)
    for profile in range(1, 13):
        world.call("create", profile, email=f"p{profile % 4}@example.com", name=f"n{profile}")
    world.wait(600_000)
    assert max(len(each) for each in crm.together) > 1
    assert all(len(set(each)) == len(each) for each in crm.together)
    assert len(world.contacts()) == 4
    assert set(world.states()) == {"delivered"}


def test_s24_the_order_of_a_record_holds_in_batches() -> None:
    """Of a line only the head is taken, so no two of a record are in one batch, and they go in their order."""
    crm = Recording()
    opens = SimpleMapping(
        deliver=Deliver.EACH, types=frozenset({EventType("open")}), fields={"last": "last"}, verb=Verb.UPSERT
    )
    world = World(opens, crm=crm)
    for at in range(3):
        for person in range(4):
            world.email("open", f"p{person}@example.com", at=at, message=f"m{at}")
    world.settle()
    assert max(len(each) for each in crm.together) > 1
    assert all(len(set(each)) == len(each) for each in crm.together)
    for person in range(4):
        assert [each.count(f"p{person}@example.com") for each in crm.together].count(1) == 3
    assert set(world.states()) == {"delivered"}


def test_changes_that_wait_together_go_in_one_request_and_the_bad_one_is_dead_alone(
    sample: SampleCrm, tmp_path: Path
) -> None:
    """The preset's batch under the engine: few requests, an outcome per item."""
    world = World(SimpleMapping(object="contact"))
    over(world, make("sample", state=tmp_path, secrets={"token": "t"}, clock=world.clock, base_url=sample.url))
    for profile in range(1, 41):
        address = "no address" if profile == 13 else f"p{profile}@example.com"
        world.call("create", profile, email=address)
    world.settle()
    assert world.states().count("delivered") == 39
    assert world.states()[12] == "dead"
    assert len(sample.records("contacts")) == 39
    world.crm.close()


# ── erasure ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_that_is_gone_already_is_erased_and_a_new_profile_starts_anew(
    sample: SampleCrm, tmp_path: Path
) -> None:
    """A person deleted the contact; the delete is done by a 404. Whoever comes later gets all its fields."""
    world = World(SimpleMapping(object="contact", when_gone=WhenGone.STOP, create_only={"score": 1}))
    over(world, make("sample", state=tmp_path, secrets={"token": "t"}, clock=world.clock, base_url=sample.url))
    world.call("create", 7, email="a@example.com", name="A")
    world.settle()
    (first,) = sample.records("contacts")
    by_hand = requests.delete(f"{sample.url}/contacts/{first['id']}", headers={"Authorization": "Bearer t"}, timeout=10)
    assert by_hand.status_code == 204
    world.call("delete", 7, at=10)
    world.settle()
    assert world.states() == ["delivered", "delivered"]
    world.call("create", 7, at=20, email="a@example.com", name="A")
    world.wait(5_000)  # until a search would surely show the first one
    (second,) = sample.records("contacts")
    assert second["id"] != first["id"]
    assert (second["email"], second["firstname"], second["score"]) == ("a@example.com", "A", 1)
    world.crm.close()


def test_erasing_what_was_never_in_the_crm_is_done(sample: SampleCrm, tmp_path: Path) -> None:
    """Its create was refused, so there is no link; it is looked for, not found, and that is all."""
    world = World(SimpleMapping(object="contact"))
    over(world, make("sample", state=tmp_path, secrets={"token": "t"}, clock=world.clock, base_url=sample.url))
    world.call("update", 7, email="no address", name="A")
    world.settle()
    assert world.states() == ["dead"]
    world.call("delete", 7, at=10)
    world.wait(5_000)  # until a search would surely show it
    assert world.states()[-1] == "delivered"
    assert sample.records("contacts") == []
    world.crm.close()


# ── links that are needed ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def teamleader(tmp_path: Path) -> Iterator[tuple[World, Teamleader]]:
    people = SimpleMapping(name="people", object="contact", fields={"email": "email", "last_name": "name"})
    deals = SimpleMapping(
        name="deals",
        object="deal",
        database=None,
        collection="2",
        match="title",
        fields={"title": "title"},
        parent=("contact", "people", "contact"),
    )
    world, fake = World(people, deals), Teamleader()
    with Answers(assert_all_requests_are_fired=False) as mock:
        fake.install(mock)
        secrets = {"client_secret": "s", "refresh_token": "refresh-0"}
        crm = make("teamleader", state=tmp_path, secrets=secrets, clock=world.clock, settings={"client_id": "c"})
        yield over(world, crm), fake
        crm.close()


def test_a_deal_that_needs_a_customer_is_made_when_there_is_one(teamleader: tuple[World, Teamleader]) -> None:
    """Teamleader makes no deal without: it is skipped, with the reason, not dead; the contact's link makes it due."""
    world, fake = teamleader
    event = world.subprofile("create", 5, 7, title="Deal 5")
    world.settle()
    assert world.states("deals") == ["skipped"]
    assert "has to be linked with a contact or a company" in world.reason(event, "deals")
    assert fake.kind("deals") == {}
    plan = world.crm.plan(upsert("deal", match=(MatchKey("title", "Deal 5"),), full={"title": "Deal 5"}))
    assert [request.why for request in plan if "create" in request.why] == []
    world.call("create", 7, email="a@example.com", name="A")
    world.settle()
    world.wait(60_000)
    assert world.states("deals") == ["delivered"]
    (contact,) = fake.kind("contacts")
    (deal,) = fake.kind("deals").values()
    assert deal["lead"] == {"customer": {"type": "contact", "id": contact}}


def test_a_deal_whose_customer_is_there_is_made_at_once(teamleader: tuple[World, Teamleader]) -> None:
    """And changed later without looking at its customer again."""
    world, fake = teamleader
    world.call("create", 7, email="a@example.com", name="A")
    world.subprofile("create", 5, 7, title="Deal 5")
    world.wait(60_000)
    assert world.states("deals") == ["delivered"]
    world.subprofile("update", 5, 7, at=9, title="Deal five")
    world.wait(60_000)
    assert [deal["title"] for deal in fake.kind("deals").values()] == ["Deal five"]


# ── limits and costs ────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_kind_of_request_costs_what_the_preset_says(tmp_path: Path) -> None:
    """Pipedrive's own units: a search 40, a write 10."""
    gate = OpenGate()
    with Answers(assert_all_requests_are_fired=False) as mock:
        fake = Pipedrive()
        fake.install(mock)
        crm = make("pipedrive", state=tmp_path)
        crm.send([upsert("person", match=email("a@example.com"), full={"name": "A", "email": "a@example.com"})], gate)
        crm.close()
    assert gate.costs == [40, 10]


def test_several_rates_hold_at_once() -> None:
    """Ten in a second and fifteen in a minute: the first bites first, then the second."""
    clock = FixedClock()
    limiter = Limiter((Rate(10, 1_000), Rate(15, 60_000)), clock)
    waits = [limiter.reserve(1) for _ in range(16)]
    assert waits[:10] == [0] * 10
    assert 0 < waits[10] <= 100
    assert 3_900 <= waits[15] <= 4_000


def test_no_change_makes_more_requests_than_its_cap(tmp_path: Path) -> None:
    """Whatever the CRM answers, it ends, and says why."""
    preset = tmp_path / "p.yaml"
    preset.write_text(
        """
about: a CRM
verified: {how: not verified, on: 2026-11-21}
secrets: {token: {about: x}}
connection: {base_url: "https://crm.example", auth: {type: bearer}}
objects:
  contact:
    max_requests: 4
    find: {method: GET, path: /c, query: {q: "{key.value}"}, items: hits}
    update: {method: PUT, path: "/c/{id}", body: "{fields}"}
    create: {path: /c, body: "{fields}", capture: {id: id}}
"""
    )
    crm = make(str(preset), state=tmp_path)
    with Answers() as mock:
        mock.put("https://crm.example/c/1", status=404, json={})
        mock.get("https://crm.example/c", json={"hits": []})
        mock.post("https://crm.example/c", status=409, json={})
        write = upsert(crm_id="1", match=(MatchKey("email", "a"),), full={"email": "a"}, when_gone=WhenGone.RECREATE)
        mock.get("https://crm.example/c", json={"hits": [{"id": 2}]})
        (outcome,) = crm.send([write], OpenGate())
        assert len(mock.calls) == 4
    assert outcome.kind is OutcomeKind.RETRY
    assert "more than 4 requests (max_requests)" in outcome.reason
    crm.close()
