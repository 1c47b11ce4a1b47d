"""What to do about a due delivery, before anything is sent: a decision from what is known, and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from connector.crm.port import Association, Write
from connector.domain.accepted import Difference, Hasher, compare
from connector.domain.change import Change, Defect, MatchKey, Parent, Skip, Verb, WhenGone
from connector.domain.clock import HOUR, SECOND, Instant, Millis
from connector.domain.delivery import DeliveryState
from connector.domain.event import Event, EventType, NotUnderstood
from connector.domain.frozen import frozen
from connector.domain.record import Record
from connector.mapping.port import Deliver, Mapping
from connector.mapping.port import Write as WritePolicy
from connector.outbox.erasure import erased_id
from connector.outbox.port import Due, LinkChange, ParentLink, ParentView, StoredCall

_PARENT_SOON: Millis = SECOND
_PARENT_LATEST: Millis = 30 * SECOND
_WAITS = "waits for the record that it is linked to"


@frozen()
class Attempt:
    """Send this. `keys` are the locks to take; `parents` what it is to be linked to.

    `lasting` are the locks that stay for a while when something was written: the match keys that a search may not show
    yet. `looks`: this only looks for the record that is to be removed.
    """

    due: Due
    mapping: Mapping
    change: Change
    write: Write
    difference: Difference
    keys: tuple[bytes, ...]
    lasting: frozenset[bytes]
    parents: tuple[ParentLink, ...] = ()
    looks: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing is to be sent: settle it so."""

    due: Due
    state: DeliveryState
    reason: str
    link: LinkChange | None = None
    renew_sharers: bool = False


@dataclass(frozen=True, slots=True)
class Postpone:
    """Not yet: a parent is on its way, or an answer is still missing."""

    due: Due
    until: Instant
    reason: str


Decision: TypeAlias = Attempt | Settle | Postpone


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a decision may ask for, besides what is due."""

    decode: Callable[[StoredCall], Event | NotUnderstood]
    stored: Callable[[int], StoredCall | None]
    last_state: Callable[[int], StoredCall | None]
    parents: Callable[[str, Sequence[tuple[str, str, Record]]], Sequence[ParentView]]
    sharers: Callable[[str, str, str, str], Sequence[str]]
    visible_after: Callable[[str, str], Millis]
    hasher: Hasher


def decide(due: Due, mapping: Mapping, known: Knowledge, now: Instant) -> Decision:
    """Return what is to be done about a delivery whose time has come."""
    if due.erases:
        return erasure(due, mapping, known, now)
    event = known.decode(due.call)
    if isinstance(event, NotUnderstood):
        return Settle(due, DeliveryState.DEAD, f"not understood: {event.reason}")
    link = due.link
    if due.is_delete and due.created_here and not link.attempted and not due.forced:
        return Settle(due, DeliveryState.SKIPPED, "created and deleted before anything was sent")
    settled = _wait_for_certainty(due, known, now)
    if settled is not None:
        return settled
    last = None
    if due.is_delete and link.crm_id is None and event.fields is None:
        last = _last(due, known)
    change = mapping.translate(event, linked=link.crm_id is not None, last=last)
    if isinstance(change, Skip) and due.is_delete and link.crm_id is None:
        change = _removal_of_doubtful(event, change, due, mapping, known)
    if isinstance(change, Skip):
        return Settle(due, DeliveryState.SKIPPED, change.reason, _forget(due))
    if isinstance(change, Defect):
        return Settle(due, DeliveryState.DEAD, change.reason)
    return _carry_out(event, due, mapping, change, known, now)


def _carry_out(event: Event, due: Due, mapping: Mapping, change: Change, known: Knowledge, now: Instant) -> Decision:
    if due.link.gone_at is not None and not _starts_anew(event, due, change):
        reason = "a person deleted the record in the CRM (when_gone: stop); replay it to create it again"
        return Settle(due, DeliveryState.SKIPPED, reason)
    if change.verb.removes:
        return _removal(due, mapping, change, known)
    return _write(due, mapping, change, known, now)


def _forget(due: Due) -> LinkChange | None:
    """A delete that is ignored ends the link all the same: the ID will never come again."""
    return LinkChange(forget=True) if due.is_delete and due.link.attempted else None


def _removal_of_doubtful(event: Event, skip: Skip, due: Due, mapping: Mapping, known: Knowledge) -> Change | Skip:
    """Nothing recognises the record now; one may have been created, without an answer, under what it had then."""
    change = mapping.translate(event, linked=True, last=None)
    if isinstance(change, Change) and change.verb.removes and (keys := _doubtful_keys(due, mapping, change, known)):
        return replace(change, match=keys)
    return skip


def _starts_anew(event: Event, due: Due, change: Change) -> bool:
    """A record that was deleted in the CRM comes back only by decision, or as a new one at Copernica."""
    return due.forced or event.type is EventType.CREATE or change.when_gone is WhenGone.RECREATE


def _wait_for_certainty(due: Due, known: Knowledge, now: Instant) -> Postpone | None:
    """While an answer is missing, the CRM gets the time to finish what it may still be doing (S21, S22)."""
    doubt = due.link.doubt_at
    if doubt is None or doubt > now + HOUR:  # no request takes an hour: the clock was set back
        return None
    ready = doubt + known.visible_after(due.destination, due.object)
    if now >= ready:
        return None
    return Postpone(due, ready, "an earlier answer is missing; the CRM is given time to finish")


def _last(due: Due, known: Knowledge) -> Event | None:
    call = known.last_state(due.call.event_id)
    event = None if call is None else known.decode(call)
    return event if isinstance(event, Event) else None


def _removal(due: Due, mapping: Mapping, change: Change, known: Knowledge) -> Decision:
    crm_id = due.link.crm_id
    if crm_id is not None and known.sharers(due.destination, due.object, crm_id, due.record):
        reason = "another Copernica record shares the CRM's record: only the link was removed"
        return Settle(due, DeliveryState.SKIPPED, reason, LinkChange(forget=True), renew_sharers=True)
    # Without a link it is looked up first, and linked: another Copernica record may share what is found (S16).
    looks = crm_id is None and bool(change.match)
    write = Write(
        id=str(due.call.event_id),
        object=due.object,
        verb=Verb.UPDATE if looks else change.verb,
        crm_id=crm_id,
        match=change.match,
        unmatchable=change.unmatchable,
        created_maybe_at=due.link.doubt_at if crm_id is None else None,
        created_maybe_match=_doubtful_keys(due, mapping, change, known),
        many=change.many,
    )
    nothing = compare(change, {}, due.link.accepted, known.hasher, everything=False, forced=False)
    match = change.match if crm_id is None else _known_keys(due, mapping, known)
    keys = lock_keys(due, match, write.created_maybe_match, known.hasher)
    return Attempt(due, mapping, change, write, nothing, *keys, looks=looks)


def _known_keys(due: Due, mapping: Mapping, known: Knowledge) -> tuple[MatchKey, ...]:
    """Return what others may find the linked record by: nobody may adopt it while it is being removed (S16)."""
    last = _last(due, known)
    then = None if last is None else mapping.translate(last, linked=False, last=None)
    return then.match if isinstance(then, Change) else ()


def _doubtful_keys(due: Due, mapping: Mapping, change: Change, known: Knowledge) -> tuple[MatchKey, ...]:
    """Return what a record may stand under that an earlier, unanswered create made: its e-mail was another one then.

    In the place of a linked record one was created only if it was gone, and the mapping makes those anew.
    """
    found: dict[MatchKey, None] = {}
    anew = due.link.crm_id is None or _may_have_removed(due, mapping, known)
    for event_id in due.link.doubt_events:
        call = known.stored(event_id) if event_id != due.call.event_id else None
        event = None if call is None else known.decode(call)
        if isinstance(event, Event) and event.type is not EventType.DELETE:
            then = mapping.translate(event, linked=False, last=None)
            if isinstance(then, Change) and (anew or then.when_gone is WhenGone.RECREATE):
                found.update(dict.fromkeys(key for key in then.match if key not in change.match))
    return tuple(found)


def _may_have_removed(due: Due, mapping: Mapping, known: Knowledge) -> bool:
    """Whether the linked record may be gone by a removal of our own whose answer is missing: no person deleted it."""
    for event_id in due.link.doubt_events if due.link.crm_id is not None else ():
        call = known.stored(event_id)
        event = None if call is None else known.decode(call)
        if isinstance(event, Event):
            then = mapping.translate(event, linked=True, last=None)
            if isinstance(then, Change) and then.verb.removes:
                return True
    return False


def erasure(due: Due, mapping: Mapping, known: Knowledge, now: Instant) -> Decision:
    """An operator erases a person: that CRM record goes, whatever the mapping says about deletes (S28)."""
    crm_id = due.link.crm_id
    if crm_id is None or erased_id(due.call.request.request, due.destination, due.object) != crm_id:
        reason = "it is not linked any more, so nothing is left to erase"
        return Settle(due, DeliveryState.SKIPPED, reason, LinkChange(forget=True) if crm_id is None else None)
    waiting = _wait_for_certainty(due, known, now)
    if waiting is not None:
        return waiting
    change = Change(destination=due.destination, object=due.object, record=Record.parse(due.record), verb=Verb.ERASE)
    return _removal(due, mapping, change, known)


def _write(due: Due, mapping: Mapping, change: Change, known: Knowledge, now: Instant) -> Decision:
    views = known.parents(due.destination, [_wanted(parent) for parent in change.parents]) if change.parents else ()
    pairs = list(zip(change.parents, views, strict=True))
    if any(view.coming for _, view in pairs):
        age = now - due.call.request.request.received_at
        if age < 0:  # the clock was set back, and nobody knows how long it has waited
            return Postpone(due, now + _PARENT_LATEST, _WAITS)
        wait = min(max(_PARENT_SOON, age // 4), _PARENT_LATEST)
        return Postpone(due, now + wait, _WAITS)
    each = mapping.deliver is Deliver.EACH
    linked = {parent.relation: view.crm_id for parent, view in pairs if view.crm_id is not None}
    difference = compare(
        change,
        linked,
        due.link.accepted,
        known.hasher,
        everything=mapping.write is WritePolicy.ALL,
        forced=due.forced or each,
    )
    if due.link.crm_id is not None and difference.is_empty and not each:
        return Settle(due, DeliveryState.UNCHANGED, "")
    write = Write(
        id=str(due.call.event_id),
        object=due.object,
        verb=change.verb,
        crm_id=due.link.crm_id,
        match=change.match,
        unmatchable=change.unmatchable,
        changed=difference.changed,
        full=difference.full,
        create_only=change.create_fields,
        associations=tuple(
            Association(parent.relation, parent.object, view.crm_id)
            for parent, view in pairs
            if view.crm_id is not None and (due.link.crm_id is None or parent.relation in difference.links)
        ),
        created_maybe_at=due.link.doubt_at,
        created_maybe_match=_doubtful_keys(due, mapping, change, known),
        when_gone=WhenGone.RECREATE if _may_have_removed(due, mapping, known) else change.when_gone,
        many=change.many,
    )
    links = tuple(ParentLink(parent.object, parent.record, view.crm_id) for parent, view in pairs)
    keys = lock_keys(due, change.match, write.created_maybe_match, known.hasher)
    return Attempt(due, mapping, change, write, difference, *keys, links)


def _wanted(parent: Parent) -> tuple[str, str, Record]:
    return parent.mapping, parent.object, parent.record


def lock_keys(
    due: Due, matches: Sequence[MatchKey], doubtful: Sequence[MatchKey], hasher: Hasher
) -> tuple[tuple[bytes, ...], frozenset[bytes]]:
    """Return what only one writer may have: the link, the CRM's record, and each match key, old and new (S11).

    `doubtful` are looked for as well: nobody may remove meanwhile what is found by one. The second part are the new
    match keys.
    """

    def digest(match: MatchKey) -> bytes:
        value = match.value.lower() if isinstance(match.value, str) else match.value
        return hasher.digest(f"match\0{place}\0{match.name}\0{hasher.value(value).hex()}")

    place = f"{due.destination}\0{due.object}"
    keys = {hasher.digest(f"link\0{place}\0{due.record}")}
    keys |= {digest(match) for match in doubtful}
    lasting: set[bytes] = set()
    if due.link.crm_id is not None:
        keys.add(hasher.digest(f"crm\0{place}\0{due.link.crm_id}"))
    for match in matches:
        lasting.add(digest(match))
        old = due.link.accepted.hashes.get(match.name)
        if old is not None:
            keys.add(hasher.digest(f"match\0{place}\0{match.name}\0{old.hex()}"))
    return tuple(sorted(keys | lasting)), frozenset(lasting)
