"""TOML: the data from the standard library, the places from an own look at the text.

Dates and times become text (ISO 8601): all data is what JSON can say.
"""

import math
import re
import tomllib
from datetime import date, time
from typing import Any

from connector.files import toml_words
from connector.files.lines import Content, KeyPath, Lines, Place
from connector.files.tree import MAX_DEPTH, MAX_NODES, Tree, Trouble


def read(lines: Lines, file: str) -> Tree:
    """Read a document. Raises ProblemsError."""
    trouble = Trouble(file, lines)
    scan = Scan(lines)
    scan.run()
    try:
        data = tomllib.loads(lines.text)
    except tomllib.TOMLDecodeError as error:
        raise trouble.stop(*toml_words.explain(str(error), lines, scan)) from None
    except RecursionError:
        raise trouble.stop(Place(1, 1), f"this is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        raise trouble.stop(Place(1, 1), "a number in this file has too many digits") from None
    if not data:
        raise trouble.stop(Place(1, 1), "the file is empty")
    tree = scan.tree
    if len(tree.values) > MAX_NODES:
        raise trouble.stop(Place(1, 1), f"the file has more than {MAX_NODES} values")
    if deep := next((path for path in tree.values if len(path) > MAX_DEPTH), None):
        raise trouble.stop(tree.values[deep], f"this is nested deeper than {MAX_DEPTH} levels")
    tree.data = _plain(data, (), tree, trouble)
    trouble.check()
    return tree


def _plain(value: Any, path: KeyPath, tree: Tree, trouble: Trouble) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner, (*path, key), tree, trouble) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, (*path, position), tree, trouble) for position, inner in enumerate(value)]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        trouble.add(tree.values.get(path, Place(1, 1)), "a number has to be finite", "", path)
    return value


_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS = (
    # opening, the whole literal, whether a backslash means something
    ('"""', re.compile(r'"""(?:\\.|[^\\])*?"""(?:"{0,2})', re.DOTALL), True),
    ("'''", re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL), False),
    ('"', re.compile(r'"(?:\\.|[^"\\\n])*"'), True),
    ("'", re.compile(r"'[^'\n]*'"), False),
)
_OTHER = re.compile(r"[^,\]}#\n]+")


class _LostError(Exception):
    """The text is not TOML from there on; the parser says why."""


class Scan:
    """Finds where keys and values stand. What is not TOML ends the look; what was found until then stays.

    `order` has each key's index and path, in the order of the text; `open` the indexes of brackets and quotes that
    were not closed when it ended, the innermost last.
    """

    def __init__(self, lines: Lines) -> None:
        self.tree = Tree()
        self.order: list[tuple[int, KeyPath]] = []
        self.open: list[int] = []
        self._lines = lines
        self._text = lines.text
        self._at = 0
        self._table: KeyPath = ()
        self._lengths: dict[KeyPath, int] = {}
        self._implied: set[KeyPath] = set()

    def run(self) -> None:
        """Look at the whole text."""
        try:
            while self._skip(_BLANK):
                if self._text[self._at] == "[":
                    self._header()
                else:
                    self._pair(self._table)
        except (_LostError, RecursionError):
            return

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        assert found
        self._at = found.end()
        return self._at < len(self._text)

    def _expect(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise _LostError
        self._at += len(text)

    def _header(self) -> None:
        self.open = [self._at]
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        parts = self._key()
        self._expect("]]" if is_array else "]")
        self.open = []
        path: KeyPath = ()
        for number, (name, index) in enumerate(parts, 1):
            is_last = number == len(parts)
            path = (*path, name)
            self._note(path, index, index, implied=not is_last)
            if is_last and is_array:
                self._lengths[path] = self._lengths.get(path, 0) + 1
            if path in self._lengths and (is_array or not is_last):
                path = (*path, self._lengths[path] - 1)
                self._note(path, index, index, implied=not is_last)
        self._table = path
        self.order.append((parts[-1][1], path))

    def _pair(self, table: KeyPath) -> None:
        parts = self._key()
        path = table
        for name, index in parts[:-1]:
            path = (*path, name)
            self._note(path, index, index, implied=True)
        name, index = parts[-1]
        path = (*path, name)
        self.order.append((index, path))
        self._expect("=")
        self._skip(_SPACE)
        self._note(path, index, self._at)
        self._value(path)

    def _note(self, path: KeyPath, key: int, value: int, *, implied: bool = False) -> None:
        """Keep the first place, unless that was only a part of another key."""
        if path in self.tree.keys and (implied or path not in self._implied):
            return
        self.tree.keys[path] = self._lines.place(key)
        self.tree.values[path] = self._lines.place(value)
        if implied:
            self._implied.add(path)
        else:
            self._implied.discard(path)

    def _key(self) -> list[tuple[str, int]]:
        """Read a dotted key and what blank follows it; return each part with its index."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_SPACE)
            start = self._at
            if self._text.startswith(('"', "'"), start):
                literal = self._string()
                try:
                    parts.append((tomllib.loads(f"key = {literal}")["key"], start))
                except tomllib.TOMLDecodeError:
                    raise _LostError from None
            elif found := _BARE_KEY.match(self._text, start):
                parts.append((found[0], start))
                self._at = found.end()
            else:
                raise _LostError
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _string(self) -> str:
        for opening, pattern, _ in _STRINGS:
            if self._text.startswith(opening, self._at):
                found = pattern.match(self._text, self._at)
                if not found:
                    self.open.append(self._at)
                    raise _LostError
                self._at = found.end()
                return found[0]
        raise _LostError

    def _value(self, path: KeyPath) -> None:
        start = self._at
        if self._text.startswith(('"', "'"), start):
            self._keep_content(path, start, self._string())
        elif self._text.startswith("[", start):
            self._array(path)
        elif self._text.startswith("{", start):
            self._inline_table(path)
        elif found := _OTHER.match(self._text, start):
            self._at = found.end()
        else:
            raise _LostError

    def _keep_content(self, path: KeyPath, start: int, literal: str) -> None:
        opening, _, escapes = next(form for form in _STRINGS if literal.startswith(form[0]))
        if escapes and "\\" in literal:
            return
        start += len(opening)
        if len(opening) > 1 and self._text.startswith("\n", start):
            start += 1
        self.tree.contents[path] = Content(self._lines.place(start))

    def _array(self, path: KeyPath) -> None:
        self.open.append(self._at)
        self._at += 1
        position = 0
        while self._skip(_BLANK) and self._text[self._at] != "]":
            self._note((*path, position), self._at, self._at)
            self._value((*path, position))
            position += 1
            self._skip(_BLANK)
            if not self._text.startswith(",", self._at):
                break
            self._at += 1
        self._expect("]")
        self.open.pop()

    def _inline_table(self, path: KeyPath) -> None:
        self.open.append(self._at)
        self._at += 1
        while self._skip(_SPACE) and self._text[self._at] != "}":
            self._pair(path)
            self._skip(_SPACE)
            if not self._text.startswith(",", self._at):
                break
            self._at += 1
        self._expect("}")
        self.open.pop()
