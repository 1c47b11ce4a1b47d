"""Checks between mappings: names, links, and two that want the same field of the same record."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations

from connector.domain.record import RecordKind
from connector.files.problem import Problem, Severity
from connector.mapping.assemble import origin_of, parent_database
from connector.mapping.draft import Draft, Shared, values_of
from connector.mapping.translate import Origin


def check_together(drafts: Sequence[Draft], shared: Shared, *, whole: bool) -> Iterator[Problem]:
    """Return what is wrong between files."""
    yield from _names(drafts)
    by_name = {draft.model.name: draft for draft in reversed(drafts) if "name" not in draft.broken}
    for draft in drafts:
        yield from _links(draft, by_name, whole=whole)
    yield from _circles(by_name)
    yield from _fights(drafts)
    yield from _shared_tables(drafts, shared)


def _names(drafts: Sequence[Draft]) -> Iterator[Problem]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        name = draft.model.name
        if "name" in draft.broken:
            continue
        if name in first:
            yield draft.document.problem(
                ("name",), f"{first[name].path.name} has this name already", "a name of its own for each mapping"
            )
        first.setdefault(name, draft)


def _links(draft: Draft, by_name: Mapping[str, Draft], *, whole: bool) -> Iterator[Problem]:
    for relation, name in draft.model.link.items():
        path = ("link", relation)
        if name == draft.model.name:
            yield draft.document.problem(path, "a mapping cannot link to itself", "the mapping of the other record")
            continue
        parent = by_name.get(name)
        if parent is None:
            if whole and not any("name" in other.broken for other in by_name.values()):
                near = get_close_matches(name, by_name, 1, 0.6)
                known = near[0] if near else ", ".join(sorted(set(by_name) - {draft.model.name})[:12])
                yield draft.document.problem(path, f"there is no mapping {name!r}", known)
            continue
        if {"to", "from"} & (draft.broken | parent.broken):
            continue
        if parent.model.to.crm != draft.model.to.crm:
            yield draft.document.problem(
                path,
                f"{name} goes to {parent.model.to.crm!r}, and this mapping to {draft.model.to.crm!r}",
                "a mapping with the same `to.crm`",
            )
            continue
        try:
            parent_database(draft.model.from_, parent.model.from_)
        except ValueError as error:
            yield draft.document.problem(
                path,
                f"an event of this mapping does not say which record of {name} is meant: {error}",
                "a mapping of the same record, or of a subprofile's own profile",
            )


def _circles(by_name: Mapping[str, Draft]) -> Iterator[Problem]:
    for name, draft in by_name.items():
        for relation, first in draft.model.link.items():
            reached, waiting = set[str](), [first]
            while waiting:
                current = waiting.pop()
                if current not in reached and current in by_name and current != name:
                    reached.add(current)
                    waiting.extend(by_name[current].model.link.values())
                elif current == name and first != name:
                    yield draft.document.problem(
                        ("link", relation),
                        f"{first} links back to this mapping: each would wait for the other",
                        "the link on one side only",
                        at_key=True,
                    )
                    break


def _fights(drafts: Sequence[Draft]) -> Iterator[Problem]:
    groups: dict[tuple[str, str, RecordKind | None, str | None], list[tuple[Draft, Origin]]] = {}
    for draft in drafts:
        if not {"from", "to", "name"} & draft.broken:
            to, origin = draft.model.to, origin_of(draft.model.from_)
            groups.setdefault((to.crm, to.object, origin.kind, origin.scope), []).append((draft, origin))
    for group in groups.values():
        for (one, first), (other, second) in combinations(group, 2):
            same_source = first.source is None or second.source is None or first.source == second.source
            if one.model.name != other.model.name and same_source and first.events & second.events:
                yield from _fight(one, other)


def _fight(one: Draft, other: Draft) -> Iterator[Problem]:
    conditional = one.model.when is not None and other.model.when is not None
    for name in other.model.set:
        for wanted in one.model.set:
            if name == wanted or name.startswith(f"{wanted}.") or wanted.startswith(f"{name}."):
                what = f"{one.model.name} ({one.path.name}) sets `{wanted}` of the same record, too"
                if conditional:
                    what += ": they fight unless their conditions exclude each other"
                yield other.document.problem(
                    ("set", name),
                    what,
                    "one mapping for it",
                    at_key=True,
                    severity=Severity.WARNING if conditional else Severity.ERROR,
                )


def _shared_tables(drafts: Sequence[Draft], shared: Shared) -> Iterator[Problem]:
    if shared.document is None or any(draft.broken for draft in drafts):
        return
    used = {name for draft in drafts for expression in draft.expressions.values() for name in expression.tables}
    used |= {value.lookup for draft in drafts for _, _, value in values_of(draft.model) if value.lookup}
    for name in shared.data.get("tables", {}):
        if name not in used:
            yield shared.document.problem(
                ("tables", name),
                "no mapping uses this table",
                "leaving it out",
                at_key=True,
                severity=Severity.WARNING,
            )
