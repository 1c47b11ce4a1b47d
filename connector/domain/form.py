"""Reads `application/x-www-form-urlencoded` bodies as PHP would, but for what a customer named.

`fields[…]` and `parameters[…]` are flat: the name is everything between the first `[` and the last `]`, exactly as
typed. Everywhere else PHP's rules hold: `a[b][]` nests and appends, dots and spaces in a top-level name become `_`, a
repeated key's last value wins, text after a closing bracket is dropped.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from connector.domain.charset import UTF_8, find_charset, to_text
from connector.domain.note import Note

FLAT: Final = ("fields", "parameters")
_CHUNK: Final = 32 * 1024
_MANGLED: Final = str.maketrans(dict.fromkeys(" .", "_"))
_MANGLED_REST: Final = str.maketrans(dict.fromkeys(" .[", "_"))
_SPACE: Final = " \t\n\v\f\r"
_MAX_INDEX_DIGITS: Final = 18


class Branch(dict[str, "str | Branch"]):
    """What PHP calls an array: keys in the order in which they came, each with text or a further branch.

    `appended` are the keys that came from `[]`, so that a list can be told from a map that has numbers for names.
    """

    __slots__ = ("_next", "appended")

    def __init__(self) -> None:
        super().__init__()
        self.appended: set[str] = set()
        self._next = 0

    def take(self, key: str | None) -> str:
        """Return the key to store under: the next free number for None, as `a[]` does."""
        if key is None:
            key = str(self._next)
            self.appended.add(key)
        elif key in self.appended:
            self.appended.discard(key)
        if key.isdecimal() and key.isascii() and len(key) <= _MAX_INDEX_DIGITS and (key == "0" or key[0] != "0"):
            self._next = max(self._next, int(key) + 1)
        return key


Node: TypeAlias = str | Branch


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a body may be at most. `pairs` bounds the pairs and also the branches that their brackets make.

    `key` is in bytes, of which an escape may take three.
    """

    pairs: int = 50_000
    key: int = 8 * 1024
    depth: int = 16


@dataclass(frozen=True, slots=True)
class FormError:
    """A bound that the body goes over. `bound` is its name in Bounds, `detail` says it to a person."""

    bound: str
    detail: str


@dataclass(frozen=True, slots=True)
class Form:
    """A form's content. `flat` has `fields` and `parameters`, as far as they came; `values` all the rest."""

    values: Branch
    flat: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


DEFAULT_BOUNDS: Final = Bounds()


def decode_form(body: bytes, charset: str = "", bounds: Bounds = DEFAULT_BOUNDS) -> Form | FormError:  # noqa: C901, PLR0912 - one loop, unrolled for speed
    """Decode a body whose header names `charset` (may be empty: UTF-8).

    A value or name that is not valid in the character set is read as windows-1252, by itself (see `charset.to_text`);
    an unknown set is read as UTF-8, with a note. Takes time and memory linear in the size of the body, whatever is in
    it. Never raises.
    """
    if body.count(b"&") >= bounds.pairs:
        return FormError("pairs", f"more than {bounds.pairs} pairs")
    known = find_charset(charset)
    text = partial(_text, codec=known.codec)
    is_ascii = body.isascii()
    places = _PLACES if is_ascii or known.codec == UTF_8 else {}  # in others, ASCII may mean something else
    values = Branch()
    flat: dict[str, dict[str, str]] = {}
    branches = 0
    for pair in _prepared(body).split("&"):
        key, _, value = pair.partition("=")
        place = places.get(key)
        if place is not None and len(key) <= bounds.key:
            if "%" in value or not is_ascii:
                value = text(value)
            top, name = place
            if not top:
                values[name] = value
            elif top in flat:
                flat[top][name] = value
            else:
                flat[top] = {name: value}
            continue
        if len(key) > bounds.key:
            return FormError("key", f"a key longer than {bounds.key} bytes")
        raw = key
        if "%" in key or not is_ascii:
            key = text(key)
        if "%" in value or not is_ascii:
            value = text(value)
        name, bracket, rest = key.partition("[")
        name = name.lstrip(" ")
        if not name:
            continue
        if not bracket:
            name = name.translate(_MANGLED)
            values[name] = value
            if raw == key:
                _remember(places, key, "", name)
            continue
        if name in FLAT and "]" in rest:
            inner = rest[: rest.rindex("]")]
            flat.setdefault(name, {})[inner] = value
            if raw == key:
                _remember(places, key, name, inner)
            continue
        made = _store(values, _path(name.translate(_MANGLED), rest, bounds.depth), value)
        if made is None:
            return FormError("depth", f"brackets nested deeper than {bounds.depth}")
        branches += made
        if branches > bounds.pairs:
            return FormError("pairs", f"more than {bounds.pairs} branches")
    return Form(values, flat, known.notes)


_COMMON: Final = tuple((f"%{code}", chr(int(code, 16))) for code in ("5B", "5D", "20", "40", "3A", "2C", "2F"))
_COMMON_LOWER: Final = tuple((escape.lower(), character) for escape, character in _COMMON)


_PLACES: Final[dict[str, tuple[str, str]]] = {}
"""Where values go, for names that came before, since the same thirty come with each call: `fields`, `parameters` or
nothing for the top, and the name in there.

Names only, in ASCII without an escape (what others mean depends on the character set), and bounded.
"""
_KNOWN_KEY: Final = 128
_MOST_KNOWN: Final = 2_000


def _remember(places: dict[str, tuple[str, str]], key: str, top: str, name: str) -> None:
    if key.isascii() and len(key) <= _KNOWN_KEY:
        if len(places) >= _MOST_KNOWN:
            places.clear()
        places[key] = (top, name)


def _prepared(body: bytes) -> str:
    """Undo for the whole body at once what nearly every pair has: it is most of the work, and quick here.

    What these escapes stand for means nothing where pairs and keys are cut apart, and cannot become part of another
    escape. The bytes are kept as characters of the same number.
    """
    text = body.decode("latin-1").replace("+", " ")
    if "%" in text and len(body) <= _CHUNK:
        for escape, character in _COMMON_LOWER if "%5b" in text else _COMMON:  # a sender writes them all alike
            text = text.replace(escape, character)
    return text


def _text(raw: str, codec: str) -> str:
    data = raw.encode("latin-1")
    if b"%" in data:
        data = _unquoted(data) if len(data) <= _CHUNK else _unquote_long(data)
    return to_text(data, codec)


_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_BYTES: Final = {b"%02x" % byte: bytes((byte,)) for byte in range(256)}


def _unquoted(raw: bytes) -> bytes:
    # The library's unquote takes a second for a body of percent signs alone, with nothing else running meanwhile.
    return _ESCAPE.sub(lambda escape: _BYTES[escape[1].lower()], raw)


def _unquote_long(raw: bytes) -> bytes:
    """Undo percent-encoding piece by piece: in one go it takes many times the memory of the text."""
    pieces = []
    start = 0
    while start < len(raw):
        end = start + _CHUNK
        # A piece never ends inside an escape: a % that is among its last two bytes goes to the next piece.
        cut = raw.rfind(b"%", end - 2, end)
        end = cut if cut > start else end
        pieces.append(_unquoted(raw[start:end]))
        start = end
    return b"".join(pieces)


def _path(name: str, rest: str, depth: int) -> list[str | None] | None:
    """Return the keys from the top down; None in it appends. Returns None when it is too deep.

    `rest` is what follows the first `[`.
    """
    path: list[str | None] = [name]
    start = 0
    while True:
        # PHP looks past one white space for the ], but keeps it in the key.
        look = start + 1 if rest[start : start + 1] in _SPACE and start < len(rest) else start
        end = rest.find("]", look)
        if end < 0:
            if len(path) == 1:
                path[0] = f"{name}_{rest.translate(_MANGLED_REST)}"
            return path
        if len(path) > depth:
            return None
        path.append(None if end == look else rest[start:end])
        if rest[end + 1 : end + 2] != "[":
            return path
        start = end + 2


def _store(top: Branch, path: list[str | None] | None, value: str) -> int | None:
    """Store a value; return how many branches had to be made for it. No path, nothing stored: None."""
    if path is None:
        return None
    made = 0
    branch = top
    for step in path[:-1]:
        key = branch.take(step)
        below = branch.get(key)
        if not isinstance(below, Branch):
            below = Branch()
            branch[key] = below
            made += 1
        branch = below
    branch[branch.take(path[-1])] = value
    return made
