"""Any REST CRM, described by a preset."""

from collections.abc import Callable, Mapping, Sequence

from connector.crm.port import Finding, Gate, Limits, PlannedRequest, Rate, Write
from connector.crm.presets.model import Preset
from connector.crm.rest import batch, examining, planning
from connector.crm.rest.credentials import Credentials
from connector.crm.rest.flow import Flow
from connector.crm.rest.object import CompiledObject
from connector.crm.rest.sending import Requester, Sending
from connector.crm.rest.template import UnusableError
from connector.crm.rest.wire import Wire
from connector.domain.change import Verb
from connector.domain.clock import SECOND, Clock, Millis
from connector.domain.outcome import Outcome, OutcomeKind

_MARGIN = 20 * SECOND
"""For what no time-out bounds: looking up names, and trying several addresses of one host."""


class _Always:
    """The gate of a person who asks."""

    def may_send(self, cost: int) -> bool:
        """Let it through."""
        return cost >= 0


class RestCrm:
    """A configured destination: implements `connector.crm.port.Crm`."""

    def __init__(
        self,
        name: str,
        preset: Preset,
        *,
        settings: Mapping[str, object],
        base_url: str | None,
        headers: Mapping[str, str],
        wire: Wire,
        credentials: Credentials,
        allowed: Callable[[str], str | None],
        clock: Clock,
    ) -> None:
        self.name = name
        self.preset = preset
        self._clock = clock
        self._requester = Requester(preset, wire, credentials, base_url, headers, allowed, clock)
        self._objects = {key: CompiledObject(key, model, preset, settings) for key, model in preset.objects.items()}
        limits = preset.limits
        rates = tuple(Rate(rate.cost, int(rate.seconds * SECOND)) for rate in limits.rates)
        self._limits = Limits(rates=rates, concurrency=limits.concurrency, per_day=limits.per_day)
        self._send_time: Millis = int(preset.connection.timeouts.send * SECOND)

    @property
    def limits(self) -> Limits:
        """The destination's limits."""
        return self._limits

    @property
    def longest_send(self) -> Millis:
        """The longest that one `send` can take."""
        return self._send_time + _MARGIN

    def visible_after(self, object_name: str) -> Millis:
        """How long a search may lag behind a create."""
        return self._objects[object_name].visible_after if object_name in self._objects else 0

    def batch_limit(self, object_name: str, verb: Verb) -> int:
        """How many writes may go together."""
        object_ = self._objects.get(object_name)
        return batch.size(object_, verb) if object_ is not None else 1

    def batch_of(self, write: Write) -> str | None:
        """With which others a write can go."""
        object_ = self._objects.get(write.object)
        try:
            kind = batch.kind_of(object_, write) if object_ is not None else None
        except UnusableError:  # said when it is sent
            return None
        return kind[0] if kind is not None else None

    def send(self, writes: Sequence[Write], gate: Gate) -> Sequence[Outcome]:
        """Bring the writes to the CRM; one outcome for each, in their order."""
        sending = Sending(gate, self._clock.elapsed() + self._send_time)
        object_ = self._objects.get(writes[0].object) if writes else None
        if object_ is None:
            return [self._unknown(write) for write in writes]
        if len(writes) == 1:
            return [Flow(self._requester, object_, writes[0], sending).run()]
        return batch.BatchSender(self._requester, object_, sending).run(writes)

    def _unknown(self, write: Write) -> Outcome:
        known = ", ".join(self._objects)
        reason = f"the preset has no object {write.object!r} (it has: {known})"
        return Outcome(kind=OutcomeKind.PERMANENT, reason=reason, crm_id=write.crm_id)

    def plan(self, write: Write) -> Sequence[PlannedRequest]:
        """The requests that `send` would begin with, without credentials."""
        object_ = self._objects.get(write.object)
        return list(planning.plan(object_, write, self._requester.shown_base())) if object_ is not None else []

    def examine(self, objects: Sequence[str]) -> Sequence[Finding]:
        """Harmless calls that tell whether it is reachable, authenticated, allowed, and what limits are left."""
        sending = Sending(_Always(), self._clock.elapsed() + self._send_time)
        return list(examining.examine(self._requester, list(self._objects.values()), objects, sending))

    def close(self) -> None:
        """Give connections back."""
        self._requester.close()
