"""What a genuine call means: one Event, the same whatever dialect it came in."""

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn

from connector.domain import dutchtime
from connector.domain.clock import DAY, SECOND, Instant
from connector.domain.document import Document
from connector.domain.event import Event, EventType, Fault, NotUnderstood, Rank, TimeFrom
from connector.domain.frozen import frozen
from connector.domain.note import Note, NoteKind
from connector.domain.reading import Reading, Shape, read_body
from connector.domain.record import Record, RecordKind
from connector.domain.request import VerifiedRequest
from connector.domain.source import Source

VARIABLES: Final = (
    "recipient",
    "ip",
    "original",
    "useragent",
    "referer",
    "state",
    "code",
    "extended",
    "description",
    "envelope",
    "mime",
)
"""An e-mail event's own variables; with them go `tags` (a list), and `action` where it is not the type."""

_TYPES: Final = {**{str(one): one for one in EventType}, "failed": EventType.FAILURE}
_ID: Final = re.compile(r"\s*0*([1-9]\d{0,18})\s*", re.ASCII)
_UNIX: Final = re.compile(r"\s*(\d{1,16})(?:\.(\d{1,9}))?\s*", re.ASCII)
_WORD: Final = re.compile(r"[a-z][a-z_.-]{0,31}", re.ASCII)
_EARLIEST: Final[Instant] = 365 * DAY
_MILLISECONDS_FROM: Final = 10**11  # as seconds it is the year 5138
_SAME_MOMENT: Final = 2 * SECOND


class _NotUnderstoodError(Exception):
    def __init__(self, fault: Fault, reason: str) -> None:
        self.fault = fault
        self.reason = reason


def decode(request: VerifiedRequest, source: Source) -> Event | NotUnderstood:
    """Return what the call means, with notes: a clock or zone that is off, an unknown character set.

    Never raises, whatever the call holds.
    """
    reading = read_body(request.request, source.limits)
    if isinstance(reading, NotUnderstood):
        return reading
    try:
        return _understand(reading, request, source)
    except _NotUnderstoodError as error:
        return NotUnderstood(error.fault, error.reason, reading.document.notes)


def identity(event: Event) -> str | None:
    """Return what makes an e-mail event the same happening in two calls (S31); None when that cannot be told.

    It holds the recipient's address: keep a keyed hash of it, nothing else.
    """
    if not event.type.is_email or event.message is None:
        return None
    url = (event.variables or {}).get("original", "")
    return json.dumps([event.type, event.message, event.record.id, event.at // SECOND, url], ensure_ascii=False)


def rank(event: Event, arrival: int) -> Rank:
    """Return the event's place in the order of its line (S3); `arrival` is its number in the order of arrival."""
    return Rank(event.at // SECOND, event.type is EventType.DELETE, arrival)


def _understand(reading: Reading, request: VerifiedRequest, source: Source) -> Event:
    document = reading.document
    event_type = _type(document.values)
    at, at_from, notes = _moment(document.values, request)
    ids = _email_ids(document, source) if event_type.is_email else _record_ids(reading, source)
    fields = _current(document)
    interests, interests_off = _interests(reading, event_type, ids.record.kind)
    return Event(
        type=event_type,
        record=ids.record,
        at=at,
        at_from=at_from,
        profile=ids.profile,
        subprofile=ids.subprofile,
        database=ids.database,
        collection=ids.collection,
        message=(document.values.get("id", "").strip() or None) if event_type.is_email else None,
        fields=fields,
        interests=interests,
        interests_off=interests_off,
        parameters=document.maps.get("parameters"),
        variables=_variables(document) if event_type.is_email else None,
        created=dutchtime.resolve(document.values.get("created", ""), at),
        modified=dutchtime.resolve(document.values.get("modified", ""), at),
        notes=(*document.notes, *notes),
    )


def _content(reason: str) -> NoReturn:
    raise _NotUnderstoodError(Fault.CONTENT, reason)


def _type(values: Mapping[str, str]) -> EventType:
    """`type` says it; only without one does `action`: next to a type it is a variable of the event."""
    word = (values.get("type", "").strip() or values.get("action", "").strip()).lower()
    if not word:
        _content("neither type nor action says what happened")
    found = _TYPES.get(word)
    if found is None:
        shown = f" {word!r}" if _WORD.fullmatch(word) else ""
        raise _NotUnderstoodError(Fault.TYPE, f"the type{shown} is not known to this version")
    return found


# ── which record ────────────────────────────────────────────────────────────────────────────────────────────────────


@frozen(kw_only=True)
class _Ids:
    record: Record
    profile: str | None
    subprofile: str | None
    database: str | None
    collection: str | None


def _id(values: Mapping[str, str], name: str) -> str | None:
    """Return a number without its leading zeros; None when there is none. What is no ID is not guessed at."""
    text = values.get(name, "")
    if not text.strip():
        return None
    match = _ID.fullmatch(text)
    if match is None:
        _content(f"{name} is not an ID")
    return match[1]


def _record_ids(reading: Reading, source: Source) -> _Ids:
    values = reading.document.values
    profile, subprofile = _id(values, "profile"), _id(values, "subprofile")
    database, collection = _id(values, "database"), _id(values, "collection")
    # `id` counts only where the source says what it means. In a subprofile's document a profile beside it is the owner.
    has_owner = reading.shape is not Shape.FORM and source.kind is RecordKind.SUBPROFILE
    if source.kind is not None and subprofile is None and (profile is None or has_owner):
        own = _id(values, "id")
        if own is not None and source.kind is RecordKind.SUBPROFILE:
            subprofile, collection = own, source.scope or collection
        elif own is not None:
            profile, database = own, source.scope or database
    if subprofile is not None:
        collection = collection or (source.scope if source.kind is RecordKind.SUBPROFILE else None)
        if collection is None:
            _content("a subprofile without its collection")
        record = Record(RecordKind.SUBPROFILE, collection, subprofile)
        database = database or source.database
    elif collection is not None:
        _content("a collection without a subprofile")
    elif profile is not None:
        database = database or (source.scope if source.kind is RecordKind.PROFILE else None) or source.database
        if database is None:
            _content("a profile without its database")
        record = Record(RecordKind.PROFILE, database, profile)
    elif "id" in values:
        _content("an id, and neither the call nor the source says of what")
    else:
        _content("names no record")
    return _Ids(record=record, profile=profile, subprofile=subprofile, database=database, collection=collection)


def _email_ids(document: Document, source: Source) -> _Ids:
    recipient = document.values.get("recipient", "").strip().lower()
    if not recipient:
        _content("an e-mail event without a recipient")
    known = {name: _ID.fullmatch(document.values.get(name, "")) for name in ("profile", "subprofile")}
    scopes = {name: _ID.fullmatch(document.values.get(name, "")) for name in ("database", "collection")}
    return _Ids(
        record=Record(RecordKind.RECIPIENT, source.name, recipient),
        **{name: match[1] if match else None for name, match in (known | scopes).items()},
    )


# ── what it says ────────────────────────────────────────────────────────────────────────────────────────────────────


def _current(document: Document) -> Mapping[str, str] | None:
    """A Publisher callback shows the fields before the change, and under `updated` what they became."""
    fields, updated = document.maps.get("fields"), document.maps.get("updated")
    if updated is None:
        return fields
    return {**(fields or {}), **updated}


def _interests(
    reading: Reading, event_type: EventType, kind: RecordKind
) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    found = reading.document.interests
    if found is not None:
        return found.on, found.off
    # A PHP encoder sends nothing for an empty list, so in a form nothing means none (S18).
    has_interests = kind is RecordKind.PROFILE and event_type is not EventType.DELETE
    if reading.shape is Shape.FORM and has_interests:
        return frozenset(), frozenset()
    return None, None


def _variables(document: Document) -> Mapping[str, str | tuple[str, ...]]:
    values = document.values
    found: dict[str, str | tuple[str, ...]] = {name: values[name] for name in VARIABLES if name in values}
    if "action" in values and values.get("type", "").strip():
        found["action"] = values["action"]
    if "tags" in document.lists:
        found["tags"] = document.lists["tags"]
    elif "tags" in values:
        found["tags"] = (values["tags"],) if values["tags"] else ()
    return found


# ── when ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _moment(values: Mapping[str, str], request: VerifiedRequest) -> tuple[Instant, TimeFrom, tuple[Note, ...]]:
    """Return the event's moment by the best source that gives a sane one (S3): 1971 to a day after arrival."""
    arrival = request.request.received_at
    near = arrival if request.signed_at is None else request.signed_at
    sane = range(_EARLIEST, arrival + DAY + 1)
    time = next((moment for moment in _unix(values.get("time", "")) if moment in sane), None)
    stamps = [moment for moment in dutchtime.readings(values.get("timestamp", "")) if moment in sane]
    if time is not None:
        return time, TimeFrom.TIME, _compared(time, stamps)
    if stamps:
        return min(stamps, key=lambda moment: abs(moment - near)), TimeFrom.TIMESTAMP, ()
    if request.signed_at is not None:
        return request.signed_at, TimeFrom.DATE, ()
    return arrival, TimeFrom.ARRIVAL, ()


def _unix(text: str) -> tuple[Instant, ...]:
    match = _UNIX.fullmatch(text)
    if match is None:
        return ()
    number = int(match[1])
    if number >= _MILLISECONDS_FROM:
        return (number,)
    return (number * SECOND + int((match[2] or "0").ljust(3, "0")[:3]),)


def _compared(time: Instant, stamps: list[Instant]) -> tuple[Note, ...]:
    off = min((stamp - time for stamp in stamps), key=abs, default=0)
    if abs(off) <= _SAME_MOMENT:
        return ()
    text = f"timestamp, read as Dutch time, is {off // SECOND:+d} s off time: it may be in another zone"
    return (Note(NoteKind.ZONE, text),)
