"""Fills an outbox as the receiver would, without HTTP and without signatures."""

import time
from collections.abc import Iterable
from pathlib import Path

from bench.calls import ACCOUNT, HOST, PATH, body
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Proof, Source
from connector.outbox.port import NewCall
from connector.outbox.sqlite.database import Database, Room
from connector.outbox.sqlite.inbox import SqliteInbox

SOURCE = Source(name="shop", path=PATH, host=HOST, proof=Proof.KEY_FILE, account=ACCOUNT)
HEADERS = (("Host", HOST), ("Content-Type", "application/x-www-form-urlencoded"))


def now() -> int:
    """Return the time of day, milliseconds."""
    return round(time.time() * 1000)


def call(person: int, change: int = 0, kind: str = "update") -> NewCall:
    """Return a call as the receiver hands it to the outbox."""
    at = now()
    request = UnverifiedRequest("shop", "POST", PATH, HEADERS, body(person, change, kind), at, "127.0.0.1", secure=True)
    verified = VerifiedRequest(request, None, at)
    return NewCall(verified, at)


def open_inbox(outbox: Path) -> tuple[Database, SqliteInbox]:
    """Open the receiver's side of an outbox."""
    database = Database(outbox, room=Room(free_bytes=0, max_bytes=1 << 40))
    return database, SqliteInbox(database)


def fill(outbox: Path, calls: Iterable[NewCall]) -> None:
    """Append the calls, a few hundred at a time."""
    database, inbox = open_inbox(outbox)
    group: list[NewCall] = []
    for one in calls:
        group.append(one)
        if len(group) == 500:
            inbox.append(group)
            group = []
    inbox.append(group)
    database.close()


def remade(made: NewCall, said: bytes, at: int) -> NewCall:
    """Return the call with another body, come in at another time."""
    old = made.request.request
    request = UnverifiedRequest("shop", "POST", PATH, old.headers, said, at, old.peer, secure=True)
    verified = VerifiedRequest(request, None, at)
    return NewCall(verified, at)
