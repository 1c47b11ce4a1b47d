"""Checks of a mapping against what the CRM's preset knows."""

from collections.abc import Iterator
from difflib import get_close_matches

from connector.files.document import KeyPath
from connector.files.problem import Problem
from connector.mapping.draft import Draft, values_of
from connector.mapping.facts import CrmObjects, ObjectFacts, UnknownToCrmError
from connector.mapping.model import ValueType
from connector.mapping.typed import EXPECTED, MisfitError, fit, kind


def check_crm(draft: Draft, crm_objects: CrmObjects) -> Iterator[Problem]:
    """Return what the preset does not know: the object, fields, relations; and required fields that are not set."""
    if "to" in draft.broken:
        return
    to = draft.model.to
    try:
        facts = crm_objects(to.crm, to.object)
    except UnknownToCrmError as unknown:
        key = "crm" if unknown.about == "destination" else "object"
        yield draft.document.problem(("to", key), str(unknown), _near(unknown.name, unknown.known))
        return
    if facts is None:
        return
    yield from _fields(draft, facts)
    yield from _required(draft, facts)
    yield from _relations(draft, facts)
    yield from _needed_link(draft, facts)
    yield from _removals(draft, facts)


def _near(name: str, known: tuple[str, ...] | list[str]) -> str:
    near = get_close_matches(name, known, 1, 0.6)
    return near[0] if near else ", ".join(sorted(known)[:12])


def _fields(draft: Draft, facts: ObjectFacts) -> Iterator[Problem]:
    model, document = draft.model, draft.document
    said: list[tuple[KeyPath, str]] = [(path, name) for path, name, _ in values_of(model)]
    if model.otherwise is not None:
        said += [(("otherwise", "clear", index), name) for index, name in enumerate(model.otherwise.clear)]
    if facts.fields is not None:
        for path, name in said:
            if name not in facts.fields:
                yield document.problem(
                    path,
                    f"the CRM's {model.to.object} has no field {name!r}",
                    _near(name, list(facts.fields)),
                    at_key="clear" not in path,
                )
        yield from _types(draft, facts)
    if facts.match is not None:
        for index, item in enumerate(model.match):
            for name in item:
                if name not in facts.match and (facts.fields is None or name in facts.fields):
                    yield document.problem(
                        ("match", index, name),
                        f"a {model.to.object} cannot be found by this field",
                        _near(name, list(facts.match)),
                        at_key=True,
                    )


def _types(draft: Draft, facts: ObjectFacts) -> Iterator[Problem]:
    assert facts.fields is not None
    for path, name, value in values_of(draft.model):
        wanted = facts.fields.get(name)
        if wanted is None or wanted not in EXPECTED:
            continue
        typed: ValueType = wanted  # type: ignore[assignment]
        expected = EXPECTED[typed][0]
        if (
            path[0] != "match"
            and value.type is not None
            and value.type != typed
            and (value.type, typed) != ("integer", "number")
        ):
            yield draft.document.problem((*path, "type"), f"the CRM expects {expected} here", f"type: {typed}")
        elif value.says("value") and value.value is not None:
            try:
                fit(value.value, typed)
            except MisfitError:
                yield draft.document.problem((*path, "value"), f"{kind(value.value)}, and the CRM expects {expected}")


def _required(draft: Draft, facts: ObjectFacts) -> Iterator[Problem]:
    model = draft.model
    creates = model.create if model.create is not None else model.from_.email is None
    if not creates or {"set", "on_create_only", "from"} & draft.broken:
        return
    for name in sorted(facts.required):
        if name not in model.set and name not in model.on_create_only:
            yield draft.document.problem(
                ("set",), f"a new {model.to.object} must have {name!r}, and it is not set", f"{name}: …", at_key=True
            )


def _needed_link(draft: Draft, facts: ObjectFacts) -> Iterator[Problem]:
    model = draft.model
    creates = model.create if model.create is not None else model.from_.email is None
    if not facts.needs_link or not creates or {"link", "from", "to"} & draft.broken:
        return
    if not facts.needs_link & set(model.link):
        needs = sorted(facts.needs_link)
        what = f"a new {model.to.object} must be linked with one of {', '.join(needs)}, and no `link` says with which"
        yield draft.document.problem(("to", "object"), what, f"link: {{{needs[0]}: …}}")


def _relations(draft: Draft, facts: ObjectFacts) -> Iterator[Problem]:
    if facts.relations is None:
        return
    for relation in draft.model.link:
        if relation not in facts.relations:
            yield draft.document.problem(
                ("link", relation),
                f"the CRM's {draft.model.to.object} has no relation {relation!r}",
                _near(relation, list(facts.relations)),
                at_key=True,
            )


def _removals(draft: Draft, facts: ObjectFacts) -> Iterator[Problem]:
    if facts.removals is None:
        return
    possible = ", ".join(sorted(facts.removals)) or "set: {…}"
    for key, told in (("on_delete", draft.model.on_delete), ("otherwise", draft.model.otherwise)):
        if told is not None and told.do in ("erase", "archive", "anonymise") and told.do not in facts.removals:
            yield draft.document.problem(
                (key,), f"the preset does not know how to {told.do} a {draft.model.to.object}", possible
            )
