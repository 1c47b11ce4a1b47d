"""Calls that came while DNS was silent: kept, and judged when it speaks (S32)."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connector.domain.event import EventType
from connector.domain.keyrecord import Key, KeyAnswer, NoKey, Silent
from connector.domain.source import Source
from connector.outbox.sqlite.database import Database, Room
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.receive.committer import Committer
from connector.receive.door import Door, Timing
from connector.receive.unproven import Prover
from tests.http.receiver import wait_for
from tests.support.clock import ManualClock
from tests.support.signing import SOURCE, signed_request, signing_key

DAY = 86_400_000


@dataclass
class Keys:
    """Says what a test wants, and how often it was asked."""

    answer: KeyAnswer = field(default_factory=lambda: Silent("no answer"))
    asked: int = 0
    again: int = 0

    def find(self, key_id: str, *, again: bool = False) -> KeyAnswer:
        self.asked += 1
        self.again += again
        return self.answer

    def speak(self) -> None:
        self.answer = Key(signing_key().public_key(), "DNS")


class World:
    """A door and a prover over a real outbox."""

    def __init__(self, folder: Path, source: Source = SOURCE, room: Room | None = None) -> None:
        self.clock = ManualClock()
        self.keys = Keys()
        self.path = folder / "outbox.db"
        self.databases: list[Database] = []
        self.woken = 0
        self.committer = Committer(self._inbox, self.clock, timeout=20, committed=self._wake)
        keys = {source.name: self.keys}
        self.door = Door(
            [source], keys, self.committer, self.clock, zone="copernica.com", timing=Timing(unproven_keep=3 * DAY)
        )
        self.prover = Prover(
            self.committer, self.door, keys, self.clock, zone="copernica.com", keep=3 * DAY, lock=folder / "prover"
        )
        self._room = room
        self.committer.start()

    def _wake(self) -> None:
        self.woken += 1

    def _inbox(self) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def opened() -> Iterator[SqliteInbox]:
            database = Database(self.path, room=self._room or Room(free_bytes=0))
            try:
                yield SqliteInbox(database)
            finally:
                database.close()

        return opened()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        database = Database(self.path, readonly=True)
        try:
            return database.conn.execute(sql).fetchall()
        finally:
            database.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.committer.stop()


def signed(world: World, nonce: str, **changes: Any) -> Any:
    return signed_request(date=world.clock.now(), nonce=nonce, **changes)


def test_a_call_that_cannot_be_proven_now_is_kept_and_answered_2xx(world: World) -> None:
    """202 after the commit; it is no event yet."""
    taken = world.door.take(signed(world, "a"))
    assert (taken.status, taken.fields["outcome"]) == (202, "unproven")
    assert world.rows("SELECT count(*) FROM unproven") == [(1,)]
    assert world.rows("SELECT count(*) FROM events") == [(0,)]


def test_when_dns_speaks_they_become_events_in_their_place(world: World) -> None:
    """Also long after the Date window: what counts is the moment of arrival."""
    first = world.door.take(signed(world, "a")).fields["id"]
    world.clock.advance(3600)
    assert world.prover.round() is False
    world.keys.speak()
    later = world.door.take(signed(world, "b")).fields["id"]
    woken = world.woken
    assert world.prover.round() is True
    assert world.rows("SELECT id FROM events ORDER BY id") == [(first,), (later,)]
    assert world.rows("SELECT count(*) FROM unproven") == [(0,)]
    assert world.woken == woken + 1


def test_a_kept_call_is_looked_up_as_one_that_is_judged_again(world: World) -> None:
    """It takes nothing from the budget of new calls."""
    world.door.take(signed(world, "a"))
    assert world.keys.again == 0
    world.prover.round()
    assert world.keys.again == 1


def test_a_silent_key_is_asked_for_once_in_a_round(world: World) -> None:
    """However many calls wait for it."""
    for number in range(30):
        world.door.take(signed(world, f"n{number}"))
    before = world.keys.asked
    world.prover.round()
    assert world.keys.asked == before + 1


def test_what_turns_out_to_be_forged_is_refused_for_good_and_counted(world: World) -> None:
    """Another key than DNS gives: gone, with its count."""
    world.door.take(signed(world, "a", key=signing_key(which=1)))
    world.keys.speak()
    assert world.prover.round() is True
    assert world.rows("SELECT count(*) FROM unproven") == [(0,)]
    assert world.rows("SELECT count(*) FROM events") == [(0,)]
    assert world.rows("SELECT value FROM counters WHERE name = 'refused.shop.signature'") == [(1,)]


def test_a_key_that_does_not_exist_refuses_them(world: World) -> None:
    """DNS speaks, and says that there is none."""
    world.door.take(signed(world, "a"))
    world.keys.answer = NoKey("NXDOMAIN")
    assert world.prover.round() is True
    assert world.rows("SELECT value FROM counters WHERE name = 'refused.shop.key-unknown'") == [(1,)]


def test_what_stays_unproven_for_too_long_is_given_up_and_counted(world: World) -> None:
    """After [receiver] unproven_keep."""
    world.door.take(signed(world, "a"))
    world.clock.advance(3 * 86400 - 1)
    assert world.prover.round() is False
    world.clock.advance(2)
    assert world.prover.round() is True
    assert world.rows("SELECT value FROM counters WHERE name = 'refused.shop.given-up'") == [(1,)]


def test_the_same_proof_again_is_a_duplicate_also_while_it_waits(world: World) -> None:
    """A captured call sent again is stored once."""
    request = signed(world, "a")
    first = world.door.take(request)
    again = world.door.take(request)
    assert again.status == 202
    assert (again.fields["outcome"], again.fields["id"]) == ("duplicate", first.fields["id"])
    world.keys.speak()
    world.prover.round()
    assert world.door.take(request).fields["outcome"] == "duplicate"
    assert world.rows("SELECT count(*) FROM events") == [(1,)]


def test_no_room_for_more_of_them_is_503_while_proven_calls_are_stored(tmp_path: Path) -> None:
    """Full means: come again."""
    world = World(tmp_path, room=Room(free_bytes=0, unproven_calls=2))
    statuses = [world.door.take(signed(world, f"n{number}")).status for number in range(3)]
    assert statuses == [202, 202, 503]
    world.keys.speak()
    assert world.door.take(signed(world, "proven")).status == 200
    world.committer.stop()


def test_the_bytes_of_unproven_calls_are_bounded_too(tmp_path: Path) -> None:
    """However few they are: what is over the limit is told to come again, and what lies there stays under it."""
    world = World(tmp_path, room=Room(free_bytes=0, unproven_bytes=20_000))
    statuses = [world.door.take(signed(world, f"n{number}", body=os.urandom(4000))).status for number in range(6)]
    assert statuses == sorted(statuses)
    assert (statuses[0], statuses[-1]) == (202, 503)
    [(kept,)] = world.rows("SELECT sum(size) FROM unproven")
    assert 12_000 < kept <= 20_000
    world.committer.stop()


def test_a_type_that_is_declined_is_not_kept_once_it_is_proven(tmp_path: Path) -> None:
    """S34 holds for late ones too."""
    from dataclasses import replace

    world = World(tmp_path, replace(SOURCE, declined=frozenset({EventType.OPEN})))
    body = b"type=open&id=9&recipient=a%40example.com&time=1769860800&timestamp=2026-01-31+13%3A00%3A00"
    world.door.take(signed_request(body, date=world.clock.now()))
    world.keys.speak()
    assert world.prover.round() is True
    world.committer.stop()
    assert world.rows("SELECT count(*) FROM events") == [(0,)]
    assert world.rows("SELECT value FROM counters WHERE name = 'declined.shop.open'") == [(1,)]


def test_one_process_at_a_time_looks_through_them(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another one holds the lock, nothing is judged here; when it is gone, it is."""
    import fcntl

    from connector.receive import unproven

    monkeypatch.setattr(unproven, "_FIRST_PAUSE", 10)
    world.door.take(signed(world, "a"))
    world.keys.speak()
    with (tmp_path / "prover").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        asked, turns = world.keys.asked, threading.Semaphore(0)
        flock = fcntl.flock

        def watched(handle: Any, how: int) -> None:
            try:
                flock(handle, how)
            finally:
                turns.release()

        monkeypatch.setattr(unproven.fcntl, "flock", watched)
        world.prover.start()
        for _ in range(5):
            assert turns.acquire(timeout=20)
        assert world.keys.asked == asked
    wait_for(lambda: world.keys.asked > asked, "it is asked again")
    world.prover.stop()
    assert world.rows("SELECT count(*) FROM events") == [(1,)]
