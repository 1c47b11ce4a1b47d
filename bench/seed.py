"""Fills an outbox as the receiver would, without HTTP and without signatures. What the bench knows of the inside is here."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.calls import ACCOUNT, HOST, PATH, body
from connector.deliver.routes import routes
from connector.domain.decode import decode
from connector.domain.event import Event, NotUnderstood
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Proof, Source
from connector.mapping.load import load_mappings
from connector.outbox.port import NewCall, Route, StoredCall
from connector.outbox.sqlite.database import Database, Room
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.outbox.sqlite.queue import SqliteQueue

SOURCE = Source(name="shop", path=PATH, host=HOST, proof=Proof.KEY_FILE, account=ACCOUNT)
HEADERS = (("Host", HOST), ("Content-Type", "application/x-www-form-urlencoded"))


def now() -> int:
    """Return the time of day, milliseconds."""
    return round(time.time() * 1000)


def call(person: int, change: int = 0, kind: str = "update") -> NewCall:
    """Return a call as the receiver hands it to the outbox."""
    return said(body(person, change, kind), now())


def said(form: bytes, at: int) -> NewCall:
    """Return the call with that body, come in at that time."""
    request = UnverifiedRequest("shop", "POST", PATH, HEADERS, form, at, "127.0.0.1", secure=True)
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


def route(queue: SqliteQueue) -> None:
    """Route what is new, as a deliverer with the plain mapping would."""
    mappings = load_mappings(Path(__file__).parent / "mappings" / "plain")

    def router(call: StoredCall) -> tuple[Event, Sequence[Route]] | NotUnderstood:
        event = decode(call.request, SOURCE)
        if isinstance(event, NotUnderstood):
            return event
        return event, routes(event, mappings.taking(event, call.source), now())

    while queue.route(now(), 500, router).events:
        pass
