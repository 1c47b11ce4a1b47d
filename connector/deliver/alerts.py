"""Telling somebody that something has begun to be wrong, and that it has ended: on a change of state, not per event.

Looks at the outbox's figures now and then, in a thread of its own, so that no hook can hold up a delivery. What was
told is remembered in the outbox: a restart tells nothing twice, and what could not be told is told later.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from connector.domain.clock import MINUTE, SECOND, Clock, Instant, Millis
from connector.outbox.port import OutboxError, Pause, Status

DAMAGE: Final = "damage"
"""The note that holds what is wrong with the file; empty when it is sound."""

_CLOCK: Final = "clock."
_TOLD: Final = "alert."
_MASS_DELETE: Final = "mass delete"
_ALARMING: Final = ("unreachable", "failing", "unauthorised", "budget")
_LONG: Final[Millis] = MINUTE  # a throttling that is shorter is everyday life
_AGAIN_FIRST: Final[Millis] = 10 * SECOND
_AGAIN_LONGEST: Final[Millis] = 10 * MINUTE


class Kind(StrEnum):
    """What can be wrong."""

    DEAD = "dead"
    PAUSED = "paused"
    MASS_DELETE = "mass-delete"
    ROOM = "room"
    DAMAGE = "damage"
    CLOCK = "clock"


_WHAT: Final = {
    Kind.DEAD: ("deliveries of a mapping are dead", "connector list --state dead; mend; connector replay --state dead"),
    Kind.PAUSED: ("nothing is sent to a destination", "connector status"),
    Kind.MASS_DELETE: (
        "more deletes than the guard allows are held",
        "connector list --state held; release or discard",
    ),
    Kind.ROOM: ("calls are answered 503: the outbox or the disk is full", "connector status; make room"),
    Kind.DAMAGE: ("the outbox file is damaged", "stop everything and restore a backup; docs/operations.md"),
    Kind.CLOCK: ("genuine calls are refused: the clocks differ", "set this machine's clock; connector status"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong now. `about` names a mapping, destination or source; `detail` has no personal data."""

    kind: Kind
    about: str = ""
    detail: str = ""

    @property
    def key(self) -> str:
        """Its name among the notes."""
        return f"{self.kind}.{self.about}"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When there is no room any more, in bytes."""

    max_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Alert:
    """A change of state, ready to be told."""

    at: Instant
    begins: bool
    condition: Condition

    def form(self) -> dict[str, object]:
        """Return it as JSON has it."""
        what, then = _WHAT[self.condition.kind]
        return {
            "at": self.at,
            "state": "began" if self.begins else "ended",
            "kind": self.condition.kind.value,
            "about": self.condition.about,
            "what": what,
            "detail": self.condition.detail,
            "try": then if self.begins else "",
        }


class ChannelError(Exception):
    """It could not be told. The text says why."""


class Channel(Protocol):
    """Somebody to tell."""

    @property
    def name(self) -> str:
        """Its name among the notes."""
        ...

    def tell(self, form: Mapping[str, object]) -> None:
        """Tell it, within a bounded time. Raises ChannelError."""
        ...


def conditions(status: Status, limits: Thresholds, now: Instant) -> Sequence[Condition]:
    """Return all that is wrong now."""
    found = [Condition(Kind.DEAD, mapping, f"{n}") for mapping, n in status.dead_by_mapping.items()]
    found += [Condition(Kind.PAUSED, p.subject, p.by) for p in status.pauses if _is_alarming(p, now)]
    held = {mapping for mapping, reason, _ in status.held if reason.startswith(_MASS_DELETE)}
    found += [Condition(Kind.MASS_DELETE, mapping) for mapping in sorted(held)]
    if status.bytes > limits.max_bytes or status.free_bytes < limits.free_bytes:
        found.append(Condition(Kind.ROOM, "", f"{status.bytes} bytes used, {status.free_bytes} free on the disk"))
    if status.notes.get(DAMAGE):
        found.append(Condition(Kind.DAMAGE))
    found += [
        Condition(Kind.CLOCK, name.removeprefix(_CLOCK), note)
        for name, note in status.notes.items()
        if name.startswith(_CLOCK) and note
    ]
    return found


def _is_alarming(pause: Pause, now: Instant) -> bool:
    if pause.by == "throttled":
        return pause.until is None or pause.until - min(pause.since, now) >= _LONG
    return pause.by in _ALARMING


class Alerts:
    """Compares what is wrong with what was told, and tells the difference, to each channel for itself."""

    def __init__(
        self,
        channels: Iterable[Channel],
        look: Callable[[], Status],
        remember: Callable[[str, str, Instant], None],
        limits: Thresholds,
        clock: Clock,
        log: Callable[[str, str], None],
    ) -> None:
        self._channels = tuple(channels)
        self._look = look
        self._remember = remember
        self._limits = limits
        self._clock = clock
        self._log = log
        self._again: dict[str, tuple[Millis, Millis]] = {}  # channel → when to try again, and how long was waited

    def round(self) -> int:
        """Look once, tell what is to be told; return how much was told. Raises OutboxError."""
        status = self._look()
        now = self._clock.now()
        wrong = {one.key: one for one in conditions(status, self._limits, now)}
        told = 0
        for channel in self._channels:
            if self._clock.elapsed() >= self._again.get(channel.name, (0, 0))[0]:
                told += self._tell_all(channel, wrong, status.notes, now)
        return told

    def _tell_all(
        self, channel: Channel, wrong: Mapping[str, Condition], notes: Mapping[str, str], now: Instant
    ) -> int:
        prefix = f"{_TOLD}{channel.name}."
        known = {name.removeprefix(prefix) for name, value in notes.items() if name.startswith(prefix) and value}
        alerts = [Alert(now, True, one) for key, one in wrong.items() if key not in known]
        alerts += [Alert(now, False, _condition(key)) for key in sorted(known - wrong.keys())]
        for count, alert in enumerate(alerts):
            if not self.tell(channel, alert):
                return count
            self._remember(prefix + alert.condition.key, "told" if alert.begins else "", now)
        return len(alerts)

    def tell(self, channel: Channel, alert: Alert) -> bool:
        """Tell one thing now; tell whether that went well. What did not is tried again, ever later."""
        try:
            channel.tell(alert.form())
        except ChannelError as error:
            _, waited = self._again.get(channel.name, (0, 0))
            wait = min(max(_AGAIN_FIRST, waited * 2), _AGAIN_LONGEST)
            self._again[channel.name] = (self._clock.elapsed() + wait, wait)
            self._log(channel.name, str(error))
            return False
        self._again.pop(channel.name, None)
        return True

    def tell_damage(self) -> None:
        """Tell of a damaged file when the outbox can remember nothing any more."""
        for channel in self._channels:
            if self.tell(channel, Alert(self._clock.now(), True, Condition(Kind.DAMAGE))):
                try:
                    self._remember(f"{_TOLD}{channel.name}.{Condition(Kind.DAMAGE).key}", "told", self._clock.now())
                except OutboxError:
                    return


def _condition(key: str) -> Condition:
    kind, _, about = key.partition(".")
    return Condition(Kind(kind), about)
