"""The figures of `status`, in sections that a terminal and a pipe show alike, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from connector.cli import forms
from connector.cli.health import LAST_TEST
from connector.cli.moments import both, iso, relative
from connector.cli.text import clean, size
from connector.config.model import Config
from connector.domain.clock import Instant
from connector.outbox.port import Status


class Tone(StrEnum):
    """How a line is to be taken."""

    PLAIN = "plain"
    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure or fact."""

    label: str
    value: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together."""

    title: str
    lines: Sequence[Line]


_TONES = {"dead": Tone.BAD, "held": Tone.WATCH, "not-understood": Tone.WATCH, "delivered": Tone.GOOD}
_CALLS = {"refused": "refused", "declined": "declined", "noted": "odd"}
_ALWAYS = ("pending", "delivered", "dead")


def sections(status: Status, config: Config, now: Instant) -> Sequence[Section]:
    """Return what there is to show; a section with nothing in it is left out."""
    found = [
        Section("Deliveries", _counts(status.deliveries, _ALWAYS)),
        Section("Times", list(_times(status, now))),
        Section("Events", [*_counts(status.events, ()), *_unproven(status)]),
        Section("Dead", [Line(mapping, _reason(reason, n), Tone.BAD) for mapping, reason, n in status.dead]),
        Section("Held", [Line(mapping, _reason(reason, n), Tone.WATCH) for mapping, reason, n in status.held]),
        Section("Paused", list(_pauses(status, config, now))),
        Section("Refused, declined and odd calls", list(_counters(status))),
        Section("Test calls", list(_tests(status, now))),
        Section("Room", [Line("outbox", size(status.bytes)), Line("free on disk", size(status.free_bytes))]),
    ]
    return [section for section in found if section.lines]


def _counts(counts: Any, always: Sequence[str]) -> list[Line]:
    return [
        Line(word, f"{number:,}", _TONES.get(word, Tone.PLAIN) if number else Tone.PLAIN)
        for word, number in counts.items()
        if number or word in always
    ]


def _unproven(status: Status) -> list[Line]:
    if not status.unproven:
        return []
    return [Line("unproven", f"{status.unproven:,} wait until DNS gives their key", Tone.WATCH)]


def _times(status: Status, now: Instant) -> Iterator[Line]:
    yield Line("last received", both(status.last_received, now))
    yield Line("last delivered", both(status.last_delivered, now))
    if status.oldest_new is not None:
        yield Line("oldest not looked at", both(status.oldest_new, now))
    if status.oldest_due is not None:
        tone = Tone.WATCH if status.oldest_due < now else Tone.PLAIN
        yield Line("oldest due", both(status.oldest_due, now), tone)


def _reason(reason: str, number: int) -> str:
    return f"{number:,} × {clean(reason) or 'no reason given'}"


def _pauses(status: Status, config: Config, now: Instant) -> Iterator[Line]:
    for pause in status.pauses:
        if pause.until is None:
            end = "until it is resumed"
        elif pause.until > now:
            end = relative(pause.until, now)
            end = f"until then: {end}" if pause.by == "operator" else f"tried again {end}"
        else:
            end = "to be tried again now"
        why = f"{clean(pause.by)}: {clean(pause.reason)}" if pause.reason else clean(pause.by)
        yield Line(clean(pause.subject), f"{why}; since {both(pause.since, now)}; {end}", Tone.WATCH)
    for name, destination in sorted(config.destinations.items()):
        if destination.mode == "observe":
            yield Line(name, 'only observed (mode = "observe"): nothing is sent', Tone.WATCH)


def _counters(status: Status) -> Iterator[Line]:
    for name, number in status.counters.items():
        kind, _, rest = name.partition(".")
        source, _, what = rest.partition(".")
        if kind in _CALLS and number:
            who = "unknown source" if source == "-" else source
            yield Line(f"{_CALLS[kind]}, {what}", f"{number:,} ({who})")


def _tests(status: Status, now: Instant) -> Iterator[Line]:
    for name, note in status.notes.items():
        if name.startswith(LAST_TEST) and note.isdigit():
            yield Line(name.removeprefix(LAST_TEST), f"the last one came {both(int(note), now)}", Tone.GOOD)


def lines(found: Sequence[Section], wrong: Sequence[str]) -> Iterator[str]:
    """Return plain text, for a pipe or a file."""
    yield "All is well." if not wrong else "Needs a person:"
    for problem in wrong:
        yield f"  {problem}"
    for section in found:
        yield ""
        yield section.title
        width = max(len(line.label) for line in section.lines)
        for line in section.lines:
            yield f"  {line.label.ljust(width)}  {line.value}"


def form(status: Status, wrong: Sequence[str], now: Instant) -> dict[str, Any]:
    """Return what `status --json` prints."""
    return {
        "at": iso(now),
        "ok": not wrong,
        "problems": list(wrong),
        "deliveries": dict(status.deliveries),
        "events": dict(status.events),
        "unproven": status.unproven,
        "oldest_due": iso(status.oldest_due),
        "oldest_new": iso(status.oldest_new),
        "last_received": iso(status.last_received),
        "last_delivered": iso(status.last_delivered),
        "dead": [{"mapping": mapping, "reason": reason, "count": n} for mapping, reason, n in status.dead],
        "held": [{"mapping": mapping, "reason": reason, "count": n} for mapping, reason, n in status.held],
        "unserved": dict(status.unserved),
        "pauses": [forms.pause(pause) for pause in status.pauses],
        "counters": dict(status.counters),
        "notes": dict(status.notes),
        "bytes": status.bytes,
        "free_bytes": status.free_bytes,
    }
