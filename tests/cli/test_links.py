"""`connector links`: what it carries out, what it takes in, and what it refuses, on a real outbox."""

import json

import pytest

from connector.domain.event import EventType
from connector.outbox.port import Link, LinkFate
from connector.outbox.sqlite.linkbook import SqliteLinkbook
from tests.support.world import SimpleMapping, World, lost_reply

from .conftest import CONFIG

HEAD = "destination,object,record,crm_id\n"


@pytest.fixture
def linked(installation):
    """Two profiles with a contact each; the first was made by the CRM as 1, the second as 2."""
    installation.configure(CONFIG.replace("sample-crm", "sample"))
    world = installation.world
    world.mappings.mappings["customers"].object = "contact"
    for profile in (1, 2):
        world.call("create", profile, email=f"p{profile}@example.com")
        world.settle()
    return installation


def write(installation, text):
    path = installation.folder / "links.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_an_export_is_csv_that_import_takes_back(linked, run):
    """The round trip changes nothing."""
    result = run("links", "export")
    assert result.out == HEAD + "crm,contact,profile/1/1,1\ncrm,contact,profile/1/2,2\n"
    again = run("links", "import", write(linked, result.out))
    assert (again.code, again.out) == (0, "Links: 0 made, 0 replaced, 2 there already.\n")


def test_an_export_to_a_file_is_json_lines_when_its_name_says_so(linked, run, tmp_path):
    """And what import takes back."""
    path = tmp_path / "links.jsonl"
    assert run("links", "export", str(path)).out == f"{path}: 2 links.\n"
    first = json.loads(path.read_text().splitlines()[0])
    assert first == {"destination": "crm", "object": "contact", "record": "profile/1/1", "crm_id": "1"}
    assert run("links", "import", str(path)).code == 0
    assert [one.name for one in tmp_path.glob(".links*")] == []


def test_an_export_can_be_of_one_destination_and_object(linked, run):
    """A name that is not there gives none."""
    assert run("links", "export", "--object", "contact").out.count("\n") == 3
    assert run("links", "export", "--object", "deal").out == HEAD
    assert run("links", "export", "--destination", "other").out == HEAD


def test_addresses_are_left_out_of_an_export(run, installation):
    """Their keys are hashes that mean nothing elsewhere."""
    world = installation.world
    world.mappings.mappings["opens"] = SimpleMapping(
        name="opens", match="email", types=frozenset({EventType("open")}), database=None
    )
    world.call("create", 1, email="p1@example.com")
    world.settle()
    world.email("open", "p1@example.com")
    world.settle()
    assert len(world.db.conn.execute("SELECT 1 FROM links WHERE crm_id IS NOT NULL").fetchall()) == 2
    assert run("links", "export").out == HEAD + "crm,contacts,profile/1/1,1\n"


def test_an_imported_link_is_written_to_and_makes_no_second_record(linked, run):
    """Nothing is searched; the first change sends all fields, for what the CRM has is unknown."""
    world = linked.world
    world.crm.table("contact")["900"] = {"email": "old@example.com", "colleague": "note"}
    assert run("links", "import", write(linked, HEAD + "crm,contact,profile/1/9,900\n")).code == 0
    world.call("update", 9, email="new@example.com", name="Nine", city="")
    world.settle()
    assert world.crm.table("contact")["900"] == {"email": "new@example.com", "firstname": "Nine", "colleague": "note"}
    assert len(world.crm.table("contact")) == 3


def test_every_wrong_line_is_told_with_its_place_and_nothing_is_imported(linked, run):
    """All at once, as for every file that a person wrote."""
    path = write(
        linked,
        HEAD
        + "crm,contact,profile/1/9,900\n"
        + "crn,contact,profile/1/10,901\n"
        + "crm,contacts,profile/1/11,902\n"
        + "crm,contact,profile/1,903\n"
        + "crm,contact,profile/1/12,\n"
        + "crm,contact\n"
        + "crm,contact,recipient/shop/ab12,904\n"
        + "crm,contact,profile/01/9,905\n",
    )
    result = run("links", "import", path)
    assert result.code == 78
    lines = result.err.splitlines()
    assert [line.split(":")[1] for line in lines] == ["3", "4", "5", "6", "7", "8", "9"]
    assert "there is no 'crn'; known: crm; try crm" in lines[0]
    assert "try contact" in lines[1]
    assert "profile/DATABASE/ID" in lines[2]
    assert "no ID" in lines[3]
    assert "2 columns in the place of 4" in lines[4]
    assert "hash of this outbox" in lines[5]
    assert "has another crm_id on line 2" in lines[6]
    assert run("links", "show", "profile/1/9").code == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("destination;object;record;crm_id\n", "with commas between"),
        ('{"destination": "crm"\n', "this is no JSON"),
        ("[" * 100_000 + "\n", "with commas between"),
        ('{"a":' * 50_000, "this is no JSON"),
        ('{"destination": "crm", "object": "contact", "record": 7, "crm_id": "1"}\n', "this is no text"),
        ('{"destination": "crm", "object": "contact", "record": "profile/1/9"}\n', "crm_id: is missing"),
        ('{"destination": "crm", "object": "contact", "record": "profile/1/9", "crm_id": true}\n', "no ID"),
        (HEAD + 'crm,contact,profile/1/9,"unclosed\n', "this is no CSV"),
        (HEAD + f"crm,contact,profile/1/{'9' * 5000},1\n", "profile/DATABASE/ID"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(linked, run, text, expected):
    """Whatever it is, no traceback."""
    result = run("links", "import", write(linked, text))
    assert result.code == 78
    assert expected in result.err
    assert "Traceback" not in result.err


def test_a_file_in_another_charset_is_told(linked, run):
    """With the line of the first such character."""
    path = linked.folder / "links.csv"
    path.write_bytes(HEAD.encode() + "crm,contact,profile/1/9,é\n".encode("latin-1"))
    assert f"{path}:2:1: this is not UTF-8" in run("links", "import", str(path)).err


def test_a_record_that_is_linked_otherwise_is_replaced_only_on_request(linked, run):
    """Else nothing of the file is imported, and the record and its CRM record are named."""
    path = write(linked, HEAD + "crm,contact,profile/1/9,900\ncrm,contact,profile/1/1,800\n")
    refused = run("links", "import", path)
    assert refused.code == 1
    assert f"{path}:3: profile/1/1 in crm/contact: linked with another CRM record, 1" in refused.out
    assert "Nothing was imported." in refused.out
    assert run("links", "show", "profile/1/9").code == 1
    done = run("links", "import", path, "--replace")
    assert (done.code, done.out.splitlines()[0]) == (0, "Links: 1 made, 1 replaced, 0 there already.")
    assert run("links", "show", "profile/1/1").out == "crm/contact: 800\n"


def test_a_dry_run_says_the_same_and_changes_nothing(linked, run):
    """As for every command that changes something."""
    path = write(linked, HEAD + "crm,contact,profile/1/9,900\n")
    result = run("links", "import", path, "--dry-run")
    assert (result.code, result.out.splitlines()[0]) == (
        0,
        "Links: 1 to make, 0 to replace, 0 there already.",
    )
    assert "Nothing was changed (--dry-run)." in result.out
    assert run("links", "show", "profile/1/9").code == 1


def test_the_json_of_an_import_has_all_that_was_left(linked, run):
    """A contract."""
    path = write(linked, HEAD + "crm,contact,profile/1/1,800\n")
    assert json.loads(run("links", "import", path, "--json").out) == {
        "command": "links import",
        "changed": False,
        "made": 0,
        "replaced": 0,
        "same": 0,
        "children": 0,
        "left": [
            {
                "line": 2,
                "destination": "crm",
                "object": "contact",
                "record": "profile/1/1",
                "crm_id": "800",
                "why": "conflict",
                "linked_with": "1",
            }
        ],
    }


def test_s25_children_that_waited_for_an_imported_link_are_sent_at_once(installation, run):
    """The contact was made by hand in the CRM; its link makes the deal's association come true."""
    installation.configure(CONFIG.replace("sample-crm", "sample"))
    world = installation.world
    world.mappings.mappings["customers"].object = "contact"
    world.mappings.mappings["deals"] = SimpleMapping(
        name="deals",
        object="deal",
        database=None,
        collection="2",
        match="title",
        fields={"title": "title"},
        parent=("contact", "customers", "contact"),
    )
    world.subprofile("create", 5, 7, title="Deal 5")
    world.settle()
    assert world.crm.associations == set()
    world.crm.table("contact")["900"] = {"email": "seven@example.com"}
    result = run("links", "import", write(installation, HEAD + "crm,contact,profile/1/7,900\n"))
    assert "1 record waited for them and is sent now." in result.out
    world.clock.pass_(180_000)
    world.settle()
    assert {(one[1], one[3]) for one in world.crm.associations} == {("contact", "900")}
    assert len(world.crm.table("deal")) == 1


def test_a_claim_that_was_decided_without_the_link_is_not_granted(linked):
    """An import beside the daemon: what was read before it makes no second record."""
    world, book = linked.world, SqliteLinkbook(linked.world.db)
    world.crm.table("contact")["900"] = {"email": "nine@example.com"}
    world.call("create", 9, email="other@example.com")
    queue = world.engine.queue
    take = queue.take

    def late(takes, settlements, now):
        if takes:
            queue.take = take
            book.take_in([Link("crm", "contact", "profile/1/9", "900")], now, replace=False)
        return take(takes, settlements, now)

    queue.take = late
    world.settle()
    assert len(world.crm.table("contact")) == 3
    assert world.crm.table("contact")["900"]["email"] == "other@example.com"


def test_a_record_whose_delivery_is_under_way_is_left(linked, run):
    """Its result counts; the same file imported again takes it then."""
    world = linked.world
    world.engine.pool.hold_back = True
    world.call("create", 9, email="nine@example.com")
    world.engine.turn()
    path = write(linked, HEAD + "crm,contact,profile/1/9,900\ncrm,contact,profile/1/8,800\n")
    result = run("links", "import", path)
    assert result.code == 1
    assert "profile/1/9 in crm/contact: a delivery of it is under way: import it again" in result.out
    assert run("links", "show", "profile/1/8").out == "crm/contact: 800\n"


def test_an_erased_person_does_not_come_back_by_an_import(linked, run):
    """S28: an old export knows links that are to be forgotten."""
    path = write(linked, run("links", "export").out)
    assert run("erase", "--profile", "1/1", "--crm", "keep", "--yes").code == 0
    result = run("links", "import", path)
    assert result.code == 1
    assert "profile/1/1 in crm/contact: erased by an operator: its link does not come back" in result.out
    assert run("links", "show", "profile/1/1").code == 1


def test_s16_shared_crm_records_are_visible(linked, run):
    """With all Copernica records that share them; and so is each of these by itself."""
    assert run("links", "shared").out == "No CRM record is shared.\n"
    world = linked.world
    world.call("create", 3, email="p1@example.com")
    world.settle()
    result = run("links", "shared")
    assert result.out.splitlines()[1].split() == ["crm/contact", "1", "profile/1/1,", "profile/1/3"]
    assert json.loads(run("links", "shared", "--json").out)["shared"][0]["records"] == ["profile/1/1", "profile/1/3"]
    assert run("links", "shared", "--object", "deal").out == "No CRM record is shared.\n"
    assert "  shared with profile/1/3" in run("links", "show", "profile/1/1").out


def test_a_links_doubt_and_a_deleted_record_are_shown(linked, run):
    """What is known of a record without a CRM record."""
    world = linked.world
    world.crm.faults.append(lost_reply)
    world.call("create", 9, email="nine@example.com")
    world.engine.turn()
    world.engine.turn()
    shown = run("links", "show", "profile/1/9").out
    assert "crm/contact: not linked" in shown
    assert "in doubt: the answer to a write is missing" in shown
    world.crm.table("contact").pop("1")
    world.call("update", 1, at=1, email="p1@example.com", name="New")
    world.settle()
    assert "a person deleted the record in the CRM" in run("links", "show", "profile/1/1").out
    assert json.loads(run("links", "show", "profile/1/1", "--json").out)["links"][0]["crm_id"] is None


def test_a_record_that_is_none_is_a_mistake_and_one_that_is_unknown_is_told(linked, run):
    """2 and 1."""
    assert run("links", "show", "1/7").code == 2
    result = run("links", "show", "profile/1/77")
    assert (result.code, result.out) == (1, "")


def test_many_links_go_in_small_transactions(tmp_path):
    """Each page of an export begins where the one before ended."""
    world = World(path=tmp_path / "outbox.db")
    book = SqliteLinkbook(world.db)
    made = [Link("crm", "contacts", f"profile/1/{number}", str(number)) for number in range(1, 1201)]
    assert {taken.fate for taken in book.take_in(made, world.clock.now(), replace=False)} == {LinkFate.MADE}
    found, after = [], 0
    while True:
        page, after = book.page(None, None, 500, after)
        found += page
        if not after:
            break
    assert found == made
    world.db.close()
