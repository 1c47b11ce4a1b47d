"""What an adapter brings to be put under the suite: how it is opened, left, killed and copied. See docs/architecture.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector.domain.event import Event, NotUnderstood
    from connector.outbox.erasure import Eraser
    from connector.outbox.port import Desk, Inbox, Linkbook, Queue, StoredCall

Decode = Callable[["StoredCall"], "Event | NotUnderstood"]


@dataclass(frozen=True, slots=True)
class Handle:
    """The outbox as one process has it open."""

    inbox: Inbox
    queue: Queue
    desk: Desk
    linkbook: Linkbook
    eraser: Eraser


class Subject(ABC):
    """One outbox, empty at first. Time is always given with the call: an adapter that reads a clock of its own fails."""

    @abstractmethod
    def open(self, decode: Decode) -> Handle:
        """Open it as one more process does. What earlier handles have written is there."""

    @abstractmethod
    def leave(self, handle: Handle) -> None:
        """Its process ends in good order. Leases that it still has are of an owner that is gone."""

    @abstractmethod
    def kill(self, handle: Handle) -> None:
        """Its process dies between two calls."""

    @abstractmethod
    def restore(self) -> Subject:
        """Back the outbox up while it is open, and return the copy as an outbox of its own."""

    @abstractmethod
    def close(self) -> None:
        """Remove it. All handles have been left or killed."""
