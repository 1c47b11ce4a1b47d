"""Filters about what is there: defaults, yes and no, JSON, hashes, conversion to text."""

import datetime as dt
import hashlib
import json
from decimal import Decimal, InvalidOperation

from connector.mapping.filters.registry import Number, register
from connector.mapping.values import (
    MISSING,
    Missing,
    UnfitError,
    Value,
    bounded_number,
    bounded_text,
    check_size,
    is_empty,
    text_of,
    to_json,
)

_YES = frozenset({"ja", "j", "yes", "y", "1", "true", "waar", "aan", "on", "x", "wel"})
_NO = frozenset({"nee", "neen", "n", "no", "0", "false", "onwaar", "uit", "off", "niet"})
_BIG_DIGITS = 60


@register(
    "Missing and empty",
    ("'' | default('NL')", "'NL'"),
    ("geen_veld | default('NL')", "'NL'"),
    ("'BE' | default('NL')", "'BE'"),
    long=True,
)
def default(value: Value | Missing, other: Value | Missing) -> Value | Missing:
    """Gives the other value when this one is missing or empty (an empty text, list or date, or none)."""
    return other if value is MISSING or is_empty(value) else value


@register("Missing and empty", ("geen_veld | if_missing('?')", "'?'"), ("'' | if_missing('?')", "''"), long=True)
def if_missing(value: Value | Missing, other: Value | Missing) -> Value | Missing:
    """Gives the other value when this one is missing; an empty one stays empty."""
    return other if value is MISSING else value


@register("Missing and empty", ("'onbekend' | empty_if('onbekend', 'n.v.t.')", "''"), ("'x' | empty_if('-')", "'x'"))
def empty_if(value: str | int | Decimal | bool, *words: str | int | Decimal | bool) -> str | int | Decimal | bool:
    """Makes the value an empty text when it is one of these; texts without regard to case and outer spaces."""
    plain = value.strip().casefold() if isinstance(value, str) else value
    for word in words:
        other = word.strip().casefold() if isinstance(word, str) else word
        if isinstance(plain, (str, bool)) == isinstance(other, (str, bool)) and plain == other:
            return ""
    return value


@register(
    "Yes and no",
    ("'Ja' | bool", "True"),
    ("'0' | bool", "False"),
    ("'' | bool", "''"),
    ("1 | bool", "True"),
    name="bool",
)
def bool_(value: str | int | Decimal | bool) -> bool:
    """Reads yes or no: ja/nee, j/n, yes/no, y/n, 1/0, true/false, waar/onwaar, aan/uit, on/off, x."""
    if isinstance(value, str):
        word = value.strip().casefold()
        if word in _YES:
            return True
        if word in _NO:
            return False
    elif value in (0, 1):
        return bool(value)
    raise UnfitError("yes or no, such as ja/nee, J/N, 1/0, true/false, aan/uit, x")


@register("Yes and no", ("true | yesno", "'ja'"), ("'0' | bool | yesno('Y', 'N')", "'N'"))
def yesno(value: bool, yes: str = "ja", no: str = "nee") -> str:
    """Writes true and false as two words."""
    return yes if value else no


@register("Text", ("12.50 | text", "'12.50'"), ("true | text", "'true'"))
def text(value: str | int | Decimal | bool | dt.date | dt.datetime) -> str:
    """Writes a number, boolean or date as text: dates in ISO form, numbers with a point."""
    return text_of(value)


@register("JSON and hashes", ("""'{"a": [1, 2.5]}' | json""", "{'a': [1, Decimal('2.5')]}"), name="json")
def json_(value: str) -> Value:
    """Reads a text as JSON. Reach into it with ['name'] and [0]."""
    try:
        parsed: Value = json.loads(value, parse_int=_whole, parse_float=_fraction, parse_constant=_no_number)
    except (ValueError, RecursionError, InvalidOperation):
        raise UnfitError("a text in JSON") from None
    check_size(parsed)
    return parsed


def _whole(digits: str) -> Number:
    if len(digits) > _BIG_DIGITS:
        raise UnfitError("numbers below 10 to the power 24")
    return bounded_number(int(digits))


def _fraction(digits: str) -> Number:
    if len(digits) > _BIG_DIGITS:
        raise UnfitError("numbers of at most 60 characters")
    return bounded_number(Decimal(digits))


def _no_number(_: str) -> Number:
    raise UnfitError("a text in JSON")


@register(
    "JSON and hashes",
    ("""['a', 1] | to_json""", """'["a",1]'"""),
    ("""{'naam': 'Åsa'} | to_json""", """'{"naam":"Åsa"}'"""),
    name="to_json",
)
def to_json_text(value: list[Value] | dict[str, Value]) -> str:
    """Writes a list or object as a text in JSON."""
    check_size(value)
    return bounded_text(json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":")))


@register(
    "JSON and hashes",
    ("'a@b.nl' | sha256", "'" + hashlib.sha256(b"a@b.nl").hexdigest() + "'"),
)
def sha256(value: str | int) -> str:
    """Gives the SHA-256 of the text in UTF-8, as 64 hexadecimal digits in lower case."""
    return hashlib.sha256(str(value).encode("utf-8", "surrogatepass")).hexdigest()
