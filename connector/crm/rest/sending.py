"""One request of a change: authorised, let through the gate, sent, judged. What it came to is a `Reply`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, TypeAlias

from connector.crm.port import Gate
from connector.crm.presets.model import LEAST_LEFT, Kind, Preset, Rule
from connector.crm.rest import classify, moments, redact
from connector.crm.rest.answer import Answer, NoAnswer, capture
from connector.crm.rest.classify import Verdict
from connector.crm.rest.credentials import Authorised, Credentials, NoToken
from connector.crm.rest.request import CompiledStep
from connector.crm.rest.template import Scope, UnusableError
from connector.crm.rest.wire import Wire
from connector.domain.clock import SECOND, Clock, Instant
from connector.domain.frozen import frozen


class Special(Enum):
    """What is no answer of the CRM's."""

    UNREACHABLE = auto()  # nothing was sent
    STOPPED = auto()  # the gate, or our own time, says that nothing more may be sent


ReplyKind: TypeAlias = Kind | Special


@frozen(kw_only=True)
class Reply:
    """What one request came to. `got` are the captures."""

    kind: ReplyKind
    reason: str = ""
    answer: Answer | None = None
    existing: str | None = None
    retry_at: Instant | None = None
    whole: bool | None = None
    got: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether it was done."""
        return isinstance(self.kind, Kind) and self.kind.is_success

    @property
    def status(self) -> int | None:
        """The HTTP status, if there was an answer."""
        return self.answer.status if self.answer else None


@dataclass(slots=True)
class Sending:
    """One call of `send`: its gate, its time, what it counted. `private` are values that no reason may repeat."""

    gate: Gate
    until: int
    private: list[Any] = field(default_factory=list)
    requests: int = 0
    wrote: bool = False


class Requester:
    """Makes requests to one CRM. Safe to use from several threads."""

    def __init__(
        self,
        preset: Preset,
        wire: Wire,
        credentials: Credentials,
        base_url: str | None,
        headers: Mapping[str, str],
        allowed: Callable[[str], str | None],
        clock: Clock,
    ) -> None:
        self.preset = preset
        self.clock = clock
        self._wire = wire
        self._credentials = credentials
        self._base_url = base_url
        self._headers = dict(headers)
        self._allowed = allowed

    def perform(self, step: CompiledStep, scope: Scope, sending: Sending) -> Reply:
        """Make one request; after a 401 once more, if there is another token to be had."""
        authorised = self._credentials.authorise()
        if isinstance(authorised, NoToken):
            return _no_token(authorised)
        reply = self._once(step, scope, sending, authorised)
        if reply.kind is not Kind.UNAUTHORISED:
            return reply
        renewed = self._credentials.renew(authorised)
        if isinstance(renewed, NoToken):
            return _no_token(renewed)
        return self._once(step, scope, sending, renewed) if renewed is not None else reply

    def _once(self, step: CompiledStep, scope: Scope, sending: Sending, authorised: Authorised) -> Reply:
        base = authorised.base_url or self._base_url
        if base is None:
            return Reply(kind=Kind.UNAUTHORISED, reason="the token answer did not say which address to use")
        if authorised.base_url and (why := self._allowed(authorised.base_url)):
            return Reply(kind=Kind.UNAUTHORISED, reason=f"the address in the token answer cannot be used: {why}")
        try:
            outgoing = step.outgoing(base.rstrip("/"), {**self._headers, **authorised.headers}, scope)
        except UnusableError as error:
            return Reply(kind=Kind.PERMANENT, reason=f"{step.what}: {error}")
        if sending.until - self.clock.elapsed() < LEAST_LEFT * SECOND or not sending.gate.may_send(step.model.cost):
            return Reply(kind=Special.STOPPED, reason="stopped before the next request")
        within = (sending.until - self.clock.elapsed()) / SECOND
        if within <= 0:
            return Reply(kind=Special.STOPPED, reason="the time for this change was over before the next request")
        answer = self._wire.exchange(outgoing, within)
        sending.requests += 1
        if isinstance(answer, NoAnswer):
            return self._no_answer(step, answer, sending)
        sending.wrote |= not step.reads
        return self.judge(answer, step, (*step.model.rules, *self.preset.rules), sending)

    def _no_answer(self, step: CompiledStep, answer: NoAnswer, sending: Sending) -> Reply:
        if not answer.sent:
            return Reply(kind=Special.UNREACHABLE, reason=f"the CRM cannot be reached: {answer.why}")
        sending.wrote |= not step.reads
        kind = Kind.AMBIGUOUS if step.creates else Kind.RETRY
        return Reply(kind=kind, reason=f"{step.what}: the request left, but {answer.why}")

    def judge(self, answer: Answer, step: CompiledStep, rules: Sequence[Rule], sending: Sending) -> Reply:
        """Return what an answer means."""
        verdict = classify.judge(answer, rules, creates=step.creates)
        kind = step.model.on.get(verdict.kind, verdict.kind)
        got = {}
        if kind.is_success:
            for name, wanted in step.model.capture.items():
                if (value := capture(answer, wanted)) is not None:
                    got[name] = value
        return Reply(
            kind=kind,
            reason="" if kind.is_success else self._reason(answer, step, verdict, sending),
            answer=answer,
            existing=verdict.existing,
            retry_at=self._retry_at(answer, verdict, kind),
            whole=verdict.whole,
            got=got,
        )

    def _reason(self, answer: Answer, step: CompiledStep, verdict: Verdict, sending: Sending) -> str:
        said = redact.message(answer, self.preset.message, [*sending.private, *self._credentials.private()])
        parts = [f"{step.what} was answered {answer.status}", said, verdict.reason]
        return ": ".join(part for part in parts if part)

    def _retry_at(self, answer: Answer, verdict: Verdict, kind: Kind) -> Instant | None:
        if kind not in (Kind.THROTTLED, Kind.RETRY, Kind.AMBIGUOUS):
            return None
        now = self.clock.now()
        said = moments.retry_at(answer.headers, self.preset.resets, now)
        if said is None and verdict.wait is not None:
            return now + int(verdict.wait * SECOND)
        return said

    def shown_base(self) -> str:
        """Return the base URL for people; a placeholder when the token answer names it."""
        return (self._base_url or "{from the token answer}").rstrip("/")

    def close(self) -> None:
        """Give connections back."""
        self._wire.close()


def _no_token(why: NoToken) -> Reply:
    kind: ReplyKind = Kind.UNAUTHORISED if why.refused else Special.UNREACHABLE
    return Reply(kind=kind, reason=why.reason, retry_at=why.retry_at)
