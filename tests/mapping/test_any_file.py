"""Whatever stands in a mapping file, loading it ends in mappings or in problems with their places."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.mapping.load import examine_files
from tests.mapping.crm import crm_objects

FULL = {
    "name": "full",
    "from": {"database": 7616, "events": ["create", "update", "delete"], "source": "shop"},
    "to": {"crm": "crm", "object": "contact"},
    "when": "optin == 'ja'",
    "otherwise": {"set": {"optin": {"value": False}}, "clear": ["phone"]},
    "match": [{"copernica_id": "profile.id"}, {"email": {"from": "email | email"}}],
    "set": {
        "copernica_id": "profile.id",
        "email": "email",
        "score": {"from": "punten", "type": "integer", "zero": "empty", "fallback": 0},
        "address.country": {"lookup": "landen", "from": "land", "default": "NL"},
    },
    "on_create_only": {"note": {"value": "hi"}},
    "on_delete": {"set": {"note": {"value": "gone"}}},
    "link": {"company": "full"},
    "guard": {"deletes": 5, "share": 0.5},
    "linger": 5,
    "many": "newest",
    "tables": {"landen": {"NL": "Nederland"}, "talen": {"file": "t.csv", "key": "a", "value": "b"}},
    "examples": [{"name": "x", "given": {"fields": {"a": "b"}}, "expect": {"set": {"a": 1}}}],
}


def paths(value, at=()):
    yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(inner, (*at, key))


PATHS = [path for path in paths(FULL) if path]
words = st.sampled_from(
    ["", " ", "x", "delete", "set", "text", "bounce", "email | trm", "type", "interests", "fields['", "a.b", "value"]
)
scalars = st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | words
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)


def changed(data, path, value, *, key=None):
    """Put a value at that path, under another key if one is given; a path that is no longer there changes nothing."""
    made = copy.deepcopy(data)
    at = made
    try:
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value
        if key is not None and isinstance(at, dict):
            at[key] = at.pop(path[-1])
    except (KeyError, IndexError, TypeError):
        return data
    return made


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("any") / "full.yaml"


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(PATHS), anything, st.none() | words.filter(bool)), min_size=1, max_size=3
    )
)
def test_any_file_ends_in_mappings_or_in_problems_with_their_places(file, changes):
    """Never in a traceback: each problem has a line and a column in the file, and words of our own."""
    data = FULL
    for path, value, key in changes:
        data = changed(data, path, value, key=key if isinstance(path[-1], str) else None)
    text = json.dumps(data, indent=1)
    file.write_text(text)
    examined = examine_files([file], crm_objects=crm_objects, sources=["shop"])
    assert (examined.mappings is None) == bool(examined.errors)
    lines = text.splitlines()
    for problem in examined.problems:
        assert problem.file == str(file)
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.what
        assert "pydantic" not in problem.what
        assert "Input should" not in problem.what
