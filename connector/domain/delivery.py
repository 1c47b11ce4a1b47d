"""The life of a delivery: an event times a mapping.

    pending ──claim──> leased ──settle──> delivered | unchanged | superseded | skipped | dead
       ^                 │
       └── try again ────┘        held, discarded: by an operator (or the guard against mass deletes)

There is no state for retrying: it is pending, with attempts and a later due_at.
"""

from enum import IntEnum


class DeliveryState(IntEnum):
    """Where a delivery is. The numbers are what the outbox stores; they never change their meaning."""

    PENDING = 0  # the deliverer will take it when it is due
    LEASED = 1  # a deliverer has it, until the lease ends
    DELIVERED = 2  # the CRM has accepted it
    UNCHANGED = 3  # the CRM had it already; nothing was sent
    SUPERSEDED = 4  # a newer state of its line took its place; nothing more will be sent for this one
    SKIPPED = 5  # its mapping says that nothing is to be done, and why
    DEAD = 6  # needs a person: see its reason, mend, replay
    HELD = 7  # an operator, or the mass-delete guard, stopped it: release or discard
    DISCARDED = 8  # an operator threw it away

    @property
    def word(self) -> str:
        """The state's name as people read and type it."""
        return self.name.lower()

    @property
    def is_settled(self) -> bool:
        """Whether nothing happens to it any more unless a person asks."""
        return self not in (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.HELD)


class Priority(IntEnum):
    """Live traffic goes before what an operator or a backfill asks for again."""

    LIVE = 0
    REPLAY = 1
