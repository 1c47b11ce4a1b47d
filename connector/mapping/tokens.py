"""Cuts the text of an expression into words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from connector.mapping.values import ExpressionError, Value

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d+)?(?!\w))
      | (?P<name>[^\W\d]\w*)
      | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<operator>\*\*|//|==|!=|<=|>=|&&|\|\||<>|\{\{|\{%|[-+*/%~<>|=!()\[\]{}.,:?&;^$@\#`])
    """,
    re.VERBOSE | re.DOTALL,
)
WORDS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else"})
LITERALS: Final[dict[str, Value]] = {
    "true": True,
    "false": False,
    "none": None,
    "True": True,
    "False": False,
    "None": None,
}
_FOREIGN: Final = {
    "&&": ("&& is not known here", "and"),
    "||": ("|| is not known here", "or"),
    "<>": ("<> is not known here", "!="),
    "!": ("! is not known here", "not"),
    "?": ("the ? : form is not known here", "A if CONDITION else B"),
    "**": ("powers are not possible", "*"),
    "{{": ("an expression needs no braces around it", "leaving out {{ and }}"),
    "{%": ("an expression cannot hold a template's statements or loops", "filters, such as interests | join(',')"),
    "`": ("` is not a quote", "' or \""),
}
_QUOTES: Final = "‘’‚“”„«»´"


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the expression: what sort, as written, and from where to where."""

    sort: str
    text: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Give the words, and at last one that is the end. Raises ExpressionError for what is no word."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            _unreadable(text, position)
        sort, word = str(match.lastgroup), match.group()
        if sort == "operator" and word in _FOREIGN:
            what, hint = _FOREIGN[word]
            raise ExpressionError(what, position, hint)
        if sort != "space":
            yield Token(sort, word, position, match.end())
        position = match.end()
    yield Token("end", "", len(text), len(text))


def _unreadable(text: str, position: int) -> NoReturn:
    character = text[position]
    if character in "'\"":
        raise ExpressionError("this quote is never closed", position, f"a second {character} where the text ends")
    if character in _QUOTES:
        raise ExpressionError(f"{character} is a typographic quote, which does not begin a text", position, "' or \"")
    if character.isdigit():
        raise ExpressionError(
            "this is neither a number nor a name",
            position,
            "the number in full, or fields['…'] for a field whose name begins with a digit",
        )
    raise ExpressionError(f"{character!r} cannot be used here", position, "putting texts in quotes")
