"""Several changes in one request: what goes together, and what became of each (S24).

Only what is repeatable goes into a batch: updates by ID, upserts by key, deletes by ID. An item that failed, or of
which the answer says nothing, goes alone at once: the single flow knows what to do with a record that is gone or a
duplicate. A batch that is refused as a whole is split until the bad one is alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.crm.port import Write
from connector.crm.presets.model import Kind, Results
from connector.crm.rest import classify, jsonpath
from connector.crm.rest.answer import Answer, as_id, of_item
from connector.crm.rest.flow import Flow, failure, scope_of
from connector.crm.rest.object import CompiledBatch, CompiledObject
from connector.crm.rest.sending import Reply, Requester, Sending, Special
from connector.crm.rest.template import Compiled, UnusableError
from connector.domain.change import Verb
from connector.domain.outcome import Outcome, OutcomeKind

_ALL_THE_SAME = (
    Special.UNREACHABLE,
    Special.STOPPED,
    Kind.THROTTLED,
    Kind.UNAUTHORISED,
    Kind.FORBIDDEN,
    Kind.RETRY,
    Kind.AMBIGUOUS,
)
_OWN_TROUBLE = 500


@dataclass(frozen=True, slots=True)
class Item:
    """A write on its way in a batch: its place among all, and the values of its templates."""

    place: int
    write: Write
    scope: dict[str, Any]


class BatchSender:
    """Sends the writes of one `send`, together where the preset can. Used once."""

    def __init__(self, requester: Requester, object_: CompiledObject, sending: Sending) -> None:
        self._requester = requester
        self._object = object_
        self._sending = sending
        self._outcomes: dict[int, Outcome] = {}

    def run(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        """Bring all writes to the CRM; one outcome for each, in their order."""
        groups: dict[str, tuple[CompiledBatch, list[Item]]] = {}
        for place, write in enumerate(writes):
            try:
                chosen = self._choose(place, write)
            except UnusableError:
                chosen = None
            if chosen is not None:
                key, batch, item = chosen
                groups.setdefault(key, (batch, []))[1].append(item)
        for batch, items in groups.values():
            for start in range(0, len(items), batch.model.max):
                together = items[start : start + batch.model.max]
                if len(together) > 1:
                    self._send(batch, together)
        for place, write in enumerate(writes):
            if place not in self._outcomes:
                self._alone(place, write)
        return [self._outcomes[place] for place in range(len(writes))]

    def _choose(self, place: int, write: Write) -> tuple[str, CompiledBatch, Item] | None:
        kind = kind_of(self._object, write)
        if kind is None:
            return None
        object_ = self._object
        links = object_.in_write(write.associations)
        scope: dict[str, Any] = dict(object_.fixed)
        if write.crm_id is not None:
            scope |= {"id": write.crm_id, "fields": object_.body(write.changed, links)}
        else:
            (key,) = write.match
            scope |= {"key.name": key.name, "key.value": key.value, "fields": object_.body(write.full, links)}
        return *kind, Item(place, write, scope)

    def _send(self, batch: CompiledBatch, items: Sequence[Item]) -> None:
        if len(items) == 1:
            self._alone(items[0].place, items[0].write)
            return
        scopes = [{**item.scope, "number": number} for number, item in enumerate(items)]
        for item in items:
            self._sending.private += [item.write.full, item.write.changed]
            self._sending.private.append([key.value for key in item.write.match])
        shared = {name: value for name, value in items[0].scope.items() if name not in ("id", "key.value", "fields")}
        try:
            together = {**shared, "items": [batch.item(scope) for scope in scopes]}
        except UnusableError:
            self._split(batch, items)
            return
        wrote = self._sending.wrote
        self._sending.wrote = False
        reply = self._requester.perform(batch.step, together, self._sending)
        left, self._sending.wrote = self._sending.wrote, wrote or self._sending.wrote
        if reply.is_success:
            self._settle(batch, items, scopes, reply)
        elif reply.kind in _ALL_THE_SAME and not self._is_poisoned(items, reply):
            for number, item in enumerate(items):
                failed = self._failed(item.write, reply, wrote=left)
                self._outcomes.setdefault(item.place, replace(failed, requests=int(number == 0)))
        else:
            self._split(batch, [item for item in items if item.place not in self._outcomes])

    def _split(self, batch: CompiledBatch, items: Sequence[Item]) -> None:
        half = (len(items) + 1) // 2
        for part in (items[:half], items[half:]):
            if part:
                self._send(batch, part)

    def _is_poisoned(self, items: Sequence[Item], reply: Reply) -> bool:
        """A 500 may be the CRM's trouble, or one item's: two of them alone tell."""
        if reply.status != _OWN_TROUBLE:
            return False
        for item in (items[0], items[-1]):
            outcome = self._alone(item.place, item.write)
            if outcome.kind.is_success or outcome.kind in (OutcomeKind.GONE, OutcomeKind.DUPLICATE):
                return True
        return False

    def _failed(self, write: Write, reply: Reply, *, wrote: bool) -> Outcome:
        return Outcome(
            kind=failure(reply.kind, wrote=wrote),
            reason=reply.reason,
            crm_id=write.crm_id,
            wrote=wrote,
            status=reply.status,
            retry_at=reply.retry_at,
            scope=scope_of(reply),
        )

    def _settle(
        self, batch: CompiledBatch, items: Sequence[Item], scopes: Sequence[dict[str, Any]], reply: Reply
    ) -> None:
        assert reply.answer is not None
        results = _Matched(reply.answer, batch.model.results, batch.equals)
        errors = _Matched(reply.answer, batch.model.errors, batch.error_equals)
        for number, (item, scope) in enumerate(zip(items, scopes, strict=True)):
            outcome = None
            if errors.of(number, scope) is None:
                outcome = self._success(item, results, results.of(number, scope))
            if outcome is None:
                self._alone(item.place, item.write, wrote=True)
            else:
                self._outcomes[item.place] = replace(outcome, requests=outcome.requests + (number == 0))

    def _success(self, item: Item, results: "_Matched", result: Answer | None) -> Outcome | None:
        """Return the outcome of an item that the batch brought; None when it has to go alone."""
        write = item.write
        if result is None and (results.model is not None or write.crm_id is None):
            return None
        kind = Kind.OK
        if result is not None and results.model is not None:
            rules = (*results.model.rules, *self._requester.preset.rules)
            kind = classify.judge(result, rules, creates=False).kind
        if write.verb.removes:
            gone = kind.is_success or kind is Kind.NOT_FOUND
            return Outcome(kind=OutcomeKind.ERASED, crm_id=write.crm_id, wrote=True) if gone else None
        if not kind.is_success:
            return None
        crm_id = write.crm_id
        if crm_id is None and result is not None and results.model is not None:
            path = results.model.id
            crm_id = as_id(jsonpath.find(result.json, path)) if path is not None and result.is_json else None
        if crm_id is None:
            return None
        made = OutcomeKind.CREATED if kind is Kind.CREATED and write.crm_id is None else OutcomeKind.UPDATED
        if not self._object.requested(write.associations):
            return Outcome(kind=made, crm_id=crm_id, wrote=True)
        flow = Flow(self._requester, self._object, write, self._sending)
        return replace(flow.associate(crm_id, made), wrote=True)

    def _alone(self, place: int, write: Write, *, wrote: bool = False) -> Outcome:
        outcome = Flow(self._requester, self._object, write, self._sending).run()
        if wrote and not outcome.wrote:
            kind = OutcomeKind.RETRY if outcome.kind is OutcomeKind.NOT_SENT else outcome.kind
            outcome = replace(outcome, wrote=True, kind=kind)
        self._outcomes[place] = outcome
        return outcome


class _Matched:
    """The results in a batch's answer, by the item they are about."""

    def __init__(self, answer: Answer, model: Results | None, equals: Compiled | Callable[[Any], str] | None) -> None:
        self.model = model
        self._equals = equals
        self._list: list[Any] = []
        self._by: dict[str, Any] = {}
        self._answer = answer
        if model is None or not answer.is_json:
            return
        found = jsonpath.find(answer.json, model.items)
        self._list = found if isinstance(found, list) else []
        if model.match == "field":
            for result in self._list:
                for value in jsonpath.find_all(result, model.field):
                    if isinstance(value, (str, int)) and not isinstance(value, bool):
                        self._by[str(value).casefold()] = result

    def of(self, number: int, scope: dict[str, Any]) -> Answer | None:
        """Return the result of an item as an answer of its own; None without one."""
        model = self.model
        if model is None:
            return None
        result: Any = None
        if model.match == "index":
            result = self._list[number] if number < len(self._list) else None
        elif self._equals is not None:
            result = self._by.get(str(self._equals(scope)).casefold())
        if result is None:
            return None
        status = jsonpath.find(result, model.status) if model.status is not None else 200
        if isinstance(status, str) and status.isascii() and status.isdigit() and len(status) == 3:  # noqa: PLR2004
            status = int(status)
        known = isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599  # noqa: PLR2004
        return of_item(result, status if known else _OWN_TROUBLE, self._answer.headers)


def kind_of(object_: CompiledObject, write: Write) -> tuple[str, CompiledBatch] | None:
    """Return which batch a write can go in, and a name for its like; None when it goes alone. Raises UnusableError."""
    if write.crm_id is None:
        batch = None if write.create_only or write.created_maybe_match else object_.batch_upsert
        if batch is None or write.verb is not Verb.UPSERT or len(write.match) != 1:
            return None
        key = write.match[0].name
        return None if batch.model.keys and key not in batch.model.keys else (f"key {key}", batch)
    if write.verb.removes:
        # One that may have been made anew is looked for, should it not be there.
        batch = object_.batch_erase if write.verb is Verb.ERASE and not write.created_maybe_match else None
    else:
        is_empty = not object_.body(write.changed, object_.in_write(write.associations))
        batch = None if is_empty else object_.batch_update
    return None if batch is None else ("id", batch)


def size(object_: CompiledObject, verb: Verb) -> int:
    """Return how many writes of that kind may go together."""
    if verb is Verb.ERASE:
        return object_.batch_erase.model.max if object_.batch_erase else 1
    if verb.removes:
        return 1
    sizes = [batch.model.max for batch in (object_.batch_update, object_.batch_upsert) if batch]
    if verb is Verb.UPDATE:
        return object_.batch_update.model.max if object_.batch_update else 1
    return min(sizes, default=1)
