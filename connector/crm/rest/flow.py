"""One change, brought to the CRM: known → find → create, with every promise on duplicates and lost answers.

linked ──update──> done                      not found: gone, or (recreate) as one that is not linked
not linked ──find──> one: update it          many: stop, or the newest or oldest
                     none: create ──> done   duplicate: adopt the record that is there, and update it
                                             no answer: ambiguous; look before creating again
"""

from collections.abc import Mapping, Sequence
from typing import Any

from connector.crm.port import Write
from connector.crm.presets.model import Find, Kind
from connector.crm.rest.answer import as_id
from connector.crm.rest.hits import Hit, hits_of, ordered
from connector.crm.rest.object import CompiledObject
from connector.crm.rest.request import CompiledStep
from connector.crm.rest.sending import Reply, Requester, Sending, Special
from connector.crm.rest.template import UnusableError
from connector.domain.change import JsonValue, Many, MatchKey, Verb, WhenGone
from connector.domain.outcome import Outcome, OutcomeKind, Scope

_CANDIDATES = 20
_NOT_FOUND = Reply(kind=Kind.NOT_FOUND)


class Flow:
    """Brings one write to the CRM. Used once."""

    def __init__(self, requester: Requester, object_: CompiledObject, write: Write, sending: Sending) -> None:
        self._requester = requester
        self._object = object_
        self._write = write
        self._sending = sending
        self._requests = sending.requests
        self._wrote_before = sending.wrote
        self._crm_id = write.crm_id
        self._touched: str | None = None
        self._unlinked = False
        self._unassociated: list[str] = []
        self._dropped_links = False
        self._asked = 0
        sending.private += [write.full, write.changed, write.create_only, [key.value for key in write.match]]
        sending.private.append([key.value for key in write.created_maybe_match])

    def run(self) -> Outcome:
        """Do it. Never raises for what the CRM does."""
        self._sending.wrote = False
        try:
            if self._write.verb.removes:
                return self._remove()
            if self._write.crm_id is not None:
                return self._linked(self._write.crm_id)
            return self._unlinked_write()
        except UnusableError as error:
            return self._end(OutcomeKind.PERMANENT, f"{self._object.name}: {error}")

    def associate(self, crm_id: str, kind: OutcomeKind) -> Outcome:
        """Make the links of a write that went in a batch."""
        self._sending.wrote = False
        self._crm_id = crm_id
        return self._associate(crm_id, kind)

    # linked

    def _linked(self, crm_id: str) -> Outcome:
        reply = self._update(crm_id, self._write.changed)
        if reply.kind is Kind.NOT_FOUND:
            return self._gone(reply)
        if not reply.is_success:
            return self._failed(reply)
        return self._associate(crm_id, OutcomeKind.UPDATED)

    def _gone(self, reply: Reply) -> Outcome:
        self._unlinked = True
        self._crm_id = None
        if self._write.when_gone is WhenGone.STOP:
            reason = f"the linked {self._object.name} is no longer there; {reply.reason}"
            return self._end(OutcomeKind.GONE, reason, status=reply.status)
        return self._unlinked_write()

    def _update(self, crm_id: str, fields: Mapping[str, JsonValue]) -> Reply:
        """Write fields, and the links that are fields, to an ID. Nothing to write is a success."""
        body = self._object.body(fields, self._links_in_write())
        if not body:
            return Reply(kind=Kind.OK)
        if not self._object.update:
            return Reply(kind=Kind.PERMANENT, reason=f"the preset has no update for {self._object.name}")
        reply = self._steps(self._object.update, {"id": crm_id, "fields": body})
        if reply.kind is Kind.LINK_GONE and self._drop_links():
            return self._update(crm_id, fields)
        return reply

    # not linked

    def _unlinked_write(self) -> Outcome:
        write, object_ = self._write, self._object
        if not write.match:
            return self._end(
                OutcomeKind.UNMATCHABLE, write.unmatchable or "there is no usable match value, and no link"
            )
        key = write.match[0]
        upserts = write.verb is Verb.UPSERT and not write.create_only and object_.upsert_takes(key)
        searchable = [each for each in write.match if object_.finder(each)]
        if upserts and (not searchable or (len(write.match) == 1 and not write.created_maybe_match)):
            return self._upsert(key)
        if not searchable:
            names = ", ".join(each.name for each in write.match)
            return self._end(OutcomeKind.UNMATCHABLE, f"the preset cannot look for {object_.name} by {names}")
        if (waiting := self._too_soon()) is not None:
            return waiting
        found = self._find(searchable, write.created_maybe_match)
        if isinstance(found, Outcome):
            return found
        if found is not None:
            return self._write_to(found)
        if write.verb is not Verb.UPSERT:
            return self._end(OutcomeKind.ABSENT, f"there is no such {object_.name}, and this change may not create one")
        return self._upsert(key) if upserts else self._create()

    def _too_soon(self) -> Outcome | None:
        """After a create whose answer is missing, looking is worth something only later (S22)."""
        if self._write.created_maybe_at is None:
            return None
        at = self._write.created_maybe_at + self._object.visible_after
        if self._requester.clock.now() >= at:
            return None
        reason = "a create left whose answer is missing: it is looked for when a search surely shows it"
        return self._end(OutcomeKind.RETRY, reason, retry_at=at)

    def _find(self, keys: Sequence[MatchKey], doubtful: Sequence[MatchKey] = ()) -> Outcome | str | None:
        """Look by each key until one finds something. Return the ID, None, or the outcome that ends this attempt.

        It is looked by each of the doubtful ones as well: what that finds may be our own, or a colleague's who has the
        address by now. Nobody can tell if there is more than one (S12).
        """
        found: dict[str, None] = {}
        for place, key in enumerate([*doubtful, *keys]):
            one = self._find_by(key)
            if isinstance(one, Outcome):
                return one
            if one is not None:
                found[one] = None
                if place >= len(doubtful):
                    break
        if len(found) > 1:
            reason = f"more than one {self._object.name} has what this record is, or was, recognised by"
            return self._end(OutcomeKind.MANY, f"{reason}: merge them in the CRM, then replay", candidates=tuple(found))
        return next(iter(found), None)

    def _find_by(self, key: MatchKey) -> Outcome | str | None:
        step = self._object.finder(key)
        if step is None:
            return None
        model = step.model
        assert isinstance(model, Find)
        reply = self._perform(step, {"key.name": key.name, "key.value": key.value, "limit": model.limit})
        if reply.kind is Kind.NOT_FOUND:
            return None
        if not reply.is_success:
            return self._failed(reply)
        hits = hits_of(reply, model, key)
        if hits is None:
            reason = f"{step.what}: the answer is not as the preset says (no list at {model.items or 'its top'!r})"
            return self._end(OutcomeKind.RETRY, reason, status=reply.status)
        if len(hits) > 1:
            return self._choose(hits, model, key)
        return hits[0].id if hits else None

    def _choose(self, hits: Sequence[Hit], model: Find, key: MatchKey) -> Outcome | str:
        candidates = tuple(hit.id for hit in hits[:_CANDIDATES])
        many = f"more than one {self._object.name} has the same {key.name}"
        if self._write.many is Many.DEAD:
            return self._end(OutcomeKind.MANY, f"{many}: merge them in the CRM, then replay", candidates=candidates)
        if len(hits) >= model.limit:
            reason = f"{many}, and there are too many of them to tell which is the {self._write.many}"
            return self._end(OutcomeKind.MANY, reason, candidates=candidates)
        order = ordered(hits) if model.order_by is not None else None
        if order is None:
            reason = f"{many}, and the CRM does not say which is the {self._write.many}"
            return self._end(OutcomeKind.MANY, reason, candidates=candidates)
        return order[-1 if self._write.many is Many.NEWEST else 0].id

    def _write_to(self, crm_id: str) -> Outcome:
        """Update a record that was found or adopted; it is linked once a write has shown that it is there."""
        reply = self._update(crm_id, self._write.full)
        if reply.kind is Kind.NOT_FOUND:
            return self._end(
                OutcomeKind.RETRY, f"the search found a {self._object.name} that is not there; {reply.reason}"
            )
        if not reply.is_success:
            self._touched = crm_id if self._sending.wrote else None
            return self._failed(reply)
        self._crm_id = crm_id
        return self._associate(crm_id, OutcomeKind.UPDATED)

    def _create(self) -> Outcome:
        object_, write = self._object, self._write
        if not object_.create:
            return self._end(OutcomeKind.PERMANENT, f"the preset cannot create {object_.name} apart from an upsert")
        if not object_.may_create({each.relation for each in write.associations} - set(self._unassociated)):
            needs = " or a ".join(object_.model.needs_link)
            reason = f"a new {object_.name} has to be linked with a {needs}, and there is none yet: sent when there is"
            return self._end(OutcomeKind.ABSENT, reason)
        body = object_.body({**write.full, **write.create_only}, self._links_in_write())
        reply = self._steps(object_.create, {"fields": body})
        if reply.kind is Kind.LINK_GONE and self._drop_links():
            return self._create()
        if reply.kind is Kind.DUPLICATE:
            return self._adopt(reply)
        crm_id = as_id(reply.got.get("id"))
        if not reply.is_success:
            self._crm_id = crm_id
            return self._failed(reply)
        if crm_id is None:
            reason = f"creating {object_.name} was answered {reply.status}, but its ID is not where the preset says"
            return self._end(OutcomeKind.AMBIGUOUS, reason, created_maybe=True, status=reply.status)
        self._crm_id = crm_id
        return self._associate(crm_id, OutcomeKind.CREATED)

    def _adopt(self, reply: Reply) -> Outcome:
        if reply.existing is not None:
            return self._write_to(reply.existing)
        found = self._find(self._write.match)
        if isinstance(found, Outcome):
            return found
        if found is not None:
            return self._write_to(found)
        if self._write.created_maybe_at is not None or not self._object.visible_after:
            # It was waited for already, so it is none that our match keys lead to: a person has to look.
            reason = f"{reply.reason}; another record has the value, and no match key leads to it"
            return self._end(OutcomeKind.DUPLICATE, reason, status=reply.status)
        reason = f"{reply.reason}; the record that is there already is not to be found (yet)"
        at = self._requester.clock.now() + self._object.visible_after
        return self._end(OutcomeKind.RETRY, reason, status=reply.status, retry_at=at, created_maybe=True)

    def _upsert(self, key: MatchKey) -> Outcome:
        object_ = self._object
        assert object_.upsert is not None
        fields = dict(self._write.full)
        if object_.model.upsert is not None and object_.model.upsert.without_key:
            fields.pop(key.name, None)
        body = object_.body(fields, self._links_in_write())
        reply = self._perform(object_.upsert, {"key.name": key.name, "key.value": key.value, "fields": body})
        if reply.kind is Kind.LINK_GONE and self._drop_links():
            return self._upsert(key)
        if not reply.is_success:
            return self._failed(reply)
        crm_id = as_id(reply.got.get("id"))
        if crm_id is None:
            found = self._find([key])
            if isinstance(found, Outcome):
                return found
            crm_id = found
        if crm_id is None:
            reason = (
                f"the {object_.name} was written, but its ID is not where the preset says, and it is not found (yet)"
            )
            return self._end(OutcomeKind.RETRY, reason, status=reply.status)
        self._crm_id = crm_id
        return self._associate(crm_id, OutcomeKind.CREATED if reply.kind is Kind.CREATED else OutcomeKind.UPDATED)

    # links

    def _links_in_write(self) -> dict[str, Any]:
        if self._dropped_links:
            return {}
        return self._object.in_write(self._write.associations)

    def _drop_links(self) -> bool:
        """After a refusal because the other record is gone: do without the links, once."""
        if self._dropped_links or not self._object.in_write(self._write.associations):
            return False
        self._dropped_links = True
        for association in self._write.associations:
            link = self._object.links.get(association.relation)
            if link is not None and link.field is not None:
                self._unassociated.append(association.relation)
        return True

    def _associate(self, crm_id: str, kind: OutcomeKind) -> Outcome:
        known = self._object.links
        for association in self._write.associations:
            if association.relation not in known:
                reason = f"the preset has no relation {association.relation!r} for {self._object.name}"
                return self._end(OutcomeKind.PERMANENT, reason)
        for association in self._object.requested(self._write.associations):
            step = known[association.relation].request
            assert step is not None
            reply = self._perform(step, {"id": crm_id, "link.id": association.crm_id})
            if reply.kind in (Kind.LINK_GONE, Kind.NOT_FOUND):
                self._unassociated.append(association.relation)
            elif not (reply.is_success or reply.kind is Kind.DUPLICATE):  # linked already
                return self._failed(reply)
        reason = ""
        if self._unassociated:
            reason = f"not linked with {', '.join(self._unassociated)}: that record is not there any more"
        return self._end(kind, reason)

    # erasure

    def _remove(self) -> Outcome:
        write, object_ = self._write, self._object
        steps = object_.remove[write.verb]
        if not steps:
            return self._end(OutcomeKind.PERMANENT, f"the preset cannot {write.verb} {object_.name}")
        crm_id = write.crm_id
        if crm_id is None:
            if not any(object_.finder(key) for key in write.match):
                reason = write.unmatchable or f"there is no link, and no match value to look for the {object_.name}"
                return self._end(OutcomeKind.UNMATCHABLE, reason)
            if (waiting := self._too_soon()) is not None:
                return waiting
            found = self._find(write.match, write.created_maybe_match)
            if isinstance(found, Outcome):
                return found
            if found is None:
                return self._end(OutcomeKind.ERASED, f"there was no such {object_.name}")
            crm_id = self._crm_id = found
        fields = object_.written(write.changed or write.full)
        reply = self._steps(steps, {"id": crm_id, "fields": fields})
        if reply.kind is Kind.NOT_FOUND and write.crm_id is not None and write.created_maybe_match:
            self._unlinked, self._crm_id = True, None
            reason = f"the linked {object_.name} is not there; one that may have been made in its place is looked for"
            return self._end(OutcomeKind.RETRY, reason, status=reply.status)
        if reply.is_success or reply.kind is Kind.NOT_FOUND:
            return self._end(OutcomeKind.ERASED, status=reply.status)
        return self._failed(reply)

    # one request, and the end

    def _steps(self, steps: Sequence[CompiledStep], values: Mapping[str, Any]) -> Reply:
        """Perform steps in their order; stop at the first that does not succeed. `got` is that of all."""
        got: dict[str, str] = {}
        last = _NOT_FOUND
        scope = dict(values)
        for step in steps:
            reply = self._perform(step, scope)
            got.update(reply.got)
            scope |= {f"got.{name}": value for name, value in reply.got.items()}
            if "id" in reply.got and "id" not in scope:
                scope["id"] = reply.got["id"]
            last = Reply(
                kind=reply.kind,
                reason=reply.reason,
                answer=reply.answer,
                existing=reply.existing,
                retry_at=reply.retry_at,
                whole=reply.whole,
                got=got,
            )
            if not reply.is_success:
                break
        return last

    def _perform(self, step: CompiledStep, values: Mapping[str, Any]) -> Reply:
        if self._asked >= self._object.model.max_requests:
            reason = f"{step.what}: this change needs more than {self._asked} requests (max_requests)"
            return Reply(kind=Kind.RETRY if self._sending.wrote else Kind.PERMANENT, reason=reason)
        self._asked += 1
        return self._requester.perform(step, {**self._object.fixed, **values}, self._sending)

    def _failed(self, reply: Reply) -> Outcome:
        return self._end(
            failure(reply.kind, wrote=self._sending.wrote),
            reply.reason,
            status=reply.status,
            retry_at=reply.retry_at,
            scope=scope_of(reply),
            created_maybe=reply.kind is Kind.AMBIGUOUS,
            candidates=(reply.existing,) if reply.existing else (),
        )

    def _end(self, kind: OutcomeKind, reason: str = "", **more: Any) -> Outcome:
        wrote = self._sending.wrote
        self._sending.wrote = wrote or self._wrote_before
        return Outcome(
            kind=kind,
            reason=reason,
            crm_id=self._crm_id,
            touched=self._touched,
            unlinked=self._unlinked,
            wrote=wrote,
            requests=self._sending.requests - self._requests,
            unassociated=tuple(self._unassociated),
            **more,
        )


def failure(kind: Kind | Special, *, wrote: bool) -> OutcomeKind:
    """Return the outcome of a change that ends with such a reply."""
    if kind is Special.STOPPED:
        return OutcomeKind.RETRY if wrote else OutcomeKind.NOT_SENT
    known = {
        Special.UNREACHABLE: OutcomeKind.UNREACHABLE,
        Kind.THROTTLED: OutcomeKind.THROTTLED,
        Kind.AMBIGUOUS: OutcomeKind.AMBIGUOUS,
        Kind.UNAUTHORISED: OutcomeKind.UNAUTHORISED,
        Kind.FORBIDDEN: OutcomeKind.UNAUTHORISED,
        Kind.PERMANENT: OutcomeKind.PERMANENT,
        Kind.LINK_GONE: OutcomeKind.PERMANENT,
        Kind.MANY: OutcomeKind.MANY,
        Kind.DUPLICATE: OutcomeKind.DUPLICATE,
    }
    return known.get(kind, OutcomeKind.RETRY)


def scope_of(reply: Reply) -> Scope:
    """Return what a refusal or a throttle is about: a 403 is about the object unless the preset says otherwise."""
    if reply.whole is not None:
        return Scope.DESTINATION if reply.whole else Scope.OBJECT
    return Scope.OBJECT if reply.kind is Kind.FORBIDDEN else Scope.DESTINATION
