"""Binds a filter to its value and arguments: arity and kinds when loaded, types and sizes when it runs."""

import datetime as dt
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from connector.mapping.compiled import Compiled, Run
from connector.mapping.filters.registry import Filter, Parameter
from connector.mapping.scope import Scope
from connector.mapping.tree import Filtered
from connector.mapping.values import (
    KINDS,
    MISSING,
    TEXT_LIMIT,
    EvaluationError,
    ExpressionError,
    Kind,
    Missing,
    UnfitError,
    Value,
    check_size,
    describe,
)

VARIADIC_LIMIT = 50
"""Values in the parentheses of a filter that takes any number of them."""


def bind_filter(
    found: Filter,
    node: Filtered,
    of: Run,
    arguments: Sequence[Compiled],
    named: Sequence[tuple[str, int, Compiled]],
    table: Callable[[str, int], Any],
) -> Run:
    """Return the filter's step. Raises ExpressionError for arguments that do not fit it."""
    slots = _slots(found, node, arguments, named)
    values: list[Any] = []
    dynamic: list[tuple[int, Parameter, Run]] = []
    for parameter, given in slots:
        if given is None:
            values.append(parameter.default)
        elif parameter.is_table or parameter.prepared or given.constant:
            values.append(_constant(found, parameter, given, table))
        else:
            _check_kind(found, parameter, given)
            dynamic.append((len(values), parameter, given.run))
            values.append(None)
    return _with_arguments(found, of, values, dynamic) if dynamic else _plain(found, of, tuple(values))


def _slots(
    found: Filter,
    node: Filtered,
    arguments: Sequence[Compiled],
    named: Sequence[tuple[str, int, Compiled]],
) -> list[tuple[Parameter, Compiled | None]]:
    parameters = found.parameters
    if parameters and parameters[-1].variadic:
        return _variadic(found, node, arguments, named)
    if len(arguments) > len(parameters):
        takes = f"at most {len(parameters)}" if parameters else "no"
        offset = arguments[len(parameters)].node.start
        raise ExpressionError(f"{found.name} takes {takes} values in parentheses", offset, f"| {found.signature}")
    given: dict[str, Compiled] = {parameter.name: each for parameter, each in zip(parameters, arguments, strict=False)}
    known = [parameter.name for parameter in parameters]
    for name, offset, argument in named:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            raise ExpressionError(f"{found.name} has no parameter {name}", offset, near[0] if near else found.signature)
        if name in given:
            raise ExpressionError(f"{name} is given twice", offset, "leaving one out")
        given[name] = argument
    for parameter in parameters:
        if parameter.required and parameter.name not in given:
            raise ExpressionError(f"{found.name} needs {parameter.name}", node.at, f"| {found.signature}")
    return [(parameter, given.get(parameter.name)) for parameter in parameters]


def _variadic(
    found: Filter, node: Filtered, arguments: Sequence[Compiled], named: Sequence[tuple[str, int, Compiled]]
) -> list[tuple[Parameter, Compiled | None]]:
    if named:
        raise ExpressionError(f"{found.name} has no parameter {named[0][0]}", named[0][1], found.signature)
    if not arguments:
        raise ExpressionError(f"{found.name} needs a value in parentheses", node.at, f"| {found.signature}")
    if len(arguments) > VARIADIC_LIMIT:
        raise ExpressionError(f"{found.name} takes at most {VARIADIC_LIMIT} values", node.at, "a lookup table")
    return [(found.parameters[-1], argument) for argument in arguments]


def _constant(found: Filter, parameter: Parameter, given: Compiled, table: Callable[[str, int], Any]) -> Any:
    start = given.node.start
    if not given.constant:
        raise ExpressionError(
            f"{parameter.name} of {found.name} has to be written out", start, f"| {found.signature}, with quotes"
        )
    value = given.value
    if parameter.is_table:
        if not isinstance(value, str):
            raise ExpressionError("the name of a table is a text in quotes", start, "'name'")
        return table(value, start)
    if parameter.prepared:
        if isinstance(value, (list, dict)):
            expected = f"{parameter.name} of {found.name} has to be {parameter.prepared.shown}"
            raise ExpressionError(expected, start, f"| {found.signature}")
        try:
            return parameter.prepared.convert(value)
        except ValueError as error:
            raise ExpressionError(f"{parameter.name} of {found.name} has to be {error}", start) from None
    if parameter.types and type(value) not in parameter.types:
        raise ExpressionError(
            f"{parameter.name} of {found.name} has to be {parameter.expected}", start, f"| {found.signature}"
        )
    return value


def _check_kind(found: Filter, parameter: Parameter, given: Compiled) -> None:
    if given.kind is Kind.ANY or not parameter.types:
        return
    if not any(KINDS[each] is given.kind for each in parameter.types):
        raise ExpressionError(
            f"{parameter.name} of {found.name} has to be {parameter.expected}",
            given.node.start,
            f"| {found.signature}",
        )


def _plain(found: Filter, of: Run, values: tuple[Any, ...]) -> Run:
    function, accepted, takes_empty = found.function, found.types, found.takes_empty
    texts = str in accepted
    limit = None if found.takes_long else TEXT_LIMIT

    if not accepted:

        def anything(scope: Scope) -> Value | Missing:
            value = of(scope)
            try:
                return function(value, *values)
            except (UnfitError, ArithmeticError) as error:
                raise _unfit(found, error, value) from None

        return anything

    def step(scope: Scope) -> Value | Missing:
        value = of(scope)
        if type(value) is str and texts and (limit is None or len(value) <= limit):
            if not value and not takes_empty:
                return value
        elif not _fits(found, value):
            return value
        try:
            return function(value, *values)
        except (UnfitError, ArithmeticError) as error:
            raise _unfit(found, error, value) from None

    return step


def _with_arguments(found: Filter, of: Run, values: list[Any], dynamic: list[tuple[int, Parameter, Run]]) -> Run:
    function = found.function

    def step(scope: Scope) -> Value | Missing:
        value = of(scope)
        if found.types and not _fits(found, value):
            return value
        filled = list(values)
        for index, parameter, run in dynamic:
            argument = run(scope)
            if parameter.types:
                if argument is MISSING:
                    return MISSING
                if type(argument) not in parameter.types:
                    raise EvaluationError(
                        f"{parameter.name} of {found.name} has to be {parameter.expected}, got {describe(argument)}"
                    )
                _check_long(found, argument)
            filled[index] = argument
        try:
            return function(value, *filled)
        except (UnfitError, ArithmeticError) as error:
            raise _unfit(found, error, value) from None

    return step


def _fits(found: Filter, value: Value | Missing) -> bool:
    """Tell whether the filter takes the value; what passes through untouched does not. Raises EvaluationError."""
    if value is MISSING or value is None or (value == "" and not (found.takes_empty and str in found.types)):
        return False
    if type(value) not in found.types:
        raise EvaluationError(f"{found.name} takes {found.expected}, but got {describe(value)}")
    _check_long(found, value)
    return True


def _check_long(found: Filter, value: Value | Missing) -> None:
    if isinstance(value, str) and len(value) > TEXT_LIMIT and not found.takes_long:
        raise EvaluationError(f"{found.name} takes texts of at most {TEXT_LIMIT} characters; truncate it first")
    if isinstance(value, (list, dict)):
        try:
            check_size(value)
        except UnfitError as error:
            raise EvaluationError(f"{found.name} takes {error}") from None


def _unfit(found: Filter, error: Exception, value: Value | Missing) -> EvaluationError:
    expected = str(error) if isinstance(error, UnfitError) else "a number in reach"
    return EvaluationError(f"{found.name} expects {expected}, but got {describe(value)}")


def filter_before(found: Filter, kind: Kind) -> str:
    """Return the filter to put before one that does not take this kind."""
    if kind is Kind.TEXT:
        for accepted, hint in _FROM_TEXT.items():
            if accepted in found.types:
                return f"{hint} before it"
    if kind is Kind.LIST and str in found.types:
        return "| join(', ') before it"
    return "| text before it" if str in found.types and kind in _TEXTABLE else "another filter"


_FROM_TEXT: Final[Mapping[type, str]] = {
    int: "| number",
    bool: "| bool",
    dt.datetime: "| datetime",
    dt.date: "| date",
    list: "| split(',')",
    dict: "| json",
}
_TEXTABLE: Final = frozenset({Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME})
