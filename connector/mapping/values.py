"""The values that expressions work with, and the bounds that keep every evaluation small.

Numbers are int and Decimal, never float: an amount has to leave as it came. An evaluation costs at most the number of
nodes in the expression (bounded by its length) times the work of one node (bounded by the limits below).
"""

import datetime as dt
from collections.abc import Mapping
from decimal import Context, Decimal
from enum import Enum
from typing import Any, Final, TypeAlias

from connector.domain.change import JsonValue

Value: TypeAlias = str | int | Decimal | bool | dt.date | dt.datetime | list["Value"] | dict[str, "Value"] | None
"""Typed, plain data."""


class Missing(Enum):
    """The type of MISSING: unknown, which is not the same as empty."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""What a name gives that the event does not have. It flows through filters and operators."""

TEXT_LIMIT = 100_000
"""Characters of a text that a filter or operator takes or makes."""

LIST_LIMIT = 10_000
"""Members of a list or object, all levels together."""

RESULT_LIMIT = 1_000_000
"""Characters of a list or object that an expression gives, all members together."""

NUMBER_DIGITS = 24
NUMBER_LIMIT = 10**NUMBER_DIGITS
"""Numbers are smaller than this: every ID and every amount fits."""

DEPTH_LIMIT = 32
"""Levels of lists and objects inside each other."""


class ExpressionError(ValueError):
    """An expression that cannot be used, in plain words; `offset` is the index in its text where it goes wrong."""

    def __init__(self, message: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint


class EvaluationError(ValueError):
    """A value that does not fit. The reason names the filter, what it expects, and what kind of thing it got.

    It never holds the value: that may be personal data.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnfitError(ValueError):
    """Raised inside a filter: says what the filter expects. The caller knows the filter's name and adds it."""


class Kind(Enum):
    """What sort of value it is, by the name that people use."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    LIST = "list"
    OBJECT = "object"
    NOTHING = "none"
    MISSING = "missing"
    ANY = "anything"


KINDS: Final[Mapping[type, Kind]] = {
    str: Kind.TEXT,
    int: Kind.NUMBER,
    Decimal: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    dt.date: Kind.DATE,
    dt.datetime: Kind.DATETIME,
    list: Kind.LIST,
    dict: Kind.OBJECT,
    type(None): Kind.NOTHING,
    Missing: Kind.MISSING,
}


def kind_of(value: Value | Missing) -> Kind:
    """Return what sort of value it is."""
    return KINDS[type(value)]


def describe(value: Value | Missing) -> str:
    """Return what may be said about a value in a log: its kind and size, nothing of what it holds."""
    kind = kind_of(value)
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value else "an empty text"
    if isinstance(value, (list, dict)):
        return f"{'a list' if kind is Kind.LIST else 'an object'} of {len(value)}"
    return {Kind.NOTHING: "none", Kind.MISSING: "nothing"}.get(kind, f"a {kind.value}")


def is_empty(value: Value | Missing) -> bool:
    """Tell whether a value is there but says nothing: '', none, an empty list or object, or Copernica's empty date."""
    if isinstance(value, str):
        return not value or is_zero_date(value)
    return value is None or (isinstance(value, (list, dict)) and not value)


def is_zero_date(text: str) -> bool:
    """Tell whether this is how Copernica writes an empty date: `0000-00-00`, with or without a time."""
    return text.startswith("0000-00-00") and text in _ZERO_DATES


_ZERO_DATES = frozenset({"0000-00-00", "0000-00-00 00:00", "0000-00-00 00:00:00", "0000-00-00T00:00:00"})


def is_true(value: Value | Missing) -> bool:
    """Tell whether a value counts as true in a condition: missing, empty, none, zero and false do not."""
    return bool(value)


def text_of(value: Value) -> str:
    """Return a number, boolean, date or text as text. Raises UnfitError for lists, objects and none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.date):
        return value.isoformat()
    raise UnfitError("a text, number, boolean or date")


def bounded_number(value: int | Decimal) -> int | Decimal:
    """Return the number, with at most 28 decimals.

    Raises UnfitError when it is too large (NUMBER_LIMIT) or not a number at all.
    """
    if isinstance(value, int):
        if -NUMBER_LIMIT < value < NUMBER_LIMIT:
            return value
        raise UnfitError("numbers below 10 to the power 24")
    if not value.is_finite():
        raise UnfitError("a number")
    if value and value.adjusted() >= NUMBER_DIGITS:
        raise UnfitError("numbers below 10 to the power 24")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and not -FINEST_DIGITS <= exponent <= 0:
        value = value.quantize(_FINEST if exponent < 0 else Decimal(1), context=_WIDE)
    return value


FINEST_DIGITS = 28
_FINEST = Decimal(1).scaleb(-FINEST_DIGITS)
_WIDE = Context(prec=60)


def bounded_text(value: str) -> str:
    """Return the text. Raises UnfitError when it is longer than TEXT_LIMIT."""
    if len(value) > TEXT_LIMIT:
        raise UnfitError(f"at most {TEXT_LIMIT} characters")
    return value


def check_size(value: Value) -> int:
    """Return the characters in a value, all members together, each counting as at least one.

    Raises UnfitError when a list or object is too deep, has too many members or is too long in all.
    """
    if isinstance(value, list) and len(value) <= LIST_LIMIT and set(map(type, value)) <= {str}:  # the common case, fast
        total = sum(map(len, value))  # type: ignore[arg-type]  # all of them texts
        if total <= RESULT_LIMIT:
            return total
    members, characters = 0, 0
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, (list, dict)):
            members += len(item)
            if depth > DEPTH_LIMIT or members > LIST_LIMIT:
                raise UnfitError(f"at most {LIST_LIMIT} members, {DEPTH_LIMIT} levels deep")
            if isinstance(item, dict):
                characters += sum(map(len, item))
                item = item.values()
            waiting.extend((member, depth + 1) for member in item)
        characters += len(item) if isinstance(item, str) else 1
        if characters > RESULT_LIMIT:
            raise UnfitError(f"at most {RESULT_LIMIT} characters in all")
    return characters


def to_json(value: Value) -> JsonValue:
    """Return the value as JSON has it: dates in ISO form, a number without fraction as an integer."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, list):
        return [to_json(item) for item in value]
    return {key: to_json(item) for key, item in value.items()}
