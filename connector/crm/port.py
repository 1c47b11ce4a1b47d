"""What the engine asks of a CRM, and nothing more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connector.domain.change import JsonValue, Many, MatchKey, Verb, WhenGone
from connector.domain.clock import Instant, Millis
from connector.domain.frozen import frozen
from connector.domain.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Association:
    """A link to make after, or in, the write: the relation's name in the preset and the other record."""

    relation: str
    object: str
    crm_id: str


@frozen(kw_only=True)
class Write:
    """One change, after it was compared with what the CRM last accepted.

    With `crm_id` the write goes to that ID and to no other (S11). Without it the record is found by `match`, in order,
    and created only if `verb` is UPSERT and nothing was found.

    `changed` goes to a linked record; `full` to one that was found; `full` and `create_only` together to a new one. A
    value of None empties the field. When both `changed` is empty and there is no association to make, a linked UPSERT
    is already done. `created_maybe_at` says that a create may have left at that moment whose answer is missing: look
    no sooner than the object's `visible_after`, and create only if that finds nothing (S22). `created_maybe_match` are
    the keys that create was made with, if they were other ones: all of them are looked for as well, and more than one
    record in all is one too many (S12). A removal of a linked record that is not there any more unlinks it and is tried
    again when there are such keys: it may have been made anew.
    """

    id: str
    object: str
    verb: Verb
    crm_id: str | None
    match: tuple[MatchKey, ...] = ()
    unmatchable: str = ""
    changed: Mapping[str, JsonValue] = field(default_factory=dict)
    full: Mapping[str, JsonValue] = field(default_factory=dict)
    create_only: Mapping[str, JsonValue] = field(default_factory=dict)
    associations: tuple[Association, ...] = ()
    created_maybe_at: Instant | None = None
    created_maybe_match: tuple[MatchKey, ...] = ()
    when_gone: WhenGone = WhenGone.STOP
    many: Many = Many.DEAD


class Gate(Protocol):
    """Stands directly before every request (S21)."""

    def may_send(self, cost: int) -> bool:
        """Wait for the destination's budget; tell whether the lease still holds and the deliverer is not stopping.

        `cost` is in the preset's own units (1 for a plain request). False: send nothing more, and say so in the
        outcome (NOT_SENT when nothing that can write left before; AMBIGUOUS or RETRY otherwise).
        """
        ...


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `cost` units in every `per` milliseconds."""

    cost: int
    per: Millis


@dataclass(frozen=True, slots=True)
class Limits:
    """What the destination allows us: enforced by the engine, over all processes."""

    rates: tuple[Rate, ...] = ()
    concurrency: int = 8
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `connector doctor`: what was asked, whether it is so, and what to do if not."""

    about: str
    ok: bool
    what: str


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request that would be made, for `preview` and observe mode. Credentials are left out."""

    method: str
    url: str
    body: JsonValue
    why: str


class Crm(Protocol):
    """A configured destination. Safe to use from several threads; holds no state that a crash may not lose."""

    @property
    def limits(self) -> Limits:
        """The destination's limits."""
        ...

    @property
    def longest_send(self) -> Millis:
        """The longest that one `send` can take, all steps and time-outs included: the lease is longer (S21)."""
        ...

    def batch_limit(self, object_name: str, verb: Verb) -> int:
        """How many writes of that kind may go together; 1 when the CRM has no batch."""
        ...

    def batch_of(self, write: Write) -> str | None:
        """With which others a write can go: those of its object and verb that have the same. None: it goes alone."""
        ...

    def visible_after(self, object_name: str) -> Millis:
        """How long a search may lag behind a create (S22)."""
        ...

    def send(self, writes: Sequence[Write], gate: Gate) -> Sequence[Outcome]:
        """Bring the writes to the CRM; one outcome for each, in their order.

        All writes are of one object and one verb; their records and match keys are distinct (S24). Never raises for
        what the CRM or the network does.
        """
        ...

    def plan(self, write: Write) -> Sequence[PlannedRequest]:
        """The requests that `send` would begin with, without sending anything."""
        ...

    def examine(self, objects: Sequence[str]) -> Sequence[Finding]:
        """Harmless calls that tell whether it is reachable, authenticated, allowed, and what limits are left."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
