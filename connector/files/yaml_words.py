"""What went wrong in a YAML file, in words for the person who wrote it."""

from yaml.error import MarkedYAMLError

from connector.files.lines import Lines, is_secret

_SPECIAL = "quotes around the whole value"
_MISFIT = "the indentation does not fit the lines above"
_BESIDE = "the column of the key it stands beside"
_PROBLEMS: tuple[tuple[str, bool, str, str], ...] = (
    # part of the parser's message, whether its context has the better place, our words, our hint
    ("while scanning a quoted scalar: found unexpected end of stream", True, "the quote opened here is not closed", ""),
    ("while scanning a quoted scalar: found unexpected document", True, "the quote opened here is not closed", ""),
    (
        "found unknown escape character",
        False,
        "a backslash in double quotes begins an escape that does not exist",
        "single quotes",
    ),
    (
        "expected escape sequence of",
        False,
        "a backslash in double quotes begins an escape that does not exist",
        "single quotes",
    ),
    ("invalid Unicode character escape", True, "an escape in this text is half a character, or none", "single quotes"),
    ("expected chomping or indentation indicators", True, "a value cannot begin with `|` or `>`", _SPECIAL),
    ("expected a comment or a line break", True, "a value cannot begin with `|`, `>` or `%`", _SPECIAL),
    ("while scanning an alias", True, "a value cannot begin with `*`", _SPECIAL),
    ("while scanning an anchor", True, "a value cannot begin with `&`", _SPECIAL),
    ("while scanning a tag", True, "a value cannot begin with `!`", _SPECIAL),
    ("while parsing a tag", True, "a value cannot begin with `!`", _SPECIAL),
    ("found undefined tag handle", True, "a value cannot begin with `!`", _SPECIAL),
    ("while scanning a directive", True, "a line cannot begin with `%`", _SPECIAL),
    ("sequence entries are not allowed here", False, "a list item (`- …`) cannot stand here", "a line of its own"),
    ("mapping keys are not allowed here", False, "a value cannot begin with `?`", _SPECIAL),
    ("more indented follow up line", False, "this text is indented less than the line before it", ""),
    ("invalid intendation", False, "a line is not indented, or a bracket is not closed", ""),
    ("found unexpected ':'", False, "a `:` stands inside a value", _SPECIAL),
    ("expected the node content", False, "a value is missing here", ""),
    ("did not find expected key", False, "the key before `:` is missing", ""),  # the only words of libyaml's own
)


def explain(error: MarkedYAMLError, lines: Lines) -> tuple[int, str, str]:
    """Return the index, the words and the hint for a parser's error."""
    context = str(error.context or "")
    problem = str(error.problem or "")
    mark = error.problem_mark or error.context_mark
    index: int = min(mark.index if mark else 0, len(lines.text))
    origin: int = error.context_mark.index if error.context_mark else index
    if "cannot start any token" in problem:
        return _no_token(lines, index)
    if tab := _tab(lines, index):
        return tab
    if "could not find expected ':'" in problem:
        word = lines.text[origin:].split("\n", 1)[0].strip()
        return origin, f"a colon is missing after `{_short(word)}`", "`key: value`"
    if "mapping values are not allowed here" in problem:
        return _second_colon(lines, index)
    if "expected ',' or" in problem:
        return _bracket(lines, index, origin)
    if "expected the node content" in problem and lines.text[index : index + 1] == "?":
        return index, "a value cannot begin with `?`", _SPECIAL
    if "expected <block end>" in problem or "expected '<document start>'" in problem:
        return _block_end(lines, index)
    for part, at_context, what, hint in _PROBLEMS:
        if part in problem or part in f"{context}: {problem}":
            return origin if at_context else index, what, hint
    return index, "this cannot be read as YAML from here on", ""


def _short(text: str) -> str:
    if is_secret((text,)):
        return "…"
    return text if len(text) <= 40 else text[:39] + "…"  # noqa: PLR2004 - a line of a terminal


def _no_token(lines: Lines, index: int) -> tuple[int, str, str]:
    character = lines.text[index : index + 1]
    if character == "\t":
        return index, "a tab stands where YAML takes spaces only", "two spaces for each level"
    shown = "a back quote" if character == "`" else f"`{character}`"
    return index, f"a value cannot begin with {shown}", _SPECIAL


def _tab(lines: Lines, index: int) -> tuple[int, str, str] | None:
    """Look for a tab in the indentation of the line, or of the one before it."""
    place = lines.place(index)
    for number in (place.line, place.line - 1):
        line = lines.line(number) if number else ""
        indentation = line[: _indentation(line)]
        if "\t" in indentation:
            at = index - place.column + 1 if number == place.line else index - place.column - len(line)
            return (
                at + indentation.index("\t"),
                "a tab stands where YAML takes spaces only",
                "two spaces for each level",
            )
    return None


def _second_colon(lines: Lines, index: int) -> tuple[int, str, str]:
    place = lines.place(index)
    before = lines.line(place.line)[: place.column - 1]
    if ": " in before:
        return index, "a second `: ` stands in this line", "quotes around the whole value"
    above = lines.line(place.line - 1).rstrip()
    start = index - len(before.lstrip())
    indented = _indentation(before) - _indentation(above)
    if above and ":" not in above and not indented and not above.lstrip().startswith(("-", "#")):
        return (
            index - place.column - len(above.lstrip()),
            f"a colon is missing after `{_short(above.strip())}`",
            "`key: value`",
        )
    if indented > 0 and ":" in above:
        return start, "this is indented, but the key above it has a value already", "the indentation of the line above"
    return start, _MISFIT, _BESIDE


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _bracket(lines: Lines, index: int, origin: int) -> tuple[int, str, str]:
    opening = lines.text[origin : origin + 1]
    closing = {"[": "]", "{": "}"}.get(opening, "")
    if lines.text.find(closing, origin) < 0 or not closing:
        return origin, f"the `{opening}` opened here is not closed", ""
    if lines.place(index).line != lines.place(origin).line and lines.text.find(closing, origin) > index:
        return origin, f"the `{opening}` opened here is not closed, or a comma is missing in it", ""
    return index, f"a comma or `{closing}` is missing here", ""


def _block_end(lines: Lines, index: int) -> tuple[int, str, str]:
    place = lines.place(index)
    before = lines.line(place.line)[: place.column - 1]
    if before.strip():
        what = "there is something left over after the value"
        return index, what, "quotes around the whole value, other ones than in it"
    if lines.text[index : index + 2] in ("- ", "-\n", "-"):
        return index, "a list item (`- …`) stands among keys", "the indentation of the list it belongs to"
    return index, _MISFIT, _BESIDE
