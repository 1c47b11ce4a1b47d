"""An object of a preset, compiled: its steps by what they are for."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from connector.crm.port import Association
from connector.crm.presets.model import Batch, Link, Object, Preset, Step
from connector.crm.rest import template
from connector.crm.rest.request import CompiledStep, Writer
from connector.domain.change import JsonValue, MatchKey, Verb
from connector.domain.clock import SECOND, Millis


class CompiledLink:
    """A relation: a field of the write, or a request after it."""

    __slots__ = ("field", "request", "value")

    def __init__(self, link: Link, what: str) -> None:
        self.field = link.field
        self.value = template.compile_value(link.value)
        self.request = CompiledStep(link.request, what) if link.request else None


class CompiledBatch:
    """A batch and how its items look."""

    __slots__ = ("equals", "error_equals", "item", "model", "step")

    def __init__(self, batch: Batch, what: str) -> None:
        self.model = batch
        self.step = CompiledStep(batch, what)
        self.item = template.compile_value(batch.item)
        self.equals = template.compile_text(batch.results.equals) if batch.results else None
        self.error_equals = template.compile_text(batch.errors.equals) if batch.errors else None


class CompiledObject:
    """One kind of record."""

    def __init__(self, name: str, model: Object, preset: Preset, settings: Mapping[str, object]) -> None:
        self.name = name
        self.model = model
        self.written = Writer(model.values or preset.values, model.shapes)
        self.fixed: dict[str, object] = {f"settings.{key}": value for key, value in settings.items()}
        self.fixed |= {f"vars.{key}": value for key, value in model.vars.items()}
        self.visible_after: Millis = int(model.visible_after * SECOND)
        self.find = [(step, CompiledStep(step, f"looking for {name}")) for step in model.find]
        self.update = self._steps(model.update, f"updating {name}")
        self.create = self._steps(model.create, f"creating {name}", creates=True)
        self.upsert = CompiledStep(model.upsert, f"writing {name}") if model.upsert else None
        self.remove = {
            Verb.ERASE: self._steps(model.erase, f"deleting {name}"),
            Verb.ARCHIVE: self._steps(model.archive, f"archiving {name}"),
            Verb.ANONYMISE: self._steps(model.anonymise, f"anonymising {name}"),
        }
        self.links = {key: CompiledLink(link, f"linking {name} with {key}") for key, link in model.links.items()}
        batch = model.batch
        self.batch_update = CompiledBatch(batch.update, f"updating several {name}") if batch.update else None
        self.batch_upsert = CompiledBatch(batch.upsert, f"writing several {name}") if batch.upsert else None
        self.batch_erase = CompiledBatch(batch.erase, f"deleting several {name}") if batch.erase else None

    def _steps(self, steps: Iterable[Step], what: str, *, creates: bool = False) -> list[CompiledStep]:
        compiled = []
        for step in steps:
            compiled.append(CompiledStep(step, what, creates=creates))
            creates = creates and "id" not in step.capture
        return compiled

    def upsert_takes(self, key: MatchKey) -> bool:
        """Whether one request can create or update by this key."""
        model = self.model.upsert
        return model is not None and (not model.keys or key.name in model.keys)

    def finder(self, key: MatchKey) -> CompiledStep | None:
        """Return the step that looks for this key."""
        return next((step for model, step in self.find if not model.keys or key.name in model.keys), None)

    def requested(self, associations: Iterable[Association]) -> list[Association]:
        """Return the associations that take a request of their own."""
        found = []
        for association in associations:
            link = self.links.get(association.relation)
            if link is not None and link.field is None:
                found.append(association)
        return found

    def in_write(self, associations: Collection[Association]) -> dict[str, Any]:
        """Return the associations that are fields of the write, as they go into a body. Raises UnusableError."""
        if not associations:
            return {}
        found: dict[str, Any] = {}
        for association in associations:
            link = self.links.get(association.relation)
            if link is not None and link.field is not None:
                found[link.field] = link.value({**self.fixed, "link.id": association.crm_id})
        return template.nest(found)

    def may_create(self, relations: Collection[str]) -> bool:
        """Whether a new record may be made that has these links."""
        needs = self.model.needs_link
        return not needs or any(relation in needs for relation in relations)

    def body(self, fields: Mapping[str, JsonValue], links: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields and links as they go into a body."""
        body = self.written(fields)
        template.merge(body, links)
        return body
