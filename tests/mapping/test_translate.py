"""What a mapping makes of an event: the rules of a faithful sync that a file can say."""

import dataclasses

import pytest

from connector.domain.change import Change, Defect, Many, MatchKey, Parent, Skip, Verb, WhenGone
from connector.domain.event import EventType
from connector.domain.record import Record, RecordKind
from connector.mapping.examples import run
from connector.mapping.model import Example
from connector.mapping.port import Deliver, Write
from tests.mapping.events import AT, BASE, email, mapping, profile, subprofile

ANNA = {"email": " Anna@Example.com", "voornaam": "Anna"}


def replaced(*pairs, base=BASE, add=""):
    text = base
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text + add


def translated(folder, text, event, *, linked=False, last=None):
    return mapping(folder, text).translate(event, linked=linked, last=last)


def test_an_update_becomes_the_wanted_state_of_the_crm_record(tmp_path):
    """Match keys in their order, typed fields, nothing of what was not asked for."""
    change = translated(tmp_path, BASE, profile({**ANNA, "shoe": "43"}))
    assert change == Change(
        destination="crm",
        object="contact",
        record=Record(RecordKind.PROFILE, "7616", "7"),
        verb=Verb.UPSERT,
        match=(MatchKey("copernica_id", "7"), MatchKey("email", "anna@example.com")),
        fields={"copernica_id": "7", "email": "anna@example.com", "firstname": "Anna"},
    )


def test_what_is_missing_is_left_alone_and_what_is_empty_is_cleared(tmp_path):
    """S17: missing is omitted; empty, and 0000-00-00 with or without a time, empties what the CRM had from us."""
    text = replaced(("firstname: voornaam", "firstname: voornaam\n  a: a\n  b: b\n  c: c"))
    change = translated(
        tmp_path, text, profile({"email": "a@b.nl", "a": "", "b": "0000-00-00", "c": "0000-00-00 00:00:00"})
    )
    assert change.fields == {"copernica_id": "7", "email": "a@b.nl"}
    assert change.clears == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("said", "field", "fields", "clears"),
    [
        ("{from: x, empty: omit}", "", {}, set()),
        ("{from: x, empty: clear}", "", {}, {"x"}),
        ("{from: x, empty: keep}", "", {"x": ""}, set()),
        ("{from: x, empty: keep}", "0000-00-00", {"x": ""}, set()),
        ("{from: x, empty: keep}", None, {}, set()),
        ("{from: x, zero: empty}", "0", {}, {"x"}),
        ("{from: x, zero: empty}", "0.00", {}, {"x"}),
        ("{from: x | int, zero: empty}", "0", {}, {"x"}),
        ("{from: x | int, zero: empty, empty: omit}", "0", {}, set()),
        ("{from: x}", "0", {"x": "0"}, set()),
        ("{from: x, default: D}", "", {"x": "D"}, set()),
        ("{from: x, default: D}", None, {"x": "D"}, set()),
        ("{from: x, default: D}", "v", {"x": "v"}, set()),
        ("{from: x | int, fallback: 9}", "nine", {"x": 9}, set()),
        ("{from: x | int, fallback: null}", "nine", {}, {"x"}),
        ("{value: null}", "v", {}, {"x"}),
        ("{value: [1, a]}", "v", {"x": [1, "a"]}, set()),
        ("{value: false}", "v", {"x": False}, set()),
        ("interests", "v", {}, {"x"}),
        ("{from: interests, empty: keep}", "v", {"x": []}, set()),
    ],
)
def test_a_value_says_what_to_do_when_there_is_nothing(tmp_path, said, field, fields, clears):
    """Per field: omit, clear or keep; what 0 means; a default, a fallback, a constant."""
    text = replaced(("firstname: voornaam", f"x: {said}"))
    change = translated(tmp_path, text, profile({"email": "a@b.nl"} | ({} if field is None else {"x": field})))
    assert {name: value for name, value in change.fields.items() if name == "x"} == fields
    assert change.clears == clears


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        ("{from: x, type: string}", "a", "a"),
        ("{from: x | int, type: string}", "42", "42"),
        ("{from: x, type: integer}", "42", 42),
        ("{from: x, type: integer}", "-7", -7),
        ("{from: x, type: number}", "3.14", 3.14),
        ("{from: x | money, type: number}", "1.234,50", 1234.5),
        ("{from: x, type: boolean}", "true", True),
        ("{from: x | bool, type: boolean}", "nee", False),
        ("{from: x, type: date}", "2026-01-31", "2026-01-31"),
        ("{from: x | date, type: date}", "31-01-2026", "2026-01-31"),
        ("{from: x | datetime, type: datetime}", "2026-01-31 12:00:00", "2026-01-31T12:00:00+01:00"),
        ("{from: x, type: datetime}", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("{from: \"x | split(',')\", type: list}", "a,b", ["a", "b"]),
        ("{from: x | json, type: object}", '{"a": [1, null]}', {"a": [1, None]}),
        ("{from: x | money}", "12,00", 12),
        ("{lookup: t, from: x}", " nl ", "Nederland"),
        ("{lookup: t, from: x}", "1", 2.5),
    ],
)
def test_values_go_out_in_their_type(tmp_path, said, field, value):
    """What stands in the change is what the CRM's JSON gets."""
    add = "tables: {t: {NL: Nederland, 1: 2.5}}\n" if "lookup" in said else ""
    change = translated(tmp_path, replaced(("firstname: voornaam", f"x: {said}"), add=add), profile({"x": field}))
    assert change.fields["x"] == value
    assert type(change.fields["x"]) is type(value)


@pytest.mark.parametrize(
    ("said", "field", "parts"),
    [
        ("{from: x, type: integer}", "4x2", ["x: ", "a text", "a whole number"]),
        ("{from: x, type: integer}", "0123", ["x: ", "a text", "a whole number"]),
        ("{from: x, type: number}", "1.234,50", ["x: ", "a text", "a number"]),
        ("{from: x, type: boolean}", "ja", ["x: ", "a text", "true or false", "| bool"]),
        ("{from: x, type: date}", "2026-02-30", ["x: ", "a text", "a date"]),
        ("{from: x, type: datetime}", "2026-01-31 12:00:00", ["x: ", "a text", "with a zone"]),
        ("{from: x, type: list}", "a,b", ["x: ", "a text", "a list"]),
        ("{from: x | date}", "geheim", ["x: ", "date"]),
        ("{from: x, required: true}", "", ["x: ", "required"]),
        ("{from: nowhere, required: true}", "v", ["x: ", "required"]),
        ("{lookup: t, from: x}", "geheim", ["x: ", "table t"]),
    ],
)
def test_what_does_not_fit_is_dead_with_field_type_and_expectation_but_never_the_value(tmp_path, said, field, parts):
    """Nothing goes out as garbage, and no personal data gets into a reason."""
    add = "tables: {t: {NL: Nederland}}\n" if "lookup" in said else ""
    found = translated(tmp_path, replaced(("firstname: voornaam", f"x: {said}"), add=add), profile({"x": field}))
    assert isinstance(found, Defect)
    assert all(part in found.reason for part in parts), found.reason
    assert field == "" or field not in found.reason


def test_a_lenient_file_skips_what_does_not_fit(tmp_path):
    """`strict: false`: skipped with the same reason."""
    text = replaced(("firstname: voornaam", "x: {from: x, type: integer}"), add="strict: false\n")
    found = translated(tmp_path, text, profile({"x": "vijf"}))
    assert isinstance(found, Skip)
    assert "x: found a text" in found.reason


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("0000-00-00", "empty"),
        (None, "does not have it"),
        ("x" * 501, "longer"),
        ("a\x07b", "printed"),
    ],
)
def test_an_empty_missing_or_invalid_match_value_is_never_used(tmp_path, address, why):
    """S12: the next key goes; the reason is kept."""
    fields = {} if address is None else {"email": address}
    change = translated(
        tmp_path,
        replaced(("copernica_id: profile.id}, ", "copernica_id: klantnummer}, ")),
        profile({"klantnummer": "9"} | fields),
    )
    assert change.match == (MatchKey("copernica_id", "9"),)
    assert change.unmatchable.startswith("email: ")
    assert why in change.unmatchable


def test_a_match_value_that_its_filter_refuses_is_not_used_and_stops_nothing(tmp_path):
    """An address that is none is no way to find anybody; the other fields go all the same."""
    change = translated(
        tmp_path,
        replaced(("{email: email | trim | lower}", "{email: email | email}")),
        profile({"email": "geen", "voornaam": "A"}),
    )
    assert [key.name for key in change.match] == ["copernica_id"]
    assert "email" in change.unmatchable
    assert "geen" not in change.unmatchable


WHEN = BASE + "when: optin == 'ja'\n"


def test_a_record_for_which_the_condition_is_false_is_left(tmp_path):
    """S14: `otherwise: leave`."""
    found = translated(tmp_path, WHEN + "otherwise: leave\n", profile({"optin": "nee"}))
    assert isinstance(found, Skip)
    assert "leave" in found.reason


def test_a_false_condition_can_change_or_empty_fields_of_an_existing_record(tmp_path):
    """S14: only an update: nobody is made for it."""
    text = WHEN + "otherwise: {set: {optin: {value: false}, ended: time}, clear: [phone]}\n"
    change = translated(tmp_path, text, profile({"optin": "nee", "email": "a@b.nl"}))
    assert (change.verb, change.clears) == (Verb.UPDATE, {"phone"})
    assert change.fields == {"optin": False, "ended": "2026-01-31T12:00:00+01:00"}
    assert change.volatile == {"ended"}
    assert [key.name for key in change.match] == ["copernica_id", "email"]


@pytest.mark.parametrize(
    ("otherwise", "verb"), [("delete", Verb.ARCHIVE), ("erase", Verb.ERASE), ("anonymise", Verb.ANONYMISE)]
)
def test_a_false_condition_can_take_the_record_away(tmp_path, otherwise, verb):
    """S14, S16: `delete` does as `on_delete` says; or it is said itself."""
    change = translated(
        tmp_path, WHEN + f"otherwise: {otherwise}\n", profile({"optin": "nee", "email": "a@b.nl"}), linked=True
    )
    assert (change.verb, change.match, change.fields) == (verb, (), {})


@pytest.mark.parametrize("otherwise", ["delete", "erase", "{clear: [phone]}"])
def test_a_field_that_is_gone_takes_nothing_away(tmp_path, otherwise):
    """A misspelt or removed field makes every condition false: that must not empty a CRM."""
    found = translated(tmp_path, WHEN + f"otherwise: {otherwise}\n", profile({"opt-in": "ja"}), linked=True)
    assert isinstance(found, Defect)
    assert "'optin'" in found.reason


def test_a_linked_delete_acts_on_the_link_alone(tmp_path):
    """S15: an older sender gives no fields; nothing of `when`, `match` and `set` is looked at."""
    found = translated(tmp_path, WHEN + "otherwise: leave\n", profile(kind=EventType.DELETE), linked=True)
    assert (found.verb, found.match, found.fields, found.clears) == (Verb.ARCHIVE, (), {}, frozenset())


def test_a_delete_without_a_link_is_matched_by_the_last_stored_state(tmp_path):
    """S15: or by its own fields, if the sender gives them; with neither it is skipped with the reason."""
    delete = profile(kind=EventType.DELETE)
    change = translated(tmp_path, BASE, delete, last=profile(ANNA))
    assert change.verb is Verb.ARCHIVE
    assert MatchKey("email", "anna@example.com") in change.match
    own = translated(tmp_path, BASE, profile({"email": "new@b.nl"}, kind=EventType.DELETE), last=profile(ANNA))
    assert MatchKey("email", "new@b.nl") in own.match
    neither = translated(tmp_path, BASE, delete)
    assert isinstance(neither, Skip)
    assert "no link" in neither.reason


def test_a_delete_that_nothing_can_recognise_is_skipped(tmp_path):
    """An unusable match value finds nobody to delete."""
    text = replaced(("{copernica_id: profile.id}, ", ""))
    found = translated(tmp_path, text, profile(kind=EventType.DELETE), last=profile({"email": ""}))
    assert isinstance(found, Skip)
    assert "email: it is empty" in found.reason


@pytest.mark.parametrize(
    ("said", "verb"),
    [
        ("erase", Verb.ERASE),
        ("archive", Verb.ARCHIVE),
        ("anonymise", Verb.ANONYMISE),
        ("{set: {status: {value: gone}}}", Verb.UPDATE),
    ],
)
def test_on_delete_does_what_the_file_says(tmp_path, said, verb):
    """S16."""
    change = translated(
        tmp_path, replaced(("on_delete: archive", f"on_delete: {said}")), profile(kind=EventType.DELETE), linked=True
    )
    assert change.verb is verb
    assert change.fields == ({"status": "gone"} if verb is Verb.UPDATE else {})


def test_on_delete_ignore_is_skipped_with_its_reason(tmp_path):
    """S16."""
    found = translated(tmp_path, replaced(("archive", "ignore")), profile(kind=EventType.DELETE), linked=True)
    assert found == Skip("it is deleted, and `on_delete` says ignore")


def test_fields_for_new_records_only_stand_apart(tmp_path):
    """S13."""
    change = translated(
        tmp_path, BASE + "on_create_only: {note: {value: hi}, since: created}\n", profile(ANNA, created=AT)
    )
    assert change.create_fields == {"note": "hi", "since": "2026-01-31T12:00:00+01:00"}
    assert not {"note", "since"} & set(change.fields)


@pytest.mark.parametrize(
    ("said", "volatile"),
    [
        ("time", True),
        ("modified | iso", True),
        ("time ~ voornaam", False),
        ("voornaam", False),
        ("{from: voornaam, volatile: true}", True),
        ("{from: time, volatile: false}", False),
        ("created", False),
        ("{value: 1}", False),
    ],
)
def test_values_that_only_say_now_are_known(tmp_path, said, volatile):
    """S9: what is made of nothing but `time` and `modified` is no change by itself; the file can say otherwise."""
    change = translated(
        tmp_path, replaced(("firstname: voornaam", f"x: {said}")), profile(ANNA, modified=AT, created=AT)
    )
    assert ("x" in change.volatile) is volatile


def test_e_mail_events_update_what_they_find(tmp_path):
    """S19: creating needs `create: true`; every event counts by default (S2)."""
    text = "name: f\nfrom: {email: [failure]}\nto: {crm: crm, object: contact}\nmatch: [{email: recipient | lower}]\nset: {bounced: {value: true}, email: recipient}\n"
    made = mapping(tmp_path, text)
    assert made.deliver is Deliver.EACH
    change = made.translate(email({"recipient": "A@b.nl", "code": "550"}), linked=False, last=None)
    assert (change.verb, change.match) == (Verb.UPDATE, (MatchKey("email", "a@b.nl"),))
    creating = mapping(tmp_path, text + "create: true\n")
    assert creating.translate(email({}), linked=False, last=None).verb is Verb.UPSERT


ORDERS = """name: orders
from: {collection: 22}
to: {crm: crm, object: deal}
match: [{copernica_id: subprofile.id}]
set: {copernica_id: subprofile.id, title: nummer}
link: {contact: readers}
on_delete: ignore
"""


def test_a_subprofile_links_to_the_record_of_its_profile(tmp_path):
    """The database is that of the parent's mapping: a subprofile's event does not always name it."""
    change = mapping(tmp_path, ORDERS, BASE).translate(subprofile({"nummer": "1"}), linked=False, last=None)
    assert change.parents == (Parent("contact", "readers", "contact", Record(RecordKind.PROFILE, "7616", "7")),)


def test_two_mappings_of_one_profile_link_to_each_others_record(tmp_path):
    """A contact and its company come from the same profile."""
    company = BASE.replace("readers", "companies").replace("object: contact", "object: company")
    change = mapping(tmp_path, BASE + "link: {company: companies}\n", company).translate(
        profile(ANNA), linked=False, last=None
    )
    assert change.parents == (Parent("company", "companies", "company", Record(RecordKind.PROFILE, "7616", "7")),)


def test_only_its_own_events_are_taken(tmp_path):
    """By database or collection, type and source."""
    made = mapping(
        tmp_path, replaced(("{database: 7616}", "{database: 7616, events: [create, update, delete], source: shop}"))
    )
    assert made.takes(profile({}), "shop")
    assert not made.takes(profile({}), "other")
    assert not made.takes(profile({}, database="1"), "shop")
    assert not made.takes(subprofile({}, collection="7616"), "shop")
    assert not made.takes(email({}), "shop")
    orders = mapping(
        tmp_path,
        ORDERS.replace("link: {contact: readers}\n", "")
        .replace("{collection: 22}", "{collection: 22, events: [create]}")
        .replace("on_delete: ignore\n", ""),
    )
    assert not orders.takes(subprofile({}), "x")
    assert orders.takes(subprofile({}, kind=EventType.CREATE), "x")


def test_a_callback_mapping_takes_what_comes_in_by_its_source(tmp_path):
    """Whatever record it is; not its e-mail events."""
    made = mapping(tmp_path, replaced(("{database: 7616}", "{callback: old}")))
    assert made.takes(profile({}, database="9"), "old")
    assert made.takes(subprofile({}), "old")
    assert not made.takes(profile({}), "new")
    assert not made.takes(email({}), "old")


def test_the_other_choices_of_a_file_arrive(tmp_path):
    """deliver, write, when_gone, many, linger, guard, create."""
    add = "deliver: each\nwrite: all\nwhen_gone: recreate\nmany: oldest\nlinger: 1.5\nguard: {deletes: 5, share: 0.5}\ncreate: false\n"
    made = mapping(tmp_path, BASE + add)
    assert (made.deliver, made.write, made.linger, made.guard) == (Deliver.EACH, Write.ALL, 1500, (5, 0.5))
    change = made.translate(profile(ANNA), linked=False, last=None)
    assert (change.verb, change.when_gone, change.many) == (Verb.UPDATE, WhenGone.RECREATE, Many.OLDEST)


def test_what_is_not_said_is_the_careful_choice(tmp_path):
    """The defaults: newest state, changed fields, stop, ask a person, fifty deletes and one per cent."""
    made = mapping(tmp_path)
    assert (made.deliver, made.write, made.linger, made.guard) == (Deliver.STATE, Write.CHANGED, 0, (50, 0.01))
    change = made.translate(profile(ANNA), linked=False, last=None)
    assert (change.when_gone, change.many) == (WhenGone.STOP, Many.DEAD)


FAILURES = """name: failures
from: {email: [failure]}
to: {crm: crm, object: contact}
match: [{email: recipient | trim | lower}]
set: {bounced: {value: true}}
"""


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("code | number >= 500", "the condition is not true, as the e-mail event does not have `code`"),
        ("extended == '5.1.1'", "the condition is not true, as the e-mail event does not have `extended`"),
        ("code | default('') | starts_with('5')", "`when` does not hold, and `otherwise` says leave"),
        ("code is not missing and code | number >= 500", "`when` does not hold, and `otherwise` says leave"),
    ],
)
def test_a_condition_on_what_an_event_does_not_say_is_never_silently_false(tmp_path, when, reason):
    """S14: the reason names what is absent, unless the condition itself says what that means."""
    text = FAILURES + f"when: {when}\notherwise: leave\n"
    found = translated(tmp_path, text, email({}))
    assert isinstance(found, Skip)
    assert found.reason.startswith(reason)


def test_what_an_event_does_not_say_changes_nothing(tmp_path):
    """S14: with an `otherwise` that changes something it is dead, for a person to look at."""
    text = FAILURES + "when: code | number >= 500\notherwise: {set: {bounced: {value: false}}}\n"
    found = translated(tmp_path, text, email({}))
    assert isinstance(found, Defect)
    assert found.reason.startswith("when: is false, but the e-mail event does not have `code`")
    assert translated(tmp_path, text, email({"code": "450"})).fields == {"bounced": False}


def test_a_comparison_with_a_number_of_an_absent_field_says_that_it_is_absent(tmp_path):
    """Of a record, too; and for unknown interests."""
    text = BASE + "when: punten | int > 3\notherwise: leave\n"
    assert "does not have the field 'punten'" in translated(tmp_path, text, profile(ANNA)).reason
    text = replaced(("7616}", "7616, events: [create, update]}"), ("on_delete: archive\n", "")) + (
        "when: \"'gold' in interests\"\notherwise: archive\n"
    )
    unknown = dataclasses.replace(profile(ANNA), interests=None)
    assert "does not have `interests`" in translated(tmp_path, text, unknown).reason


def test_an_example_that_expects_a_skip_does_not_hold_for_another_reason(tmp_path):
    """A condition that reads something absent is skipped in words of its own: `skip: leave` tells them apart."""
    text = FAILURES + "when: code | number >= 500\notherwise: leave\n"
    loaded = mapping(tmp_path, text)
    for variables, holds in (({"code": "450"}, True), ({}, False)):
        example = Example.model_validate({"given": {"variables": variables}, "expect": {"skip": "leave"}})
        assert run(loaded, example, 1).holds is holds
