"""One change on its way to the CRM: every turn that it can take, told as an outcome."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from connector.crm.port import Association, Write
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import Many, MatchKey, Verb, WhenGone
from connector.domain.outcome import Outcome, OutcomeKind, Scope
from tests.crm.answers import Answers
from tests.crm.helpers import FixedClock, OpenGate, email, make, upsert

BASE = "http://127.0.0.1:8760"
CONTACTS = f"{BASE}/contacts"
PERSON = {"email": "jan@example.com", "firstname": "Jan"}


@pytest.fixture
def crm_answers() -> Iterator[responses.RequestsMock]:
    with Answers(registry=responses.registries.OrderedRegistry) as mock:
        yield mock


@pytest.fixture
def crm(tmp_path: Path) -> RestCrm:
    return make("sample", state=tmp_path)


def send(crm: RestCrm, write: Write, gate: OpenGate | None = None) -> Outcome:
    (outcome,) = crm.send([write], gate or OpenGate())
    return outcome


def found(*ids: str) -> dict[str, Any]:
    return {"results": [{"id": each} for each in ids], "next": None}


def sent(call: Any) -> Any:
    return json.loads(call.request.body)


def test_a_linked_record_is_written_by_its_id_and_never_searched(
    crm: RestCrm, crm_answers: responses.RequestsMock
) -> None:
    """With a link every write goes to the linked ID, whatever the match key says now (S11)."""
    crm_answers.patch(f"{CONTACTS}/7", json={"id": "7"})
    outcome = send(
        crm, upsert(crm_id="7", match=email("new@example.com"), full=PERSON, changed={"email": "new@example.com"})
    )
    assert (outcome.kind, outcome.crm_id, outcome.requests) == (OutcomeKind.UPDATED, "7", 1)
    assert sent(crm_answers.calls[0]) == {"email": "new@example.com"}


def test_a_linked_record_without_anything_to_write_takes_no_request(crm: RestCrm) -> None:
    """Nothing new, nothing sent."""
    outcome = send(crm, upsert(crm_id="7", full=PERSON, changed={}))
    assert (outcome.kind, outcome.requests, outcome.wrote) == (OutcomeKind.UPDATED, 0, False)


def test_an_unlinked_record_is_looked_for_before_it_is_made(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Find, then create with all fields and those that only a new record gets (S13)."""
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=201, json={"id": "8"})
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON, create_only={"note": "from Copernica"}))
    assert (outcome.kind, outcome.crm_id, outcome.requests) == (OutcomeKind.CREATED, "8", 2)
    assert sent(crm_answers.calls[1]) == {**PERSON, "note": "from Copernica"}


def test_a_record_that_is_found_gets_everything_but_what_only_a_new_one_gets(
    crm: RestCrm, crm_answers: responses.RequestsMock
) -> None:
    """`on_create_only` fields never reach a record that was there (S13)."""
    crm_answers.get(CONTACTS, json=found("8"))
    crm_answers.patch(f"{CONTACTS}/8", json={"id": "8"})
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON, create_only={"note": "x"}))
    assert (outcome.kind, outcome.crm_id) == (OutcomeKind.UPDATED, "8")
    assert sent(crm_answers.calls[1]) == PERSON


def test_match_keys_are_tried_in_their_order(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """The next key is looked for only when the one before found nothing (S12)."""
    crm_answers.get(f"{CONTACTS}?copernica_id=12&limit=10", json=found(), match_querystring=None)
    crm_answers.get(f"{CONTACTS}?email=jan%40example.com&limit=10", json=found("9"), match_querystring=None)
    crm_answers.patch(f"{CONTACTS}/9", json={"id": "9"})
    keys = (MatchKey("copernica_id", 12), *email("jan@example.com"))
    assert send(crm, upsert(match=keys, full=PERSON)).crm_id == "9"


def test_no_usable_match_value_sends_nothing(crm: RestCrm) -> None:
    """An empty or invalid key is neither a search nor a create; the reason is the mapping's (S12)."""
    outcome = send(crm, upsert(match=(), unmatchable="email is empty", full=PERSON))
    assert (outcome.kind, outcome.reason, outcome.requests) == (OutcomeKind.UNMATCHABLE, "email is empty", 0)


def test_more_than_one_hit_never_means_the_first(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Many hits stop the change, with the candidates (S12)."""
    crm_answers.get(CONTACTS, json=found("8", "9"))
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.candidates, outcome.wrote) == (OutcomeKind.MANY, ("8", "9"), False)


@pytest.mark.parametrize(("many", "chosen"), [(Many.NEWEST, "10"), (Many.OLDEST, "9")])
def test_the_newest_or_oldest_is_taken_when_the_mapping_says_so(
    crm: RestCrm, crm_answers: responses.RequestsMock, many: Many, chosen: str
) -> None:
    """`many: newest | oldest` compares numbers as numbers (S12)."""
    crm_answers.get(CONTACTS, json=found("10", "9"))
    crm_answers.patch(f"{CONTACTS}/{chosen}", json={"id": chosen})
    assert send(crm, upsert(match=email("jan@example.com"), full=PERSON, many=many)).crm_id == chosen


def test_a_full_page_of_hits_is_too_many_to_choose_from(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Behind a full page there may be a newer one: nobody guesses."""
    crm_answers.get(CONTACTS, json=found(*(str(number) for number in range(10))))
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON, many=Many.NEWEST))
    assert outcome.kind is OutcomeKind.MANY


def test_the_same_record_found_twice_is_one(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """A search that names a record twice has found one."""
    crm_answers.get(CONTACTS, json=found("8", "8"))
    crm_answers.patch(f"{CONTACTS}/8", json={"id": "8"})
    assert send(crm, upsert(match=email("jan@example.com"), full=PERSON)).kind is OutcomeKind.UPDATED


def test_a_change_that_may_not_create_finds_nothing(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Nothing found is `absent`, and nothing is made (S19)."""
    crm_answers.get(CONTACTS, json=found())
    outcome = send(crm, upsert(verb=Verb.UPDATE, match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.ABSENT, False)


def test_a_linked_record_that_is_gone_stops_by_default(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """A person deleted it in the CRM: unlinked, visible, nothing made anew (S10)."""
    crm_answers.patch(f"{CONTACTS}/7", status=404, json={"error": {"code": "not_found", "message": "no"}})
    outcome = send(crm, upsert(crm_id="7", match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.unlinked, outcome.crm_id) == (OutcomeKind.GONE, True, None)


def test_a_linked_record_that_is_gone_is_made_anew_once_if_the_mapping_says_so(
    crm: RestCrm, crm_answers: responses.RequestsMock
) -> None:
    """`when_gone: recreate` looks first, then creates with all fields (S10)."""
    crm_answers.patch(f"{CONTACTS}/7", status=410, json={"error": {"code": "archived", "message": "no"}})
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=201, json={"id": "8"})
    write = upsert(
        crm_id="7", match=email("j@example.com"), full=PERSON, changed={"firstname": "J"}, when_gone=WhenGone.RECREATE
    )
    outcome = send(crm, write)
    assert (outcome.kind, outcome.unlinked, outcome.crm_id) == (OutcomeKind.CREATED, True, "8")
    assert sent(crm_answers.calls[2]) == PERSON


def test_a_wrong_address_unlinks_nothing(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """A 404 of a proxy, or of a wrong base URL, does not say that the record was deleted."""
    crm_answers.patch(f"{CONTACTS}/7", status=404, body="<html>Not here</html>", content_type="text/html")
    outcome = send(crm, upsert(crm_id="7", full=PERSON))
    assert (outcome.kind, outcome.unlinked) == (OutcomeKind.RETRY, False)
    assert "base URL" in outcome.reason


def test_an_update_refused_as_a_duplicate_never_adopts(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """The other record is named, and not touched (S11)."""
    crm_answers.patch(
        f"{CONTACTS}/7", status=409, json={"error": {"code": "duplicate", "message": "taken", "existing": "9"}}
    )
    outcome = send(crm, upsert(crm_id="7", match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.candidates, outcome.crm_id) == (OutcomeKind.DUPLICATE, ("9",), "7")


def test_a_create_refused_as_a_duplicate_adopts_and_updates(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """The record that is there already is the record."""
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=409, json={"error": {"code": "duplicate", "message": "taken", "existing": "9"}})
    crm_answers.patch(f"{CONTACTS}/9", json={"id": "9"})
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON, create_only={"note": "x"}))
    assert (outcome.kind, outcome.crm_id) == (OutcomeKind.UPDATED, "9")
    assert sent(crm_answers.calls[2]) == PERSON


def test_a_duplicate_that_does_not_name_the_other_is_looked_for(
    crm: RestCrm, crm_answers: responses.RequestsMock
) -> None:
    """Without an ID in the refusal, the search tells."""
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=409, json={"error": {"code": "duplicate", "message": "taken"}})
    crm_answers.get(CONTACTS, json=found("9"))
    crm_answers.patch(f"{CONTACTS}/9", json={"id": "9"})
    assert send(crm, upsert(match=email("jan@example.com"), full=PERSON)).crm_id == "9"


def test_a_duplicate_that_the_search_does_not_show_yet_comes_again(
    tmp_path: Path, crm_answers: responses.RequestsMock
) -> None:
    """The index lags: later it will be found."""
    clock = FixedClock()
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=409, json={"error": {"code": "duplicate", "message": "taken"}})
    crm_answers.get(CONTACTS, json=found())
    outcome = send(make("sample", state=tmp_path, clock=clock), upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.retry_at) == (OutcomeKind.RETRY, clock.time + 2000)
    assert outcome.created_maybe


def test_a_duplicate_that_the_search_never_shows_is_given_to_a_person(
    tmp_path: Path, crm_answers: responses.RequestsMock
) -> None:
    """The second time round the search had its time: the other record has another match value."""
    clock = FixedClock()
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=409, json={"error": {"code": "duplicate", "message": "taken"}})
    crm_answers.get(CONTACTS, json=found())
    write = upsert(match=email("jan@example.com"), full=PERSON, created_maybe_at=clock.time - 2000)
    outcome = send(make("sample", state=tmp_path, clock=clock), write)
    assert outcome.kind is OutcomeKind.DUPLICATE
    assert "no match key leads to it" in outcome.reason


def test_a_create_whose_answer_is_missing_is_ambiguous(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Nobody knows whether it happened: look before creating again (S22)."""
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, body=requests.ReadTimeout("read timed out"))
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.created_maybe, outcome.wrote) == (OutcomeKind.AMBIGUOUS, True, True)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_a_create_answered_by_a_broken_server_is_ambiguous(
    crm: RestCrm, crm_answers: responses.RequestsMock, status: int
) -> None:
    """A gateway that gave up, or a server that broke, may have committed before."""
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=status, body="oops")
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.created_maybe) == (OutcomeKind.AMBIGUOUS, True)


def test_an_update_whose_answer_is_missing_comes_again(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Doing an update twice is the same as once (S22)."""
    crm_answers.patch(f"{CONTACTS}/7", body=requests.ReadTimeout("read timed out"))
    outcome = send(crm, upsert(crm_id="7", full=PERSON))
    assert (outcome.kind, outcome.created_maybe, outcome.wrote) == (OutcomeKind.RETRY, False, True)


def test_a_search_whose_answer_is_missing_wrote_nothing(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Looking is not writing."""
    crm_answers.get(CONTACTS, body=requests.ReadTimeout("read timed out"))
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.RETRY, False)


@pytest.mark.parametrize(("status", "touched"), [(503, "5"), (404, None)])
def test_a_record_that_was_found_is_named_when_the_write_into_it_fails(
    crm: RestCrm, crm_answers: responses.RequestsMock, status: int, touched: str | None
) -> None:
    """It is not linked yet, but something may have been written there: others that share it have to know (S8)."""
    crm_answers.get(CONTACTS, json=found("5"))
    crm_answers.patch(f"{CONTACTS}/5", status=status)
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.crm_id, outcome.touched) == (OutcomeKind.RETRY, None, touched)


def test_no_connection_is_unreachable(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """What never left is no attempt at writing."""
    crm_answers.patch(f"{CONTACTS}/7", body=requests.ConnectionError("refused"))
    outcome = send(crm, upsert(crm_id="7", full=PERSON))
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.UNREACHABLE, False)


def test_after_an_ambiguous_create_nobody_looks_too_soon(tmp_path: Path) -> None:
    """A search that lags would find nothing and make a second record (S22)."""
    clock = FixedClock()
    write = upsert(match=email("jan@example.com"), full=PERSON, created_maybe_at=clock.time - 1999)
    outcome = send(make("sample", state=tmp_path, clock=clock), write)
    assert (outcome.kind, outcome.requests, outcome.retry_at) == (OutcomeKind.RETRY, 0, clock.time + 1)


def test_after_an_ambiguous_create_the_old_key_is_looked_for_as_well(
    tmp_path: Path, crm_answers: responses.RequestsMock
) -> None:
    """The record may have been made under the address that the person had then."""
    clock = FixedClock()
    crm_answers.get(f"{CONTACTS}?email=old%40example.com&limit=10", json=found("5"))
    crm_answers.get(f"{CONTACTS}?email=new%40example.com&limit=10", json=found())
    crm_answers.patch(f"{CONTACTS}/5", json={"id": "5"})
    write = upsert(
        match=email("new@example.com"),
        full=PERSON,
        created_maybe_at=clock.time - 5000,
        created_maybe_match=email("old@example.com"),
    )
    assert send(make("sample", state=tmp_path, clock=clock), write).crm_id == "5"


@pytest.mark.parametrize("verb", [Verb.UPSERT, Verb.UPDATE, Verb.ERASE])
def test_what_is_found_by_the_old_key_and_another_by_the_new_one_is_one_too_many(
    tmp_path: Path, crm_answers: responses.RequestsMock, verb: Verb
) -> None:
    """A colleague may have made a contact with the old address meanwhile: it is neither written nor removed (S12)."""
    clock = FixedClock()
    crm_answers.get(f"{CONTACTS}?email=old%40example.com&limit=10", json=found("9"))
    crm_answers.get(f"{CONTACTS}?email=new%40example.com&limit=10", json=found("5"))
    write = upsert(
        verb=verb,
        match=email("new@example.com"),
        full=PERSON,
        created_maybe_at=clock.time - 5000,
        created_maybe_match=email("old@example.com"),
    )
    outcome = send(make("sample", state=tmp_path, clock=clock), write)
    assert (outcome.kind, outcome.candidates, outcome.wrote) == (OutcomeKind.MANY, ("9", "5"), False)


def test_a_create_without_an_id_in_its_answer_is_looked_for_later(
    crm: RestCrm, crm_answers: responses.RequestsMock
) -> None:
    """It was made, but nobody knows as what: that is ambiguous, not a success."""
    crm_answers.get(CONTACTS, json=found())
    crm_answers.post(CONTACTS, status=201, json={"thanks": True})
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.created_maybe) == (OutcomeKind.AMBIGUOUS, True)


def test_a_search_answer_of_another_shape_is_not_taken_for_nothing_found(
    crm: RestCrm, crm_answers: responses.RequestsMock
) -> None:
    """A changed API must not turn every update into a create."""
    crm_answers.get(CONTACTS, json={"contacts": []})
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON))
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.RETRY, False)


@pytest.mark.parametrize(
    ("status", "headers", "kind", "scope"),
    [
        (401, {}, OutcomeKind.UNAUTHORISED, Scope.DESTINATION),
        (403, {}, OutcomeKind.UNAUTHORISED, Scope.OBJECT),
        (429, {"Retry-After": "7"}, OutcomeKind.THROTTLED, Scope.DESTINATION),
        (503, {"Retry-After": "7"}, OutcomeKind.RETRY, Scope.DESTINATION),
        (400, {}, OutcomeKind.PERMANENT, Scope.DESTINATION),
        (422, {}, OutcomeKind.PERMANENT, Scope.DESTINATION),
        (500, {}, OutcomeKind.RETRY, Scope.DESTINATION),
        (302, {"Location": "https://me:pw@other.example/x?token=1"}, OutcomeKind.PERMANENT, Scope.DESTINATION),
    ],
)
def test_what_an_update_comes_to_by_its_status(
    tmp_path: Path,
    crm_answers: responses.RequestsMock,
    status: int,
    headers: dict[str, str],
    kind: OutcomeKind,
    scope: Scope,
) -> None:
    """The defaults behind all rules."""
    clock = FixedClock()
    crm_answers.patch(f"{CONTACTS}/7", status=status, json={}, headers=headers)
    outcome = send(make("sample", state=tmp_path, clock=clock), upsert(crm_id="7", full=PERSON))
    assert (outcome.kind, outcome.scope, outcome.status) == (kind, scope, status)
    assert outcome.retry_at == (clock.time + 7000 if "Retry-After" in headers else None)
    if status == 302:
        assert "other.example" in outcome.reason
        assert "pw" not in outcome.reason
        assert "token" not in outcome.reason


def test_a_reason_holds_neither_credentials_nor_what_was_sent(
    crm: RestCrm, crm_answers: responses.RequestsMock
) -> None:
    """What the CRM repeats of us is left out, and it is capped."""
    said = "Bearer tok-secret-value is wrong for JAN@EXAMPLE.COM and Jan and other@example.org " + "long " * 200
    crm_answers.patch(f"{CONTACTS}/7", status=422, json={"error": {"message": said}})
    reason = send(crm, upsert(crm_id="7", match=email("jan@example.com"), full=PERSON)).reason
    for private in ("tok-secret-value", "example.com", "example.org", "Jan", "JAN"):
        assert private not in reason
    assert "is wrong for" in reason
    assert len(reason) < 400


def test_links_are_made_after_the_write(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """A deal is made, then linked with its contact."""
    crm_answers.get(f"{BASE}/deals", json=found())
    crm_answers.post(f"{BASE}/deals", status=201, json={"id": "3"})
    crm_answers.put(f"{BASE}/deals/3/contacts/8", json={})
    write = upsert(
        "deal",
        match=(MatchKey("title", "x"),),
        full={"title": "x"},
        associations=(Association("contact", "contact", "8"),),
    )
    outcome = send(crm, write)
    assert (outcome.kind, outcome.crm_id, outcome.unassociated) == (OutcomeKind.CREATED, "3", ())


def test_a_link_whose_other_record_is_gone_is_told_apart(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """The write itself was done; the relation is named, so that it can be repaired."""
    crm_answers.put(f"{BASE}/deals/3/contacts/8", status=404, json={"error": {"code": "not_found", "message": "no"}})
    outcome = send(crm, upsert("deal", crm_id="3", associations=(Association("contact", "contact", "8"),)))
    assert (outcome.kind, outcome.unassociated) == (OutcomeKind.UPDATED, ("contact",))


def test_a_link_that_could_not_be_made_now_keeps_the_new_id(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """The next try goes to the record that was made."""
    crm_answers.get(f"{BASE}/deals", json=found())
    crm_answers.post(f"{BASE}/deals", status=201, json={"id": "3"})
    crm_answers.put(f"{BASE}/deals/3/contacts/8", status=500, json={})
    write = upsert(
        "deal",
        match=(MatchKey("title", "x"),),
        full={"title": "x"},
        associations=(Association("contact", "contact", "8"),),
    )
    outcome = send(crm, write)
    assert (outcome.kind, outcome.crm_id, outcome.wrote, outcome.created_maybe) == (OutcomeKind.RETRY, "3", True, False)


@pytest.mark.parametrize("status", [204, 404, 410])
def test_erasing_what_is_not_there_is_done(crm: RestCrm, crm_answers: responses.RequestsMock, status: int) -> None:
    """404 and 410 are what was wanted."""
    crm_answers.delete(f"{CONTACTS}/7", status=status)
    assert send(crm, upsert(verb=Verb.ERASE, crm_id="7")).kind is OutcomeKind.ERASED


@pytest.mark.parametrize("status", [404, 410])
def test_erasing_what_may_have_been_made_anew_ends_the_link_and_is_tried_again(
    crm: RestCrm, crm_answers: responses.RequestsMock, status: int
) -> None:
    """The linked contact is gone, and an update without an answer may have made another: that one is looked for next."""
    crm_answers.delete(f"{CONTACTS}/7", status=status)
    outcome = send(crm, upsert(verb=Verb.ERASE, crm_id="7", created_maybe_match=email("jan@example.com")))
    assert (outcome.kind, outcome.unlinked, outcome.crm_id) == (OutcomeKind.RETRY, True, None)


def test_erasing_what_never_was_there_is_done(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Without a link it is looked for; nothing found is done."""
    crm_answers.get(CONTACTS, json=found())
    outcome = send(crm, upsert(verb=Verb.ERASE, match=email("jan@example.com")))
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.ERASED, False)


def test_erasing_never_takes_one_of_several(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """More than one hit is not erased by guess."""
    crm_answers.get(CONTACTS, json=found("1", "2"))
    assert send(crm, upsert(verb=Verb.ERASE, match=email("jan@example.com"))).kind is OutcomeKind.MANY


def test_archiving_is_not_deleting(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """Each verb has its own request."""
    crm_answers.post(f"{CONTACTS}/7/archive", json={})
    assert send(crm, upsert(verb=Verb.ARCHIVE, crm_id="7")).kind is OutcomeKind.ERASED


def test_what_the_preset_cannot_do_is_said(crm: RestCrm) -> None:
    """No request is made up."""
    outcome = send(crm, upsert(verb=Verb.ANONYMISE, crm_id="7"))
    assert outcome.kind is OutcomeKind.PERMANENT
    assert "anonymise" in outcome.reason


@pytest.mark.parametrize("limit", [0, 1])
def test_the_gate_stands_before_every_request(crm: RestCrm, crm_answers: responses.RequestsMock, limit: int) -> None:
    """A lease that ended stops the change before anything is written (S21)."""
    if limit:
        crm_answers.get(CONTACTS, json=found())
    outcome = send(crm, upsert(match=email("jan@example.com"), full=PERSON), OpenGate(limit))
    assert (outcome.kind, outcome.wrote, outcome.requests) == (OutcomeKind.NOT_SENT, False, limit)


def test_a_stop_between_write_and_link_is_no_not_sent(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """What was written is told, with the ID that it got."""
    crm_answers.get(f"{BASE}/deals", json=found())
    crm_answers.post(f"{BASE}/deals", status=201, json={"id": "3"})
    write = upsert(
        "deal",
        match=(MatchKey("title", "x"),),
        full={"title": "x"},
        associations=(Association("contact", "contact", "8"),),
    )
    outcome = send(crm, write, OpenGate(2))
    assert (outcome.kind, outcome.crm_id, outcome.wrote) == (OutcomeKind.RETRY, "3", True)


def test_an_id_with_slashes_stays_one_segment(crm: RestCrm, crm_answers: responses.RequestsMock) -> None:
    """No ID can lead to another address."""
    crm_answers.patch(f"{CONTACTS}/..%2F..%2Fadmin%3Fx", json={})
    assert send(crm, upsert(crm_id="../../admin?x", full=PERSON)).kind is OutcomeKind.UPDATED


def test_an_id_of_dots_goes_nowhere(crm: RestCrm) -> None:
    """A dot segment would be another address: nothing is sent."""
    assert send(crm, upsert(crm_id="..", full=PERSON)).kind is OutcomeKind.PERMANENT


def test_an_unknown_object_is_said(crm: RestCrm) -> None:
    """The mapping names an object that the preset has not."""
    outcome = send(crm, upsert("lead", crm_id="1", full=PERSON))
    assert outcome.kind is OutcomeKind.PERMANENT
    assert "contact" in outcome.reason
