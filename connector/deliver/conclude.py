"""From an outcome to a settlement: what an attempt's result means for the delivery and for the link."""

from dataclasses import replace

from connector.deliver.plan import Attempt
from connector.domain.accepted import without_links
from connector.domain.clock import SECOND, Instant, Millis
from connector.domain.delivery import DeliveryState
from connector.domain.outcome import Outcome, OutcomeKind
from connector.domain.retry import Schedule
from connector.outbox.port import LinkChange, ParentLink, Settlement

_DEAD = {OutcomeKind.MANY, OutcomeKind.DUPLICATE, OutcomeKind.PERMANENT}
_SKIPPED = {OutcomeKind.ABSENT, OutcomeKind.GONE, OutcomeKind.UNMATCHABLE}
_FREE = {OutcomeKind.THROTTLED, OutcomeKind.UNAUTHORISED, OutcomeKind.NOT_SENT}
"""Cost no attempt: they say nothing about the change."""


def conclude(
    attempt: Attempt,
    outcome: Outcome,
    *,
    lease: int,
    took: Millis,
    now: Instant,
    healthy: bool,
    schedule: Schedule,
    chance: float,
    visible_after: Millis,
) -> Settlement:
    """Return how the attempt ends.

    `healthy`: another delivery to this destination succeeded lately, so a failure is this delivery's own (S23).
    `chance` is a random number from 0 to 1, for the jitter.
    """
    if attempt.looks:
        outcome = _looked(outcome)
    kind, due = outcome.kind, attempt.due
    state, due_at, counted, waited = DeliveryState.PENDING, None, False, 0
    reason = outcome.reason
    if attempt.looks and kind is OutcomeKind.UPDATED:
        due_at = now  # it is linked now: the next attempt removes it, or only the link
    elif kind.is_success:
        state = DeliveryState.DELIVERED
    elif kind in _DEAD:
        state = DeliveryState.DEAD
    elif kind in _SKIPPED:
        state = DeliveryState.SKIPPED
    else:
        counted = healthy and kind not in _FREE
        waited = min(max(0, now - due.changed_at), 2 * schedule.longest) if counted and due.attempts else 0
        if counted and schedule.is_over(due.attempts + 1, due.counted_ms + waited):
            state = DeliveryState.DEAD
            reason = f"given up after {due.attempts + 1} tries; the last one: {reason}"
        else:
            due_at = now + _wait(outcome, due.attempts + 1, now, schedule, chance, visible_after)
    return Settlement(
        delivery_id=due.delivery_id,
        destination=due.destination,
        object=due.object,
        state=state,
        lease=lease,
        due_at=due_at,
        counted=counted,
        counted_ms=waited,
        reason=reason,
        outcome=kind.value,
        status=outcome.status,
        requests=outcome.requests,
        took=took,
        version=attempt.mapping.version,
        wrote=outcome.wrote,
        during=attempt.difference.during,
        link=_link(attempt, outcome, now),
        may_show_late=_may_show_late(attempt, outcome),
        parents=_parents(attempt, outcome) if kind.is_success or kind is OutcomeKind.ABSENT else (),
    )


def _looked(outcome: Outcome) -> Outcome:
    """What looking for a record that is to be removed came to: one that is not there is removed already."""
    if outcome.kind is OutcomeKind.ABSENT:
        return replace(outcome, kind=OutcomeKind.ERASED, reason="there was no such record")
    if outcome.kind is OutcomeKind.UPDATED:
        return replace(outcome, reason="found: it is removed next, unless another record shares it")
    return outcome


def _wait(
    outcome: Outcome, attempt: int, now: Instant, schedule: Schedule, chance: float, visible_after: Millis
) -> Millis:
    if outcome.kind is OutcomeKind.NOT_SENT:
        return 0
    if outcome.kind is OutcomeKind.THROTTLED:
        return max(SECOND, (outcome.retry_at or now) - now)
    wait = schedule.wait(attempt, chance)
    if outcome.retry_at is not None:
        wait = max(wait, outcome.retry_at - now)
    return max(wait, visible_after) if outcome.kind is OutcomeKind.AMBIGUOUS else wait


def _may_show_late(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether a search may not show yet what is there by a match value: a new record, or a new value (S11, S22)."""
    write = attempt.write
    if attempt.looks or write.verb.removes or not (outcome.wrote or outcome.created_maybe):
        return False
    return write.crm_id is None or outcome.unlinked or any(key.name in write.changed for key in write.match)


def _parents(attempt: Attempt, outcome: Outcome) -> tuple[ParentLink, ...]:
    """Return which parents it is linked with now.

    A record that was made anew has no links but those that were asked for: the others are made at once.
    """
    if not attempt.parents:
        return ()
    asked = {association.relation for association in attempt.write.associations}
    return tuple(
        replace(link, tried=None) if outcome.unlinked and parent.relation not in asked else link
        for parent, link in zip(attempt.change.parents, attempt.parents, strict=False)
    )


def _link(attempt: Attempt, outcome: Outcome, now: Instant) -> LinkChange:
    """What the attempt taught about the CRM's record."""
    kind, link = outcome.kind, attempt.due.link
    if kind is OutcomeKind.ERASED:
        return LinkChange(forget=True)
    if kind is OutcomeKind.GONE:
        return LinkChange(unlink=True, certain=True, resolved=True, gone_at=now)
    if attempt.looks and kind is OutcomeKind.UPDATED:
        # What a search shows may be gone already, by ourselves: until a write shows it, that is in doubt.
        return LinkChange(crm_id=outcome.crm_id, certain=True)
    if kind.is_success:
        accepted = without_links(attempt.difference.after, outcome.unassociated)
        # One that was made anew has nothing yet of what other mappings wrote to the old one.
        return LinkChange(
            crm_id=outcome.crm_id, unlink=outcome.unlinked, certain=True, resolved=True, accepted=accepted
        )
    in_doubt = kind in (OutcomeKind.RETRY, OutcomeKind.AMBIGUOUS) and outcome.wrote
    if in_doubt or outcome.created_maybe:
        return LinkChange(crm_id=outcome.crm_id, unlink=outcome.unlinked, doubt_at=now, touched=outcome.touched)
    if outcome.wrote or outcome.unlinked or outcome.crm_id not in (None, link.crm_id):
        # An answer came, but not for all of it: nothing is under way, and what the CRM has is not known either.
        return LinkChange(crm_id=outcome.crm_id, unlink=outcome.unlinked, certain=True, touched=outcome.touched)
    if not link.attempted:
        return LinkChange(forget=True)  # nothing left the house: as if it had never been tried (S5)
    if link.doubt_at is not None:
        return LinkChange(doubt_at=link.doubt_at, accepted=link.accepted)
    return LinkChange(certain=True, accepted=link.accepted)
