"""Values on their way into the CRM's JSON: typed, or refused. Nothing that does not fit goes out as garbage."""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connector.domain.change import JsonValue
from connector.mapping.model import ValueType

_NO_DATE = re.compile(r"0000-00-00(?:[ T]00:00(?::00)?)?")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_DEPTH = 20
_MAX_SAFE = 2**63

EXPECTED: Mapping[ValueType, tuple[str, str]] = {
    "string": ("a text", "a filter that makes a text of it, such as join(';')"),
    "integer": ("a whole number (42)", "| int"),
    "number": ("a number (3.14)", "| number"),
    "boolean": ("true or false", "| bool"),
    "date": ("a date (2026-01-31)", "| date"),
    "datetime": ("a date and time with a zone (2026-01-31T12:00:00+01:00)", "| datetime"),
    "list": ("a list", "| split(',')"),
    "object": ("an object", "| json"),
}
"""What each type expects, and what to try when a text does not fit."""


class MisfitError(Exception):
    """A value does not fit. The message names what was found and what is expected, never the value."""


def kind(value: object) -> str:
    """Return a word for the type of a value, for people."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    for types, word in (
        (str, "a text"),
        (int, "a whole number"),
        ((float, Decimal), "a number"),
        (datetime, "a date and time"),
        (date, "a date"),
        (Mapping, "an object"),
        ((list, tuple, set, frozenset), "a list"),
    ):
        if isinstance(value, types):
            return word
    return "a value that has no place in JSON"


def is_empty(value: object, *, zero: bool = False) -> bool:
    """Tell whether a value is Copernica's nothing: "", 0000-00-00, an empty list; with `zero` also 0 (S17)."""
    if isinstance(value, str):
        return not value or value.isspace() or bool(_NO_DATE.fullmatch(value)) or (zero and bool(_is_zero_text(value)))
    if value is None:
        return True
    if zero and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value == 0
    return isinstance(value, list | tuple | set | frozenset | Mapping) and not value


def _is_zero_text(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and float(text) == 0


def plain(value: Any, depth: int = 0) -> JsonValue:
    """Return the value as JSON has it: dates as ISO 8601, decimals as numbers, sets as sorted lists.

    Raises MisfitError for what JSON does not have.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return _bounded(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, date):  # a datetime, too
        return value.isoformat()
    if depth >= _MAX_DEPTH:
        raise MisfitError(f"lists in lists, more than {_MAX_DEPTH} deep")
    if isinstance(value, set | frozenset):
        return [plain(item, depth + 1) for item in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    raise MisfitError(kind(value))


def _bounded(value: float) -> float:
    if not math.isfinite(value) or abs(value) >= _MAX_SAFE:
        raise MisfitError("a number that is too large")
    return value


def _decimal(value: Decimal) -> float:
    if not value.is_finite():
        raise MisfitError("a number that is too large")
    return _bounded(int(value) if value == value.to_integral_value() else float(value))


def fit(value: Any, wanted: ValueType) -> JsonValue:
    """Return the value as the wanted type. A text is taken for another type only in that type's plain form.

    Raises MisfitError; its message says what was found.
    """
    fitted = _FIT[wanted](value)
    if fitted is None:
        raise MisfitError(kind(value))
    return fitted


def _string(value: Any) -> JsonValue:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, int | float | date):
        converted = plain(value)
        return converted if isinstance(converted, str) else str(converted)
    return None


def _integer(value: Any) -> JsonValue:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    if isinstance(value, int | float | Decimal):
        number = plain(value)
        if isinstance(number, float) and number.is_integer():
            return int(number)
        return number if isinstance(number, int) else None
    return None


def _number(value: Any) -> JsonValue:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return plain(Decimal(value)) if _NUMBER.fullmatch(value) else None
    return plain(value) if isinstance(value, int | float | Decimal) else None


def _boolean(value: Any) -> JsonValue:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value)
    return value if isinstance(value, bool) else None


def _date(value: Any) -> JsonValue:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            return None
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else None


def _datetime(value: Any) -> JsonValue:
    if isinstance(value, str) and len(value) > len("2026-01-31T"):
        try:
            return value if datetime.fromisoformat(value).tzinfo else None
        except ValueError:
            return None
    return value.isoformat() if isinstance(value, datetime) and value.tzinfo else None


def _list(value: Any) -> JsonValue:
    return plain(value) if isinstance(value, list | tuple | set | frozenset) else None


def _object(value: Any) -> JsonValue:
    return plain(value) if isinstance(value, Mapping) else None


_FIT = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "list": _list,
    "object": _object,
}
