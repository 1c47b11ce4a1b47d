"""A folder of mapping files: all of them, or none; with shared defaults, tables and a version."""

import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.domain.change import Change, Defect, Skip
from connector.domain.event import EventType
from connector.files.problem import ProblemsError
from connector.mapping.load import examine, load_mappings
from tests.mapping.events import BASE, email, mapping, mappings, profile, subprofile


def test_one_wrong_file_keeps_all_from_being_taken(tmp_path):
    """A reload takes all mappings or none, and names every mistake of every file."""
    (tmp_path / "a.yaml").write_text(BASE)
    (tmp_path / "b.yaml").write_text(BASE.replace("archive", "sometimes"))
    (tmp_path / "c.toml").write_text("name = 1\n")
    with pytest.raises(ProblemsError) as raised:
        load_mappings(tmp_path)
    assert {problem.file for problem in raised.value.problems} == {str(tmp_path / "b.yaml"), str(tmp_path / "c.toml")}


def test_a_folder_that_is_not_there_is_a_plain_mistake(tmp_path):
    """No traceback; a hint at what makes one."""
    with pytest.raises(ProblemsError, match="no such folder"):
        load_mappings(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemsError, match="this is a file"):
        load_mappings(tmp_path / "file")


def test_an_empty_folder_maps_nothing(tmp_path):
    """Calls are then kept, and wait for a mapping."""
    assert dict(load_mappings(tmp_path).mappings) == {}


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    """Notes, tables, hidden files, and what an editor leaves behind."""
    for name in ("notes.txt", "t.csv", ".a.yaml", "_b.yaml", "a.yaml~"):
        (tmp_path / name).write_text("}{")
    (tmp_path / "a.yaml").write_text(BASE)
    assert list(load_mappings(tmp_path).mappings) == ["readers"]


def test_an_event_goes_to_every_mapping_that_takes_it_in_the_order_of_names(tmp_path):
    """Several mappings may take the same event; each is a delivery of its own."""
    company = BASE.replace("readers", "companies").replace("object: contact", "object: company")
    callback = BASE.replace("readers", "any").replace("database: 7616", "callback: shop").replace("contact", "deal")
    failures = "name: f\nfrom: {email: [failure]}\nto: {crm: crm, object: contact}\nmatch: [{email: recipient}]\nset: {b: time}\n"
    loaded = mappings(tmp_path, BASE, company, callback, failures)

    def names(event, source="shop"):
        return [mapping.name for mapping in loaded.taking(event, source)]

    assert names(profile({})) == ["any", "companies", "readers"]
    assert names(profile({}), "other") == ["companies", "readers"]
    assert names(profile({}, database="1")) == ["any"]
    assert names(subprofile({}), "other") == []
    assert names(email({})) == ["f"]
    assert names(email({}, kind=EventType.BOUNCE)) == []


def test_a_version_names_all_that_a_mapping_says(tmp_path):
    """It changes with the file, its defaults and its tables; not with comments and examples."""
    text = BASE + "tables: {t: {file: t.csv, key: k, value: v}}\n"
    text = text.replace("firstname: voornaam", "firstname: {lookup: t, from: voornaam}")
    table, defaults = tmp_path / "t.csv", tmp_path / "_defaults.yaml"
    table.write_text("k,v\na,b\n")
    first = mapping(tmp_path, text).version
    assert len(first) == 12
    assert mapping(tmp_path, "# a comment\n" + text).version == first
    assert mapping(tmp_path, text + "examples: [{given: {}, expect: {verb: upsert}}]\n").version == first
    versions = {first, mapping(tmp_path, text + "many: newest\n").version}
    table.write_text("k,v\na,c\n")
    versions.add(mapping(tmp_path, text).version)
    defaults.write_text("linger: 5\n")
    versions.add(mapping(tmp_path, text).version)
    assert len(versions) == 4


def test_defaults_hold_for_all_files_that_do_not_say_otherwise(tmp_path):
    """The destination, the source, choices and tables can be said once, in _defaults.yaml or _defaults.toml."""
    (tmp_path / "_defaults.toml").write_text(
        'on_delete = "ignore"\nlinger = 5\n[to]\ncrm = "house"\n[from]\nsource = "shop"\n[tables.t]\nNL = "Nederland"\n'
    )
    text = BASE.replace("crm: crm, ", "").replace("on_delete: archive\n", "")
    text = text.replace("firstname: voornaam", "land: {lookup: t, from: land}")
    made = mapping(tmp_path, text + "linger: 1\n")
    assert (made.destination, made.linger) == ("house", 1000)
    assert made.takes(profile({}), "shop")
    assert not made.takes(profile({}), "other")
    assert made.translate(profile({"land": "NL"}), linked=False, last=None).fields["land"] == "Nederland"
    assert isinstance(made.translate(profile(kind=EventType.DELETE), linked=True, last=None), Skip)


def test_a_mistake_in_the_defaults_is_said_there(tmp_path):
    """Once, at its own place."""
    (tmp_path / "_defaults.yaml").write_text("many: first\non_delete: perhaps\n")
    (tmp_path / "a.yaml").write_text(BASE)
    problems = examine(tmp_path).problems
    assert [(problem.file.rpartition("/")[2], problem.line) for problem in problems] == [
        ("_defaults.yaml", 1),
        ("_defaults.yaml", 2),
    ]


def test_a_default_on_delete_does_not_bother_mappings_without_deletes(tmp_path):
    """E-mail events, and mappings that take no deletes."""
    (tmp_path / "_defaults.yaml").write_text("on_delete: archive\n")
    failures = "name: f\nfrom: {email: [failure]}\nto: {crm: crm, object: contact}\nmatch: [{email: recipient}]\nset: {b: time}\n"
    text = BASE.replace("on_delete: archive\n", "").replace("7616}", "7616, events: [create]}")
    assert len(mappings(tmp_path, failures, text).mappings) == 2


@pytest.mark.parametrize(
    "content",
    ["code;naam\nNL;Nederland\n", "\ufeffcode,x,naam\r\nNL,1,Nederland\r\n", 'naam,code\n"Nederland", NL \n\n'],
)
def test_a_table_in_a_csv_file_is_read_as_people_save_it(tmp_path, content):
    """Comma or semicolon, a byte order mark, Windows line ends, other columns, any order."""
    (tmp_path / "landen.csv").write_text(content, newline="")
    text = BASE.replace("firstname: voornaam", "land: {lookup: landen, from: land}\n  twee: land | lookup('landen')")
    made = mapping(tmp_path, text + "tables: {landen: {file: landen.csv, key: code, value: naam}}\n")
    fields = made.translate(profile({"land": "nl"}), linked=False, last=None).fields
    assert (fields["land"], fields["twee"]) == ("Nederland", "Nederland")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"code,naam\nNL,a\nNL,b\n", "second value"),
        (b"code,naam\nNL\n", "line 2 of the file has too few columns"),
        (b"code,naam\n\xff,a\n", "not UTF-8"),
        (b"code,naam\n" + b"".join(b"%d,a\n" % n for n in range(20_001)), "more than 20000 rows"),
        (b"x" * (2 * 1024 * 1024 + 1), "larger than 2 MiB"),
        (b"", "no column 'code'"),
    ],
)
def test_a_bad_csv_file_is_explained(tmp_path, content, what):
    """At the place in the mapping file that names it."""
    (tmp_path / "landen.csv").write_bytes(content)
    text = BASE.replace("firstname: voornaam", "land: {lookup: landen, from: land}")
    with pytest.raises(ProblemsError, match=what):
        mapping(tmp_path, text + "tables: {landen: {file: landen.csv, key: code, value: naam}}\n")


WIDE = """name: wide
from: {database: 7616}
when: optin == 'ja' or a | int > 3
otherwise: delete
to: {crm: crm, object: contact}
match: [{copernica_id: profile.id}, {email: email | email}, {n: a | int}]
set:
  copernica_id: profile.id
  email: email | trim | lower
  n: {from: a, type: integer, zero: empty}
  m: a | money
  d: {from: b, type: date}
  e: {from: b | datetime, type: datetime, fallback: null}
  l: interests | join(';')
  j: b | json
  t: {lookup: t, from: a, default: 1.5}
  s: a ~ b
  u: {from: b, required: true}
  now: time
on_create_only: {first: b | first_word}
on_delete: {set: {gone: time, why: a | int}}
tables: {t: {a: 1, b: null}}
"""
texts = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=string.digits + ".,-+ :T/", max_size=20),
    st.sampled_from(["ja", "", "0", "0000-00-00", "31-12-2026", "{}", "[1]", "NaN", "1e999", "\ud800", "a@b.nl"]),
)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return mapping(tmp_path_factory.mktemp("wide"), WIDE)


@settings(max_examples=300, deadline=None)
@given(
    fields=st.none() | st.dictionaries(st.sampled_from(["optin", "a", "b", "email"]), texts),
    last=st.none() | st.dictionaries(st.sampled_from(["a", "b", "email"]), texts),
    interests=st.lists(st.text(max_size=5), max_size=3),
    kind=st.sampled_from([EventType.CREATE, EventType.UPDATE, EventType.DELETE]),
    linked=st.booleans(),
)
def test_whatever_an_event_holds_it_becomes_a_change_a_skip_or_a_reason(wide, fields, last, interests, kind, linked):
    """Never an exception; usable match keys only; no path both set and cleared; JSON values only."""
    found = wide.translate(
        profile(fields, kind=kind, interests=interests), linked=linked, last=None if last is None else profile(last)
    )
    assert isinstance(found, Change | Skip | Defect)
    if isinstance(found, Change):
        assert all(str(key.value).strip() for key in found.match)
        assert not found.clears & set(found.fields)
        assert all(
            value is None or isinstance(value, str | int | float | bool | list | dict)
            for value in found.fields.values()
        )
        assert not any(isinstance(value, float) and not math.isfinite(value) for value in found.fields.values())
