"""The connection: opening, checking, migrating, and the one way to write."""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from connector.domain.accepted import Hasher
from connector.domain.record import Record, RecordKind
from connector.outbox.port import OutboxBrokenError, OutboxBusyError, OutboxError, OutboxFullError, OutboxVersionError
from connector.outbox.sqlite.lock import Lock, NoLock, WriteLock
from connector.outbox.sqlite.marks import APPLICATION_ID, VERSION

_WAL_LIMIT = 64 * 1024 * 1024  # bytes that the WAL file keeps after a checkpoint
_CHECKPOINT_PAGES = 1000


@dataclass(frozen=True, slots=True)
class Room:
    """How large the outbox may grow, and how much of the disk it leaves free; both in bytes."""

    max_bytes: int = 20 * 1024**3
    free_bytes: int = 512 * 1024**2
    unproven_calls: int = 10_000
    unproven_bytes: int = 64 * 1024**2


class Database:
    """An open outbox file. Belongs to one thread at a time; opened after a fork, never before."""

    def __init__(
        self, path: Path | None, *, busy_timeout: float = 5.0, room: Room | None = None, readonly: bool = False
    ) -> None:
        """Open the file, make it if it is not there, and bring its schema up to date. None: in memory.

        `busy_timeout` is in seconds. Raises OutboxError and its kinds.
        """
        self.path = path
        self.room = room or Room()
        self.busy_timeout = busy_timeout
        self._lock: Lock = NoLock()
        self._names: dict[str, int] = {}
        self._words: dict[int, str] = {}
        self._dictionaries: dict[int, bytes] = {}
        with translated(path):
            if readonly:
                self.conn = self._open_readonly(path)
                self._check_version()
            else:
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._lock = WriteLock(path)
                self.conn = self._connect(str(path) if path else ":memory:")
                self._prepare()
            row = self.conn.execute("SELECT value FROM meta WHERE key = 'hash_key'").fetchone()
            if row is None:
                raise OutboxBrokenError(f"{path} has no hash key: it is not an outbox, or it is damaged")
            self.hasher = Hasher(row[0])

    def _connect(self, name: str, *, uri: bool = False) -> sqlite3.Connection:
        conn = sqlite3.connect(
            name,
            timeout=self.busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            uri=uri,
        )
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute("PRAGMA temp_store = MEMORY")
        conn.execute("PRAGMA secure_delete = ON")  # what is removed is overwritten, not only forgotten
        return conn

    def _open_readonly(self, path: Path | None) -> sqlite3.Connection:
        if path is None or not path.exists():
            raise OutboxError(f"there is no outbox at {path}; start the receiver once, or name another with --config")
        return self._connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

    def _prepare(self) -> None:
        with self._lock.held(self.busy_timeout):
            if self.conn.execute("PRAGMA page_count").fetchone()[0] == 0:
                # Only a file without tables takes this; later it would need a VACUUM of the whole.
                self.conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
                # A call is about 800 bytes: nine to a page of this size waste little, four to the usual one a sixth.
                self.conn.execute("PRAGMA page_size = 8192")
                self.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._check_version()
            self.conn.execute("PRAGMA journal_mode = WAL")
            self.conn.execute("PRAGMA synchronous = FULL")
            self.conn.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
            self.conn.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            if self.conn.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                from connector.outbox.sqlite import schema  # noqa: PLC0415 - only a new file, or an upgrade, needs it

                schema.apply(self.conn)
                self.conn.execute(
                    "INSERT INTO meta VALUES ('hash_key', ?) ON CONFLICT DO NOTHING", (secrets.token_bytes(32),)
                )
                self.conn.execute(f"PRAGMA user_version = {VERSION}")

    def _check_version(self) -> None:
        found = self.conn.execute("PRAGMA user_version").fetchone()[0]
        application = self.conn.execute("PRAGMA application_id").fetchone()[0]
        if application != APPLICATION_ID:
            raise OutboxBrokenError(f"{self.path} is not an outbox; name another file under [outbox] path")
        if found > VERSION:
            raise OutboxVersionError(
                f"{self.path} was written by a newer version (schema {found}, this one knows {VERSION}); "
                "upgrade the connector, or restore a backup from before"
            )

    def close(self) -> None:
        """Close the file. What was committed is on disk."""
        self.conn.close()
        self._lock.close()

    @contextmanager
    def write(self, patience: float | None = None, *, sync: bool = True) -> Iterator[sqlite3.Connection]:
        """A write transaction: whole and on disk when the block ends, nothing of it when it raises.

        Without `sync` a power cut may take it away, until the next transaction of any process is on disk: never that
        one without this one. Raises OutboxBusyError when others write for `patience` seconds (the outbox's own
        time-out, if not given).
        """
        with translated(self.path), self._lock.held(self.busy_timeout if patience is None else patience):
            try:
                # Each time: what one transaction that failed has left must not decide about the next one.
                self.conn.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
                self._begin(patience)
                yield self.conn
                self.conn.execute("COMMIT")
            except BaseException:
                self._names.clear()
                self._words.clear()
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")
                raise

    def _begin(self, patience: float | None) -> None:
        if patience is None:
            self.conn.execute("BEGIN IMMEDIATE")
            return
        self.conn.execute(f"PRAGMA busy_timeout = {round(patience * 1000)}")  # for who writes without our lock
        try:
            self.conn.execute("BEGIN IMMEDIATE")
        finally:
            self.conn.execute(f"PRAGMA busy_timeout = {round(self.busy_timeout * 1000)}")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Several reads that see one state."""
        with translated(self.path):
            self.conn.execute("BEGIN")
            try:
                yield self.conn
            finally:
                if self.conn.in_transaction:
                    self.conn.execute("COMMIT")

    def truncate(self, *, patience: float) -> bool:
        """Bring the WAL into the file and empty it; tell whether nobody was in the way for `patience` seconds."""
        with translated(self.path), self._lock.held(self.busy_timeout):
            self.conn.execute(f"PRAGMA busy_timeout = {round(patience * 1000)}")
            try:
                return int(self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]) == 0
            finally:
                self.conn.execute(f"PRAGMA busy_timeout = {round(self.busy_timeout * 1000)}")

    def rewrite(self) -> None:
        """Write the whole file anew (VACUUM): no remains are left between its rows. Holds all writers up meanwhile."""
        with translated(self.path), self._lock.held(self.busy_timeout):
            self.conn.execute("VACUUM")

    # ── names and records ───────────────────────────────────────────────────────────────────────────────────────────

    def name_id(self, name: str) -> int:
        """Return the number of a name, making one. Only inside `write`."""
        found = self.find_name(name)
        if found is not None:
            return found
        row = self.conn.execute("INSERT INTO names (name) VALUES (?) RETURNING id", (name,)).fetchone()
        self._names[name] = row[0]
        return int(row[0])

    def find_name(self, name: str) -> int | None:
        """Return the number of a name, None if it has none."""
        found = self._names.get(name)
        if found is None:
            row = self.conn.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            found = self._names[name] = int(row[0])
        return found

    def word(self, number: int) -> str:
        """Return the name of a number."""
        found = self._words.get(number)
        if found is None:
            row = self.conn.execute("SELECT name FROM names WHERE id = ?", (number,)).fetchone()
            found = self._words[number] = str(row[0])
        return found

    def dictionary(self, number: int) -> bytes:
        """Return what calls were packed with. Raises ValueError when it is not there."""
        found = self._dictionaries.get(number)
        if found is None:
            row = self.conn.execute("SELECT data FROM dictionaries WHERE id = ?", (number,)).fetchone()
            if row is None:
                raise ValueError(f"dictionary {number} is missing")
            found = self._dictionaries[number] = bytes(row[0])
        return found

    def record_key(self, record: Record) -> str:
        """Return the key under which a record is kept: an address only as its keyed hash."""
        if record.kind is RecordKind.RECIPIENT:
            return f"{record.kind}/{record.scope}/{self.hasher.digest(record.id.lower()).hex()}"
        return str(record)

    def record_id(self, key: str) -> int:
        """Return the number of a record key, making one. Only inside `write`."""
        row = self.conn.execute("SELECT id FROM records WHERE key = ?", (key,)).fetchone()
        if row is None:
            row = self.conn.execute("INSERT INTO records (key) VALUES (?) RETURNING id", (key,)).fetchone()
        return int(row[0])

    def find_record(self, key: str) -> int | None:
        """Return the number of a record key, None if it has none."""
        row = self.conn.execute("SELECT id FROM records WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    # ── room ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def size(self) -> int:
        """Return the bytes in use: the file without its free pages, and the WAL."""
        page_size = self.conn.execute("PRAGMA page_size").fetchone()[0]
        pages = self.conn.execute("PRAGMA page_count").fetchone()[0]
        free = self.conn.execute("PRAGMA freelist_count").fetchone()[0]
        wal = 0
        if self.path is not None:
            try:
                wal = self.path.with_name(self.path.name + "-wal").stat().st_size
            except FileNotFoundError:
                wal = 0
        return int((pages - free) * page_size + wal)

    def free(self) -> int:
        """Return the bytes that are free on the disk."""
        if self.path is None:
            return 1 << 62
        found = os.statvfs(self.path.parent)
        return found.f_bavail * found.f_frsize

    def check_room(self) -> None:
        """Raise OutboxFullError when nothing more may be taken in. Looks at the disk at most ten times a second."""
        now = time.monotonic()
        if now < self._room_checked + 0.1:
            if self._no_room:
                raise OutboxFullError(self._no_room)
            return
        self._room_checked = now
        self._no_room = ""
        size, free = self.size(), self.free()
        if size > self.room.max_bytes:
            self._no_room = (
                f"the outbox has reached its size ({size} of {self.room.max_bytes} bytes, [outbox] max_bytes)"
            )
        elif free < self.room.free_bytes:
            self._no_room = (
                f"the disk is nearly full ({free} bytes free, [outbox] free_bytes is {self.room.free_bytes})"
            )
        if self._no_room:
            raise OutboxFullError(self._no_room)

    _room_checked = -1.0
    _no_room = ""


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Turn SQLite's and the system's errors into the outbox's own."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise OutboxBusyError("the outbox is locked by another process; see whether one hangs") from error
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise OutboxFullError(f"the disk does not take what is written to {path}: {error}") from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise OutboxError(f"{path} cannot be opened for writing; check the folder and its owner") from error
        raise OutboxError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise OutboxBrokenError(f"{path} is damaged or not an outbox ({error}); see the page on restoring") from error
    except OSError as error:
        raise OutboxError(f"{path}: {error.strerror}") from error


class _HasDatabase(Protocol):
    _db: Database


H = TypeVar("H", bound=_HasDatabase)
P = ParamSpec("P")
R = TypeVar("R")


def speaks(method: Callable[Concatenate[H, P], R]) -> Callable[Concatenate[H, P], R]:
    """Let a method that reads outside of `read` and `write` raise the outbox's own errors, too."""

    @wraps(method)
    def translating(self: H, /, *arguments: P.args, **named: P.kwargs) -> R:
        with translated(self._db.path):
            return method(self, *arguments, **named)

    return translating
