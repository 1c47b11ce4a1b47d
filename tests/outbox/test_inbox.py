"""What the receiver may rely on: what was appended is on disk, once, and whatever cannot be kept is said."""

import hashlib
import os
import sqlite3
import threading

import pytest

from connector.domain.event import Event, EventType, Fault, NotUnderstood, TimeFrom
from connector.domain.note import Note, NoteKind
from connector.domain.record import Record, RecordKind
from connector.domain.request import UnprovenRequest, UnverifiedRequest, VerifiedRequest
from connector.outbox.port import (
    Filter,
    NewCall,
    NewUnproven,
    OutboxBrokenError,
    OutboxBusyError,
    OutboxError,
    OutboxFullError,
    OutboxVersionError,
)
from connector.outbox.sqlite.database import Database, Room
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.outbox.sqlite.queue import SqliteQueue

T0 = 1_800_000_000_000


def request(body=b"type=create", at=T0, source="shop"):
    return UnverifiedRequest(
        source=source,
        method="POST",
        target="/shop?a=%C3%A9",
        headers=(("Date", "x"), ("X-A", "é")),
        body=body,
        received_at=at,
        peer="127.0.0.1",
        secure=True,
    )


def call(number, *, proof=None, body=b"type=create", at=T0):
    identity = hashlib.sha256(str(proof if proof is not None else number).encode()).digest()
    return NewCall(VerifiedRequest(request(body, at), identity, at), at + 1000)


def test_what_was_appended_is_read_by_another_process_whole(tmp_path):
    """Raw body, headers as sent, and time of arrival, byte for byte."""
    body = bytes(range(256)) * 10
    receipt = SqliteInbox(Database(tmp_path / "o.db")).append([call(1, body=body)])[0]
    detail = SqliteDesk(Database(tmp_path / "o.db", readonly=True)).show(receipt.event_id)
    assert detail is not None
    assert detail.request == request(body)


def test_a_call_with_the_same_proof_is_kept_once():
    """The second receipt names the first event, in one group and across groups."""
    db = Database(None)
    inbox = SqliteInbox(db)
    first, second = inbox.append([call(1, proof="p"), call(2, proof="p")])
    third = inbox.append([call(3, proof="p")])[0]
    assert (second.duplicate, third.duplicate) == (True, True)
    assert {first.event_id} == {second.event_id, third.event_id}
    assert len(SqliteDesk(db).list(Filter(), 10)) == 1


def test_calls_without_a_proof_are_never_taken_for_one_another():
    """Equal bodies of a source that cannot sign are events each (S31)."""
    db = Database(None)
    unsigned = NewCall(VerifiedRequest(request(), None, None), T0)
    receipts = SqliteInbox(db).append([unsigned, unsigned, unsigned])
    assert len({receipt.event_id for receipt in receipts}) == 3


def test_a_call_that_is_not_understood_is_kept_and_visible():
    """With the reason, for a replay after an upgrade; until it is routed it is new. `status` shows when it came."""
    db = Database(None)
    SqliteInbox(db).append([call(1)])
    assert [row.state for row in SqliteDesk(db).list(Filter(), 10)] == ["new"]
    fault = NotUnderstood(Fault.TYPE, "type=merge is not known", (Note(NoteKind.CHARSET, "what is martian?"),))
    SqliteQueue(db).route(T0 + 5, 10, lambda _: fault)
    row = SqliteDesk(db).list(Filter(states=("not-understood",)), 10)[0]
    assert (row.state, row.note) == ("not-understood", "type=merge is not known")
    status = SqliteDesk(db).status()
    assert status.notes["last_test.shop"] == str(T0)
    assert status.counters["noted.shop.charset"] == 1


def test_no_address_stands_in_the_record_key():
    """An e-mail event's record is kept under a keyed hash."""
    db = Database(None)
    SqliteInbox(db).append([call(1)])
    record = Record(RecordKind.RECIPIENT, "shop", "jan@example.com")
    event = Event(type=EventType.OPEN, record=record, at=T0, at_from=TimeFrom.TIME)
    SqliteQueue(db).route(T0, 10, lambda _: (event, []))
    row = SqliteDesk(db).list(Filter(record="recipient/shop/JAN@example.com"), 10)[0]
    assert row.record is not None
    assert "jan" not in row.record


def test_what_is_learnt_of_calls_holds_no_value_of_a_person():
    """It outlives them, also when a field has the name of something that tells forms apart."""
    db = Database(None)
    inbox = SqliteInbox(db)
    for number, field in enumerate(("type", "database", "collection")):
        said = f"type=update&profile=7&database=12&fields[{field}]=Jansen&fields%5B{field}%5D=0612345678&x={number}"
        inbox.append([call(number, body=said.encode())])
    inbox.append([call(8, body=b"fields[type]=Jansen&type=0612345678&collection=Jansen&id=1")])
    kinds, learnt = zip(*db.conn.execute("SELECT kind, data FROM dictionaries"), strict=True)
    assert sorted(kinds) == ["shop//", "shop/12/"]
    assert not any(text in data for data in learnt for text in (b"Jansen", b"0612345678"))


def test_each_kind_of_form_is_learnt_by_itself():
    """Databases, collections and e-mail events have names of their own; the first call of a kind is enough."""
    db = Database(None)
    inbox = SqliteInbox(db)
    bodies = (
        b"type=update&profile=7&database=12&fields[a]=1",
        b"database=12&type=update&profile=8&fields[a]=1",
        b"type=create&subprofile=7&collection=5&database=12",
        b"id=1&type=open&recipient=jan@example.com",
        b"id=1&recipient=jan@example.com&type=failed",
        b"type=update&profile=7&database=12345678901234567890",
    )
    for number, body in enumerate(bodies):
        inbox.append([call(number, body=body)])
    kinds = sorted(row[0] for row in db.conn.execute("SELECT kind FROM dictionaries"))
    assert kinds == ["shop//", "shop//failed", "shop//open", "shop/12/", "shop/5/"]


def test_event_ids_are_never_used_twice(tmp_path):
    """Also not after the newest rows were pruned."""
    db = Database(tmp_path / "o.db")
    inbox = SqliteInbox(db)
    first = inbox.append([call(1)])[0].event_id
    with db.write() as conn:
        conn.execute("DELETE FROM events")
    assert inbox.append([call(2)])[0].event_id > first


def test_unproven_calls_are_bounded_and_keep_their_place():
    """Full means no; a proven one becomes an event with the number of its arrival."""
    db = Database(None, room=Room(unproven_calls=1))
    inbox = SqliteInbox(db)
    waiting = NewUnproven(UnprovenRequest(request(), b"u" * 32, T0, "k"), T0 + 1000)
    receipt = inbox.append([waiting])[0]
    other = NewUnproven(UnprovenRequest(request(), b"v" * 32, T0, "k"), T0 + 1000)
    with pytest.raises(OutboxFullError):
        inbox.append([other])
    later = inbox.append([call(5)])[0]
    stored = inbox.unproven(10)[0]
    assert stored.request == waiting.request
    inbox.judge(receipt.event_id, NewCall(VerifiedRequest(request(), b"u" * 32, T0), T0), T0)
    assert inbox.unproven(10) == []
    assert [row.id for row in SqliteDesk(db).list(Filter(), 10)] == [later.event_id, receipt.event_id]


def test_a_refused_unproven_call_is_counted_and_gone():
    """It never becomes an event."""
    db = Database(None)
    inbox = SqliteInbox(db)
    receipt = inbox.append([NewUnproven(UnprovenRequest(request(), b"u" * 32, T0, "k"), T0)])[0]
    inbox.judge(receipt.event_id, "key-unknown", T0)
    status = SqliteDesk(db).status()
    assert (status.unproven, status.counters["refused.shop.key-unknown"]) == (0, 1)


def test_an_outbox_that_reached_its_size_takes_nothing_and_says_why():
    """Before the disk is full."""
    inbox = SqliteInbox(Database(None, room=Room(max_bytes=1)))
    with pytest.raises(OutboxFullError, match="max_bytes"):
        inbox.append([call(1)])


def test_a_file_from_a_newer_version_is_refused(tmp_path):
    """With the way out."""
    Database(tmp_path / "o.db").close()
    conn = sqlite3.connect(tmp_path / "o.db")
    conn.execute("PRAGMA user_version = 999")
    conn.close()
    with pytest.raises(OutboxVersionError, match="newer version"):
        Database(tmp_path / "o.db")


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_outbox_is_refused_and_left_as_it_is(tmp_path, content):
    """Never written over."""
    path = tmp_path / "o.db"
    path.write_bytes(content)
    with pytest.raises(OutboxBrokenError):
        Database(path)
    assert path.read_bytes() == content


def test_another_program_s_database_is_refused(tmp_path):
    """A name mistyped in the configuration does no harm."""
    conn = sqlite3.connect(tmp_path / "o.db")
    conn.execute("CREATE TABLE precious (x)")
    conn.commit()
    conn.close()
    with pytest.raises(OutboxBrokenError, match="not an outbox"):
        Database(tmp_path / "o.db")


def test_looking_makes_no_outbox(tmp_path):
    """A status command before the first start says so."""
    with pytest.raises(OutboxError, match="there is no outbox"):
        Database(tmp_path / "o.db", readonly=True)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_hangs_makes_others_busy_not_stuck(tmp_path):
    """After the configured time, with a reason."""
    path = tmp_path / "o.db"
    hanging, other = Database(path), Database(path, busy_timeout=0.05)
    with hanging.write(), pytest.raises(OutboxBusyError):
        SqliteInbox(other).append([call(1)])
    assert SqliteInbox(other).append([call(1)])


def test_many_processes_opening_a_new_outbox_make_its_tables_once(tmp_path):
    """Migrations run under the lock."""
    errors: list[BaseException] = []

    def open_it():
        try:
            Database(tmp_path / "o.db").close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_writers_of_one_file_take_turns(tmp_path):
    """Four writers, each with its own handle: none is refused."""
    path = tmp_path / "o.db"
    Database(path).close()
    refused: list[BaseException] = []

    def write(name):
        inbox = SqliteInbox(Database(path))
        for i in range(50):
            try:
                inbox.append([call(i, proof=f"{name}-{i}")])
            except OutboxError as error:
                refused.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    assert SqliteDesk(Database(path, readonly=True)).status().events["new"] == 200


def test_the_file_can_shrink_and_its_log_is_bounded(tmp_path):
    """auto_vacuum is on from the first schema; the WAL has a limit; every commit is synced."""
    conn = Database(tmp_path / "o.db").conn
    assert conn.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
    assert conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert conn.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert conn.execute("PRAGMA journal_size_limit").fetchone()[0] == 64 * 1024 * 1024


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path):
    """With the path."""
    tmp_path.chmod(0o500)
    with pytest.raises(OutboxError, match=str(tmp_path)):
        Database(tmp_path / "deep" / "o.db")
