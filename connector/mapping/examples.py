"""The examples in mapping files: from an easy form of an event to what must become of it, and the difference."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.domain.change import Change, Defect, Skip, Translation
from connector.domain.clock import SECOND, Instant
from connector.domain.event import Event, EventType, TimeFrom
from connector.domain.record import Record, RecordKind
from connector.mapping.model import Example, Expect, Given
from connector.mapping.translate import CompiledMapping

NOON: Instant = 1_769_857_200 * SECOND
"""When an example happens that does not say: 31 January 2026, noon in Amsterdam."""

RECIPIENT = "someone@example.com"
_ORDER = (EventType.UPDATE, EventType.CREATE, EventType.DELETE)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out other than expected."""

    about: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one example; it holds when there is no difference."""

    mapping: str
    name: str
    differences: tuple[Difference, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether all is as expected."""
        return not self.differences


def run(mapping: CompiledMapping, example: Example, number: int) -> Result:
    """Run one example; `number` counts from 1 and names it when it has no name."""
    name = example.name or f"example {number}"
    given, expect = example.given, example.expect
    try:
        event = event_of(mapping, given)
        last = None if given.last is None else event_of(mapping, given.model_copy(update={"fields": given.last}))
    except ValueError as error:
        return Result(mapping.name, name, (Difference("given", "an event", str(error)),))
    taken = mapping.takes(event, given.source or mapping.origin.source or "")
    if expect.taken is not None or not taken:
        wanted = expect.taken is not False
        if taken != wanted:
            words = {True: "the mapping takes the event", False: "the mapping does not take such an event"}
            return Result(mapping.name, name, (Difference("taken", words[wanted], words[taken]),))
        if not wanted:
            return Result(mapping.name, name)
    found = mapping.translate(event, linked=given.linked, last=last)
    return Result(mapping.name, name, tuple(_differences(expect, found)))


# ── what is given ────────────────────────────────────────────────────────────────────────────────────────────────────


def event_of(mapping: CompiledMapping, given: Given) -> Event:
    """Return the event that an example gives. Raises ValueError for a time that cannot be read."""
    origin = mapping.origin
    kind = origin.kind or (RecordKind.PROFILE if given.subprofile is None else RecordKind.SUBPROFILE)
    sort = given.type or next((sort for sort in _ORDER if sort in origin.events), min(origin.events))
    profile = _text(given.profile, "1" if kind is not RecordKind.RECIPIENT else None)
    subprofile = _text(given.subprofile, "1" if kind is RecordKind.SUBPROFILE else None)
    database = _text(given.database, origin.scope if kind is RecordKind.PROFILE else None)
    collection = _text(given.collection, origin.scope if kind is RecordKind.SUBPROFILE else None)
    variables = _variables(given)
    if kind is RecordKind.RECIPIENT:
        variables = {"recipient": RECIPIENT, **(variables or {})}
        recipient = variables["recipient"]
        record = Record(kind, given.source or origin.source or "example", str(recipient).lower())
    elif kind is RecordKind.SUBPROFILE:
        record = Record(kind, collection or "1", subprofile or "1")
    else:
        record = Record(kind, database or "1", profile or "1")
    is_state = sort in (EventType.CREATE, EventType.UPDATE)
    return Event(
        type=sort,
        record=record,
        at=_moment(given.time) or NOON,
        at_from=TimeFrom.TIME,
        profile=profile,
        subprofile=subprofile,
        database=database,
        collection=collection,
        message="1" if sort.is_email else None,
        fields=_texts(given.fields, absent={} if is_state else None),
        interests=_interests(given, absent=is_state and kind is RecordKind.PROFILE),
        parameters=_texts(given.parameters, absent=None),
        variables=variables if sort.is_email else None,
        created=_moment(given.created),
        modified=_moment(given.modified),
    )


def _text(said: int | str | None, default: str | None) -> str | None:
    return default if said is None else str(said)


def _texts(said: Mapping[str, Any] | None, *, absent: dict[str, str] | None) -> dict[str, str] | None:
    return absent if said is None else {name: str(value) for name, value in said.items()}


def _interests(given: Given, *, absent: bool) -> frozenset[str] | None:
    if given.interests is None:
        return frozenset() if absent else None
    return frozenset(given.interests)


def _variables(given: Given) -> dict[str, str | tuple[str, ...]] | None:
    if given.variables is None:
        return None
    return {name: value if isinstance(value, tuple) else str(value) for name, value in given.variables.items()}


def _moment(said: str | int | None) -> Instant | None:
    if said is None:
        return None
    if isinstance(said, int):
        return said * SECOND
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise ValueError("a time is Unix seconds, or 2026-01-31T12:00:00+01:00") from None
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone: 2026-01-31T12:00:00+01:00")
    return int(moment.timestamp()) * SECOND


# ── what is expected ─────────────────────────────────────────────────────────────────────────────────────────────────


def _differences(expect: Expect, found: Translation) -> list[Difference]:
    for key, part, sort in (("skip", expect.skip, Skip), ("dead", expect.dead, Defect)):
        if part is not None:
            holds = isinstance(found, sort) and part.lower() in found.reason.lower()
            return [] if holds else [Difference(key, part, describe(found))]
    if not isinstance(found, Change):
        return [Difference("result", "a change", describe(found))]
    differences: list[Difference] = []
    if expect.verb is not None and expect.verb != found.verb.value:
        differences.append(Difference("verb", expect.verb, found.verb.value))
    for about, wanted, got in (
        ("set", expect.set, found.fields),
        ("on_create_only", expect.on_create_only, found.create_fields),
        ("link", expect.link, {parent.relation: str(parent.record) for parent in found.parents}),
        ("clear", dict.fromkeys(expect.clear or ()), dict.fromkeys(sorted(found.clears))),
    ):
        if wanted is not None and (about != "clear" or expect.clear is not None):
            differences += _fields(about, wanted, got)
    return differences + _match(expect, found)


def _match(expect: Expect, found: Change) -> list[Difference]:
    got = [{key.name: key.value} for key in found.match]
    if expect.match is None or same(list(expect.match), got):
        return []
    why = f" ({found.unmatchable})" if found.unmatchable else ""
    return [Difference("match", shown(list(expect.match)), shown(got) + why)]


def _fields(about: str, wanted: Mapping[str, Any], got: Mapping[str, Any]) -> list[Difference]:
    differences = []
    for name in [*wanted, *(name for name in got if name not in wanted)]:
        if name not in got:
            differences.append(Difference(f"{about}.{name}", shown(wanted[name]), "nothing"))
        elif name not in wanted:
            differences.append(Difference(f"{about}.{name}", "nothing", shown(got[name])))
        elif not same(wanted[name], got[name]):
            differences.append(Difference(f"{about}.{name}", shown(wanted[name]), shown(got[name])))
    return differences


def same(wanted: Any, got: Any) -> bool:
    """Tell whether two JSON values are the same; true is not 1, but 1 is 1.0."""
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(same(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list | tuple) and isinstance(got, list | tuple):
        return len(wanted) == len(got) and all(map(same, wanted, got))
    return bool(wanted == got)


def shown(value: Any) -> str:
    """Return a value as an example would say it."""
    return json.dumps(value, ensure_ascii=False)


def describe(found: Translation) -> str:
    """Return in a few words what came out."""
    if isinstance(found, Skip):
        return f"skipped: {found.reason}"
    if isinstance(found, Defect):
        return f"dead: {found.reason}"
    return f"{found.verb.value}: {shown(dict(found.fields))}"
