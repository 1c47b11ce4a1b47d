"""What an expression can read: one event, by the names that people write."""

import datetime as dt
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from connector.domain.event import Event, EventType
from connector.mapping.values import LIST_LIMIT, MISSING, EvaluationError, Kind, Missing, Value

COPERNICA_ZONE: Final = ZoneInfo("Europe/Amsterdam")
"""Copernica's wall clock: moments of an event are given in this zone, so that their date is the Dutch one."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Scope:
    """One event, read by name. Cheap to make: nothing is computed before it is asked for."""

    __slots__ = ("event", "fields", "source")

    def __init__(self, event: Event, source: str = "") -> None:
        self.event = event
        self.source = source
        fields = event.fields
        self.fields: Mapping[str, str] = _NOTHING if fields is None else fields

    def variable(self, name: str) -> Value | Missing:
        """Return what the e-mail event says under that name; on any other event, the field of that name."""
        variables = self.event.variables
        if variables is None or name not in variables:
            return self.fields.get(name, MISSING) if variables is None else MISSING
        value = variables[name]
        if isinstance(value, str):
            return value
        _check_members(len(value))
        return list(value)


def _known(value: str | None) -> Value | Missing:
    return MISSING if value is None else value


def _moment(instant: int | None) -> Value | Missing:
    if instant is None:
        return MISSING
    seconds, rest = divmod(instant, 1000)
    return dt.datetime.fromtimestamp(seconds, COPERNICA_ZONE).replace(microsecond=rest * 1000)


def _interests(names: frozenset[str] | None) -> Value | Missing:
    if names is None:
        return MISSING
    _check_members(len(names))
    return [*sorted(names)]


def _flat(values: Mapping[str, str] | None) -> Value | Missing:
    if values is None:
        return MISSING
    _check_members(len(values))
    return dict(values)


def _check_members(count: int) -> None:
    if count > LIST_LIMIT:
        raise EvaluationError(f"this event has {count} of them; an expression takes at most {LIST_LIMIT}")


def _variable(name: str) -> Callable[[Scope], Value | Missing]:
    return lambda scope: scope.variable(name)


def _record(scope: Scope) -> Value:
    record = scope.event.record
    return {"kind": record.kind.value, "scope": record.scope, "id": record.id}


Reader = Callable[[Scope], Value | Missing]

IDENTIFIERS: Final = frozenset({"profile", "subprofile", "database", "collection", "message"})
"""Names of which only the ID is known: `profile` and `profile.id` are the same."""

_FAILURE: Final = frozenset({EventType.FAILURE})
_SEEN: Final = frozenset({EventType.CLICK, EventType.OPEN})
_EMAIL: Final = frozenset(event for event in EventType if event.is_email)

EMAIL_NAMES: Final[Mapping[str, tuple[frozenset[EventType], str]]] = {
    "recipient": (_EMAIL, "e-mail events: the address"),
    "ip": (_SEEN, "click, open: from where"),
    "original": (frozenset({EventType.CLICK}), "click: the link"),
    "useragent": (_SEEN, "click, open: the browser"),
    "referer": (_SEEN, "click, open: the page before"),
    "action": (_FAILURE, "failure: `failure` or `failed`"),
    "state": (_FAILURE, "failure: the SMTP state, or `bounce`"),
    "code": (_FAILURE, "failure: the SMTP code"),
    "extended": (_FAILURE, "failure: the extended status"),
    "description": (_FAILURE, "failure: the server's words"),
    "envelope": (frozenset({EventType.BOUNCE}), "bounce: the envelope address"),
    "mime": (frozenset({EventType.BOUNCE}), "bounce: the whole message"),
    "tags": (_EMAIL, "e-mail events: the tags"),
}
"""The e-mail events' own words: which events have them, and what they are."""

RESERVED: Final[Mapping[str, tuple[Kind, str, Reader]]] = {
    "fields": (Kind.OBJECT, "all fields: `fields.x`, `fields['x y']`", lambda s: _flat(s.event.fields)),
    "interests": (Kind.LIST, "the interests that are on, sorted", lambda s: _interests(s.event.interests)),
    "interests_off": (Kind.LIST, "the interests that were named as off", lambda s: _interests(s.event.interests_off)),
    "parameters": (Kind.OBJECT, "what the action was called with", lambda s: _flat(s.event.parameters)),
    "type": (Kind.TEXT, "create, update, delete, click, open, …", lambda s: s.event.type.value),
    "time": (Kind.DATETIME, "the moment of the event, Dutch time", lambda s: _moment(s.event.at)),
    "created": (Kind.DATETIME, "when the record was made, Dutch time", lambda s: _moment(s.event.created)),
    "modified": (Kind.DATETIME, "when the record last changed, Dutch time", lambda s: _moment(s.event.modified)),
    "profile": (Kind.TEXT, "the profile's ID; of a subprofile, its owner's", lambda s: _known(s.event.profile)),
    "subprofile": (Kind.TEXT, "the subprofile's ID", lambda s: _known(s.event.subprofile)),
    "database": (Kind.TEXT, "the database's ID", lambda s: _known(s.event.database)),
    "collection": (Kind.TEXT, "the collection's ID", lambda s: _known(s.event.collection)),
    "message": (Kind.TEXT, "the ID of the e-mail", lambda s: _known(s.event.message)),
    "source": (Kind.TEXT, "the configured source that was called", lambda s: s.source),
    "record": (Kind.OBJECT, "`record.kind`, `record.scope`, `record.id`", _record),
    **{
        name: (Kind.LIST if name == "tags" else Kind.TEXT, meaning, _variable(name))
        for name, (_, meaning) in EMAIL_NAMES.items()
    },
}
"""The names with a meaning of their own: their kind, what they are, and how to read them.

A word of the e-mail events is a field of that name on any other event.
"""
