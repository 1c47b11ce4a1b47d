"""What the sample CRM keeps and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.sample_crm.message import ApiError
from connector.sample_crm.schema import KINDS, merge
from connector.sample_crm.store import Store

ANNA = {"email": "anna@example.com", "firstname": "Anna", "copernica_id": "77"}


def test_a_contact_is_made_read_changed_and_deleted(call):
    """The plain life of a record, with the statuses that a REST API gives."""
    made = call("POST", "/contacts", ANNA)
    assert made.status_code == 201
    identity = made.json()["id"]
    assert made.json() == {"id": identity, "archived": False, **ANNA}
    changed = call("PATCH", f"/contacts/{identity}", {"firstname": None, "optin": True})
    assert changed.status_code == 200
    expected = {
        "id": identity,
        "archived": False,
        "email": "anna@example.com",
        "copernica_id": "77",
        "optin": True,
    }
    assert changed.json() == expected
    assert call.ok("GET", f"/contacts/{identity}") == expected
    gone = call("DELETE", f"/contacts/{identity}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert call("DELETE", f"/contacts/{identity}").status_code == 404
    assert call("GET", f"/contacts/{identity}").status_code == 404
    assert call("PATCH", f"/contacts/{identity}", {"firstname": "A"}).status_code == 404


@pytest.mark.parametrize(
    ("kind", "values"),
    [("companies", {"name": "Acme", "domain": "acme.example"}), ("deals", {"title": "Order 5", "amount": 12.5})],
)
def test_companies_and_deals_live_the_same_life(call, kind, values):
    """Every object has the same addresses."""
    identity = call.ok("POST", f"/{kind}", values)["id"]
    call.ok("PATCH", f"/{kind}/{identity}", {"note": "x"})
    assert call.ok("GET", f"/{kind}?copernica_id=5")["results"] == []
    key, value = next(iter(values.items()))
    assert [row["note"] for row in call.ok("GET", f"/{kind}?{key}={value}")["results"]] == ["x"]
    assert call("DELETE", f"/{kind}/{identity}").status_code == 204


def test_an_email_address_is_unique_whatever_its_case(call):
    """A second contact with it is 409 and names the first; so is changing another one's to it."""
    first = call.ok("POST", "/contacts", ANNA)["id"]
    answer = call("POST", "/contacts", {"email": "ANNA@example.com"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "duplicate"
    assert answer.json()["error"]["existing"] == first
    second = call.ok("POST", "/contacts", {"email": "ben@example.com"})["id"]
    answer = call("PATCH", f"/contacts/{second}", {"email": "anna@example.com"})
    assert (answer.status_code, answer.json()["error"]["existing"]) == (409, first)
    assert call("PATCH", f"/contacts/{first}", {"email": "Anna@Example.com"}).status_code == 200


def test_an_address_is_free_again_after_a_change_a_delete_or_an_archive(call):
    """What nobody has any more is no duplicate."""
    first = call.ok("POST", "/contacts", ANNA)["id"]
    call.ok("PATCH", f"/contacts/{first}", {"email": "other@example.com"})
    second = call.ok("POST", "/contacts", ANNA)["id"]
    call.ok("DELETE", f"/contacts/{second}")
    third = call.ok("POST", "/contacts", ANNA)["id"]
    call.ok("POST", f"/contacts/{third}/archive")
    call.ok("POST", "/contacts", ANNA)


def test_uniqueness_can_be_switched_off(call):
    """Then two contacts may have one address, and a search shows both."""
    call.ok("PATCH", "/_admin/settings", {"unique": False})
    call.ok("POST", "/contacts", ANNA)
    call.ok("POST", "/contacts", ANNA)
    assert len(call.ok("GET", "/contacts?email=anna@example.com")["results"]) == 2
    answer = call("PUT", "/contacts/by/email/anna@example.com", {"firstname": "A"})
    assert answer.status_code == 409
    assert len(answer.json()["error"]["candidates"]) == 2


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("contacts", {"emial": "a@b.example"}, "emial"),
        ("contacts", {"id": "5"}, "id"),
        ("contacts", {"email": "no address"}, "email"),
        ("contacts", {"firstname": 5}, "firstname"),
        ("contacts", {"optin": "yes"}, "optin"),
        ("contacts", {"score": 1.5}, "score"),
        ("contacts", {"score": True}, "score"),
        ("contacts", {"birthdate": "0000-00-00"}, "birthdate"),
        ("contacts", {"tags": ["a", 5]}, "tags"),
        ("contacts", {"address": "Street 1"}, "address"),
        ("contacts", {"address": {"planet": "Mars"}}, "address.planet"),
        ("contacts", {"custom_x": {}}, "custom_x"),
        ("deals", {"amount": "12"}, "amount"),
    ],
)
def test_a_wrong_field_is_422_and_named(call, kind, values, field):
    """Unknown fields and wrong types are refused, not dropped, and nothing is written."""
    answer = call("POST", f"/{kind}", values)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert call.ok("GET", f"/{kind}")["results"] == []


def test_every_type_has_values_that_are_taken(call):
    """What is of the right type comes back as it was sent; a customer's own fields too."""
    values = {
        "email": "ü@example.com",
        "score": 3,
        "optin": False,
        "birthdate": "1979-02-12",
        "tags": ["a", "b"],
        "address": {"city": "Gent", "country": "BE"},
        "custom_shoe size": 42.5,
    }
    made = call.ok("POST", "/contacts", values)
    assert {key: made[key] for key in values} == values
    changed = call.ok("PATCH", f"/contacts/{made['id']}", {"address": {"city": "Brugge", "country": None}})
    assert changed["address"] == {"city": "Brugge"}
    assert "address" not in call.ok("PATCH", f"/contacts/{made['id']}", {"address": {"city": None}})


def test_an_archived_record_is_readable_not_found_and_not_changed(call):
    """Archive is 200 each time; searches and lists leave it out; a change is 410."""
    identity = call.ok("POST", "/contacts", ANNA)["id"]
    assert call.ok("POST", f"/contacts/{identity}/archive")["archived"] is True
    assert call("POST", f"/contacts/{identity}/archive").status_code == 200
    assert call.ok("GET", f"/contacts/{identity}")["archived"] is True
    assert call.ok("GET", "/contacts?email=anna@example.com")["results"] == []
    assert call.ok("GET", "/contacts")["results"] == []
    assert [row["id"] for row in call.ok("GET", "/contacts?archived=true")["results"]] == [identity]
    assert call("PATCH", f"/contacts/{identity}", {"firstname": "A"}).status_code == 410


def test_links_go_both_ways_and_are_made_once(call):
    """PUT twice is one link; deleting a record takes its links along."""
    contact = call.ok("POST", "/contacts", ANNA)["id"]
    company = call.ok("POST", "/companies", {"name": "Acme"})["id"]
    deal = call.ok("POST", "/deals", {"title": "D"})["id"]
    assert call.ok("PUT", f"/contacts/{contact}/companies/{company}")["created"] is True
    assert call.ok("PUT", f"/contacts/{contact}/companies/{company}")["created"] is False
    assert call.ok("PUT", f"/companies/{company}/contacts/{contact}")["created"] is False
    call.ok("PUT", f"/deals/{deal}/contacts/{contact}")
    assert call.ok("GET", f"/contacts/{contact}/associations") == {"companies": [company], "deals": [deal]}
    assert call("PUT", f"/contacts/{contact}/companies/1").status_code == 404
    call.ok("DELETE", f"/contacts/{contact}/companies/{company}")
    assert call("DELETE", f"/contacts/{contact}/companies/{company}").status_code == 404
    call.ok("DELETE", f"/deals/{deal}")
    assert call.ok("GET", f"/contacts/{contact}/associations") == {}


def test_a_batch_upserts_by_key_with_an_outcome_for_each(call):
    """207 always; one bad item hurts no other; the second time nothing is made twice."""
    inputs = [{"email": "a@example.com", "score": 1}, {"email": "b@example.com", "score": "x"}, {"score": 3}]
    first = call("POST", "/contacts/batch", {"key": "email", "inputs": inputs})
    assert first.status_code == 207
    results = first.json()["results"]
    assert [item["status"] for item in results] == [201, 422, 422]
    assert results[1]["error"]["field"] == "score"
    again = call.ok("POST", "/contacts/batch", {"key": "email", "inputs": [{"email": "A@example.com", "score": 2}]})
    assert [(item["status"], item["created"]) for item in again["results"]] == [(200, False)]
    assert call.ok("GET", f"/contacts/{results[0]['id']}")["score"] == 2
    by_id = {"key": "id", "inputs": [{"id": results[0]["id"], "note": "x"}, {"id": "1", "note": "y"}]}
    assert [item["status"] for item in call.ok("POST", "/contacts/batch", by_id)["results"]] == [200, 404]
    too_many = {"key": "email", "inputs": [{}] * 101}
    assert call("POST", "/contacts/batch", too_many).status_code == 422


def test_a_one_call_upsert_makes_once_and_changes_after(call):
    """201, then 200, and one record."""
    assert call("PUT", "/deals/by/copernica_id/a%2Fb", {"title": "one"}).status_code == 201
    assert call("PUT", "/deals/by/copernica_id/a%2Fb", {"title": "two"}).status_code == 200
    rows = call.ok("GET", "/deals")["results"]
    assert [(row["title"], row["copernica_id"]) for row in rows] == [("two", "a/b")]
    assert call("PUT", "/deals/by/copernica_id/%20", {"title": "one"}).status_code == 422


def test_a_list_comes_in_pages(call):
    """`after` goes on behind the last ID; `next` is null on the last page."""
    made = [call.ok("POST", "/deals", {"title": str(number)})["id"] for number in range(5)]
    first = call.ok("GET", "/deals?limit=3")
    assert ([row["id"] for row in first["results"]], first["next"]) == (made[:3], made[2])
    last = call.ok("GET", f"/deals?limit=3&after={first['next']}")
    assert ([row["id"] for row in last["results"]], last["next"]) == (made[3:], None)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/people", 404),
        ("GET", "/contacts/1/2/3/4", 404),
        ("DELETE", "/contacts", 405),
        ("GET", "/contacts/batch", 405),
        ("GET", "/contacts?firstname=x", 422),
        ("GET", "/contacts?email=a&copernica_id=b", 422),
        ("GET", "/contacts?limit=x", 422),
        ("POST", "/contacts/5/archive", 404),
        ("GET", "/_admin/nothing", 404),
    ],
)
def test_what_does_not_exist_is_said_so(call, method, path, status):
    """No address answers with something else than it is asked."""
    assert call(method, path).status_code == status


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic x"])
@pytest.mark.parametrize("path", ["/contacts", "/_admin/journal"])
def test_without_the_token_nothing_is_told(call, path, header):
    """401 for the data and for what steers the CRM."""
    call.session.headers.pop("Authorization")
    if header:
        call.session.headers["Authorization"] = header
    assert call("GET", path).status_code == 401


def test_a_search_lags_as_long_as_it_is_told():
    """Until the lag is over a search shows what was: new records not, changed ones as before, deleted ones still."""
    now = 0.0
    store = Store(lambda: now)
    anna = store.create("contacts", ANNA)
    store.search.lag = 5
    store.update("contacts", anna["id"], {"email": "new@example.com"})
    ben = store.create("contacts", {"email": "ben@example.com"})
    assert store.find("contacts", "email", "anna@example.com") == [anna]
    assert store.find("contacts", "email", "new@example.com") == []
    assert store.find("contacts", "email", "ben@example.com") == []
    now = 5.0
    assert store.find("contacts", "email", "anna@example.com") == []
    assert [row["id"] for row in store.find("contacts", "email", "new@example.com")] == [anna["id"]]
    store.delete("contacts", ben["id"])
    assert store.find("contacts", "email", "ben@example.com") == [ben]
    now = 10.0
    assert store.find("contacts", "email", "ben@example.com") == []


def test_a_lag_that_is_taken_back_keeps_the_order_of_writes():
    """A write made after the lag was switched off never shows before an older one that still waits."""
    now = 0.0
    store = Store(lambda: now)
    store.search.lag = 5
    row = store.create("deals", {"title": "one"})
    store.search.lag = 0
    store.update("deals", row["id"], {"title": "two"})
    now = 6.0
    assert store.find("deals", "title", "one") == []
    assert [found["title"] for found in store.find("deals", "title", "two")] == ["two"]


FLAT = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.none() | st.integers())


@given(FLAT, FLAT)
def test_a_merge_sets_what_is_given_clears_what_is_null_and_leaves_the_rest(old, new):
    """The three meanings of a field in a PATCH; a nested object is merged in the same way."""
    before = merge({}, old)
    expected = {name: new.get(name, before.get(name)) for name in before.keys() | new.keys()}
    expected = {name: value for name, value in expected.items() if value is not None}
    for name in new.keys() & before.keys():
        if new[name] is None:
            expected.pop(name, None)
    assert merge(before, new) == expected
    assert merge({"inner": before} if before else {}, {"inner": new}) == ({"inner": expected} if expected else {})


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["create", "update", "delete", "archive"]),
        st.integers(0, 5),
        st.sampled_from(["a@x", "b@x", None]),
    ),
    max_size=40,
)


@given(OPERATIONS)
def test_the_index_is_never_out_of_step_with_the_records(operations):
    """After any history: unique addresses are unique, and a search finds just who has the address."""
    store = Store(lambda: 0.0)
    made: list[str] = []
    for action, which, email in operations:
        try:
            if action == "create":
                made.append(store.create("contacts", {"email": email})["id"])
            elif made:
                identity = made[which % len(made)]
                if action == "update":
                    store.update("contacts", identity, {"email": email})
                elif action == "delete":
                    store.delete("contacts", identity)
                else:
                    store.archive("contacts", identity)
        except ApiError as error:
            if error.status not in (404, 409, 410):
                raise
    for email in ("a@x", "b@x"):
        holders = [row for row in store.rows("contacts") if row.get("email") == email and not row["archived"]]
        assert len(holders) <= 1
        assert store.find("contacts", "email", email) == holders


def test_every_object_has_a_field_for_the_copernica_id():
    """So that a preset can find by it."""
    assert all("copernica_id" in kind.keys and "copernica_id" in kind.fields for kind in KINDS.values())
