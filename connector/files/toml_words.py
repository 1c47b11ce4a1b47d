"""What went wrong in a TOML file, in words for the person who wrote it."""

import re
from typing import TYPE_CHECKING

from connector.files.lines import KeyPath, Lines, Place, is_secret, shown

if TYPE_CHECKING:
    from connector.files.toml import Scan

_MARK = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_CLOSED = ("Cannot mutate immutable namespace", "Cannot redefine namespace")
_QUOTE = ("Illegal character '\\n'", "Unterminated string", "Found invalid character", "Expected \"'")
_ESCAPE = ("Unescaped '\\'", "Invalid hex value", "Escaped character is not")
_PAIR = re.compile(r"""[A-Za-z0-9_."'-]+[ \t]*=""")
_NUMERIC = re.compile(r"[0-9.,_+-]+")
_WORD = re.compile(r"[^,\]}#\n]*")
_CONSTANTS = {"yes": "true", "on": "true", "no": "false", "off": "false", "true": "true", "false": "false"}
_LONGEST_HINT = 60

Explanation = tuple[int | Place, str, str, KeyPath]


def explain(message: str, lines: Lines, scan: "Scan") -> Explanation:
    """Return place, words, hint and path for the parser's message."""
    found = _MARK.fullmatch(message)
    what = found[1] if found else message
    at = len(lines.text)
    if found and found[2]:
        at = lines.index(Place(int(found[2]), int(found[3])))
    index, path = next(((index, path) for index, path in reversed(scan.order) if index < at), (at, ()))
    if what.startswith(("Cannot", "Duplicate inline table key")):
        return _twice(what, index, path, lines, scan)
    if what.startswith(_QUOTE) and scan.open:
        return scan.open[-1], "the quote opened here is not closed", "", path
    if what.startswith(_ESCAPE):
        what = "a backslash in double quotes begins an escape that does not exist"
        return max(lines.text.rfind("\\", 0, at), index), what, "single quotes", path
    if what.startswith("Invalid date"):
        return at, "there is no such date or time", "quotes, if it is meant as text", path
    if what.startswith("Invalid value"):
        return _bad_value(lines, at, path, scan)
    return _structure(what, lines, at, scan, path)


def _twice(what: str, index: int, path: KeyPath, lines: Lines, scan: "Scan") -> Explanation:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    if what.startswith(_CLOSED):
        return (
            index,
            f"`{shown(path)}` adds to something that is complete already",
            "writing all of it in one place",
            (),
        )
    earlier = next((at for at, other in scan.order if at < index and other[: len(path)] == path), None)
    first = "" if earlier is None else f" (first in line {lines.place(earlier).line})"
    if what.startswith("Cannot declare"):
        return index, f"the table `{shown(path)}` stands here a second time{first}", "one table", ()
    return index, f"`{shown(path[-1:])}` stands here a second time{first}", "removing one", path[:-1]


def _bad_value(lines: Lines, at: int, path: KeyPath, scan: "Scan") -> Explanation:
    match = _WORD.match(lines.text, at)
    word = match[0].strip() if match else ""
    if not word:
        return at, "a value is missing here", '`""` for an empty text', path
    if scan.open and _PAIR.match(lines.text, at):
        return _bracket(lines, len(lines.text), scan)
    if word.startswith("="):
        return at, "a second `=` stands here", "one `=`", path
    if word.lower() in _CONSTANTS:
        return at, f"`{word}` is not a value here", f"`{_CONSTANTS[word.lower()]}`", path
    if word.lower() in ("null", "none", "nil"):
        return at, f"TOML has no `{word}`", "leaving the key out", path
    if word[0] in "“”„‘’«»`":
        return at, "only straight quotes (`\"` or `'`) are quotes here", _quoted(word.strip("“”„‘’«»`"), path), path
    return at, _unquoted(word), _quoted(word, path), path


def _unquoted(word: str) -> str:
    return "this is not a number as TOML writes it" if _NUMERIC.fullmatch(word) else "text has to stand in quotes"


def _quoted(word: str, path: KeyPath) -> str:
    if is_secret(path) or '"' in word or "\\" in word or len(word) > _LONGEST_HINT:
        return '`"…"`'
    return f'`"{word}"`'


def _structure(what: str, lines: Lines, at: int, scan: "Scan", path: KeyPath) -> Explanation:
    if what.startswith("Expected ']"):
        return (scan.open[0] if scan.open else at), "the `[` of a table's name is not closed", "", ()
    if what.startswith("Expected '='"):
        return _equals(lines, at)
    if what.startswith("Expected newline"):
        return _leftover(lines, at, path)
    if what.startswith("Unclosed"):
        if scan.open:
            return _bracket(lines, at, scan)
        return at, f"a comma or `{']' if 'array' in what else '}'}` is missing here", "", path
    if what.startswith(("Invalid initial character", "Invalid statement")):
        return _no_key(lines, at, scan, path)
    return at, "this cannot be read as TOML from here on", "", ()


def _no_key(lines: Lines, at: int, scan: "Scan", path: KeyPath) -> Explanation:
    character = lines.text[at : at + 1]
    if lines.line(lines.place(at).line).lstrip().startswith("["):
        return at, "a name is missing in the `[…]` of a table", "", ()
    if character == "}":
        return at, "a comma before `}` is one too many", "removing it", path
    if scan.open:
        return _bracket(lines, at, scan)
    if character in ("", "\n"):
        return at, "a key is missing here", "", ()
    return at, f"a key cannot begin with `{character}`", "quotes around the key", ()


def _bracket(lines: Lines, at: int, scan: "Scan") -> Explanation:
    start = scan.open[-1]
    opening, character = lines.text[start : start + 1], lines.text[at : at + 1]
    place = lines.place(start)
    path = next((path for path, value in scan.tree.values.items() if value == place), ())
    if not character:
        return start, f"the `{opening}` opened here is not closed", "", path
    if opening == "{" and character == "\n":
        return (
            start,
            "an inline table (`{…}`) has to end in the line where it begins",
            "a table of its own, `[name]`",
            path,
        )
    if opening == "[" and _PAIR.match(lines.text, at):
        return start, "the `[` opened here is not closed", "", path
    return at, f"a comma or `{']' if opening == '[' else '}'}` is missing here", "", path


def _equals(lines: Lines, at: int) -> Explanation:
    place = lines.place(at)
    rest = lines.line(place.line)[place.column - 1 :]
    if rest.startswith(":"):
        return at, "TOML has `=` between a key and its value, not `:`", "`key = value`", ()
    if "=" in rest:
        return at, "a key of more than one word has to stand in quotes", '`"…" = value`', ()
    return at, "a `=` and a value are missing after this key", "`key = value`", ()


def _leftover(lines: Lines, at: int, path: KeyPath) -> Explanation:
    """Something stands behind a value: mostly a text without quotes that begins like a number."""
    place = lines.place(at)
    line = lines.line(place.line)
    _, equals, after = line[: place.column - 1].partition("=")
    rest = line[place.column - 1 :].partition("#")[0]
    if equals and after.strip() and after.strip()[0] not in "\"'[{" and not _PAIR.match(rest):
        word = (after + rest).strip()
        return at - len(after.lstrip()), _unquoted(word), _quoted(word, path), path
    return at, "something is left over at the end of this line", "a line for each key", path
