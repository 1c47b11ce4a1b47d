"""The quicker parser says what the parser says."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from connector.files.yaml_events import events

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for folder in ("mappings", "connector", "tests") for path in (ROOT / folder).rglob("*.y*ml") if path.is_file()
)


def place(mark):
    return None if mark is None else (mark.index, mark.line, mark.column)


def told(stream):
    """Everything that the events say, with their places, and the error that they end in."""
    said = []
    try:
        said.extend(whole(event) for event in stream)
    except MarkedYAMLError as error:
        said.append((type(error), error.context, place(error.context_mark), error.problem, place(error.problem_mark)))
    except (YAMLError, ValueError, IndexError, RecursionError) as error:
        said.append(type(error))
    return said


def whole(event):
    parts = [
        getattr(event, name, None) for name in ("value", "anchor", "tag", "implicit", "flow_style", "style", "explicit")
    ]
    return (type(event).__name__, *map(str, parts), place(event.start_mark), place(event.end_mark))


def plain(text):
    return YAML(typ="safe", pure=True).parse(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_of_the_project_has_the_same_events(path):
    """Right ones and wrong ones."""
    text = path.read_text(encoding="utf-8")
    assert told(events(text)) == told(plain(text))


pieces = st.sampled_from(
    [
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "# c\n",
        " # c",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "'",
        '"',
        "|\n",
        ">-\n",
        "&x ",
        "*x",
        "!t ",
        "? ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "\r\n",
        "\r",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "\\n",
        "x y",
        "#",
        "-",
        "\u00a0",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(pieces, max_size=25).map("".join) | st.text(max_size=40))
@example("# a\n\n# b\n  x: 1 # c\n#\n  y: [1, # d\n 2]\n")
@example("a:\n# c\n- b\n#d")
def test_any_text_has_the_same_events_places_and_errors(text):
    """Whatever is written."""
    assert told(events(text)) == told(plain(text))
