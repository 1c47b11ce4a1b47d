"""The shipped presets, each against a small stateful stand-in; their requests against the vendors' descriptions."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connector.crm.port import Association
from connector.crm.presets.load import list_presets, load_preset
from connector.crm.presets.model import Object, Preset, Step
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import JsonValue, MatchKey, Verb
from connector.domain.outcome import Outcome, OutcomeKind, Scope
from tests.crm.answers import Answers
from tests.crm.fakes import Fake, HubSpot, Odoo, Pipedrive, Salesforce, Teamleader
from tests.crm.helpers import FixedClock, OpenGate, make, upsert
from tests.crm.openapi import Description

SPECS = os.environ.get("CONNECTOR_CRM_SPECS")


@dataclass
class Case:
    """What a preset is asked with: its stand-in, its words, a person and another object."""

    preset: str
    fake: type[Fake]
    person: str
    match: str
    values: dict[str, Any]
    table: str
    group: str
    group_values: dict[str, Any]
    group_match: str
    relation: str
    secrets: tuple[str, ...] = ("token",)
    more: dict[str, Any] = field(default_factory=dict)
    unique_key: str | None = None
    spec: str | None = None
    prefix: str = ""


CASES = [
    Case(
        "hubspot",
        HubSpot,
        "contact",
        "email",
        {"firstname": "Jan"},
        "contacts",
        "company",
        {"name": "ACME", "employees": 5},
        "name",
        "company",
        unique_key="copernica_id",
        spec="hubspot.json",
    ),
    Case(
        "pipedrive",
        Pipedrive,
        "person",
        "email",
        {"name": "Jan"},
        "persons",
        "organization",
        {"name": "ACME"},
        "name",
        "organization",
        spec="pipedrive-v2.json",
        prefix="/api/v2",
    ),
    Case(
        "teamleader",
        Teamleader,
        "contact",
        "email",
        {"last_name": "Jansen", "custom_fields.1b": "x"},
        "contacts",
        "company",
        {"name": "ACME"},
        "name",
        "company",
        secrets=("client_secret", "refresh_token"),
        more={"settings": {"client_id": "cid"}},
        spec="teamleader.json",
    ),
    Case(
        "salesforce",
        Salesforce,
        "contact",
        "Email",
        {"LastName": "Jansen"},
        "Contact",
        "account",
        {"Name": "ACME"},
        "Name",
        "account",
        secrets=("client_secret",),
        more={"settings": {"login": "acme.my.salesforce.com", "client_id": "cid"}},
        unique_key="Copernica_ID__c",
    ),
    Case(
        "odoo",
        Odoo,
        "contact",
        "email",
        {"name": "Jan"},
        "res.partner",
        "company",
        {"name": "ACME"},
        "name",
        "company",
        more={"settings": {"database": "crm"}, "base_url": "https://acme.example"},
    ),
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.preset)


@dataclass
class Bench:
    case: Case
    fake: Fake
    crm: RestCrm
    clock: FixedClock

    def send(self, *writes: Any) -> list[Outcome]:
        return list(self.crm.send(writes, OpenGate()))

    def one(self, **how: Any) -> Outcome:
        name = how.pop("object_name", self.case.person)
        return self.send(upsert(name, **how))[0]

    def person(self, address: str, **more: Any) -> dict[str, Any]:
        return {self.case.match: address, **self.case.values, **more}

    def by(self, address: str) -> tuple[MatchKey, ...]:
        return (MatchKey(self.case.match, address),)


@pytest.fixture
def bench(case: Case, tmp_path: Path) -> Iterator[Bench]:
    with Answers(assert_all_requests_are_fired=False) as mock:
        fake = case.fake()
        fake.install(mock)
        secrets = {name: "refresh-0" if name == "refresh_token" else f"secret-{name}" for name in case.secrets}
        clock = FixedClock()
        crm = make(case.preset, state=tmp_path, secrets=secrets, clock=clock, **case.more)
        yield Bench(case, fake, crm, clock)
        crm.close()


@by_name
def test_what_was_made_under_another_address_without_an_answer_is_not_made_again(bench: Bench) -> None:
    """Also where the CRM takes the address for an ID: an upsert by the new one would make a second record (S11, S22)."""
    made = bench.one(match=bench.by("old@example.com"), full=bench.person("old@example.com"))
    newer = upsert(
        bench.case.person,
        match=bench.by("new@example.com"),
        full=bench.person("new@example.com"),
        created_maybe_at=bench.clock.time - 600_000,
        created_maybe_match=bench.by("old@example.com"),
    )
    assert bench.crm.batch_of(newer) is None
    (outcome,) = bench.send(newer)
    assert (outcome.kind, outcome.crm_id) == (OutcomeKind.UPDATED, made.crm_id), outcome


def whole_life(bench: Bench) -> None:
    """Everything that a preset can be asked to do, once."""
    case = bench.case
    made = bench.one(match=bench.by("jan@example.com"), full=bench.person("jan@example.com"))
    assert made.kind is OutcomeKind.CREATED, made
    other = bench.one(match=bench.by("els@example.com"), full=bench.person("els@example.com"), create_only=case.values)
    assert other.kind is OutcomeKind.CREATED, other
    again = bench.one(match=bench.by("els@example.com"), full=bench.person("els@example.com"), create_only=case.values)
    assert (again.kind, again.crm_id) == (OutcomeKind.UPDATED, other.crm_id), again
    group = bench.one(object_name=case.group, match=(MatchKey(case.group_match, "ACME"),), full=case.group_values)
    assert group.kind is OutcomeKind.CREATED, group
    found = bench.one(object_name=case.group, match=(MatchKey(case.group_match, "ACME"),), full=case.group_values)
    assert (found.kind, found.crm_id) == (OutcomeKind.UPDATED, group.crm_id), found
    assert made.crm_id
    assert group.crm_id
    link = (Association(case.relation, case.group, group.crm_id),)
    for _ in range(2):
        linked = bench.one(crm_id=made.crm_id, full=bench.person("jan@example.com"), associations=link)
        assert linked.kind is OutcomeKind.UPDATED, linked
    if case.unique_key:
        key = (MatchKey(case.unique_key, "77"),)
        for expected in (OutcomeKind.CREATED, OutcomeKind.UPDATED):
            third = bench.one(match=key, full=bench.person("third@example.com") | {case.unique_key: "77"})
            assert third.kind is expected, third
    for each in bench.send(
        upsert(case.person, crm_id=made.crm_id, full=bench.person("jan@example.com")),
        upsert(case.person, crm_id=other.crm_id, full=bench.person("els@example.com")),
        upsert(case.person, match=bench.by("four@example.com"), full=bench.person("four@example.com")),
        upsert(case.person, match=bench.by("five@example.com"), full=bench.person("five@example.com")),
    ):
        assert each.kind.is_success, each
    findings = bench.crm.examine([case.person, case.group])
    assert [finding for finding in findings if not finding.ok] == []
    for verb, crm_id in ((Verb.ERASE, made.crm_id), (Verb.ARCHIVE, other.crm_id)):
        gone = bench.one(verb=verb, crm_id=crm_id)
        if verb is Verb.ERASE or gone.kind is not OutcomeKind.PERMANENT:
            assert gone.kind is OutcomeKind.ERASED, gone


@by_name
def test_the_whole_life_of_a_record(bench: Bench) -> None:
    """Created, found, linked (twice does no harm), written together, erased."""
    whole_life(bench)


@by_name
def test_a_changed_address_leaves_one_record_the_same_one(bench: Bench) -> None:
    """With a link the write goes to its ID, alone and in a batch (S11)."""
    made = bench.one(match=bench.by("old@example.com"), full=bench.person("old@example.com"))
    moved = bench.one(crm_id=made.crm_id, match=bench.by("new@example.com"), full=bench.person("new@example.com"))
    assert (moved.kind, moved.crm_id) == (OutcomeKind.UPDATED, made.crm_id)
    other = bench.one(match=bench.by("b@example.com"), full=bench.person("b@example.com"))
    outcomes = bench.send(
        upsert(
            bench.case.person,
            crm_id=made.crm_id,
            match=bench.by("newer@example.com"),
            full=bench.person("newer@example.com"),
        ),
        upsert(
            bench.case.person, crm_id=other.crm_id, match=bench.by("c@example.com"), full=bench.person("c@example.com")
        ),
    )
    assert [outcome.crm_id for outcome in outcomes] == [made.crm_id, other.crm_id]
    rows = bench.fake.kind(bench.case.table)
    assert set(rows) == {made.crm_id, other.crm_id}
    assert "newer@example.com" in str(rows[str(made.crm_id)])
    assert "old@example.com" not in str(rows)


@by_name
def test_a_record_that_somebody_deleted_is_gone(bench: Bench) -> None:
    """The CRM's own way to say "not found" is understood, and erasing it again is done (S10)."""
    made = bench.one(match=bench.by("a@example.com"), full=bench.person("a@example.com"))
    bench.fake.kind(bench.case.table).clear()
    assert bench.one(crm_id=made.crm_id, full=bench.person("b@example.com")).kind is OutcomeKind.GONE
    assert bench.one(verb=Verb.ERASE, crm_id=made.crm_id).kind is OutcomeKind.ERASED


@by_name
def test_a_batch_with_a_record_that_is_gone_spares_the_others(bench: Bench) -> None:
    """What is wrong with one is only its own outcome (S24)."""
    ids = [
        bench.one(match=bench.by(f"{i}@example.com"), full=bench.person(f"{i}@example.com")).crm_id for i in range(3)
    ]
    del bench.fake.kind(bench.case.table)[str(ids[1])]
    writes = [upsert(bench.case.person, crm_id=each, full=bench.person(f"x{each}@example.com")) for each in ids]
    kinds = [outcome.kind for outcome in bench.send(*writes)]
    assert kinds == [OutcomeKind.UPDATED, OutcomeKind.GONE, OutcomeKind.UPDATED]


@pytest.mark.skipif(SPECS is None, reason="CONNECTOR_CRM_SPECS names no folder with the vendors' descriptions")
@pytest.mark.parametrize("case", [case for case in CASES if case.spec], ids=lambda case: case.preset)
def test_every_request_fits_the_vendors_description(bench: Bench, record_property: Any) -> None:
    """Method, path, query and body of each request that the preset makes in a record's whole life."""
    assert SPECS is not None
    assert bench.case.spec is not None
    whole_life(bench)
    for name, object_ in bench.crm.preset.objects.items():
        exercise(bench, name, object_)
    description = Description(Path(SPECS) / bench.case.spec)
    requests_ = [seen for seen in bench.fake.seen if "oauth" not in seen.path]
    problems = [
        f"{seen.method} {seen.path}: {problem}"
        for seen in requests_
        for problem in description.problems(
            seen.method, seen.path.removeprefix(bench.case.prefix), seen.query, seen.body
        )
    ]
    assert problems == []
    distinct = {
        (seen.method, description.template(seen.method, seen.path.removeprefix(bench.case.prefix)))
        for seen in requests_
    }
    made = {(seen.method, seen.path.removeprefix(bench.case.prefix)) for seen in requests_}
    assert [step for step in every_step(bench.crm.preset) if not any(fits(step, *each) for each in made)] == []
    record_property("requests checked", len(requests_))
    print(f"{bench.case.preset}: {len(requests_)} requests checked, {len(distinct)} different operations")


@pytest.mark.skipif(SPECS is None, reason="CONNECTOR_CRM_SPECS names no folder with the vendors' descriptions")
@pytest.mark.parametrize("case", [case for case in CASES if case.preset == "salesforce"], ids=["salesforce"])
def test_requests_fit_what_a_third_party_describes(bench: Bench) -> None:
    """Salesforce's collections; the description is wrong about single records and lacks the upsert by external ID."""
    assert SPECS is not None
    whole_life(bench)
    description = Description(Path(SPECS) / "salesforce-thirdparty.json")
    checked, problems = 0, []
    for seen in bench.fake.seen:
        path = seen.path.removeprefix("/services/data/v64.0")
        if path.startswith("/composite"):
            checked += 1
            problems += [
                f"{seen.method} {path}: {each}"
                for each in description.problems(seen.method, path, seen.query, seen.body)
            ]
    print(f"salesforce: {checked} of {len(bench.fake.seen)} requests checked")
    assert checked
    assert problems == []


def every_step(preset: Preset) -> Iterator[tuple[str, str]]:
    """Method and path of each request that a preset has, its own words filled in."""
    for object_ in preset.objects.values():
        batch = object_.batch
        steps: list[Step | None] = [*object_.find, *object_.update, *object_.create, *object_.erase, *object_.archive]
        steps += [*object_.anonymise, object_.upsert, batch.update, batch.upsert, batch.erase, *object_.examine]
        steps += [link.request for link in object_.links.values()]
        for step in filter(None, steps):
            path = step.path
            for word, value in object_.vars.items():
                path = path.replace(f"{{vars.{word}}}", str(value))
            yield step.method, path


def fits(step: tuple[str, str], method: str, path: str) -> bool:
    pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(step[1]))
    return step[0] == method and re.fullmatch(pattern, path) is not None


def exercise(bench: Bench, name: str, object_: Object) -> None:
    """Make each request of an object at least once, whatever the stand-in says to it."""
    required: dict[str, JsonValue] = {path: "ACME" for path, facts in object_.fields.items() if facts.required}
    links: list[tuple[Association, ...]] = [
        (Association(key, link.object, "12"),) for key, link in object_.links.items()
    ]
    needed = links[0] if (bench.case.preset, name) == ("teamleader", "deal") else ()  # there is none without a customer
    links = links or [()]
    keys = [key for find in object_.find for key in find.keys or ("name",)]
    if object_.upsert is not None:
        keys += object_.upsert.keys
    for key in keys:
        match = (MatchKey(key, "ACME"),)
        for link in links:
            made = bench.one(object_name=name, match=match, full=required, create_only=required, associations=link)
            bench.one(object_name=name, crm_id=made.crm_id or "12", full=required, associations=link)
        for keys_ in ((match,), ((MatchKey(key, "A1"),), (MatchKey(key, "A2"),))):
            bench.send(*(upsert(name, match=each, full=required, associations=needed) for each in keys_))
    for verb in (Verb.ARCHIVE, Verb.ANONYMISE, Verb.ERASE):
        bench.one(object_name=name, verb=verb, crm_id="12")
    bench.send(*(upsert(name, crm_id=each, full=required or {"name": "x"}) for each in ("11", "12")))
    bench.crm.examine([name])


@dataclass(frozen=True)
class Said:
    preset: str
    what: str
    status: int
    body: Any
    kind: OutcomeKind
    headers: dict[str, str] = field(default_factory=dict)
    scope: Scope = Scope.DESTINATION
    wait: int | None = None
    candidates: tuple[str, ...] = ()


NOW = 1_800_000_000_000
ERRORS = [
    Said(
        "hubspot", "bad token", 401, {"status": "error", "category": "INVALID_AUTHENTICATION"}, OutcomeKind.UNAUTHORISED
    ),
    Said(
        "hubspot",
        "scope",
        403,
        {"category": "MISSING_SCOPES", "message": "needs a scope"},
        OutcomeKind.UNAUTHORISED,
        scope=Scope.OBJECT,
    ),
    Said("hubspot", "ten seconds", 429, {"policyName": "TEN_SECONDLY_ROLLING"}, OutcomeKind.THROTTLED, wait=10_000),
    Said("hubspot", "the day", 429, {"policyName": "DAILY"}, OutcomeKind.THROTTLED, wait=3_600_000),
    Said(
        "hubspot",
        "invalid",
        400,
        {"category": "VALIDATION_ERROR", "message": "Property values were not valid"},
        OutcomeKind.PERMANENT,
    ),
    Said(
        "hubspot",
        "conflict",
        409,
        {"category": "CONFLICT", "message": "Contact already exists. Existing ID: 42"},
        OutcomeKind.DUPLICATE,
        candidates=("42",),
    ),
    Said(
        "hubspot",
        "unique property",
        400,
        {
            "message": "x",
            "errors": [{"code": "CONFLICTING_UNIQUE_VALUE", "message": "Cannot set y. 51 already has that value."}],
        },
        OutcomeKind.DUPLICATE,
        candidates=("51",),
    ),
    Said("hubspot", "locked", 423, {}, OutcomeKind.RETRY),
    Said("hubspot", "migration", 477, {}, OutcomeKind.RETRY, headers={"Retry-After": "60"}, wait=60_000),
    Said("hubspot", "gateway", 502, "<html>", OutcomeKind.RETRY),
    Said("hubspot", "time-out", 524, "", OutcomeKind.RETRY),
    Said("pipedrive", "bad token", 401, {"success": False, "error": "unauthorized access"}, OutcomeKind.UNAUTHORISED),
    Said("pipedrive", "not paid", 402, {"success": False}, OutcomeKind.UNAUTHORISED),
    Said(
        "pipedrive",
        "forbidden",
        403,
        {"success": False, "error": "Scope and URL mismatch"},
        OutcomeKind.UNAUTHORISED,
        scope=Scope.OBJECT,
    ),
    Said("pipedrive", "blocked", 403, "<html>Cloudflare</html>", OutcomeKind.THROTTLED, wait=600_000),
    Said(
        "pipedrive",
        "burst",
        429,
        {"success": False},
        OutcomeKind.THROTTLED,
        headers={"x-ratelimit-reset": "2"},
        wait=2_000,
    ),
    Said("pipedrive", "invalid", 400, {"success": False, "error": "Bad request"}, OutcomeKind.PERMANENT),
    Said("pipedrive", "too large", 413, {}, OutcomeKind.PERMANENT),
    Said("pipedrive", "unprocessable", 422, {"success": False}, OutcomeKind.PERMANENT),
    Said("pipedrive", "gone", 410, {"success": False}, OutcomeKind.GONE),
    Said("pipedrive", "a failure in a 200", 200, {"success": False, "error": "no"}, OutcomeKind.PERMANENT),
    Said("pipedrive", "server", 500, {}, OutcomeKind.RETRY),
    Said("pipedrive", "maintenance", 503, {}, OutcomeKind.RETRY, headers={"Retry-After": "30"}, wait=30_000),
    Said(
        "teamleader",
        "invalid",
        400,
        {"errors": [{"title": "last_name is required", "status": 400}]},
        OutcomeKind.PERMANENT,
    ),
    Said("teamleader", "forbidden", 403, {"errors": [{"title": "no"}]}, OutcomeKind.UNAUTHORISED, scope=Scope.OBJECT),
    Said("teamleader", "not found", 404, {"errors": [{"title": "not found"}]}, OutcomeKind.GONE),
    Said(
        "teamleader",
        "limit",
        429,
        {},
        OutcomeKind.THROTTLED,
        headers={"X-RateLimit-Reset": "2027-01-15T08:00:20+00:00"},
        wait=20_000,
    ),
    Said("teamleader", "limit without a header", 429, {}, OutcomeKind.THROTTLED, wait=60_000),
    Said("teamleader", "server", 500, {}, OutcomeKind.RETRY),
    Said(
        "salesforce",
        "limit",
        403,
        [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}],
        OutcomeKind.THROTTLED,
        wait=900_000,
    ),
    Said("salesforce", "storage", 403, [{"errorCode": "STORAGE_LIMIT_EXCEEDED"}], OutcomeKind.UNAUTHORISED),
    Said(
        "salesforce",
        "access",
        403,
        [{"errorCode": "INSUFFICIENT_ACCESS_OR_READONLY"}],
        OutcomeKind.UNAUTHORISED,
        scope=Scope.OBJECT,
    ),
    Said("salesforce", "lock", 400, [{"errorCode": "UNABLE_TO_LOCK_ROW"}], OutcomeKind.RETRY, wait=5_000),
    Said(
        "salesforce",
        "duplicate",
        400,
        [
            {
                "errorCode": "DUPLICATE_VALUE",
                "message": "duplicate value found: X duplicates value on record with id: 003000000000042",
            }
        ],
        OutcomeKind.DUPLICATE,
        candidates=("003000000000042",),
    ),
    Said("salesforce", "deleted", 404, [{"errorCode": "ENTITY_IS_DELETED"}], OutcomeKind.GONE),
    Said("salesforce", "many", 300, ["/a", "/b"], OutcomeKind.MANY),
    Said(
        "salesforce",
        "wrong field",
        400,
        [{"errorCode": "INVALID_FIELD", "message": "No such column"}],
        OutcomeKind.PERMANENT,
    ),
    Said(
        "odoo", "wrong field", 500, {"name": "builtins.ValueError", "message": "Invalid field"}, OutcomeKind.PERMANENT
    ),
    Said("odoo", "busy", 500, {"name": "psycopg2.errors.SerializationFailure"}, OutcomeKind.RETRY, wait=5_000),
    Said("odoo", "any other 500", 500, "<html>", OutcomeKind.RETRY),
    Said("odoo", "missing", 404, {"name": "odoo.exceptions.MissingError"}, OutcomeKind.GONE),
    Said("odoo", "validation", 422, {"name": "odoo.exceptions.ValidationError"}, OutcomeKind.PERMANENT),
    Said("odoo", "access", 403, {"name": "odoo.exceptions.AccessError"}, OutcomeKind.UNAUTHORISED, scope=Scope.OBJECT),
    Said("odoo", "key", 401, {"name": "werkzeug.exceptions.Unauthorized"}, OutcomeKind.UNAUTHORISED),
]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        pytest.param(next(case for case in CASES if case.preset == said.preset), said, id=f"{said.preset}-{said.what}")
        for said in ERRORS
    ],
)
def test_what_the_crm_says_is_understood(bench: Bench, said: Said) -> None:
    """Each documented error of an update has its outcome; waits and other records are read from it."""
    if bench.case.preset in ("teamleader", "salesforce"):
        bench.one(match=bench.by("first@example.com"), full=bench.person("first@example.com"))  # gets the token
    bench.fake.fail.append((said.status, said.headers, said.body))
    outcome = bench.one(crm_id="7", full=bench.person("jan@example.com"))
    assert (outcome.kind, outcome.status, outcome.scope) == (said.kind, said.status, said.scope)
    assert outcome.retry_at == (NOW + said.wait if said.wait is not None else None)
    assert outcome.candidates == said.candidates


@pytest.mark.parametrize(
    ("case", "body"),
    [
        pytest.param(
            next(case for case in CASES if case.preset == "teamleader"),
            {"errors": [{"title": "Unauthorised", "status": 401}]},
            id="teamleader",
        ),
        pytest.param(
            next(case for case in CASES if case.preset == "salesforce"),
            [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}],
            id="salesforce",
        ),
    ],
)
def test_a_session_that_ended_is_renewed_once(bench: Bench, body: Any) -> None:
    """A 401 of a CRM with tokens that end: another token, one more try; a second 401 is a refusal."""
    made = bench.one(match=bench.by("first@example.com"), full=bench.person("first@example.com"))
    bench.fake.fail.append((401, {}, body))
    outcome = bench.one(crm_id=made.crm_id, full=bench.person("jan@example.com"))
    assert (outcome.kind, outcome.requests) == (OutcomeKind.UPDATED, 2)
    token = {"access_token": "another", "expires_in": 3600, "instance_url": "https://acme.my.salesforce.com"}
    bench.fake.fail += [(401, {}, body), (200, {"Content-Type": "application/json"}, token), (401, {}, body)]
    outcome = bench.one(crm_id=made.crm_id, full=bench.person("els@example.com"))
    assert (outcome.kind, outcome.scope, bench.fake.fail) == (OutcomeKind.UNAUTHORISED, Scope.DESTINATION, [])


def test_the_items_of_a_mixed_batch_are_told_apart(tmp_path: Path) -> None:
    """HubSpot's 207: results in any order, errors that name nobody: each item gets its own outcome."""
    with Answers(assert_all_requests_are_fired=False) as mock:
        fake = HubSpot()
        fake.install(mock)
        crm = make("hubspot", state=tmp_path)
        addresses = ["a@example.com", "invalid", "b@example.com"]
        writes = [upsert(match=(MatchKey("email", each),), full={"email": each}) for each in addresses]
        outcomes = crm.send(writes, OpenGate())
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.CREATED, OutcomeKind.PERMANENT, OutcomeKind.CREATED]
    for address, outcome in zip(addresses, outcomes, strict=True):
        if outcome.crm_id:
            assert fake.kind("contacts")[outcome.crm_id]["email"] == address


def test_hubspot_gets_text_and_an_empty_text_to_clear(tmp_path: Path) -> None:
    """Numbers, booleans and lists as HubSpot's properties want them."""
    with Answers(assert_all_requests_are_fired=False) as mock:
        fake = HubSpot()
        fake.install(mock)
        crm = make("hubspot", state=tmp_path)
        crm.send([upsert(crm_id="1", full={"a": True, "b": 5, "c": ["x", "y"], "d": None})], OpenGate())
    assert fake.seen[0].body == {"properties": {"a": "true", "b": "5", "c": "x;y", "d": ""}}


def test_a_value_in_a_query_language_stays_a_value(tmp_path: Path) -> None:
    """A quote in an address does not end the text in SOQL."""
    case = next(case for case in CASES if case.preset == "salesforce")
    with Answers(assert_all_requests_are_fired=False) as mock:
        fake = Salesforce()
        fake.install(mock)
        fake.kind("Contact")["003A"] = {"Email": r"o'neil\@example.com"}
        crm = make("salesforce", state=tmp_path, secrets={"client_secret": "s"}, **case.more)
        key = MatchKey("Email", r"o'neil\@example.com")
        (outcome,) = crm.send([upsert(verb=Verb.UPDATE, match=(key,), full={"LastName": "x"})], OpenGate())
    assert outcome.crm_id == "003A"


@by_name
def test_the_doctor_can_ask_each_crm_everything(bench: Bench) -> None:
    """Reachable, authenticated, may read and may write each kind of record; and each but a house server counts calls."""
    preset = bench.crm.preset
    findings = {finding.about: finding for finding in bench.crm.examine(list(preset.objects))}
    assert "reachable and authenticated" in findings
    for name, object_ in preset.objects.items():
        says = " ".join(examine.says for examine in object_.examine)
        assert "may read" in says, name
        assert "may write" in says, name
    assert [finding for finding in findings.values() if not finding.ok] == []
    assert preset.left or preset.about.startswith("Odoo")


@pytest.mark.parametrize("case", [case for case in CASES if case.preset == "salesforce"], ids=["salesforce"])
@pytest.mark.parametrize("right", ["createable", "updateable"])
def test_the_doctor_sees_what_salesforce_does_not_allow(
    bench: Bench, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The description of an object says what this user may do with it."""
    monkeypatch.setitem(Salesforce.described, right, False)
    (finding,) = [each for each in bench.crm.examine(["contact"]) if not each.ok]
    assert finding.about == "may write Contact"
    assert "permission" in finding.what


def test_every_shipped_preset_is_valid_and_says_how_it_was_verified() -> None:
    """No preset is shipped with a mistake, or without its origin."""
    presets = [load_preset(shipped.name) for shipped in list_presets(None)]
    assert len(presets) >= 7
    assert all(preset.verified.notes for preset in presets)
