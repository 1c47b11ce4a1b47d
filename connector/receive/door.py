"""The door: is the call genuine, is it to be kept, is it on disk; only then a 2xx.

What a call means is read when it is routed. Here only calls of sources without signatures are read, which can be
refused for their content, and those of sources that decline some types.
"""

import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from connector.domain.clock import MINUTE, Clock, Instant, Millis
from connector.domain.decode import decode
from connector.domain.event import Event, EventType, Fault, NotUnderstood
from connector.domain.judgement import judge
from connector.domain.request import Refusal, RefusalReason, UnprovenRequest, UnverifiedRequest, VerifiedRequest
from connector.domain.source import Source
from connector.keys.port import Keys
from connector.outbox.port import NewCall, NewUnproven, OutboxError
from connector.receive.committer import Committer

log = structlog.get_logger()

_RETRY_AFTER = ("Retry-After", "30")
_CLOCK_CALLS = 3
_LARGE = 256 * 1024  # bytes; who brings more has a thread, and may wait
_LARGE_AT_ONCE = 2
_CLOCK_NOTE_EVERY: Millis = MINUTE

_BODIES = {
    400: "bad request\n",
    401: "unauthorised\n",
    404: "not found\n",
    405: "method not allowed\n",
    413: "too large\n",
    415: "unsupported media type\n",
    503: "try again later\n",
}
_HEADERS = {
    401: (("WWW-Authenticate", "Signature"),),
    405: (("Allow", "POST"),),
    503: (_RETRY_AFTER,),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What the caller is told, and what the log says. `level` is the log's."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = ()
    level: str = "info"
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long proofs are remembered: the Date window and the time that a call may stay unproven, in milliseconds."""

    unproven_keep: Millis

    def proof_until(self, source: Source, received_at: Instant) -> Instant:
        """Return until when a call's proof tells it from another one (S31)."""
        return received_at + (source.past + source.future) * 1000 + self.unproven_keep


class Door:
    """Takes calls, from many threads at once. `keys` are by source; `zone` is the name below which keys live."""

    def __init__(
        self,
        sources: Iterable[Source],
        keys: Mapping[str, Keys],
        committer: Committer,
        clock: Clock,
        *,
        zone: str,
        timing: Timing,
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._by_length = sorted(self._sources.values(), key=lambda source: -len(source.path))
        self._keys = keys
        self._committer = committer
        self._clock = clock
        self._zone = zone
        self._timing = timing
        self._clocks = {name: _ClockWatch() for name in self._sources}
        self._large = ThreadPoolExecutor(_LARGE_AT_ONCE, "decode")

    @property
    def sources(self) -> Mapping[str, Source]:
        """The configured sources, by name."""
        return self._sources

    def source_at(self, path: str) -> Source | None:
        """Return the source that is called at this path: the longest that it is, or lies below."""
        for source in self._by_length:
            base = source.path.rstrip("/")
            if path == base or path.startswith(f"{base}/"):
                return source
        return None

    def take(self, request: UnverifiedRequest) -> Taken:
        """Judge the call, store it, and say what is to be answered. Never raises for what the call holds."""
        source = self._sources[request.source]
        find_key = self._keys[source.name].find
        verdict = judge(request, source, find_key, now=request.received_at, zone=self._zone)
        if isinstance(verdict, Refusal):
            return self._judged(source, verdict)
        if isinstance(verdict, UnprovenRequest):
            return self._keep_unproven(source, verdict)
        return self._take_verified(source, verdict)

    def refuse(self, source: str, refusal: Refusal) -> Taken:
        """Count a refusal and word it. `source` is "-" where none is known."""
        reason = refusal.reason
        self._committer.count(f"refused.{source}.{reason}")
        fields = {"source": source, "outcome": "refused", "reason": str(reason), "detail": refusal.detail}
        return _answer(reason.status, "warning", fields)

    def count_unread(self, status: int) -> None:
        """Count a call that was refused before it could be read; the log has its line already."""
        too_large = status == RefusalReason.TOO_LARGE.status
        reason = RefusalReason.TOO_LARGE if too_large else RefusalReason.BROKEN_HTTP
        self._committer.count(f"refused.-.{reason}")

    def clocks_differ(self) -> Mapping[str, int]:
        """Return the sources whose genuine calls are refused for their Date, and by how many seconds (S33)."""
        return {name: watch.off_by for name, watch in self._clocks.items() if watch.is_loud}

    def declines(self, verified: VerifiedRequest, source: Source) -> bool:
        """Whether the source does not want calls of that type; counts those (S34)."""
        return bool(source.declined) and self._declined(self._read(verified, source), source) is not None

    def new_call(self, verified: VerifiedRequest, source: Source) -> NewCall:
        """Return what the outbox is given."""
        return NewCall(verified, self._timing.proof_until(source, verified.request.received_at))

    # ── the ways it can go ──────────────────────────────────────────────────────────────────────────────────────────

    def _judged(self, source: Source, refusal: Refusal) -> Taken:
        if refusal.clock_off_by is not None:
            note = self._clocks[source.name].refused(refusal.clock_off_by, self._clock.elapsed())
            if note:
                self._committer.note(f"clock.{source.name}", note)
        return self.refuse(source.name, refusal)

    def _keep_unproven(self, source: Source, unproven: UnprovenRequest) -> Taken:
        until = self._timing.proof_until(source, unproven.request.received_at)
        return self._keep(source, NewUnproven(unproven, until), 202, {"outcome": "unproven", "key": unproven.key_id})

    def _take_verified(self, source: Source, verified: VerifiedRequest) -> Taken:
        if source.is_signed and self._clocks[source.name].accepted():
            self._committer.note(f"clock.{source.name}", "")
        if source.declined or not source.is_signed:
            event = self._read(verified, source)
            if isinstance(event, NotUnderstood) and not source.is_signed and event.fault is not Fault.TYPE:
                return self.refuse(source.name, Refusal(RefusalReason(event.fault.value), event.reason))
            declined = self._declined(event, source)
            if declined is not None:
                fields = {"source": source.name, "outcome": "declined", "type": str(declined)}
                return Taken(200, "declined\n", fields=fields)
        return self._keep(source, self.new_call(verified, source), 200, {"outcome": "stored"})

    def _declined(self, event: Event | NotUnderstood, source: Source) -> EventType | None:
        if isinstance(event, NotUnderstood) or event.type not in source.declined:
            return None
        self._committer.count(f"declined.{source.name}.{event.type}")
        return event.type

    def _read(self, verified: VerifiedRequest, source: Source) -> Event | NotUnderstood:
        if len(verified.request.body) > _LARGE:
            # Sixteen threads that decode megabytes at once would hold up the calls of the loop for seconds.
            return self._large.submit(decode, verified, source).result()
        return decode(verified, source)

    def _keep(self, source: Source, call: NewCall | NewUnproven, status: int, fields: dict[str, object]) -> Taken:
        try:
            receipt = self._committer.keep(call)
        except OutboxError as error:
            self._committer.count(f"unstored.{source.name}")
            failed = {"source": source.name, "outcome": "not stored", "reason": type(error).__name__}
            return _answer(503, "error", failed | {"detail": str(error)})
        if receipt.duplicate:
            fields["outcome"] = "duplicate"
        fields = {"source": source.name, "id": receipt.event_id, **fields}
        return Taken(status, f"{fields['outcome']} {receipt.event_id}\n", fields=fields)


class _ClockWatch:
    """Counts genuine calls with a bad Date since the last good one: from the third on it is loud."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._calls = 0
        self._noted_at: Millis | None = None
        self.off_by = 0

    @property
    def is_loud(self) -> bool:
        return self._calls >= _CLOCK_CALLS

    def refused(self, off_by: int, at: Millis) -> str:
        """Count one; return what to note, if it is time to."""
        with self._mutex:
            self._calls += 1
            self.off_by = off_by
            due = self._noted_at is None or at - self._noted_at >= _CLOCK_NOTE_EVERY
            if not (self.is_loud and due):
                return ""
            self._noted_at = at
            return f"{off_by:+d} s"

    def accepted(self) -> bool:
        """Start anew; tell whether a note has to be taken back."""
        if not self._calls:
            return False
        with self._mutex:
            was_noted, self._noted_at, self._calls = self._noted_at is not None, None, 0
            return was_noted


def _answer(status: int, level: str, fields: Mapping[str, object]) -> Taken:
    return Taken(status, _BODIES[status], _HEADERS.get(status, ()), level, fields)
