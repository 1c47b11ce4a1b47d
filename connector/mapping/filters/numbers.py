"""Filters on numbers and amounts, in English and Dutch notation."""

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Final

from connector.mapping.filters.registry import Number, Prepared, register
from connector.mapping.values import NUMBER_LIMIT, UnfitError, bounded_number

_LONGEST = 60
_WIDE = Context(prec=60)
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NOTATIONS: Final = {
    # thousands in groups of three, or none at all; then decimals
    "en": re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]+)?\Z"),
    "nl": re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]+)?\Z"),
}
_MARKS = {"en": (",", "."), "nl": (".", ",")}
_CURRENCY = re.compile(r"^(?:EUR|USD|GBP|€|\$|£)\s*|\s*(?:EUR|USD|GBP|€|\$|£|euro)$", re.IGNORECASE)
_MAX_PLACES = 20


def _notation(value: object) -> str:
    if value in _NOTATIONS:
        return str(value)
    raise ValueError("'nl' (1.234,56) or 'en' (1,234.56)")


Notation = Annotated[str, Prepared(_notation, "'nl' or 'en'")]


def _places(value: object) -> int:
    if type(value) is int and -_MAX_PLACES <= value <= _MAX_PLACES:
        return value
    raise ValueError(f"a whole number from -{_MAX_PLACES} to {_MAX_PLACES}")


Places = Annotated[int, Prepared(_places, "a number of decimals")]


def _read(value: str, notation: str, expected: str) -> Decimal:
    if len(value) > _LONGEST:
        raise UnfitError(expected)
    plain = (
        value.strip()
        .replace("\u2212", "-")
        .replace(" ", "")
        .replace("\u00a0", "")
        .replace("\u202f", "")
        .replace("'", "")
    )
    if not _NOTATIONS[notation].match(plain):
        raise UnfitError(expected)
    thousands, point = _MARKS[notation]
    return Decimal(plain.replace(thousands, "").replace(point, "."))


@register("Numbers", ("'42' | int", "42"), ("' 007 ' | int", "7"), ("12.0 | int", "12"), name="int")
def int_(value: str | int | Decimal | bool) -> int:
    """Reads a whole number. A fraction is an error: round first."""
    if isinstance(value, str):
        plain = value.strip()
        if len(plain) > _LONGEST:
            raise UnfitError("a whole number")
        value = int(plain) if _INTEGER.match(plain) else _read(plain, "en", "a whole number")
    if value != int(value):
        raise UnfitError("a whole number")
    return int(bounded_number(int(value)))


@register(
    "Numbers",
    ("'12.5' | number", "Decimal('12.5')"),
    ("'1,234' | number", "1234"),
    ("'1.234,5' | number('nl')", "Decimal('1234.5')"),
)
def number(value: str | int | Decimal, notation: Notation = "en") -> Number:
    """Reads a number: 1,234.56 in 'en' notation, 1.234,56 in 'nl'."""
    if not isinstance(value, str):
        return value
    return _whole(bounded_number(_read(value, notation, f"a number in {notation} notation")))


@register(
    "Numbers",
    ("'€ 1.234,56' | money('nl')", "Decimal('1234.56')"),
    ("'12,50-' | money", "Decimal('-12.50')"),
    ("'12,-' | money", "12"),
    ("'$1,234.50' | money('en')", "Decimal('1234.50')"),
)
def money(value: str | int | Decimal, notation: Notation = "nl") -> Number:
    """Reads an amount, with or without a currency sign; Dutch notation unless told otherwise. `12,-` is 12."""
    if not isinstance(value, str):
        return value
    if len(value) > _LONGEST:
        raise UnfitError(f"an amount in {notation} notation")
    plain = value.strip()
    sign = "-" if plain.startswith("-") else ""
    plain = plain.removeprefix("-").strip()
    if plain and not (plain[0].isdigit() and plain[-1].isdigit()):
        plain = _CURRENCY.sub("", plain).strip()
    point = _MARKS[notation][1]
    plain = plain.removesuffix(f"{point}-").removesuffix(f"{point}\u2013")
    if plain.endswith("-") and not sign and not plain.startswith("-"):
        sign, plain = "-", plain[:-1]
    amount = _read(sign + plain, notation, f"an amount in {notation} notation")
    return _whole(bounded_number(amount))


def _whole(value: Number) -> Number:
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value


@register(
    "Numbers", ("2.345 | round(2)", "Decimal('2.35')"), ("2.5 | round", "3"), ("1234 | round(-2)", "1200"), name="round"
)
def round_(value: int | Decimal, places: Places = 0) -> Number:
    """Rounds to so many decimals, halves away from zero. Without decimals it gives a whole number."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _WIDE)
    if places > 0:
        return bounded_number(rounded)
    return bounded_number(int(rounded))


@register("Numbers", ("-5 | abs", "5"), name="abs")
def abs_(value: int | Decimal) -> Number:
    """Takes the minus sign off."""
    return value if value >= 0 else -value


@register("Numbers", ("7 | at_least(10)", "10"))
def at_least(value: int | Decimal, limit: int | Decimal) -> Number:
    """Gives the limit when the number is smaller."""
    return max(value, limit)


@register("Numbers", ("7 | at_most(5)", "5"))
def at_most(value: int | Decimal, limit: int | Decimal) -> Number:
    """Gives the limit when the number is larger."""
    return min(value, limit)


@register("Numbers", ("12.5 | cents", "1250"))
def cents(value: int | Decimal) -> int:
    """Gives an amount in cents, rounded, for a CRM that wants whole numbers."""
    if abs_(value) >= NUMBER_LIMIT // 100:
        raise UnfitError("an amount below 10 to the power 22")
    rounded: int | Decimal = round_(Decimal(value) * 100)
    return int(rounded)
