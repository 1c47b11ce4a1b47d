"""Whether a destination works: what pauses it, when it is probed, and when it runs again (S23)."""

from collections import deque
from dataclasses import dataclass, field, replace

from connector.domain.clock import MINUTE, SECOND, Instant, Millis
from connector.domain.outcome import Outcome, OutcomeKind, Scope
from connector.outbox.port import Pause

_WINDOW: Millis = MINUTE
_HEALTHY_FOR: Millis = 5 * MINUTE
_FAILURES = 4  # in the window, and more than half of all: then it is the destination, not the delivery
_PROBE_FIRST: Millis = SECOND
_PROBE_LONGEST: Millis = 2 * MINUTE
_DENIED_FIRST: Millis = MINUTE
_FAILED = {OutcomeKind.UNREACHABLE, OutcomeKind.RETRY, OutcomeKind.AMBIGUOUS}


@dataclass(slots=True)
class Health:
    """One destination's last minute. Lives in memory: the pauses that come of it are in the outbox."""

    name: str
    last_success: Instant | None = None
    recent: deque[tuple[Instant, bool]] = field(default_factory=lambda: deque(maxlen=200))

    def is_proven(self, now: Instant) -> bool:
        """Whether a delivery succeeded lately."""
        return self.last_success is not None and abs(now - self.last_success) < _HEALTHY_FOR

    def note(self, outcome: Outcome, object_name: str, now: Instant, paused: Pause | None) -> Pause | None:
        """Take in an outcome; return the pause that it leads to, if any.

        `paused` is the pause in force, so that a failed probe waits longer than the one before.
        """
        kind = outcome.kind
        if kind is OutcomeKind.THROTTLED:
            subject = self._subject(outcome, object_name)
            until = max(outcome.retry_at or 0, now + SECOND)
            return Pause(subject, "throttled", outcome.reason or "the CRM's limit is reached", now, until)
        if kind is OutcomeKind.UNAUTHORISED:
            subject = self._subject(outcome, object_name)
            return self._longer(Pause(subject, "unauthorised", outcome.reason, now), paused, _DENIED_FIRST, now)
        if kind is OutcomeKind.NOT_SENT:
            return None
        failed = kind in _FAILED
        self.recent.append((now, failed))
        if not failed:
            # Any answer that is about the change itself shows that the CRM works.
            self.last_success = now
            return None
        while self.recent and abs(now - self.recent[0][0]) > _WINDOW:
            self.recent.popleft()
        failures = sum(bad for _, bad in self.recent)
        if paused is None and (failures < _FAILURES or failures * 2 <= len(self.recent)):
            return None
        by = "unreachable" if kind is OutcomeKind.UNREACHABLE else "failing"
        return self._longer(Pause(self.name, by, outcome.reason, now), paused, _PROBE_FIRST, now)

    def _subject(self, outcome: Outcome, object_name: str) -> str:
        return f"{self.name}/{object_name}" if outcome.scope is Scope.OBJECT else self.name

    @staticmethod
    def _longer(pause: Pause, before: Pause | None, first: Millis, now: Instant) -> Pause:
        if before is not None and before.subject == pause.subject and before.until is not None and before.until > now:
            return before  # it left before the pause began: only a probe says something new
        probes = before.probes + 1 if before is not None and before.subject == pause.subject else 0
        wait = min(first * 2 ** min(probes, 20), max(first, _PROBE_LONGEST))
        since = before.since if before is not None and before.subject == pause.subject else pause.since
        return replace(pause, until=now + wait, probes=probes, since=since)

    def shift(self, by: Millis) -> None:
        """The time of day jumped: what happened lately still did."""
        if self.last_success is not None:
            self.last_success += by
        moved = [(at + by, failed) for at, failed in self.recent]
        self.recent.clear()
        self.recent.extend(moved)

    def recovered(self) -> None:
        """The destination works again: what failed before says nothing any more."""
        self.recent.clear()
