"""From a draft without errors to the mapping that runs."""

from collections.abc import Mapping
from typing import Any

from connector.domain.clock import SECOND
from connector.domain.event import EventType
from connector.domain.record import RecordKind
from connector.files.document import KeyPath
from connector.mapping.draft import Draft
from connector.mapping.filters.lookup import Table
from connector.mapping.model import From, OnDelete, Otherwise, Value
from connector.mapping.port import Deliver
from connector.mapping.translate import Action, CompiledMapping, Origin, Relation
from connector.mapping.typed import plain
from connector.mapping.value import NOTHING, Setter

NOW = frozenset({"time", "modified"})
"""What is made of nothing but these only says "now" (S9)."""


def origin_of(told: From) -> Origin:
    """Return which events a mapping takes."""
    if told.email is not None:
        return Origin(RecordKind.RECIPIENT, None, told.source, frozenset(told.email))
    events: frozenset[EventType] = frozenset(told.events)
    if told.database is not None:
        return Origin(RecordKind.PROFILE, str(told.database), told.source, events)
    if told.collection is not None:
        return Origin(RecordKind.SUBPROFILE, str(told.collection), told.source, events)
    return Origin(None, None, told.callback, events)


def parent_database(child: From, parent: From) -> str | None:
    """Return the database when the parent is the profile of a subprofile; None when both are the same record.

    Raises ValueError when an event of the child does not say which record of the parent is meant.
    """
    if child.email is None and parent.email is None:
        same = (child.database, child.collection, child.callback) == (
            parent.database,
            parent.collection,
            parent.callback,
        )
        if same:
            return None
        if child.collection is not None and parent.database is not None:
            return str(parent.database)
    raise ValueError("records of different databases or collections do not name each other")


def assemble(draft: Draft, drafts: Mapping[str, Draft]) -> CompiledMapping:
    """Return the mapping. `drafts` are all of the folder, by name: parents are looked up there."""
    model = draft.model
    is_email = model.from_.email is not None
    main = _setters(draft, ("set",), model.set)
    return CompiledMapping(
        name=model.name,
        version=draft.version,
        destination=model.to.crm,
        object=model.to.object,
        deliver=model.deliver or (Deliver.EACH if is_email else Deliver.STATE),
        write=model.write,
        linger=round(model.linger * SECOND),
        guard=(model.guard.deletes, model.guard.share),
        origin=origin_of(model.from_),
        when=draft.expressions.get(("when",)),
        otherwise=_otherwise(draft, model.otherwise),
        match=tuple(
            setter for index, item in enumerate(model.match) for setter in _setters(draft, ("match", index), item)
        ),
        set=main,
        on_create_only=_setters(draft, ("on_create_only",), model.on_create_only),
        on_delete=_on_delete(draft, model.on_delete),
        links=tuple(_relation(draft, relation, drafts[name]) for relation, name in model.link.items()),
        create=not is_email if model.create is None else model.create,
        when_gone=model.when_gone,
        many=model.many,
        strict=model.strict,
        volatile=frozenset(setter.path for setter in main if setter.volatile),
    )


def _relation(draft: Draft, relation: str, parent: Draft) -> Relation:
    database = parent_database(draft.model.from_, parent.model.from_)
    return Relation(relation, parent.model.name, parent.model.to.object, database)


def _on_delete(draft: Draft, told: OnDelete | None) -> Action | None:
    return None if told is None else Action(told.do, _setters(draft, ("on_delete", "set"), told.set))


def _otherwise(draft: Draft, told: Otherwise | None) -> Action | None:
    if told is None:
        return None
    return Action(told.do, _setters(draft, ("otherwise", "set"), told.set), frozenset(told.clear))


def _setters(draft: Draft, path: KeyPath, values: Mapping[str, Value]) -> tuple[Setter, ...]:
    return tuple(_setter(draft, (*path, name), name, value) for name, value in values.items())


def _setter(draft: Draft, path: KeyPath, name: str, value: Value) -> Setter:
    expression = draft.expression(path)
    special: Any = (value.lookup, value.type, value.zero == "empty" or None, value.required or None)
    volatile = value.volatile
    if volatile is None:
        volatile = expression is not None and bool(expression.names) and expression.names <= NOW
    return Setter(
        path=name,
        expression=expression,
        constant=plain(value.value),
        lookup=value.lookup,
        table=None if value.lookup is None else Table(value.lookup, draft.tables[value.lookup]),
        default=value.default if value.says("default") else NOTHING,
        type=value.type,
        empty=value.empty,
        zero=value.zero == "empty",
        required=value.required,
        fallback=value.fallback if value.says("fallback") else NOTHING,
        volatile=volatile,
        is_plain=not any(special),
    )
