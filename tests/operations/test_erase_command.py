"""`connector erase`: what it asks, what it says, and what it leaves (S28)."""

import json

import pytest

from tests.operations.test_erase import assert_clean

ADDRESS = "Jan.Jansen@voorbeeld.nl"
MAPPING = """\
name: customers
from: {database: 1}
to: {crm: crm, object: contacts}
match:
  - email: email
set:
  email: email
  firstname: name
on_delete: ignore
"""


@pytest.fixture
def filled(installation):
    (installation.folder / "mappings" / "customers.yaml").write_text(MAPPING)
    installation.world.call("create", 7, email=ADDRESS, name="Jan")
    installation.world.call("create", 8, email="other@voorbeeld.nl", name="Mia")
    installation.world.settle()
    return installation


def test_s28_the_crm_side_has_to_be_decided(filled, run):
    """There is no default: erasing it there or keeping it is a decision."""
    result = run("erase", "--email", ADDRESS)
    assert result.code == 2
    assert "--crm" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("--profile", "1/7", "--email", ADDRESS), ("--profile", "7"), ("--profile", "1/x"), ("--subprofile", "/3"),
        ("--email", "nobody"), ("--email", "a@x.nl b@x.nl"),
    ],
)  # fmt: skip
def test_exactly_one_person_has_to_be_named(filled, run, arguments):
    """A slip of the pen erases nobody."""
    assert run("erase", "--crm", "keep", *arguments).code == 2
    assert filled.world.desk.show(1) is not None


def test_s28_a_dry_run_shows_everything_and_changes_nothing(filled, run):
    """Records, calls, CRM records; and no address in what is printed."""
    before = (filled.folder / "outbox.db").read_bytes()
    result = run("erase", "--email", ADDRESS, "--crm", "erase", "--dry-run")
    assert result.code == 0
    assert "profile/1/7" in result.out
    assert "crm/contacts 1" in result.out
    assert "profile/1/8" not in result.out
    assert ADDRESS.lower() not in result.out.lower()
    assert (filled.folder / "outbox.db").read_bytes() == before
    assert filled.world.desk.show(1) is not None


def test_a_person_at_a_terminal_is_asked_and_may_say_no(filled, run):
    """After having seen what would go."""
    result = run("erase", "--profile", "1/7", "--crm", "keep", answer="n\n")
    assert result.code == 1
    assert "profile/1/7" in result.err
    assert filled.world.desk.show(1) is not None
    assert run("erase", "--profile", "1/7", "--crm", "keep", answer="y\n").code == 0
    assert filled.world.desk.show(1) is None


def test_s28_the_receipt_says_what_waits_and_what_is_not_covered(filled, run):
    """The event that it names tells when the CRM's side is done."""
    result = run("erase", "--profile", "1/7", "--crm", "erase", "--yes")
    assert result.code == 0
    assert "Waits to be removed from the CRM" in result.out
    assert "(event 3)" in result.out
    assert "backups" in result.out
    assert "Copernica has to erase" in result.out
    assert_clean(filled.world, ADDRESS)
    filled.world.clock.pass_(120_000)  # the command's clock is two minutes on
    filled.world.settle()
    assert [c["email"] for c in filled.world.contacts()] == ["other@voorbeeld.nl"]
    shown = run("show", "3")
    assert "delivered" in shown.out


def test_s28_the_receipt_as_json(filled, run):
    """For a ticket system, without personal data."""
    form = json.loads(run("erase", "--email", ADDRESS, "--crm", "erase", "--yes", "--json").out)
    assert form["records"] == ["profile/1/7"]
    assert form["calls"] == 1
    assert form["erasing"] == [{"destination": "crm", "object": "contacts", "crm_id": "1", "event": 3}]
    assert form["traces"] == []
    assert form["rewritten"] is True


def test_s28_a_crm_record_that_no_mapping_writes_to_any_more_is_named(filled, run):
    """Nobody could remove it but a person."""
    (filled.folder / "mappings" / "customers.yaml").unlink()
    form = json.loads(run("erase", "--profile", "1/7", "--crm", "erase", "--yes", "--json").out)
    assert [one["crm_id"] for one in form["by_hand"]] == ["1"]


def test_s28_somebody_unknown_gets_a_tombstone_all_the_same(filled, run):
    """Exit 1 says that nothing was there; an older call that comes late is refused."""
    result = run("erase", "--email", "late@voorbeeld.nl", "--crm", "keep", "--yes")
    assert result.code == 1
    assert "Nothing is stored" in result.out
    filled.world.call("create", 9, at=1, email="late@voorbeeld.nl", name="Late")
    filled.world.settle()
    assert_clean(filled.world, "late@voorbeeld.nl")


def test_s28_keeping_the_crm_side_works_with_broken_mappings(filled, run):
    """A person's wish does not wait for a file to be mended; and nobody unknown is called erased."""
    (filled.folder / "mappings" / "customers.yaml").write_text("name: [")
    assert run("erase", "--profile", "1/7", "--crm", "erase", "--yes").code == 78
    assert filled.world.desk.show(1) is not None
    assert run("erase", "--profile", "1/7", "--crm", "keep", "--yes").code == 0
    assert_clean(filled.world, ADDRESS)
    assert run("erase", "--profile", "1/4711", "--crm", "keep", "--yes").code == 1
