"""A YAML or TOML file as plain data, with the place of every key and value."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connector.files import toml, yaml
from connector.files.lines import START, Content, KeyPath, Lines, Place, shown
from connector.files.problem import Problem, ProblemsError, Severity

__all__ = ["MAX_BYTES", "Document", "KeyPath", "Place", "parse", "read"]

MAX_BYTES = 1024 * 1024
"""A file that people write is smaller."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, as JSON has it: text, numbers, true, false, None, lists and dicts with text as keys.

    `keys` has the place of each key (or list item), `values` that of its value; the top itself is in neither.
    `contents` has the place of the first character of a text that stands in the file as it is (nothing escaped).
    """

    file: str
    data: Mapping[str, Any]
    keys: Mapping[KeyPath, Place]
    values: Mapping[KeyPath, Place]
    contents: Mapping[KeyPath, Content] = field(default_factory=dict)

    def value(self, path: Sequence[str | int]) -> Any:
        """Return what stands at that path. Raises KeyError or IndexError when nothing does."""
        found: Any = self.data
        for part in path:
            found = found[part]
        return found

    def place(self, path: Sequence[str | int], *, at_key: bool = False, offset: int = 0) -> Place:
        """Return the place of the value (or key) at that path, or of the nearest ancestor's key that stands there."""
        path = tuple(path)
        if not at_key and path in self.values:
            content = self.contents.get(path)
            return content.at(self.value(path), offset) if offset and content else self.values[path]
        while path:
            if path in self.keys:
                return self.keys[path]
            path = path[:-1]
        return START

    def problem(
        self,
        path: Sequence[str | int],
        what: str,
        hint: str = "",
        *,
        at_key: bool = False,
        severity: Severity = Severity.ERROR,
        offset: int = 0,
    ) -> Problem:
        """Return a problem at that path, or at its nearest ancestor that stands in the file.

        `offset` moves the column into a value, for a mistake inside an expression: it counts the characters of the
        value as it was read. Where those are not the characters of the file (escapes, folded lines), it is ignored.
        """
        place = self.place(path, at_key=at_key, offset=offset)
        return Problem(self.file, place.line, place.column, shown(tuple(path)), what, hint, severity)


def read(path: Path, *, shown_as: str | None = None) -> Document:
    """Read a `.yaml`, `.yml` or `.toml` file (YAML 1.2: `NO` is a word).

    Raises ProblemsError, never a parser's error.
    """
    file = shown_as or str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unusable(file, "there is no such file") from None
    except IsADirectoryError:
        raise _unusable(file, "this is a folder, not a file") from None
    except PermissionError:
        raise _unusable(file, "this user may not read the file", "`ls -l` to see who may") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _unusable(file, f"the file cannot be read ({reason or 'its name is not possible'})") from None
    if len(content) > MAX_BYTES:
        raise _unusable(file, _TOO_LARGE)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unusable(file, "the file is UTF-16", "saving it as UTF-8")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        place = Lines(content[: error.start].decode(errors="replace")).place(error.start)
        line = content[: error.start].rpartition(b"\n")[2].decode()
        problem = Problem(file, place.line, len(line) + 1, "", "the file is not UTF-8", "saving it as UTF-8")
        raise ProblemsError([problem]) from None
    return parse(text, file=file)


def parse(text: str, *, file: str) -> Document:
    """Read text; the ending of `file` tells the format. Raises ProblemsError."""
    ending = Path(file).suffix.lower()
    if ending not in (".yaml", ".yml", ".toml"):
        raise _unusable(file, "the name has to end in .yaml, .yml or .toml")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _unusable(file, _TOO_LARGE)
    if text.startswith("\ufeff"):
        raise _unusable(file, "the file begins with a byte order mark", "saving it as UTF-8 without BOM")
    lines = Lines(text.replace("\r\n", "\n").replace("\r", "\n" if ending != ".toml" else "\r"))
    if found := _UNPRINTABLE.search(lines.text):
        place = lines.place(found.start())
        what = f"a character that cannot be seen stands here (U+{ord(found[0]):04X})"
        raise ProblemsError([Problem(file, place.line, place.column, "", what, "deleting it")])
    reader = toml.read if ending == ".toml" else yaml.read
    tree = reader(lines, file)
    return Document(file, tree.data, tree.keys, tree.values, tree.contents)


_TOO_LARGE = f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB"


def _unusable(file: str, what: str, hint: str = "") -> ProblemsError:
    return ProblemsError([Problem(file, 1, 1, "", what, hint)])
