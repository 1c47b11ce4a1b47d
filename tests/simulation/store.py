"""The real outbox in memory, where every transaction may find a full disk, another process, or its own end."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connector.domain.accepted import Hasher
from connector.domain.delivery import DeliveryState
from connector.outbox.sqlite.database import Database, Room
from connector.outbox.sqlite.lock import NoLock
from connector.outbox.sqlite.owner import OWNER_SHIFT
from connector.outbox.sqlite.queue import SqliteQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.outbox.port import Settled, Settlement
    from tests.simulation.world import World

_KEY = b"simulated outbox: always one key"


@functools.cache
def template() -> bytes:
    """An empty outbox, as the product makes it, but with a key that is known."""
    db = Database(None)
    db.conn.execute("UPDATE meta SET value = ? WHERE key = 'hash_key'", (_KEY,))
    return db.conn.serialize()


class SimDatabase(Database):
    """A copy of the template; `write` is where the world puts its faults."""

    def __init__(self, world: World) -> None:
        self.path = None
        self.room = Room()
        self.busy_timeout = 0.0
        self._lock = NoLock()
        self._names = {}
        self._words = {}
        self.conn = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
        self.conn.deserialize(template())
        self.conn.execute("PRAGMA temp_store = MEMORY")
        self.hasher = Hasher(_KEY)
        self._world = world
        self._moved: list[str] = []
        self.conn.create_function("moved", 2, self._remember)
        self.conn.execute(
            "CREATE TEMP TRIGGER made AFTER INSERT ON main.deliveries BEGIN SELECT moved(NULL, new.state); END"
        )
        self.conn.execute(
            "CREATE TEMP TRIGGER went AFTER UPDATE OF state ON main.deliveries WHEN old.state <> new.state"
            " BEGIN SELECT moved(old.state, new.state); END"
        )

    def _remember(self, old: int | None, new: int) -> None:
        self._moved.append(f"{'-' if old is None else DeliveryState(old).word} > {DeliveryState(new).word}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """The product's own write, with the world's faults before, inside and after it."""
        self._world.before_write()
        self._moved.clear()
        with super().write() as conn:
            yield conn
            self._world.before_commit()
        for move in self._moved:
            self._world.kernel.transitions[move] += 1
        self._world.after_commit()


class SimOwners:
    """Who is alive is the world's to say; otherwise as the product's owners."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._count = 0
        self.number = number

    def lease(self) -> int:
        self._count += 1
        return self.number << OWNER_SHIFT | self._count

    def is_gone(self, number: int) -> bool:
        return number in self._world.gone_owners

    def close(self) -> None:
        self._world.gone_owners.add(self.number)


class SimQueue(SqliteQueue):
    """The real queue; the world's watch sees what is settled."""

    def __init__(self, world: World, db: SimDatabase, owner: int) -> None:
        super().__init__(db)
        self._owners = SimOwners(world, owner)
        self._world = world

    def settle(self, settlements: Sequence[Settlement], now: int) -> Sequence[Settled]:
        settled = super().settle(settlements, now)
        for one, fate in zip(settlements, settled, strict=True):
            self._world.watch.on_settled(one, fate)
        self._world.watch.after_settle(settlements)
        return settled
