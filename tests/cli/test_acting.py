"""`replay`, `hold`, `release`, `discard`, `pause`, `resume`: what they do to a real outbox, and what they say."""

import json

import pytest

from connector.domain.outcome import OutcomeKind
from tests.support.world import answer


@pytest.fixture
def dead(installation):
    """Two records whose delivery is dead, and one that was delivered."""
    world = installation.world
    world.call("create", 1, email="anna@example.com")
    world.settle()
    for profile in (2, 3):
        world.crm.faults.append(answer(OutcomeKind.PERMANENT, reason="country: unknown value", status=422))
        world.call("create", profile, email=f"p{profile}@example.com")
        world.settle()
    assert world.states() == ["delivered", "dead", "dead"]
    return installation


def test_replay_of_the_dead_delivers_them_and_says_what_comes_next(dead, run):
    """The command that people run most: mend the mapping, replay, done."""
    result = run("replay", "--state", "dead", "--mapping", "customers")
    assert result.code == 0
    assert "2 events will be delivered again, through the mappings as they are now." in result.out
    assert "Next: " in result.out
    dead.world.clock.pass_(180_000)
    dead.world.settle()
    assert dead.world.states() == ["delivered"] * 3
    assert len(dead.world.contacts()) == 3


def test_a_dry_run_says_the_same_number_and_does_nothing(dead, run):
    """For every command that changes something."""
    for command in ("replay", "discard"):
        result = run(command, "--state", "dead", "--dry-run")
        assert result.code == 0
        assert "would be" in result.out
        assert " 2 " in f" {result.out}"
        assert "Nothing was changed (--dry-run)." in result.out
    assert dead.world.states() == ["delivered", "dead", "dead"]


def test_the_json_of_a_command_is_what_the_documentation_says(dead, run):
    """A contract: command, dry_run, done, left, ids."""
    result = run("replay", "--state", "dead", "--json", "--dry-run")
    assert json.loads(result.out) == {"command": "replay", "dry_run": True, "done": 2, "left": {}, "ids": [2, 3]}
    result = run("discard", "2", "--json")
    assert json.loads(result.out) == {"command": "discard", "dry_run": False, "done": 1, "left": {}, "ids": [2]}
    result = run("discard", "1", "--json")
    assert result.code == 1
    assert json.loads(result.out)["left"] == {"settled already": 1}


def test_at_a_terminal_it_asks_first_and_no_is_no(dead, run):
    """The number is in the question; n changes nothing and exits 1; y does it; --yes does not ask."""
    result = run("discard", "--state", "dead", answer="n\n")
    assert result.code == 1
    assert "Throw away 2 deliveries? [y/N]" in result.err
    assert dead.world.states() == ["delivered", "dead", "dead"]
    assert run("discard", "2", answer="y\n").code == 0
    assert "[y/N]" not in run("discard", "3", "--yes", answer="").err
    assert dead.world.states() == ["delivered", "discarded", "discarded"]


def test_a_script_is_not_asked(dead, run):
    """Without a terminal there is nobody to answer."""
    result = run("discard", "--state", "dead")
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("command", ["replay", "hold", "release", "discard"])
def test_nothing_to_do_exits_1_and_says_so(installation, run, command):
    """A filter that selects nothing is probably a mistake."""
    result = run(command, "--record", "profile/1/5", "--state", "dead")
    assert result.code == 1
    assert f"Nothing to {command}" in result.out


def test_exact_warns_that_the_crm_may_go_back(dead, run):
    """The warning is on standard error, so that JSON stays JSON."""
    result = run("replay", "1", "--exact", "--json")
    assert "Warning: --exact" in result.err
    assert json.loads(result.out)["done"] == 1


def test_hold_of_a_mapping_covers_what_comes_later_and_release_sends_the_newest(installation, run):
    """S27, by command."""
    world = installation.world
    (installation.folder / "mappings" / "customers.yaml").write_text("name: customers\n")
    result = run("hold", "--mapping", "customers")
    assert (result.code, "Later states are held as well." in result.out) == (0, True)
    world.call("create", 1, email="a@example.com", name="One")
    world.settle()
    world.call("update", 1, at=5, email="a@example.com", name="Two")
    world.settle()
    assert world.states()[-1] == "held"
    result = run("release", "--mapping", "customers")
    assert result.code == 0
    assert "1 delivery is released.\nLater states are not held any more.\n" in result.out
    world.clock.pass_(180_000)
    world.settle()
    assert [contact["firstname"] for contact in world.contacts()] == ["Two"]


def test_a_hold_for_a_mapping_that_does_not_exist_is_refused(installation, run):
    """It would hold nothing, and nobody would know."""
    (installation.folder / "mappings" / "customers.yaml").write_text("name: customers\n")
    result = run("hold", "--mapping", "custmers")
    assert (result.code, result.out) == (2, "")
    assert "known: customers" in result.err


def test_hold_says_whether_later_states_are_held_too(installation, run):
    """A record alone covers them; IDs do not."""
    world = installation.world
    installation.world.engine.queue.pause(pause())
    world.call("create", 1, email="a@example.com")
    world.call("create", 2, email="b@example.com")
    world.settle()
    assert "Later states are held as well." in run("hold", "--record", "profile/1/1").out
    assert "A newer state of one of these records goes through" in run("hold", "2").out
    assert world.states() == ["held", "held"]


def pause():
    from connector.outbox.port import Pause

    return Pause("crm", "operator", "", 0)


def test_pause_stops_a_destination_until_resume(installation, run):
    """What comes in is stored; `status` and `replay` say that it is paused."""
    world = installation.world
    result = run("pause", "crm", "--reason", "moving the CRM")
    assert result.code == 0
    assert "crm is paused until it is resumed" in result.out
    world.call("create", 1, email="a@example.com")
    world.settle()
    assert world.states() == ["pending"]
    assert "crm  operator: moving the CRM" in run("status").out
    result = run("resume", "crm")
    assert (result.code, "crm is resumed." in result.out) == (0, True)
    world.settle()
    assert world.states() == ["delivered"]


def test_resume_of_what_is_not_paused_exits_1(installation, run):
    """And says what is."""
    run("pause", "crm/contacts", "--for", "2h")
    result = run("resume", "crm")
    assert result.code == 1
    assert "crm is not paused. Paused: crm/contacts." in result.out
    assert json.loads(run("resume", "crm/contacts", "--json").out) == {
        "command": "resume",
        "subject": "crm/contacts",
        "was_paused": True,
        "paused": [],
    }


def test_a_pause_names_something_that_exists(installation, run, tmp_path):
    """A mistyped name is 2 and lists the known ones: destinations and mappings."""
    (tmp_path / "mappings" / "orders.yaml").write_text("name: shop-orders\n")
    result = run("pause", "crn")
    assert result.code == 2
    assert "known: crm, shop-orders" in result.err
    assert run("pause", "shop-orders").code == 0


def test_a_pause_works_when_the_mappings_are_broken(installation, run, tmp_path):
    """That is when it is needed most: then any name is taken."""
    (tmp_path / "mappings" / "orders.yaml").write_text("name: [\n")
    assert run("pause", "orders").code == 0


def test_a_pause_ends_by_itself_with_for(installation, run):
    """The JSON says when."""
    form = json.loads(run("pause", "crm", "--for", "2h", "--json").out)["pause"]
    assert form["subject"] == "crm"
    assert form["by"] == "operator"
    assert form["until"] > form["since"]


def test_replay_says_that_a_destination_is_paused_or_only_observed(dead, run):
    """So that nobody waits for what cannot come."""
    dead.configure(dead.config.read_text().replace('mode = "live"', 'mode = "observe"'))
    run("pause", "crm", "--reason", "moving")
    said = run("replay", "--state", "dead").out
    assert "crm is paused (moving)" in said
    assert 'crm is only observed (mode = "observe")' in said


def test_commands_work_through_real_processes(dead):
    """As people run them."""
    done = dead.process("replay", "--state", "dead", "--dry-run", stdin=-3)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 events would be delivered again." in done.stdout
    assert dead.process("status").returncode == 1
    assert dead.process("discard", "--state", "dead").returncode == 0
    assert dead.process("status").returncode == 0
