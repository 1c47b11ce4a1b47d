"""`list`, `show` and their JSON."""

import json

import pytest

from connector.domain.outcome import OutcomeKind
from tests.support.world import answer


@pytest.fixture
def filled(installation):
    """A delivered, a dead, a pending and an unwanted event."""
    world = installation.world
    world.call("create", 1, email="anna@example.com", name="Anna")
    world.settle()
    world.crm.faults.append(
        answer(OutcomeKind.PERMANENT, reason="country: \x1b[31munknown value", status=422, requests=1)
    )
    world.call("create", 2, email="ben@example.com", name="Ben")
    world.settle()
    world.call("create", 3, database=99, email="cleo@example.com")
    world.settle()
    world.clock.pass_(60_000)
    world.call("update", 1, at=60, email="anna@example.com", name="Anne")
    return installation


def events(result) -> list[dict]:
    assert result.code == 0, result.err
    return json.loads(result.out)["events"]


def test_list_shows_the_newest_first_with_what_became_of_each(filled, run):
    """One line per delivery; an event without one shows its own state."""
    result = run("list")
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0][:2] == ["ID", "RECEIVED"]
    assert [line[0] for line in lines[1:]] == ["4", "3", "2", "1"]
    assert [line[7] for line in lines[1:]] == ["new", "unwanted", "dead", "delivered"]
    assert "customers" in lines[3]
    assert "profile/1/2" in lines[3]


def test_nothing_from_outside_steers_the_terminal(filled, run):
    """A CRM's answer with escape codes is written out."""
    for command in (["list"], ["show", "2"], ["status"]):
        result = run(*command)
        assert "\x1b" not in result.out
        assert "\\x1b[31munknown value" in result.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [4, 3, 2, 1]),
        (["2", "3"], [3, 2]),
        (["--state", "dead"], [2]),
        (["--state", "dead", "--state", "delivered"], [2, 1]),
        (["--state", "unwanted"], [3]),
        (["--source", "shop"], [4, 3, 2, 1]),
        (["--source", "other"], []),
        (["--mapping", "customers"], [2, 1]),
        (["--record", "profile/1/1"], [1]),
        (["--record", "profile/1/1", "--state", "delivered"], [1]),
        (["--text", "UNKNOWN"], [2]),
        (["--since", "2027-01-15T08:00:30Z"], [4]),
        (["--until", "2027-01-15T08:00:30Z"], [3, 2, 1]),
        (["--limit", "2"], [4, 3]),
        (["--limit", "2", "--after", "3"], [2, 1]),
    ],
)
def test_every_filter_selects_what_it_says(filled, run, arguments, expected):
    """Alone and together; what is given must all hold. Of which record a call is, is known once it is routed."""
    assert [event["id"] for event in events(run("list", "--json", *arguments))] == expected


def test_the_json_of_list_is_what_the_documentation_says(filled, run):
    """A contract: these names, these types."""
    form = json.loads(run("list", "--json", "--limit", "1", "2").out)
    delivery_id = form["events"][0]["deliveries"][0].pop("id")
    assert isinstance(delivery_id, int)
    assert form == {
        "events": [
            {
                "id": 2,
                "source": "shop",
                "state": "routed",
                "record": "profile/1/2",
                "type": "create",
                "received_at": "2027-01-15T08:00:00.000Z",
                "size": form["events"][0]["size"],
                "note": "",
                "deliveries": [
                    {
                        "mapping": "customers",
                        "state": "dead",
                        "priority": "live",
                        "due_at": None,
                        "attempts": 0,
                        "reason": "country: \x1b[31munknown value",
                        "changed_at": "2027-01-15T08:00:00.000Z",
                        "forced": False,
                    }
                ],
            }
        ],
        "next": None,
    }
    assert json.loads(run("list", "--json", "--limit", "1").out)["next"] == 4


def test_an_empty_list_is_an_answer(installation, run):
    """Exit 0, and nothing on standard output."""
    result = run("list", "--state", "dead")
    assert (result.code, result.out) == (0, "")
    assert events(run("list", "--json")) == []


def test_show_tells_the_whole_story_without_personal_data(filled, run):
    """Call, delivery, each try, link; the body is not shown unless it is asked for."""
    result = run("show", "1")
    assert result.code == 0
    for words in (
        "profile/1/1",
        "POST /shop",
        "Delivery by customers: delivered",
        "created",
        "linked to  1 in crm/contacts",
    ):
        assert words in result.out
    assert "anna@example.com" not in result.out
    dead = run("show", "2").out
    assert "permanent, HTTP 422, 1 request(s)" in dead
    assert run("show", "3").out.count("unwanted") == 1


def test_show_body_shows_the_body(filled, run):
    """As it came."""
    result = run("show", "1", "--body")
    assert "fields%5Bemail%5D=anna%40example.com" in result.out


def test_the_json_of_show_has_the_call_the_tries_and_the_links(filled, run):
    """A contract as well; `body` only with --body."""
    form = json.loads(run("show", "1", "--json").out)
    assert form["call"] == {
        "method": "POST",
        "target": "/shop",
        "peer": "127.0.0.1",
        "secure": True,
        "received_at": "2027-01-15T08:00:00.000Z",
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    }
    assert form["links"] == [{"to": "crm/contacts", "crm_id": "1"}]
    (attempt,) = form["attempts"]
    assert (attempt["outcome"], attempt["requests"], attempt["mapping_version"]) == ("created", 1, "v1")
    assert form["event"]["deliveries"][0]["state"] == "delivered"
    with_body = json.loads(run("show", "1", "--json", "--body").out)
    assert with_body["call"]["body"].startswith("type=create&profile=1&")


def test_a_secret_in_the_path_is_never_shown(filled, run):
    """Nor is what may be one, when the source is no longer configured."""
    filled.configure(filled.config.read_text().replace("[sources.shop]", "[sources.other]"))
    assert "/shop" not in run("show", "1").out
    secret = '[sources.shop]\nproof = "secret"\nsecret = {env = "S"}\n'
    filled.configure(f'[outbox]\npath = "outbox.db"\nfree_bytes = 0\n{secret}')
    assert "/shop" not in run("show", "1", "--body", "--json").out


def test_show_of_what_is_not_there_exits_1(filled, run):
    """And says why it may be gone."""
    result = run("show", "99")
    assert (result.code, result.out) == (1, "")
    assert "There is no event 99" in result.err


def test_looking_changes_nothing_and_needs_no_lock(filled, run):
    """While another process writes, people can look."""
    with filled.world.db.write():
        assert run("list").code == 0
        assert run("show", "1").code == 0
        assert run("status", "--json").code == 1  # one is dead
    assert filled.world.states() == ["delivered", "dead"]
