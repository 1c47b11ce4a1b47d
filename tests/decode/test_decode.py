"""What a call means: its place in the order, its identity, and the same meaning in every dialect."""

import dataclasses
import json
from urllib.parse import quote_plus
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.domain.clock import DAY, HOUR, SECOND
from connector.domain.decode import decode, identity, rank
from connector.domain.event import Event, EventType, Fault, NotUnderstood, TimeFrom
from connector.domain.record import Record, RecordKind
from connector.domain.source import Source
from tests.decode.calls import FORM, JSON, PROFILES, SHOP, SIGNED_AT, SUBPROFILES, UNSIGNED, XML, call


def event(body: str, content_type: str | None = FORM, source: Source = SHOP, **options: int) -> Event:
    found = decode(call(body.encode(), content_type, source=source, **options), source)
    assert isinstance(found, Event), found
    return found


def encoded(*pairs: tuple[str, str]) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)


CLICK = "id=ab12&type=click&time=1714550400&recipient=Jan@Example.com&original=https://example.com/&ip=192.0.2.1"


def test_the_same_click_in_two_calls_has_one_identity() -> None:
    """Two overlapping webhooks report one click: type, message, recipient, time and URL make it one (S31)."""
    first = identity(event(CLICK))
    again = event(CLICK.replace("Jan@Example", "jan@example"), signed_at=SIGNED_AT + 3 * SECOND)
    assert first is not None
    assert identity(again) == first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("click", "open"),
        ("ab12", "ab13"),
        ("Jan@", "Piet@"),
        ("1714550400", "1714550401"),
        ("example.com/", "example.com/x"),
    ],
)
def test_another_happening_has_another_identity(old: str, new: str) -> None:
    """A difference in any of the five makes it something else that happened."""
    assert identity(event(CLICK.replace(old, new))) != identity(event(CLICK))


def test_what_cannot_be_told_apart_for_certain_has_no_identity() -> None:
    """Records have none (their states collapse anyway), nor has an e-mail event without a message ID."""
    assert identity(event("type=update&profile=1&database=1")) is None
    assert identity(event(CLICK.replace("id=ab12&", ""))) is None


def test_the_order_is_second_then_delete_last_then_arrival() -> None:
    """Within one second arrival decides, and a delete comes after all that is not one (S3)."""
    update = event("type=update&profile=1&database=1&time=1714550400")
    delete = event("type=delete&profile=1&database=1&time=1714550400")
    later = event("type=update&profile=1&database=1&time=1714550401")
    order = sorted(
        [rank(later, 1), rank(delete, 2), rank(update, 4), rank(update, 3)], key=lambda one: (one.coarse, one.arrival)
    )
    assert order == [rank(update, 3), rank(update, 4), rank(delete, 2), rank(later, 1)]
    assert rank(update, 3).second == 1714550400


def test_an_ambiguous_stamp_of_an_unsigned_call_is_resolved_by_arrival() -> None:
    """Without a signed Date it is arrival that tells the two readings apart."""
    second_pass = 1_729_992_600_000
    body = "action=update&profile=1&database=1&timestamp=2024-10-27+02:30:00"
    late = event(body, source=UNSIGNED, signed_at=None, received_at=second_pass + SECOND)  # type: ignore[arg-type]
    early = event(body, source=UNSIGNED, signed_at=None, received_at=second_pass - HOUR + SECOND)  # type: ignore[arg-type]
    assert (late.at, late.at_from) == (second_pass, TimeFrom.TIMESTAMP)
    assert (early.at, early.at_from) == (second_pass - HOUR, TimeFrom.TIMESTAMP)


@pytest.mark.parametrize("ahead", [0, DAY // SECOND - 60])
def test_a_clock_that_is_somewhat_ahead_is_believed(ahead: int) -> None:
    """Up to a day ahead of arrival a time is taken as it is."""
    seconds = SIGNED_AT // SECOND + ahead
    assert event(f"type=update&profile=1&database=1&time={seconds}").at == seconds * SECOND


@pytest.mark.parametrize("time", ["", "0", "-1", "1e9", "x", "9" * 17, "99999999999", "1714550400x", "٣"])
def test_a_time_that_cannot_be_is_passed_over(time: str) -> None:
    """Zero, the far future and what is no number: the next source of the moment is used."""
    found = event(encoded(("type", "update"), ("profile", "1"), ("database", "1"), ("time", time)))
    assert (found.at, found.at_from) == (SIGNED_AT, TimeFrom.DATE)


def test_a_stamp_in_another_zone_is_warned_of_and_dst_is_not() -> None:
    """The warning says by how much timestamp and time differ; the doubled hour is no difference."""

    def notes(body: str) -> tuple[str, ...]:
        decoded = decode(call(f"type=delete&profile=1&database=1&{body}".encode()), SHOP)
        return tuple(note.text for note in decoded.notes)

    assert notes("time=1714550400&timestamp=2024-05-01+10:00:01") == ()
    assert "+3600 s" in notes("time=1714550400&timestamp=2024-05-01+11:00:00")[0]
    for time in (1_698_539_400, 1_698_543_000):  # both passes through 02:30 of 29 October 2023
        assert notes(f"time={time}&timestamp=2023-10-29+02:30:00") == ()


def test_absent_interests_mean_none_only_where_a_list_would_have_been_sent() -> None:
    """No interests in a form on a profile's create or update: none are on. Everywhere else: unknown (S18)."""
    none: frozenset[str] = frozenset()
    for word in ("create", "update"):
        found = event(f"type={word}&profile=1&database=1")
        assert (found.interests, found.interests_off) == (none, none)
    for body in (
        "type=delete&profile=1&database=1",
        "type=update&subprofile=1&collection=2",
        "type=open&recipient=a@example.com&profile=1&database=1",
    ):
        found = event(body)
        assert (found.interests, found.interests_off) == (None, None)
    assert event('{"id":1,"action":"update"}', JSON, PROFILES).interests is None
    assert event("type=update&profile=1&database=1&interests=").interests == none


def test_what_is_unknown_is_none_and_never_empty() -> None:
    """A call that says nothing but its record leaves everything else None."""
    found = event("type=delete&subprofile=5&collection=2")
    known = {"type", "record", "at", "at_from", "subprofile", "collection"}
    said = {field.name for field in dataclasses.fields(found) if getattr(found, field.name) not in (None, ())}
    assert said == known


def test_a_call_that_names_nothing_is_not_guessed_at() -> None:
    """A call without a record's ID is not understood, also at a source that knows its database."""
    for source in (SHOP, PROFILES, SUBPROFILES):
        found = decode(call(b"type=update&database=1&fields[a]=b", source=source), source)
        assert found == NotUnderstood(Fault.CONTENT, "names no record")


def test_a_source_lends_its_database_or_collection_only_to_its_own_kind() -> None:
    """What a call leaves out is known from its source, but a database is never taken for a collection."""
    subprofile = b"type=delete&subprofile=5"
    assert decode(call(subprofile, source=SUBPROFILES), SUBPROFILES) == event(
        "type=delete&subprofile=5&collection=2&database=1"
    )
    assert decode(call(subprofile, source=PROFILES), PROFILES) == NotUnderstood(
        Fault.CONTENT, "a subprofile without its collection"
    )
    assert event("type=delete&profile=5", source=PROFILES) == event("type=delete&profile=5&database=1")


def test_a_large_bounce_arrives_whole() -> None:
    """A bounce carries a whole message; a megabyte of it comes out as it went in."""
    mime = "Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n" + "é & = % + line\r\n" * 40_000
    body = encoded(("id", "1"), ("type", "bounce"), ("recipient", "a@example.com"), ("mime", mime))
    found = event(body)
    assert found.variables is not None
    assert found.variables["mime"] == mime


def test_an_unusable_profile_of_an_email_event_does_not_cost_the_event() -> None:
    """The recipient is what an e-mail event is about; a profile ID beside it that is none is left out."""
    found = event("type=open&recipient=A@Example.com&profile=x&database=1")
    assert (found.record, found.profile, found.database) == (
        Record(RecordKind.RECIPIENT, "shop", "a@example.com"),
        None,
        "1",
    )


def test_email_events_are_understood_in_every_dialect() -> None:
    """A click as a form, as JSON and as XML is the same Event, tags included."""
    form = event(CLICK + "&tags[]=a&tags[]=b")
    known = {"id": "ab12", "type": "click", "time": 1714550400, "recipient": "Jan@Example.com"}
    known |= {"original": "https://example.com/", "ip": "192.0.2.1"}
    as_xml = "".join(f"<{name}>{value}</{name}>" for name, value in known.items())
    assert form.variables is not None
    assert form.variables["tags"] == ("a", "b")
    assert event(json.dumps(known | {"tags": ["a", "b"]}), JSON) == form
    assert event(f"<x>{as_xml}<tags><tag>a</tag><tag>b</tag></tags></x>", XML) == form
    assert event(f"<x>{as_xml}<tags>a</tags><tags>b</tags></x>", "application/soap+xml") == form


@pytest.mark.parametrize(("tags", "known"), [("&tags=a", ("a",)), ("&tags=", ())])
def test_a_single_tag_is_a_list_of_one(tags: str, known: tuple[str, ...]) -> None:
    """Tags are a list, also where a sender writes one without brackets."""
    assert (event(CLICK + tags).variables or {})["tags"] == known


def test_the_id_never_overrules_the_profile_that_is_named() -> None:
    """`id` is redundant where the record is named; only beside a subprofile's document is `profile` its owner."""
    assert event("type=update&profile=5&id=7&database=1").record.id == "5"
    assert event("type=update&profile=5&id=7", source=PROFILES).record.id == "5"
    assert event('{"action":"update","profile":5,"id":7}', JSON, PROFILES).record.id == "5"
    subprofile = event('{"action":"update","profile":5,"id":7}', JSON, SUBPROFILES)
    assert (subprofile.record, subprofile.profile) == (Record(RecordKind.SUBPROFILE, "2", "7"), "5")


# ── the same meaning in every dialect ───────────────────────────────────────────────────────────────────────────────

NAME = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=12)
INTEREST = st.text("abcdefghij éß", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(
    st.sampled_from([EventType.CREATE, EventType.UPDATE, EventType.DELETE]),
    st.sampled_from([PROFILES, SUBPROFILES]),
    st.integers(1, 10**12),
    st.dictionaries(NAME, NAME | st.just(""), min_size=1, max_size=6),
    st.dictionaries(INTEREST, st.booleans(), min_size=1, max_size=4),
    st.integers(1_000_000_000, 1_714_550_400),
)
def test_the_same_record_is_the_same_event_in_every_dialect(
    event_type: EventType,
    source: Source,
    number: int,
    fields: dict[str, str],
    interests: dict[str, bool],
    time: int,
) -> None:
    """A record written as a form, as JSON and as XML gives equal Events; only `profile` of a subprofile is left open."""
    is_profile = source is PROFILES
    ids = [("profile", str(number)), ("database", "1")]
    if not is_profile:
        ids = [("subprofile", str(number)), ("collection", "2"), ("database", "1"), ("id", "7")]
    form = encoded(
        ("type", event_type),
        ("time", str(time)),
        *ids,
        *((f"fields[{name}]", value) for name, value in fields.items()),
        *((f"interests[{name}]", str(int(is_on))) for name, is_on in interests.items()),
    )
    as_json = json.dumps({"id": number, "action": event_type, "time": time, "fields": fields, "interests": interests})
    as_xml = (
        f"<x><id>{number}</id><action>{event_type}</action><time>{time}</time><fields>"
        + "".join(f"<field name={quoteattr(name)}>{escape(value)}</field>" for name, value in fields.items())
        + "</fields><interests>"
        + "".join(f"<interest name={quoteattr(name)}>{int(is_on)}</interest>" for name, is_on in interests.items())
        + "</interests></x>"
    )
    expected = event(form)
    assert expected.fields == fields
    assert event(as_json, JSON, source) == expected
    assert event(as_xml, XML, source) == expected


# ── nothing makes it raise ──────────────────────────────────────────────────────────────────────────────────────────

KEYS = st.sampled_from(
    [
        "type",
        "action",
        "id",
        "profile",
        "subprofile",
        "database",
        "collection",
        "time",
        "timestamp",
        "created",
        "modified",
        "interests",
        "interests[]",
        "interests[a]",
        "interests[a][b]",
        "tags",
        "tags[]",
        "tags[][]",
        "fields",
        "fields[a]",
        "fields[a]b]",
        "parameters[x]",
        "updated[a]",
        "updated",
        "recipient",
        "mime",
        "original",
        "[",
        "]",
    ]
)
DATES = ("0000-00-00 00:00:00", "9999-12-31 23:59:59", "2024-03-31 02:30:00", "2024-10-27 02:30:00")
ODD = ("", " ", "\0", "é", "²", "9" * 30, "-1", "1e400", "00012", "0")
WORDS = st.sampled_from([*EventType, "failed", "UPDATE", "1", "1714550400", "a@example.com", *DATES, *ODD])
SOURCE = st.sampled_from([SHOP, UNSIGNED, PROFILES, SUBPROFILES])
CONTENT_TYPE = (
    st.none()
    | st.text(max_size=30)
    | st.sampled_from(
        [
            FORM,
            JSON,
            XML,
            "text/plain",
            "text/xml; charset=utf-16",
            f"{FORM}; charset=latin1",
            f'{FORM}; charset="',
            "a/b+json",
        ]
    )
)


def check(found: Event | NotUnderstood) -> None:
    if isinstance(found, NotUnderstood):
        assert found.reason
        assert found.fault in Fault
        return
    assert 0 < found.at < 2**53
    assert found.record.id
    assert found.record.scope
    if found.record.kind is not RecordKind.RECIPIENT:
        assert Record.parse(str(found.record)) == found.record
    rank(found, 1)
    identity(found)
    repr(found).encode()


@given(st.lists(st.tuples(KEYS, WORDS | st.text(max_size=10)), max_size=14), CONTENT_TYPE, SOURCE, st.booleans())
def test_no_form_makes_it_raise(
    pairs: list[tuple[str, str]], content_type: str | None, source: Source, signed: bool
) -> None:
    """Any variables with any values, of any content type, at any source, are understood or not understood."""
    body = "&".join(f"{quote_plus(name)}={quote_plus(value.encode('utf-8', 'surrogatepass'))}" for name, value in pairs)
    request = call(body.encode(), content_type, source=source, signed_at=SIGNED_AT if signed else None)
    check(decode(request, source))


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), below, max_size=3),
    max_leaves=6,
)
DOCUMENT_KEYS = st.sampled_from(
    [
        "type",
        "action",
        "id",
        "profile",
        "subprofile",
        "database",
        "collection",
        "time",
        "timestamp",
        "fields",
        "updated",
        "parameters",
        "interests",
        "interest",
        "tags",
        "recipient",
        "created",
        "mime",
    ]
)


@given(st.dictionaries(DOCUMENT_KEYS, JSON_VALUE, max_size=10), SOURCE)
@example({"type": "create", "profile": 1, "database": 1, "interests": {"a": None}, "tags": [None, [1]]}, SHOP)
def test_no_json_makes_it_raise(tree: dict[str, object], source: Source) -> None:
    """Any JSON structure under the known names is understood or not understood."""
    check(decode(call(json.dumps(tree).encode(), JSON, source=source), source))


XML_NODE = st.recursive(
    st.text("abc <>&é\0", max_size=5).map(escape),
    lambda below: st.lists(
        st.tuples(DOCUMENT_KEYS | st.sampled_from(["field", "item", "blue", "x:y"]), st.booleans(), below).map(
            lambda part: "<" + part[0] + (" name='n'" if part[1] else "") + ">" + part[2] + "</" + part[0] + ">"
        ),
        max_size=4,
    ).map("".join),
    max_leaves=10,
)


@given(XML_NODE, SOURCE)
def test_no_xml_makes_it_raise(inner: str, source: Source) -> None:
    """Any elements in any nesting are understood or not understood."""
    check(decode(call(f"<x>{inner}</x>".encode(), XML, source=source), source))


@given(st.binary(max_size=300), CONTENT_TYPE, SOURCE)
def test_no_bytes_make_it_raise(body: bytes, content_type: str | None, source: Source) -> None:
    """Any bytes, of any content type, at any source, are understood or not understood."""
    check(decode(call(body, content_type, source=source), source))
