"""The real outbox in memory, where every transaction may find a full disk, another process, or its own end."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connector.domain.delivery import DeliveryState
from connector.outbox.port import Settled
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.owner import OWNER_SHIFT
from connector.outbox.sqlite.queue import SqliteQueue
from tests.simulation.kernel import DivergenceError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from connector.outbox.port import Settlement
    from tests.simulation.world import World

TRANSITIONS = (
    "- > pending", "- > superseded", "- > held",
    "pending > leased", "pending > unchanged", "pending > skipped", "pending > held", "pending > superseded",
    "pending > discarded",
    "leased > delivered", "leased > skipped", "leased > dead", "leased > pending", "leased > superseded",
    "held > pending", "held > superseded", "held > discarded",
    "dead > pending", "dead > superseded", "dead > discarded",
    "delivered > pending", "unchanged > pending", "skipped > pending", "superseded > pending", "discarded > pending",
)  # fmt: skip
"""Every transition of a delivery that docs/architecture.md names."""
_LEASED = """SELECT d.id, n.name, r.key, d.event FROM deliveries d JOIN names n ON n.id = d.mapping
             JOIN records r ON r.id = d.record WHERE d.state = 1"""
_HELD = "SELECT lease FROM deliveries WHERE id = ? AND state = 1"
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
        super().__init__(None, busy_timeout=0.0)
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

    def _connect(self, name: str, *, uri: bool = False) -> sqlite3.Connection:
        conn = super()._connect(name, uri=uri)
        conn.deserialize(template())
        return conn

    def _remember(self, old: int | None, new: int) -> None:
        self._moved.append(f"{'-' if old is None else DeliveryState(old).word} > {DeliveryState(new).word}")

    @contextmanager
    def write(self, patience: float | None = None, *, sync: bool = True) -> Iterator[sqlite3.Connection]:
        """The product's own write, with the world's faults before, inside and after it."""
        self._world.before_write()
        self._moved.clear()
        with super().write(patience, sync=sync) as conn:
            yield conn
            self._world.before_commit()
        for move in self._moved:
            if move not in TRANSITIONS:
                raise DivergenceError(f"a delivery goes {move}, which docs/architecture.md does not know")
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

    def recover(self, now: int, elapsed: int, boot_id: str, gone: Collection[int]) -> int:
        leased = self._db.conn.execute(_LEASED).fetchall()
        ended = super().recover(now, elapsed, boot_id, gone)
        still = {row[0] for row in self._db.conn.execute(_LEASED)}
        for delivery, mapping, record, event in leased:
            if delivery not in still:
                self._world.watch.on_ended(mapping, record, event)
        return ended

    def settle(self, settlements: Sequence[Settlement], now: int, *, sync: bool = True) -> Sequence[Settled]:
        held = [self._db.conn.execute(_HELD, (one.delivery_id,)).fetchone() for one in settlements]
        settled = super().settle(settlements, now, sync=sync)
        for one, fate, lease in zip(settlements, settled, held, strict=True):
            if fate is not Settled.LOST and lease != (one.lease,):
                raise DivergenceError(f"S21: {one} is settled under a lease that is not its own, but {lease}")
            self._world.watch.on_settled(one, fate, now)
        self._world.watch.after_settle(settlements)
        return settled
