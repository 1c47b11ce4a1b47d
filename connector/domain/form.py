"""Reads `application/x-www-form-urlencoded` bodies as PHP would, but for what a customer named.

`fields[…]` and `parameters[…]` are flat: the name is everything between the first `[` and the last `]`, exactly as
typed. Everywhere else PHP's rules hold: `a[b][]` nests and appends, dots and spaces in a top-level name become `_`, a
repeated key's last value wins, text after a closing bracket is dropped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from connector.domain.charset import find_charset, to_text
from connector.domain.frozen import frozen
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
_Path: TypeAlias = tuple[str | None, ...]


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


@frozen()
class Form:
    """A form's content. `flat` has `fields` and `parameters`, as far as they came; `values` all the rest."""

    values: Branch
    flat: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


DEFAULT_BOUNDS: Final = Bounds()


def decode_form(body: bytes, charset: str = "", bounds: Bounds = DEFAULT_BOUNDS) -> Form | FormError:
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
    keys, values = _split(body)
    values = [text(value) if not is_ascii or "%" in value else value for value in values]
    layout = _layout(keys, text, bounds)
    if isinstance(layout, FormError):
        return layout
    top = Branch()
    branches = 0
    for number, name, rest in layout.top:
        if rest is None:
            top[name] = values[number]
            continue
        path = _path(name, rest, bounds.depth)
        if path is None:
            return FormError("depth", f"brackets nested deeper than {bounds.depth}")
        branches += _store(top, path, values[number])
        if branches > bounds.pairs:
            return FormError("pairs", f"more than {bounds.pairs} branches")
    flat = {
        name: dict(zip(inner, [values[number] for number in numbers], strict=True))
        for name, inner, numbers in layout.flat
    }
    return Form(top, flat, known.notes)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the values of a form go, which its keys alone decide.

    `top` has what PHP's rules hold for, in its order: the number of the pair, its name, and what follows the first `[`.
    `flat` has the names and the numbers of the pairs in `fields` and `parameters`.
    """

    top: tuple[tuple[int, str, str | None], ...]
    flat: tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...]


_LAYOUTS: Final[dict[tuple[int, tuple[str, ...]], _Layout]] = {}
"""Layouts of forms that came before, since the same thirty keys come with each call; by the longest key and the keys.

Keys only, in ASCII and standing for ASCII (what else means depends on the character set), and bounded.
"""
_KNOWN_KEY: Final = 128
_KNOWN_KEYS: Final = 200
_MOST_KNOWN: Final = 200


def _layout(keys: tuple[str, ...], text: Callable[[str], str], bounds: Bounds) -> _Layout | FormError:
    """Return where values go; remembered, if the keys are usual ones."""
    known = _LAYOUTS.get((bounds.key, keys))
    if known is not None:
        return known
    made = _lay_out(keys, text, bounds)
    is_usual = len(keys) <= _KNOWN_KEYS and all(map(_is_usual, keys))
    if isinstance(made, _Layout) and is_usual:
        if len(_LAYOUTS) >= _MOST_KNOWN:
            _LAYOUTS.clear()
        _LAYOUTS[bounds.key, keys] = made
    return made


def _is_usual(key: str) -> bool:
    return len(key) <= _KNOWN_KEY and key.isascii() and _unquoted(key.encode("ascii")).isascii()


def _lay_out(keys: tuple[str, ...], text: Callable[[str], str], bounds: Bounds) -> _Layout | FormError:
    top: list[tuple[int, str, str | None]] = []
    flat: dict[str, tuple[list[str], list[int]]] = {}
    for number, raw in enumerate(keys):
        if len(raw) > bounds.key:
            return FormError("key", f"a key longer than {bounds.key} bytes")
        name, bracket, rest = (text(raw) if "%" in raw or not raw.isascii() else raw).partition("[")
        name = name.lstrip(" ")
        if not name:
            continue
        if not bracket:
            top.append((number, name.translate(_MANGLED), None))
        elif name in FLAT and "]" in rest:
            inner, numbers = flat.setdefault(name, ([], []))
            inner.append(rest[: rest.rindex("]")])
            numbers.append(number)
        else:
            top.append((number, name.translate(_MANGLED), rest))
    return _Layout(tuple(top), tuple((name, tuple(inner), tuple(numbers)) for name, (inner, numbers) in flat.items()))


_COMMON: Final = tuple((f"%{code}", chr(int(code, 16))) for code in ("20", "40", "3A", "3a", "2C", "2c", "2F", "2f"))


def _split(body: bytes) -> tuple[tuple[str, ...], list[str]]:
    """Return keys and values, with their bytes as characters of the same number.

    What many values have is undone for all of them at once: it is most of the work, and quick here. What these escapes
    stand for cannot become part of another escape.
    """
    pairs = body.decode("latin-1").replace("+", " ").split("&")
    keys, _, values = zip(*[pair.partition("=") for pair in pairs], strict=True)
    joined = "&".join(values)
    if "%" in joined and len(joined) <= _CHUNK:
        for escape, character in _COMMON:
            joined = joined.replace(escape, character)
    return keys, joined.split("&")


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


def _path(name: str, rest: str, depth: int) -> _Path | None:
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
            return tuple(path)
        if len(path) > depth:
            return None
        path.append(None if end == look else rest[start:end])
        if rest[end + 1 : end + 2] != "[":
            return tuple(path)
        start = end + 2


def _store(top: Branch, path: _Path, value: str) -> int:
    """Store a value; return how many branches had to be made for it."""
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
