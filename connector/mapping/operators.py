"""Operators on two values: typed, bounded, and with missing flowing through."""

import operator
from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from typing import Any, Final

from connector.mapping.values import (
    MISSING,
    TEXT_LIMIT,
    EvaluationError,
    Kind,
    Missing,
    UnfitError,
    Value,
    bounded_number,
    describe,
    kind_of,
    text_of,
)

Operation = Callable[[Value | Missing, Value | Missing], Value | Missing]

_CONTEXT = Context(prec=28)
_ORDERED: Final = {Kind.NUMBER, Kind.DATE, Kind.DATETIME}


def equal(left: Value | Missing, right: Value | Missing) -> bool:
    """Tell whether two values are the same, in kind too; missing equals nothing, itself included."""
    return left is not MISSING and kind_of(left) is kind_of(right) and left == right


def unequal(left: Value | Missing, right: Value | Missing) -> bool:
    """Tell the opposite of equal."""
    return not equal(left, right)


def _ordering(sign: str, compare: Callable[[Any, Any], bool]) -> Operation:
    def ordered(left: Value | Missing, right: Value | Missing) -> bool:
        if _is_void(left) or _is_void(right):
            return False
        if kind_of(left) is not kind_of(right) or kind_of(left) not in _ORDERED:
            raise EvaluationError(
                f"{sign} compares two numbers or two dates, but got {describe(left)} and {describe(right)}"
            )
        return compare(left, right)

    return ordered


def _is_void(value: Value | Missing) -> bool:
    return value is MISSING or value is None or value == ""


def _arithmetic(sign: str, compute: Callable[[Decimal, Decimal], Decimal], *, whole: bool) -> Operation:
    exact = {"+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod}

    def computed(left: Value | Missing, right: Value | Missing) -> Value | Missing:
        if left is MISSING or right is MISSING:
            return MISSING
        if _is_void(left) or _is_void(right):
            return ""
        if kind_of(left) is not Kind.NUMBER or kind_of(right) is not Kind.NUMBER:
            raise EvaluationError(f"{sign} takes two numbers, but got {describe(left)} and {describe(right)}")
        assert isinstance(left, (int, Decimal))
        assert isinstance(right, (int, Decimal))
        if sign in ("/", "//", "%") and not right:
            raise EvaluationError(f"{sign} divides by zero")
        try:
            if whole and isinstance(left, int) and isinstance(right, int):
                return bounded_number(exact[sign](left, right))
            return bounded_number(compute(Decimal(left), Decimal(right)))
        except (UnfitError, ArithmeticError):
            raise EvaluationError(f"{sign} gives a number that is too large or too fine") from None

    return computed


def _floor_divide(left: Decimal, right: Decimal) -> Decimal:
    return _CONTEXT.divide(left, right).to_integral_value("ROUND_FLOOR")


def _modulo(left: Decimal, right: Decimal) -> Decimal:
    return _CONTEXT.subtract(left, _CONTEXT.multiply(right, _floor_divide(left, right)))


def contained(left: Value | Missing, right: Value | Missing) -> bool:
    """Tell whether `left` is a member of a list, a key of an object, or a part of a text."""
    if left is MISSING or right is MISSING or right is None:
        return False
    if isinstance(right, list):
        return any(equal(left, member) for member in right)
    if isinstance(left, str) and isinstance(right, (str, dict)):
        return left in right
    raise EvaluationError(f"in looks in a list, an object or a text, but got {describe(left)} in {describe(right)}")


def not_contained(left: Value | Missing, right: Value | Missing) -> bool:
    """Tell the opposite of contained."""
    return not contained(left, right)


def concatenate(parts: Iterable[Value | Missing]) -> Value | Missing:
    """Join texts; numbers, booleans and dates as text, none as nothing. One that is missing makes it all missing."""
    texts: list[str] = []
    length = 0
    for part in parts:
        if part is MISSING:
            return MISSING
        try:
            text = "" if part is None else text_of(part)
        except UnfitError as error:
            raise EvaluationError(f"~ joins texts: it takes {error}, but got {describe(part)}") from None
        length += len(text)
        if length > TEXT_LIMIT:
            raise EvaluationError(f"~ makes at most {TEXT_LIMIT} characters")
        texts.append(text)
    return "".join(texts)


def negate(value: Value | Missing) -> Value | Missing:
    """Return the number with its sign turned; missing and empty flow."""
    if _is_void(value):
        return value
    if kind_of(value) is not Kind.NUMBER:
        raise EvaluationError(f"- takes a number, but got {describe(value)}")
    assert isinstance(value, (int, Decimal))
    return -value


def member(of: Value | Missing, key: Value | Missing) -> Value | Missing:
    """Return a member of an object or list; missing when it is not there."""
    if _is_void(of) or key is MISSING:
        return MISSING
    if isinstance(of, dict) and isinstance(key, str):
        return of.get(key, MISSING)
    if isinstance(of, list) and isinstance(key, int) and not isinstance(key, bool):
        return of[key] if -len(of) <= key < len(of) else MISSING
    raise EvaluationError(f"[ ] takes a member of a list or object, but got {describe(of)} and {describe(key)}")


OPERATIONS: Final[dict[str, Operation]] = {
    "==": equal,
    "!=": unequal,
    "<": _ordering("<", operator.lt),
    "<=": _ordering("<=", operator.le),
    ">": _ordering(">", operator.gt),
    ">=": _ordering(">=", operator.ge),
    "in": contained,
    "not in": not_contained,
    "+": _arithmetic("+", _CONTEXT.add, whole=True),
    "-": _arithmetic("-", _CONTEXT.subtract, whole=True),
    "*": _arithmetic("*", _CONTEXT.multiply, whole=True),
    "/": _arithmetic("/", _CONTEXT.divide, whole=False),
    "//": _arithmetic("//", _floor_divide, whole=True),
    "%": _arithmetic("%", _modulo, whole=True),
}
"""By sign. `and`, `or` and `~` are compiled apart: they do not always evaluate, or take more than two."""
