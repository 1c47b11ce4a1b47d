"""Copying the outbox while it is in use, and looking whether a file is sound."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from connector.outbox.port import OutboxBrokenError, OutboxError
from connector.outbox.sqlite.database import Database, translated
from connector.outbox.sqlite.marks import APPLICATION_ID

_PAGES: Final = 2000  # copied at a time; writers go on in between
_PAUSE: Final = 0.001


def backup(db: Database, target: Path) -> int:
    """Write a consistent copy to `target`, replacing what is there only when the copy is whole; return its bytes.

    The copy is one state of the outbox: what was committed when it was finished. Raises OutboxError and its kinds.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with translated(target):
            handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.close(handle)
            with closing(sqlite3.connect(part)) as copy:
                # One read transaction holds the state still, so that writers cannot make it begin anew for ever.
                with db.read() as conn:
                    conn.execute("SELECT 1 FROM meta").fetchone()
                    conn.backup(copy, pages=_PAGES, sleep=_PAUSE)
                copy.execute("PRAGMA journal_mode = DELETE")
        problem = check(part)
        if problem:
            raise OutboxBrokenError(f"the copy is not sound, so the outbox is not either ({problem})")
        with translated(target):
            size = part.stat().st_size
            _sync(part)
            part.replace(target)
            _sync(target.parent)
            return size
    finally:
        for path in (part, part.with_name(part.name + "-journal")):
            with suppress(FileNotFoundError):
                path.unlink()


def check(path: Path) -> str:
    """Return what is wrong with an outbox file, empty when it is sound. Reads all of it, and holds nobody up.

    Raises OutboxError when the file cannot be read at all.
    """
    if not path.exists():
        raise OutboxError(f"there is no outbox at {path}")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as conn:
            if conn.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                return "it is not an outbox"
            found = [str(row[0]) for row in conn.execute("PRAGMA quick_check(3)").fetchall()]
            return "" if found == ["ok"] else "; ".join(" ".join(one.split()) for one in found)
    except sqlite3.OperationalError as error:
        raise OutboxError(f"{path} cannot be looked at: {error}") from error
    except sqlite3.DatabaseError as error:
        return str(error)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
