"""Decisions that send nothing, as settlements."""

from connector.deliver.plan import Attempt, Decision, Postpone, Settle
from connector.domain.clock import HOUR, Instant
from connector.domain.delivery import DeliveryState
from connector.mapping.port import Mapping
from connector.outbox.port import Settlement


def observed(decision: Decision) -> Decision:
    """In observe mode nothing is sent: what would be is the reason, until the destination goes live."""
    if not isinstance(decision, Attempt):
        return decision
    write = decision.write
    fields = ", ".join(sorted(write.changed or write.full)) or "nothing"
    what = f"{write.verb} {write.object} {write.crm_id or '(not linked)'}: {fields}"
    return Settle(decision.due, DeliveryState.HELD, f"observe: would {what}")


def as_settlement(decision: Settle | Postpone, mapping: Mapping, now: Instant) -> Settlement:
    """Return how the decision is written down; what is postponed is looked at again within the hour."""
    due = decision.due
    if isinstance(decision, Postpone):
        return Settlement(
            delivery_id=due.delivery_id,
            destination=due.destination,
            object=due.object,
            state=DeliveryState.PENDING,
            due_at=min(decision.until, now + HOUR),
            reason=decision.reason,
        )
    return Settlement(
        delivery_id=due.delivery_id,
        destination=due.destination,
        object=due.object,
        state=decision.state,
        link_version=due.link.version,
        reason=decision.reason,
        outcome=decision.state.word,
        version=mapping.version,
        link=decision.link,
        renew_sharers=decision.renew_sharers,
    )
