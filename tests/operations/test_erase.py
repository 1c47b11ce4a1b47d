"""Erasing a person (S28): the CRM's side first, then every byte, and a tombstone that refuses what is older."""

import base64
import hashlib
import json
import quopri
from urllib.parse import urlencode

import pytest

from connector.domain.decode import decode
from connector.domain.event import EventType, NotUnderstood
from connector.domain.mentions import Needles
from connector.domain.outcome import OutcomeKind
from connector.domain.record import Record, RecordKind
from connector.domain.request import UnprovenRequest, UnverifiedRequest, VerifiedRequest
from connector.mapping.port import Deliver
from connector.outbox.erasure import Person
from connector.outbox.port import NewCall, NewUnproven, OutboxBusyError
from connector.outbox.sqlite import erasing
from connector.outbox.sqlite.codec import unpack_call
from connector.outbox.sqlite.erasing import SqliteEraser
from tests.support.world import SOURCE, T0, SimpleMapping, World, answer, lost_reply, read

ADDRESS = "Jan.Jansen+x@voorbeeld.nl"
LOWER = ADDRESS.lower()
FORM = "application/x-www-form-urlencoded"


def bounces():
    from connector.domain.change import Verb

    return SimpleMapping(
        name="bounces",
        verb=Verb.UPDATE,
        deliver=Deliver.EACH,
        fields={},
        on_delete=None,
        types=frozenset({EventType.BOUNCE, EventType.CLICK}),
    )


def orders():
    return SimpleMapping(
        name="orders",
        object="deals",
        database=None,
        collection="2",
        match="number",
        fields={"number": "number", "note": "note"},
    )


def erase(world, *, crm=True, record=None, address=None):
    eraser = SqliteEraser(world.db, read)
    found = eraser.find(Person(record=record, address=address))
    names = {}
    for name, one in sorted(world.mappings.mappings.items()):
        names.setdefault((one.destination, one.object), []).append(name)
    return eraser.erase(found, world.clock.now(), lambda *place: names.get(place, []), crm=crm, rewrite=False)


def profile(number, database=1):
    return Record(RecordKind.PROFILE, str(database), str(number))


def store(world, body, content_type=FORM, *, headers=(), target="/shop", unproven=False):
    request = UnverifiedRequest(
        "shop", "POST", target, (("Content-Type", content_type), *headers), body, world.clock.now(), "127.0.0.1", True
    )
    proof = hashlib.sha256(body + bytes([next(world.nonce)])).digest()
    until = world.clock.now() + 120_000
    if unproven:
        call = NewUnproven(UnprovenRequest(request, proof, world.clock.now(), "k._domainkey.copernica.com"), until)
    else:
        verified = VerifiedRequest(request, proof, world.clock.now())
        call = NewCall(verified, until)
    return world.inbox.append([call])[0].event_id


def bytes_of(world):
    """Everything that lies in the outbox's files, compressed calls opened, in lower case."""
    found = b""
    for path in world.db.path.parent.glob(world.db.path.name + "*"):
        found += path.read_bytes()
    tables = [row[0] for row in world.db.conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in world.db.conn.execute(f"SELECT * FROM {table}").fetchall():
            for value in row:
                found += value if isinstance(value, bytes) else str(value).encode()
    for table in ("events", "unproven"):
        for (blob,) in world.db.conn.execute(f"SELECT call FROM {table}").fetchall():
            request = unpack_call(blob, "shop", 0, dictionary=world.db.dictionary).request
            found += repr((request.target, request.headers)).encode() + request.body
    return found.lower()


def assert_clean(world, *addresses):
    rest = bytes_of(world)
    for address in addresses:
        for spelling in (address.lower(), address.lower().replace("@", "%40"), address.lower().split("@")[0]):
            assert spelling.encode() not in rest


@pytest.fixture
def world(tmp_path):
    world = World(SimpleMapping(), bounces(), orders(), path=tmp_path / "outbox.db")
    yield world
    world.db.close()


def test_s28_no_byte_of_the_address_is_left_in_any_file(world):
    """Forms, JSON, XML, headers, targets, unproven and not-understood calls, MIME parts: plain or compressed."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.subprofile("create", 3, 7, at=1, number="n1", note="paid")
    world.call("create", 8, at=1, email="other@voorbeeld.nl", name="Other")
    world.settle()
    mime = f"From: shop@firm.nl\r\nTo: <{ADDRESS}>\r\nSubject: x\r\n\r\nhello {ADDRESS}"
    quoted = quopri.encodestring(mime.replace("@", "=40").encode()).decode()
    world.email("bounce", ADDRESS, mime=mime)
    world.email("bounce", ADDRESS.upper(), message="m2", mime=base64.encodebytes(mime.encode()).decode())
    store(world, urlencode({"type": "novelty", "x": quoted}).encode())
    store(world, json.dumps({"type": "novelty", "who": ADDRESS}).replace("@", "\\u0040").encode(), "application/json")
    store(world, f"<a><b>{ADDRESS.replace('@', '&#64;')}</b></a>".encode(), "application/xml")
    store(world, b"type=novelty", headers=(("X-Who", ADDRESS),))
    store(world, b"type=novelty", target="/shop?" + urlencode({"e": ADDRESS}))
    store(
        world,
        urlencode({"type": "update", "profile": "7", "database": "1", "fields[email]": ADDRESS}).encode(),
        unproven=True,
    )
    store(world, f"junk {ADDRESS}".encode(), "text/plain", unproven=True)
    world.settle()
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason=f"{ADDRESS} is not accepted")]
    world.call("update", 7, at=9, email=ADDRESS, name="Piet")
    world.settle()
    receipt = erase(world, address=LOWER)
    assert receipt.events == 12
    assert receipt.rewritten
    assert receipt.traces == ()
    assert_clean(world, ADDRESS)
    world.settle()
    assert_clean(world, ADDRESS)
    assert [c["email"] for c in world.contacts()] == ["other@voorbeeld.nl"]
    assert world.crm.table("deals") == {}
    assert b"other%40voorbeeld.nl" in bytes_of(world)


def test_s28_old_addresses_parameters_and_the_messages_of_all_of_them_go_too(world):
    """An address that the profile had last year is as much the person's as today's."""
    world.call("create", 7, email="former.jan@voorbeeld.nl", name="Jan")
    world.call(
        "update",
        7,
        at=5,
        email="present.jan@voorbeeld.nl",
        name="Jan",
        body={"parameters[invited_by]": "guest.jan@voorbeeld.nl"},
    )
    for address in ("former.jan@voorbeeld.nl", "present.jan@voorbeeld.nl", "guest.jan@voorbeeld.nl"):
        world.email("click", address, at=6, message=address[:3])
    world.settle()
    erase(world, record=profile(7))
    assert_clean(world, "former.jan@voorbeeld.nl", "present.jan@voorbeeld.nl", "guest.jan@voorbeeld.nl")


def test_s28_an_address_that_another_record_has_too_stays_with_that_record(world):
    """A family's address is not one person's alone: the other record is named, and loses nothing."""
    world.call("create", 7, email="family@voorbeeld.nl", name="Jan")
    world.settle()
    world.call("create", 9, at=1, database=4, email="family@voorbeeld.nl", name="Mia")
    receipt = erase(world, record=profile(7))
    assert receipt.shared == ["profile/4/9"]
    assert world.desk.show(2) is not None
    world.settle()
    click = world.email("click", "family@voorbeeld.nl", at=60)
    world.settle()
    assert world.desk.show(click) is not None


def test_s28_the_crm_side_is_erased_whatever_the_mapping_says_about_deletes(tmp_path):
    """The operator's word goes before `on_delete: ignore`; what waits is in the receipt, and can be shown."""
    world = World(SimpleMapping(on_delete=None), path=tmp_path / "o.db")
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    receipt = erase(world, record=profile(7))
    (waits,) = receipt.erasing
    assert (waits.destination, waits.object, waits.crm_id) == ("crm", "contacts", "1")
    assert len(world.contacts()) == 1
    world.settle()
    assert world.contacts() == []
    detail = world.desk.show(waits.event)
    assert [d.state.word for d in detail.event.deliveries] == ["delivered"]
    assert detail.links == ()


def test_s28_keep_only_unlinks(world):
    """The contact stays as it is, and nobody here knows any more whose it was."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    receipt = erase(world, record=profile(7), crm=False)
    world.settle()
    assert [link.crm_id for link in receipt.kept] == ["1"]
    assert len(world.contacts()) == 1
    assert world.db.conn.execute("SELECT count(*) FROM links").fetchone()[0] == 0
    assert_clean(world, ADDRESS)


def test_s28_without_a_link_nothing_is_sent(world):
    """What never reached the CRM is not looked for there."""
    world.crm.faults = [answer(OutcomeKind.UNREACHABLE, reason="down")]
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    calls = world.crm.calls
    assert erase(world, record=profile(7)).erasing == ()
    world.wait(60_000)
    assert world.crm.calls == calls
    assert world.contacts() == []


def test_s28_a_create_whose_answer_is_missing_is_named_in_the_receipt(world):
    """The CRM may have a record whose ID nobody knows: that is said, not hidden."""
    world.crm.faults = [lost_reply]
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    assert erase(world, record=profile(7)).in_doubt == ["crm/contacts"]


def test_s28_an_operators_erasure_passes_the_mass_delete_guard(tmp_path):
    """However many records the person has."""
    world = World(SimpleMapping(guard=(0, 0.0)), path=tmp_path / "o.db")
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    erase(world, record=profile(7))
    world.settle()
    assert world.contacts() == []


def test_s28_a_delete_that_waits_is_kept_with_ids_only(world):
    """Copernica's own delete still reaches the CRM after an erasure that keeps the CRM's side."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    world.crm.faults = [answer(OutcomeKind.UNREACHABLE, reason="down")] * 3
    store(
        world,
        urlencode(
            {"type": "delete", "profile": "7", "database": "1", "time": str(T0 // 1000 + 5), "fields[email]": ADDRESS}
        ).encode(),
    )
    world.settle()
    receipt = erase(world, record=profile(7), crm=False)
    assert receipt.deletes == 1
    assert_clean(world, ADDRESS)
    world.wait(600_000)
    assert world.contacts() == []


def test_s28_the_tombstone_refuses_older_calls_and_a_later_create_starts_anew(world):
    """A call from before that comes late is dropped and counted; who comes back afterwards is a new person."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    world.clock.pass_(60_000)
    erase(world, record=profile(7))
    world.settle()
    for at in (30, 60):
        world.call("update", 7, at=at, email=ADDRESS, name="Late")
    world.subprofile("create", 44, 7, at=40, number="n44")
    world.call("create", 12, at=50, email=ADDRESS, name="Late copy")
    world.settle()
    assert world.contacts() == []
    assert world.crm.table("deals") == {}
    assert world.desk.status().counters["erased.refused"] == 4
    assert_clean(world, ADDRESS)
    world.call("create", 7, at=61, email=ADDRESS, name="Back")
    world.settle()
    assert world.contacts()[0]["firstname"] == "Back"


def test_s28_the_tombstone_refuses_messages_of_the_address_until_it_comes_back(world):
    """A click on last month's newsletter does not bring the address back; a new genuine record does."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    erase(world, address=ADDRESS)
    world.settle()
    world.email("click", ADDRESS.upper(), at=5000)
    world.settle()
    assert world.desk.status().counters["erased.refused"] == 1
    assert_clean(world, ADDRESS)
    world.call("create", 7, at=6000, email=LOWER, name="Back")
    world.settle()
    world.email("click", ADDRESS, at=6001, message="m9")
    world.settle()
    world.wait(1000)
    assert world.states("bounces") == ["delivered"]


def test_s28_a_create_that_comes_while_the_erasure_waits_does_not_take_its_place(world):
    """First the old record goes from the CRM, then the new one is made."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    erase(world, record=profile(7))
    world.call("create", 7, at=60, email=ADDRESS, name="Back")
    world.settle()
    assert [what for what, *_ in world.crm.journal] == ["create", "erase", "create"]
    assert world.contacts()[0]["firstname"] == "Back"


def test_s28_what_is_being_sent_is_waited_for(world, monkeypatch):
    """An erasure never pulls a delivery from under its attempt; after its patience it says so, and nothing is done."""
    monkeypatch.setattr(erasing, "_PATIENCE", 0.0)
    world.engine.pool.hold_back = True
    world.call("create", 7, email=ADDRESS, name="Jan")
    for _ in range(3):
        world.engine.turn()
    with pytest.raises(OutboxBusyError):
        erase(world, record=profile(7))
    world.engine.pool.hold_back = False
    world.settle()
    erase(world, record=profile(7))
    world.settle()
    assert world.contacts() == []


def test_s16_an_erasure_leaves_a_crm_record_that_another_record_shares(tmp_path):
    """Only the link goes; the other record's newest state is sent again."""
    world = World(SimpleMapping(), path=tmp_path / "o.db")
    world.call("create", 7, email="a@x.nl", name="Jan")
    world.settle()
    world.call("create", 8, at=1, email="a@x.nl", name="Mia")
    world.settle()
    erase(world, record=profile(7))
    world.settle()
    assert [c["firstname"] for c in world.contacts()] == ["Mia"]


def test_s28_a_call_that_comes_during_the_search_goes_as_well(world):
    """The search takes its time; the deed looks once more at what came meanwhile."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    eraser = SqliteEraser(world.db, read)
    found = eraser.find(Person(address=ADDRESS))
    world.call("update", 7, email=ADDRESS, name="Piet")
    store(world, f"junk {ADDRESS}".encode(), "text/plain", unproven=True)
    eraser.erase(found, world.clock.now(), lambda *_: [], crm=False, rewrite=False)
    assert_clean(world, ADDRESS)


def test_s28_an_address_within_a_longer_one_is_somebody_else():
    """`an@x.nl` is not in `jan@x.nl`, nor in `an@x.nl.example`."""
    needles = Needles(["an@x.nl"])
    assert needles.in_text("to: AN@x.nl, and") == {"an@x.nl"}
    for text in ("jan@x.nl", "an@x.nl.example", "an@x.nlx", "b.an@x.nl", "b-an@x.nl"):
        assert needles.in_text(text) == frozenset()


def test_s28_the_receipt_that_is_kept_holds_no_personal_data(world):
    """When, how many records and calls; not who."""
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    erase(world, record=profile(7))
    (note,) = [v for k, v in world.desk.status().notes.items() if k.startswith("erasure.")]
    assert json.loads(note) == {"records": 1, "events": 1, "links": 1, "crm": "erase"}


def test_not_understood_calls_of_nobody_stay(world):
    """Only what mentions the person goes."""
    other = store(world, b"type=novelty&x=other%40voorbeeld.nl")
    world.call("create", 7, email=ADDRESS, name="Jan")
    erase(world, address=ADDRESS)
    assert world.desk.show(other) is not None
    request = world.desk.show(other).request
    assert isinstance(decode(VerifiedRequest(request, None, None), SOURCE), NotUnderstood)


def test_s22_an_erasure_gives_the_crm_the_time_to_finish_what_it_may_still_be_doing(tmp_path):
    """An update whose answer is missing may still arrive: the erasure goes after it, not before."""
    world = World(SimpleMapping(), path=tmp_path / "o.db")
    world.call("create", 7, email=ADDRESS, name="Jan")
    world.settle()
    world.crm.lag = 5_000
    world.crm.faults = [lost_reply]
    world.call("update", 7, at=1, email=ADDRESS, name="Piet")
    world.settle()
    erase(world, record=profile(7))
    world.settle()
    assert len(world.contacts()) == 1
    world.wait(60_000)
    assert world.contacts() == []
