"""The commands around mapping files: check, test, preview, init, draft-mapping, schema."""

import json
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from connector.cli.check import check
from connector.cli.draft_mapping import draft_mapping
from connector.cli.init import init
from connector.cli.preview import preview
from connector.cli.schema import schema
from connector.cli.test import test as run_examples
from connector.cli.workbench import Arrived, Workbench
from connector.config.load import load
from connector.crm.port import PlannedRequest
from connector.crm.presets.load import list_presets
from connector.mapping.load import load_mappings
from tests.mapping.events import BASE, email, profile

BODY = b"type=update&profile=7&database=7616&time=1769857200&fields[email]=A%40b.nl&fields[voornaam]=Anna&fields[Achter+naam]=Smit"


ROOT = Path(__file__).parents[2]


def invoke(command, *arguments, stdin=None, bench=None):
    names = ["-h", "--help"]  # as `connector` has them: a command keeps the first that it hears of
    return CliRunner().invoke(command, [str(one) for one in arguments], input=stdin, obj=bench, help_option_names=names)


class FakeBench(Workbench):
    """Events and requests from here."""

    def __init__(self, config_file=None, events=()):
        super().__init__(config_file)
        self.events = {
            number: Arrived(f"event {number}", "shop", event, links) for number, (event, links) in enumerate(events, 1)
        }
        self.writes = []

    def stored(self, event_id):
        return self.events.get(event_id)

    def newest(self, limit):
        return iter(list(reversed(self.events.values()))[:limit])

    def plan(self, destination, write):
        self.writes.append((destination, write))
        return [PlannedRequest("GET", "https://crm.example.com/contacts?email=x", None, "find")]


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A configuration, a mapping, and nothing of the machine's own."""
    monkeypatch.delenv("CONNECTOR_CONFIG", raising=False)
    (tmp_path / "mappings").mkdir()
    (tmp_path / "config.toml").write_text(
        '[sources.shop]\naccount = "account-1"\n'
        '[destinations.crm]\npreset = "sample"\nsecrets = { token = { env = "TOKEN" } }\n'
    )
    (tmp_path / "mappings" / "readers.yaml").write_text(BASE)
    return tmp_path


def test_check_says_that_all_is_well_and_what_is_in_force(house):
    """Mappings with their versions, destinations, sources, and the whole schedule of tries."""
    found = invoke(check, "--config", house / "config.toml")
    assert found.exit_code == 0, found.output
    for part in ("readers (", "crm (sample, observe)", "sources: shop", "tries: 12", "2 s, 6 s", "All is well."):
        assert part in found.stdout


def test_check_names_every_mistake_of_configuration_and_mappings_and_exits_78(house):
    """A field that the destination does not have, and an unknown destination."""
    (house / "mappings" / "other.yaml").write_text(
        BASE.replace("crm: crm", "crm: hubspot").replace("readers", "others")
    )
    (house / "mappings" / "third.yaml").write_text(BASE.replace("contact}", "contacts}").replace("readers", "third"))
    found = invoke(check, "--config", house / "config.toml")
    assert found.exit_code == 78
    assert "other.yaml:3:11: to.crm: there is no destination 'hubspot'; try crm" in found.stderr
    assert "third.yaml:3:24: to.object: there is no object 'contacts'; try contact" in found.stderr
    assert "Traceback" not in found.output


def test_check_of_a_file_reads_its_neighbours_but_speaks_of_it_alone(house):
    """A link may lead to a file that has mistakes of its own."""
    (house / "mappings" / "bad.yaml").write_text("name: bad\n")
    readers = house / "mappings" / "readers.yaml"
    assert invoke(check, "--config", house / "config.toml", readers).exit_code == 0
    assert (
        "readers.yaml" not in invoke(check, "--config", house / "config.toml", house / "mappings" / "bad.yaml").stderr
    )


def test_check_without_a_configuration_checks_a_file_by_itself(house, monkeypatch):
    """Who writes a mapping need not have the server's configuration."""
    monkeypatch.setenv("CONNECTOR_CONFIG", "")
    found = invoke(check, house / "mappings" / "readers.yaml", bench=Workbench())
    assert (found.exit_code, found.stdout) == (0, "All is well.\n")


def test_check_writes_json_and_can_be_strict(house):
    """A warning is an error with --strict."""
    readers = house / "mappings" / "readers.yaml"
    readers.write_text(BASE + "tables: {landen: {NL: Nederland}}\n")
    found = invoke(check, "--config", house / "config.toml", "--json")
    said = json.loads(found.stdout)
    assert (found.exit_code, said["ok"]) == (0, True)
    assert said["problems"][0] | {"file": ""} == {
        "file": "",
        "line": 10,
        "column": 10,
        "where": "tables.landen",
        "what": "this table is not used",
        "try": "{lookup: landen, from: …}, or leaving it out",
        "severity": "warning",
    }
    assert invoke(check, "--config", house / "config.toml", "--strict").exit_code == 78


def test_check_of_a_configuration_that_is_not_there_is_a_plain_mistake(tmp_path):
    """No traceback."""
    found = invoke(check, "--config", tmp_path / "none.toml")
    assert found.exit_code == 78
    assert "there is no such file" in found.stderr


EXAMPLES = """examples:
  - name: right
    given: {fields: {email: A@b.nl, voornaam: Anna}}
    expect: {set: {copernica_id: "1", email: a@b.nl, firstname: Anna}}
"""
WRONG = """  - given: {fields: {email: A@b.nl, voornaam: Anna}}
    expect: {verb: update, set: {copernica_id: 1, email: a@b.nl, lastname: Smit}, match: [{email: a@b.nl}], clear: [phone]}
  - name: skipped
    given: {type: delete, profile: 2}
    expect: {skip: no link}
  - name: not dead
    given: {fields: {}}
    expect: {dead: anything}
  - name: taken
    given: {database: 1}
    expect: {taken: false}
  - name: not taken
    given: {database: 1}
    expect: {verb: upsert}
"""


def test_test_runs_the_examples_and_exits_0_when_they_hold(house):
    """Of one file, or of all in the configuration."""
    readers = house / "mappings" / "readers.yaml"
    readers.write_text(BASE + EXAMPLES)
    for arguments in ((readers,), ("--config", house / "config.toml")):
        found = invoke(run_examples, *arguments)
        assert (found.exit_code, found.stdout) == (0, "ok    readers: right\n1 examples, all hold.\n")


def test_test_shows_what_came_out_otherwise(house):
    """Field by field, expected and found; exit 1; a JUnit report on request."""
    readers = house / "mappings" / "readers.yaml"
    readers.write_text(BASE + EXAMPLES + WRONG)
    found = invoke(run_examples, readers, "--junit", house / "report.xml")
    assert found.exit_code == 1
    for lines in (
        f"WRONG {readers}: example 2\n        verb\n          - update\n          + upsert\n",
        '        set.copernica_id\n          - 1\n          + "1"\n',
        '        set.lastname\n          - "Smit"\n          + nothing\n',
        '        set.firstname\n          - nothing\n          + "Anna"\n',
        "        clear.phone\n          - null\n          + nothing\n",
        '        match\n          - [{"email": "a@b.nl"}]\n          + [{"copernica_id": "1"}, {"email": "a@b.nl"}]\n',
        "ok    readers: skipped\n",
        f"WRONG {readers}: not dead\n        dead\n          - anything\n          + upsert: ",
        "ok    readers: taken\n",
        f"WRONG {readers}: not taken\n        taken\n",
        "6 examples, 3 do not hold.\n",
    ):
        assert lines in found.stdout, lines
    report = ET.fromstring((house / "report.xml").read_text())
    assert (report.get("tests"), report.get("failures"), len(report.findall("testcase/failure"))) == ("6", "3", 3)


def test_test_of_a_wrong_file_says_what_is_wrong_with_it(house):
    """As `check` does."""
    readers = house / "mappings" / "readers.yaml"
    readers.write_text(BASE.replace("archive", "perhaps"))
    found = invoke(run_examples, readers)
    assert found.exit_code == 78
    assert "readers.yaml:9:12: on_delete" in found.stderr


def test_preview_shows_what_a_body_becomes_without_any_configuration(house, monkeypatch):
    """From a file or standard input; how each value came about with --explain."""
    monkeypatch.setattr(Workbench, "has_config", False)
    readers = house / "mappings" / "readers.yaml"
    (house / "body").write_bytes(BODY)
    shown = [invoke(preview, readers, "--body", house / "body"), invoke(preview, readers, stdin=BODY)]
    for found in shown:
        assert found.exit_code == 0, found.output
        assert found.stdout == (
            "the body: update of profile/7616/7\n"
            "  upsert in crm, contact\n"
            '    match copernica_id = "7"\n'
            '    match email = "a@b.nl"\n'
            '    set copernica_id = "7"\n'
            '    set email = "a@b.nl"\n'
            '    set firstname = "Anna"\n'
            "  requests: unknown without a configuration (--config)\n"
        )
    explained = invoke(preview, readers, "--explain", stdin=BODY).stdout
    assert "  set email\n      email  →  'A@b.nl'\n" in explained
    assert "lower  →  'a@b.nl'\n" in explained


def test_preview_shows_events_of_the_outbox_and_the_requests_they_would_make(house):
    """By ID, or the newest that the mapping takes. What is linked goes to its link."""
    readers = house / "mappings" / "readers.yaml"
    first = (profile({"email": "a@b.nl", "voornaam": ""}), (("crm/contact", "501"),))
    bench = FakeBench(house / "config.toml", [first, (email({}), ()), (profile({"email": "c@d.nl"}), ())])
    found = invoke(preview, readers, "--event", 1, bench=bench)
    assert found.exit_code == 0
    assert "    clear firstname   (if the CRM had a value from us)\n" in found.stdout
    assert (
        "  requests it would begin with:\n    GET https://crm.example.com/contacts?email=x   (find)\n" in found.stdout
    )
    destination, write = bench.writes[0]
    assert (destination, write.crm_id, write.changed) == (
        "crm",
        "501",
        {"copernica_id": "7", "email": "a@b.nl", "firstname": None},
    )
    newest = invoke(preview, readers, "--last", 2, bench=bench).stdout
    assert [line.split(":")[0] for line in newest.splitlines() if line.startswith("event")] == ["event 3", "event 1"]
    nothing = invoke(preview, readers, "--event", 9, bench=bench)
    assert (nothing.exit_code, nothing.stderr) == (1, "There is no such event in the outbox.\n")


def test_preview_uses_no_network(house, monkeypatch):
    """With a configuration it shows the requests that it would make, and makes none; no secret is read."""

    def used(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", used)
    monkeypatch.setattr(socket, "getaddrinfo", used)
    monkeypatch.delenv("TOKEN", raising=False)
    readers = house / "mappings" / "readers.yaml"
    found = invoke(preview, readers, "--config", house / "config.toml", stdin=BODY)
    assert found.exit_code == 0, found.output
    assert "  requests it would begin with:\n    " in found.stdout


def test_preview_says_why_nothing_would_be_sent(house):
    """Skipped, dead, not taken, not understood."""
    readers = house / "mappings" / "readers.yaml"
    bench = FakeBench(house / "config.toml", [(email({"recipient": "a@b.nl"}), ())])
    assert (
        "readers does not take it, but would make this of it:"
        in invoke(preview, readers, "--event", 1, bench=bench).stdout
    )
    deleted = invoke(preview, readers, stdin=b"type=delete&profile=7&database=7616&time=1769857200", bench=bench)
    assert "skipped: it is deleted: it has no link" in deleted.stdout
    broken = invoke(preview, readers, stdin=b"hello", bench=bench)
    assert (broken.exit_code, broken.stdout.startswith("the body: not understood: ")) == (1, True)
    assert invoke(preview, readers, "--event", 1, "--last", 2, bench=bench).exit_code == 2


INIT = ("--account", "12", "--public-url", "https://x.example.com/", "--database", "7616")


def test_init_writes_a_configuration_and_a_mapping_that_pass_check(tmp_path):
    """With options, or by asking; nothing is written over."""
    found = invoke(init, "--folder", tmp_path / "a", *INIT, "--on-delete", "archive")
    assert found.exit_code == 0, found.output
    assert invoke(check, "--config", tmp_path / "a" / "config.toml", "--strict").exit_code == 0
    assert "on_delete: archive" in (tmp_path / "a" / "mappings" / "database-7616.yaml").read_text()
    command = found.stdout.splitlines()[-1].removeprefix("Then: connector check ").split()
    assert invoke(check, *command).exit_code == 0
    again = invoke(init, "--folder", tmp_path / "a", *INIT, "--on-delete", "erase")
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)
    asked = invoke(init, "--folder", tmp_path / "b", stdin="12\nhttps://x.example.com/\n7616\n\n")
    assert asked.exit_code == 0, asked.output
    assert "on_delete: ignore" in (tmp_path / "b" / "mappings" / "database-7616.yaml").read_text()
    assert invoke(check, "--config", tmp_path / "b" / "config.toml", "--strict").exit_code == 0


def test_init_names_secrets_as_the_units_hand_them_over(tmp_path):
    """The units load the folder /etc/connector/credentials as `connector`: its files are credentials connector_NAME."""
    for unit in ("connector-receive.service", "connector-deliver.service"):
        assert "LoadCredential=connector:/etc/connector/credentials\n" in (ROOT / "systemd" / unit).read_text()
    found = invoke(init, "--folder", tmp_path, *INIT, "--on-delete", "ignore")
    assert found.exit_code == 0, found.output
    token = load(tmp_path / "config.toml", {}).destinations["crm"].secrets["token"].credential
    assert token == "connector_crm-token"
    assert "/etc/connector/credentials/crm-token" in found.stdout


def test_init_says_when_it_cannot_write(tmp_path):
    """No traceback: where, why, and what to do."""
    (tmp_path / "file").write_text("")
    found = invoke(init, "--folder", tmp_path / "file" / "x", *INIT, "--on-delete", "ignore")
    assert (found.exit_code, "cannot be written" in found.stderr, "--folder" in found.stderr) == (1, True, True)


@pytest.mark.parametrize("preset", [shipped.name for shipped in list_presets(None)])
def test_init_knows_every_shipped_preset(tmp_path, preset):
    """What a new record must have is in the mapping; settings and secrets are named in the configuration."""
    found = invoke(init, "--folder", tmp_path, *INIT, "--preset", preset, "--on-delete", "ignore")
    assert found.exit_code == 0, found.output
    assert invoke(check, "--config", tmp_path / "config.toml").exit_code == 0


def test_init_names_what_it_does_not_know(tmp_path):
    """A preset, an object, an address."""
    assert ", sample" in invoke(init, "--folder", tmp_path, *INIT, "--preset", "nothing", stdin="\n").stderr
    assert "has no object 'x'" in invoke(init, "--folder", tmp_path, *INIT, "--object", "x", stdin="\n").stderr
    impossible = invoke(init, "--folder", tmp_path, *INIT, "--preset", "salesforce", "--on-delete", "archive")
    assert "cannot archive a contact; try ignore" in impossible.stderr
    wrong = invoke(init, "--folder", tmp_path, "--account", "1", "--database", "1", "--public-url", "x y", stdin="\n")
    assert (wrong.exit_code, "public_url" in wrong.stderr) == (78, True)


@pytest.mark.parametrize(
    "fields",
    [
        "fields[email]=geheim%40b.nl&fields[voornaam]=geheim&fields[Achter+naam]=geheim",
        "fields[a%27b,+c:+%23d]=geheim&fields[type]=1&fields[ja]=1&fields[geb.+datum%0A]=geheim&fields[E-mail]=geheim&fields[Telefoon]=06",
        "",
    ],
)
def test_draft_mapping_proposes_a_file_that_passes_and_holds_no_value(tmp_path, fields):
    """Every field of the call is in it, whatever it is called; the values are not."""
    body = f"type=update&profile=7&database=7616&time=1769857200&{fields}".encode()
    found = invoke(draft_mapping, "--body", "-", stdin=body)
    assert found.exit_code == 0, found.output
    assert "geheim" not in found.stdout
    (tmp_path / "draft.yaml").write_text(found.stdout)
    assert list(load_mappings(tmp_path).mappings) == ["database-7616"]


def test_draft_mapping_takes_an_event_of_the_outbox(tmp_path):
    """An e-mail event gets a mapping that only updates."""
    bench = FakeBench(None, [(email({"recipient": "a@b.nl"}), ())])
    found = invoke(draft_mapping, "--from-event", 1, bench=bench)
    (tmp_path / "draft.yaml").write_text(found.stdout)
    assert list(load_mappings(tmp_path).mappings) == ["email-failure"]
    assert "a@b.nl" not in found.stdout
    assert invoke(draft_mapping, "--from-event", 2, bench=bench).exit_code == 1
    assert invoke(draft_mapping, bench=bench).exit_code == 2


@pytest.mark.parametrize("kind", ["mapping", "defaults", "preset"])
def test_schema_writes_json_schema(kind):
    """For editors."""
    assert json.loads(invoke(schema, kind).stdout)["title"]
