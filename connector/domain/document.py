"""What a call says, before its meaning is looked for: forms, JSON and XML all become the same Document."""

import codecs
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from connector.domain.charset import find_charset, to_text
from connector.domain.frozen import frozen
from connector.domain.note import Note, NoteKind

OFF: Final = frozenset({"", "0", "false", "no", "off"})
FLAGS: Final = OFF | {"1", "true", "yes", "on"}
MAPS: Final = frozenset({"fields", "updated", "parameters"})
"""Variables whose value is a mapping from names to values."""


@dataclass(frozen=True, slots=True)
class Interests:
    """Interests by name: those that are on, and those that were named as off."""

    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Document:
    """The content of a call. `maps` has fields, updated and parameters as far as they came; None is never a value.

    `values` are the variables that are plain text, `lists` those that are a list of texts.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    interests: Interests | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentError:
    """Why a body is no document that we take; no personal data in it."""

    detail: str


@dataclass(frozen=True, slots=True)
class DocumentBounds:
    """What a document may be at most: bytes; values or elements; nesting; digits of a number; characters of a tag."""

    size: int = 16 * 1024 * 1024
    items: int = 50_000
    depth: int = 16
    number: int = 400
    tag: int = 64 * 1024


DEFAULT_BOUNDS: Final = DocumentBounds()


class RefusedError(ValueError):
    """Stops a parser from inside. Never leaves parse_json and parse_xml."""


def gather_interests(items: Iterable[tuple[str | None, str]]) -> Interests:
    """Normalise both shapes, also mixed: (None, name) of a list is on; (name, flag) of a map as its flag says.

    A number with something else than a flag for its value is a list's index, as PHP's http_build_query writes lists,
    and then so are the other numbers. The last word on an interest counts.
    """
    pairs = list(items)
    is_list = any(_is_index(name) and flag.strip().lower() not in FLAGS for name, flag in pairs)
    state: dict[str, bool] = {}
    for name, flag in pairs:
        if name is None or (is_list and _is_index(name)):
            state[flag] = True
        else:
            state[name] = flag.strip().lower() not in OFF
    state.pop("", None)
    on = frozenset(name for name, is_on in state.items() if is_on)
    return Interests(on, frozenset(state) - on)


def _is_index(name: str | None) -> bool:
    return name is not None and name.isascii() and name.isdecimal()


def repeated(name: str) -> Note:
    """Return the note that a name in a mapping came more than once."""
    return Note(NoteKind.REPEATED, f"a name in {name} comes more than once: the last value counts")


def read_text(body: bytes, label: str) -> tuple[str, tuple[Note, ...]]:
    """Decode a document: by its byte order mark, else as 16-bit text if it looks like it, else as `label` says."""
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return to_text(body[len(mark) :], codec), ()
    if body[1:2] == b"\0" and body[:1] != b"\0":
        return to_text(body, "utf-16-le"), ()
    if body[:1] == b"\0" and body[1:2] != b"\0":
        return to_text(body, "utf-16-be"), ()
    charset = find_charset(label)
    return to_text(body, charset.codec), charset.notes
