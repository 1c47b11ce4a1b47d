"""Files are read by libyaml, and it reads what a parser of YAML 1.2 reads."""

from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import MappingStartEvent

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for folder in ("mappings", "connector", "tests") for path in (ROOT / folder).rglob("*.y*ml") if path.is_file()
)
PARTS = ("value", "anchor", "tag")


def events(stream):
    """What the events of a parser say. An empty value has no place of its own."""
    found = []
    for event in stream:
        parts = [str(getattr(event, name, None)) for name in PARTS]
        name = type(event).__name__
        if not name.startswith(("Stream", "Document")):
            is_empty = name == "ScalarEvent" and not event.value
            found.append(
                (name, *parts, getattr(event, "style", None) or None, None if is_empty else event.start_mark.index)
            )
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_of_the_project_is_what_yaml_1_2_says(path):
    """Texts, styles and places are those of a parser of YAML 1.2; what they mean is decided here, not there."""
    text = path.read_text(encoding="utf-8")
    try:
        wanted = events(YAML(typ="safe", pure=True).parse(text))
    except YAMLError:
        with pytest.raises(pyyaml.YAMLError):
            events(pyyaml.parse(text, Loader=pyyaml.CSafeLoader))
        return
    assert events(pyyaml.parse(text, Loader=pyyaml.CSafeLoader)) == wanted


PIECES = st.sampled_from(
    [
        "b",
        "b: ",
        "c:",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "\n# d",
        " # d",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        ",",
        "'",
        '"',
        "|\n    ",
        ">-\n    ",
        "&x ",
        "*x ",
        "!t ",
        "? ",
        "?",
        "http://x",
        "a:b",
        "\\n",
        "\\",
        "x y",
        "#",
        "-",
        "%",
        "@",
        "`",
        "\u00a0",
        "\u00e9",
        "\U0001f600",
        "~",
        "=",
        "<<: ",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=14).map(lambda pieces: "a: " + "".join(pieces)))
@example("a: {b: http://x, c: [d:e, 'f': g]}")
@example("a: 'b''c'\nd: |\n  e\n\n  f\ng: >-\n  h\n  i\n")
@example("a: {\"b\":1, 'c':2}")
def test_any_text_that_both_take_for_keys_and_values_is_the_same_to_both(text):
    """Whatever is written: a text is never read as another one."""
    try:
        wanted = list(YAML(typ="safe", pure=True).parse(text))
        found = list(pyyaml.parse(text, Loader=pyyaml.CSafeLoader))
    except (YAMLError, pyyaml.YAMLError, ValueError, IndexError):
        return
    if isinstance(wanted[2], MappingStartEvent):
        assert events(found) == events(wanted)
