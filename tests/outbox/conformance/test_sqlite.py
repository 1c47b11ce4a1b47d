"""SQLite keeps what the port promises: a file, two processes at it, and everything that can happen to them."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from connector.outbox.sqlite.backup import backup
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.erasing import SqliteEraser
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.outbox.sqlite.linkbook import SqliteLinkbook
from connector.outbox.sqlite.queue import SqliteQueue
from tests.outbox.conformance.machine import OutboxMachine
from tests.outbox.conformance.subject import Decode, Handle, Subject

EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "0"))


class SqliteSubject(Subject):
    """A folder with the outbox's file and what stands beside it."""

    def __init__(self, folder: Path, source: Path | None = None) -> None:
        folder.mkdir()
        self._folder = folder
        self._path = folder / "outbox.db"
        self._open: list[tuple[Handle, Database, SqliteQueue]] = []
        if source is not None:
            shutil.copy(source, self._path)

    def open(self, decode: Decode) -> Handle:
        db = Database(self._path)
        db.conn.execute("PRAGMA synchronous = OFF")  # processes die here, the machine does not: many times as quick
        queue = SqliteQueue(db)
        handle = Handle(SqliteInbox(db), queue, SqliteDesk(db), SqliteLinkbook(db), SqliteEraser(db, decode))
        self._open.append((handle, db, queue))
        return handle

    def leave(self, handle: Handle) -> None:
        self._end(handle, in_order=True)

    def kill(self, handle: Handle) -> None:
        self._end(handle, in_order=False)

    def _end(self, handle: Handle, *, in_order: bool) -> None:
        index = next(index for index, (one, _, _) in enumerate(self._open) if one is handle)
        _, db, queue = self._open.pop(index)
        owners = queue._owners
        if in_order:
            queue.close()
        elif owners._handle is not None:
            os.close(owners._handle)  # as the kernel does: the lock is gone, its file stays
        db.close()

    def restore(self) -> SqliteSubject:
        folder = self._folder.with_name(self._folder.name + "+")
        saved = self._folder / "saved.db"
        backup(self._open[0][1], saved)
        return SqliteSubject(folder, saved)

    def close(self) -> None:
        shutil.rmtree(self._folder)


def test_every_promise_of_the_port_is_kept_whatever_happens(tmp_path: Path) -> None:
    """Two processes and an operator at one outbox, in any order, against a model in plain Python.

    The suite runs the same examples each time; `make conformance` runs as many others as you like.
    """
    Database(tmp_path / "empty.db").close()
    numbers = itertools.count()

    def machine() -> OutboxMachine:
        return OutboxMachine(lambda: SqliteSubject(tmp_path / str(next(numbers)), tmp_path / "empty.db"))

    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # any callable will do
        settings=settings(
            max_examples=EXAMPLES or 150,
            stateful_step_count=50,
            deadline=None,
            derandomize=not EXAMPLES,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
