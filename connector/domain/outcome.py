"""What one attempt came to: a closed set, decided at the CRM's edge, where the knowledge is."""

from enum import StrEnum

from connector.domain.clock import Instant
from connector.domain.frozen import frozen


class OutcomeKind(StrEnum):
    """Each is handled in one place, the engine's settling."""

    CREATED = "created"  # success: a new record
    UPDATED = "updated"  # success: an existing record
    ERASED = "erased"  # success: deleted, archived or anonymised; also when it was not there any more
    ABSENT = "absent"  # there is no such record, and this change may not create one (S19)
    GONE = "gone"  # the linked record is no longer there, and the mapping says stop (S10)
    MANY = "many"  # more than one record matches (S12)
    UNMATCHABLE = "unmatchable"  # no usable match value, and no link (S12)
    DUPLICATE = "duplicate"  # an update was refused because another record has the match value (S11)
    RETRY = "retry"  # it did not happen, and may go later
    AMBIGUOUS = "ambiguous"  # it may have happened: the answer is missing (S8, S22)
    THROTTLED = "throttled"  # the CRM's limit; nothing happened
    UNAUTHORISED = "unauthorised"  # credentials or permissions; see `scope`
    UNREACHABLE = "unreachable"  # nothing was sent: no connection, no name, no TLS
    PERMANENT = "permanent"  # it will never be accepted as it is
    NOT_SENT = "not-sent"  # the lease had ended, or the deliverer is stopping, before anything left

    @property
    def is_success(self) -> bool:
        """Whether the CRM now has what was wanted."""
        return self in (OutcomeKind.CREATED, OutcomeKind.UPDATED, OutcomeKind.ERASED)


class Scope(StrEnum):
    """What an authorisation failure or a throttle is about."""

    DESTINATION = "destination"
    OBJECT = "object"


@frozen(kw_only=True)
class Outcome:
    """One attempt's result.

    `crm_id` is the record's ID as far as it became known, also when a later step failed: it is worth keeping.
    `touched` is the ID of a record that was found and is not linked yet, and into which a write may have gone.
    `unlinked` says that the linked ID turned out not to exist. `wrote` says that a request that can write left.
    `created_maybe` says that a create left whose answer is missing: look before creating again (S22).
    `retry_at` is the CRM's own word on when to come back. `reason` names what happened and what to do,
    without personal data. `candidates` are the CRM's IDs that match (many, duplicate). `unassociated` are the relations
    that could not be made because the other record is not there any more; the write itself was done.
    """

    kind: OutcomeKind
    reason: str = ""
    crm_id: str | None = None
    touched: str | None = None
    unlinked: bool = False
    wrote: bool = False
    created_maybe: bool = False
    status: int | None = None
    retry_at: Instant | None = None
    scope: Scope = Scope.DESTINATION
    candidates: tuple[str, ...] = ()
    unassociated: tuple[str, ...] = ()
    requests: int = 0
