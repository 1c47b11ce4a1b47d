"""One receiving process: its parts, started and stopped together."""

from connector.domain.clock import MINUTE, Millis
from connector.receive.committer import Committer
from connector.receive.door import Door
from connector.receive.readiness import Readiness
from connector.receive.unproven import Prover

_STUCK: Millis = MINUTE


class Receiving:
    """The door with what stands behind it. Built after a fork: it owns threads and handles."""

    def __init__(self, door: Door, committer: Committer, readiness: Readiness, prover: Prover | None) -> None:
        self.door = door
        self.readiness = readiness
        self._committer = committer
        self._prover = prover

    def start(self) -> None:
        """Start the threads."""
        self._committer.start()
        if self._prover is not None:
            self._prover.start()

    def stop(self) -> None:
        """Write what is left to write, and close the outbox."""
        if self._prover is not None:
            self._prover.stop()
        self._committer.stop()

    @property
    def is_stuck(self) -> bool:
        """Whether the thread that writes has not gone round for a minute."""
        return self._committer.since_beat() > _STUCK
