"""What `send` would begin with: for `preview` and for a destination that only observes."""

from collections.abc import Iterator, Mapping
from typing import Any

from connector.crm.port import PlannedRequest, Write
from connector.crm.presets.model import Find
from connector.crm.rest.object import CompiledObject
from connector.crm.rest.request import CompiledStep
from connector.crm.rest.template import UnusableError
from connector.domain.change import Verb

_UNKNOWN_ID = "ID"


def plan(object_: CompiledObject, write: Write, base: str) -> Iterator[PlannedRequest]:
    """Yield the requests; those that depend on an answer say on which."""
    try:
        yield from _Planner(object_, write, base).all()
    except UnusableError:
        return


class _Planner:
    def __init__(self, object_: CompiledObject, write: Write, base: str) -> None:
        self._object = object_
        self._write = write
        self._base = base
        self._links = object_.in_write(write.associations)
        self._id = write.crm_id or _UNKNOWN_ID

    def all(self) -> Iterator[PlannedRequest]:
        write, object_ = self._write, self._object
        if write.crm_id is None:
            upsert = self._upsert()
            if upsert is not None:
                yield upsert
                return
            yield from self._finds()
            relations = [association.relation for association in write.associations]
            if write.verb is Verb.UPSERT and object_.create and object_.may_create(relations):
                fields = object_.body({**write.full, **write.create_only}, self._links)
                yield self._shown(object_.create[0], {"fields": fields}, "create it if nothing is found")
        yield from self._writes("by its ID" if write.crm_id else "what is found")

    def _upsert(self) -> PlannedRequest | None:
        write, object_ = self._write, self._object
        if write.verb is not Verb.UPSERT or write.create_only or len(write.match) != 1 or object_.upsert is None:
            return None
        key = write.match[0]
        if not object_.upsert_takes(key):
            return None
        scope = {"key.name": key.name, "key.value": key.value, "fields": object_.body(write.full, self._links)}
        return self._shown(object_.upsert, scope, f"create or update by {key.name}")

    def _finds(self) -> Iterator[PlannedRequest]:
        for key in self._write.match:
            step = self._object.finder(key)
            if step is not None and isinstance(step.model, Find):
                scope = {"key.name": key.name, "key.value": key.value, "limit": step.model.limit}
                yield self._shown(step, scope, f"look by {key.name}")

    def _writes(self, which: str) -> Iterator[PlannedRequest]:
        write, object_ = self._write, self._object
        values = write.changed if write.crm_id else write.full
        fields = object_.body(values, self._links)
        if write.verb.removes:
            for step in object_.remove[write.verb][:1]:
                yield self._shown(step, {"id": self._id, "fields": fields}, f"{write.verb} {which}")
            return
        if fields and object_.update:
            yield self._shown(object_.update[0], {"id": self._id, "fields": fields}, f"update {which}")
        for association in object_.requested(write.associations):
            request = object_.links[association.relation].request
            if request is not None:
                scope = {"id": self._id, "link.id": association.crm_id}
                yield self._shown(request, scope, f"link with {association.relation}")

    def _shown(self, step: CompiledStep, values: Mapping[str, Any], why: str) -> PlannedRequest:
        scope = {**self._object.fixed, **values}
        return PlannedRequest(step.model.method, step.url(self._base, scope), step.payload(scope), why)
