"""YAML 1.2, of which people need little: mappings, lists and scalars; no tags, no merge keys, one document.

A scalar without quotes is a number only if JSON would write it so, and `true`, `false`, `null` and `~` are what they
say. All else is text as it stands: `NO`, `0612345678`, `+31 6`, `2026-01-31`, `1_000`. So is every key.

libyaml parses, in a seventh of the time that a parser in Python takes: that was half of a start with 200 mapping files.
It only tells what stands where; what that means is decided here. ruamel.yaml says what is wrong, when something is.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.error import MarkedYAMLError, YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from connector.files import yaml_words
from connector.files.lines import Content, KeyPath, Lines, Place
from connector.files.tree import MAX_DEPTH, MAX_NODES, Tree, Trouble

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_WORDS = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
_LONGEST_NUMBER = 300


@dataclass(slots=True)
class _Scalar:
    place: Place
    value: Any
    content: Content | None = None


@dataclass(slots=True)
class _List:
    place: Place
    items: "list[_Node]" = field(default_factory=list)


@dataclass(slots=True)
class _Dict:
    place: Place
    items: "dict[str, tuple[Place, _Node]]" = field(default_factory=dict)


@dataclass(slots=True)
class _Alias:
    place: Place
    of: "_Node"


_Node = _Scalar | _List | _Dict | _Alias


def read(lines: Lines, file: str) -> Tree:
    """Read a document. Raises ProblemsError."""
    trouble = Trouble(file, lines)
    try:
        top = _Composer(lines, trouble, yaml.parse(lines.text, Loader=yaml.CSafeLoader)).document()
    except MarkedYAMLError as error:
        raise trouble.stop(*yaml_words.explain(_explained(lines.text, error), lines)) from None
    except (YAMLError, ValueError, RecursionError, IndexError):
        raise trouble.stop(Place(1, 1), "this cannot be read as YAML") from None
    trouble.check()
    if top is None or (isinstance(top, _Scalar) and top.value is None):
        raise trouble.stop(Place(1, 1), "the file is empty")
    if not isinstance(top, _Dict):
        kind = "a list" if isinstance(top, _List) else "a single value"
        what = f"the file has to consist of keys with values, but it is {kind}"
        raise trouble.stop(top.place, what, "`key: value`, with a blank after the colon")
    tree = Tree()
    tree.data = _Emitter(tree, trouble).emit(top, ())
    return tree


def _explained(text: str, error: MarkedYAMLError) -> MarkedYAMLError:
    """Return the mistake as a parser in Python finds it: it has better words and places than the one in C."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only a broken file needs it
    from ruamel.yaml import error as other  # noqa: PLC0415

    try:
        for _ in YAML(typ="safe", pure=True).parse(text):
            pass
    except other.MarkedYAMLError as found:
        return MarkedYAMLError(found.context, found.context_mark, found.problem, found.problem_mark)
    except (other.YAMLError, ValueError, RecursionError, IndexError):
        pass
    return error


def _start(event: Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.index


class _Composer:
    """Makes a tree of the parser's events. What is aliased is shared in it."""

    def __init__(self, lines: Lines, trouble: Trouble, events: Iterator[Event]) -> None:
        self._lines = lines
        self._trouble = trouble
        self._events = events
        self._anchors: dict[str, _Node] = {}
        self._count = 0

    def document(self) -> _Node | None:
        top: _Node | None = None
        for event in self._events:
            if isinstance(event, StreamStartEvent | DocumentEndEvent | StreamEndEvent):
                continue
            if isinstance(event, DocumentStartEvent):
                if top is not None:
                    raise self._trouble.stop(
                        _start(event), "a second document begins here", "one file for each, without `---`"
                    )
                continue
            top = self._node(event, ())
        return top

    def _node(self, event: Event, path: KeyPath) -> _Node:
        index = _start(event)
        self._count += 1
        if self._count > MAX_NODES:
            raise self._trouble.stop(index, f"the file has more than {MAX_NODES} values")
        if len(path) > MAX_DEPTH:
            raise self._trouble.stop(index, f"this is nested deeper than {MAX_DEPTH} levels")
        place = self._lines.place(index)
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                what = f"`*{event.anchor}` refers to an anchor that does not stand above"
                raise self._trouble.stop(index, what, "quotes, if it is meant as text", path)
            return _Alias(place, self._anchors[event.anchor])
        if getattr(event, "tag", None) is not None:
            self._trouble.add(index, "a type (`!…`) cannot be given", "quotes, if it is meant as text", path)
        node: _Node
        if isinstance(event, MappingStartEvent):
            node = self._mapping(place, path)
        elif isinstance(event, SequenceStartEvent):
            node = _List(place)
            while not isinstance(inner := next(self._events), SequenceEndEvent):
                node.items.append(self._node(inner, (*path, len(node.items))))
        else:
            assert isinstance(event, ScalarEvent)
            node = self._scalar(event, place, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, place: Place, path: KeyPath) -> _Dict:
        node = _Dict(place)
        while not isinstance(event := next(self._events), MappingEndEvent):
            index = _start(event)
            if not isinstance(event, ScalarEvent) and self._lines.text[index - 1 : index + 1] == "{{":
                raise self._trouble.stop(
                    index - 1, "a value cannot begin with `{{`", "quotes around the whole value", path
                )
            if not isinstance(event, ScalarEvent):
                raise self._trouble.stop(index, "a key has to be plain text", "quotes around the whole value", path)
            if event.tag is not None:
                self._trouble.add(index, "a type (`!…`) cannot be given", "quotes, if it is meant as text", path)
            key: str = event.value
            if key == "" and not event.style:
                self._trouble.add(index, "the key before `:` is missing", "", path)
            if self._lines.text[index - 1 : index] == "?":
                self._trouble.add(index - 1, "a key cannot begin with `?`", "quotes around the key", path)
            if key == "<<" and not event.style:
                self._trouble.add(index, "`<<` is not supported", "writing the keys out", path)
            value = self._node(next(self._events), (*path, key))
            if key in node.items:
                first = node.items[key][0].line
                self._trouble.add(
                    index, f"`{key}` stands here a second time (first in line {first})", "removing one", path
                )
                continue
            node.items[key] = (self._lines.place(index), value)
        return node

    def _scalar(self, event: ScalarEvent, place: Place, path: KeyPath) -> _Scalar:
        text: str = event.value
        start = _start(event)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._trouble.add(start, "half a character (a surrogate) is written here", "", path)
        if not event.style:
            value = _plain(text)
            return _Scalar(place, value, Content(place) if self._stands(text, start) else None)
        if event.style in ("'", '"'):
            return _Scalar(place, text, self._content(text, start + 1))
        return _Scalar(place, text, self._block(text, place) if event.style == "|" else None)

    def _stands(self, text: str, start: int) -> bool:
        return "\n" not in text and self._lines.text.startswith(text, start)

    def _content(self, text: str, start: int) -> Content | None:
        return Content(self._lines.place(start)) if self._stands(text, start) else None

    def _block(self, text: str, place: Place) -> Content | None:
        """Return where the lines of a `|` text stand, below each other."""
        first = text.partition("\n")[0]
        raw = self._lines.line(place.line + 1)
        if not first.strip() or not raw.endswith(first):
            return None
        column = len(raw) - len(first) + 1
        return Content(Place(place.line + 1, column), column)


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return text


class _Emitter:
    """Writes out a tree, aliases included, and counts what comes of it: a few lines can mean billions."""

    def __init__(self, tree: Tree, trouble: Trouble) -> None:
        self._tree = tree
        self._trouble = trouble
        self._count = 0

    def emit(self, node: _Node, path: KeyPath) -> Any:
        place = node.place
        content = node.content if isinstance(node, _Scalar) else None
        while isinstance(node, _Alias):
            node = node.of
        self._count += 1
        if self._count > MAX_NODES:
            raise self._trouble.stop(place, f"with its `*` aliases the file has more than {MAX_NODES} values")
        if len(path) > MAX_DEPTH:
            raise self._trouble.stop(place, f"this is nested deeper than {MAX_DEPTH} levels")
        if path:
            self._tree.values[path] = place
            if content:
                self._tree.contents[path] = content
        if isinstance(node, _Dict):
            data: dict[str, Any] = {}
            for key, (key_place, value) in node.items.items():
                self._tree.keys[*path, key] = key_place
                data[key] = self.emit(value, (*path, key))
            return data
        if isinstance(node, _List):
            items: list[Any] = []
            for position, item in enumerate(node.items):
                self._tree.keys[*path, position] = item.place
                items.append(self.emit(item, (*path, position)))
            return items
        return node.value
