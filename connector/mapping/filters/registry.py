"""The table of filters: what each takes and gives, for the compiler, for the documentation and for the tests."""

import datetime as dt
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from connector.mapping.values import KINDS, TEXT_LIMIT, Kind, Missing, Value

Number: TypeAlias = int | Decimal
"""Any number that a filter takes or gives."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Marks a parameter that has to be written out in the expression: it is checked and converted when it is loaded.

    `convert` raises ValueError with what it expects instead.
    """

    convert: Callable[[Any], Any]
    shown: str = "text"


class TableName:
    """Marks a parameter that names a lookup table; the filter gets the table."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A filter's parameter: the Python types it takes (empty: anything), and how it is shown."""

    name: str
    types: frozenset[type]
    required: bool
    default: Any
    prepared: Prepared | None
    is_table: bool
    variadic: bool

    @property
    def expected(self) -> str:
        """What has to stand there, in words."""
        return self.prepared.shown if self.prepared else words(self.types)


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter. `types` are the Python types of the value it takes (empty: anything, missing too).

    `takes_empty` filters see an empty text; for others it passes through untouched, so that empty stays empty.
    `takes_long` filters see texts beyond TEXT_LIMIT.
    """

    name: str
    section: str
    function: Callable[..., Value | Missing]
    types: frozenset[type]
    gives: Kind
    parameters: tuple[Parameter, ...]
    takes_empty: bool
    takes_long: bool
    examples: tuple[tuple[str, str], ...]
    doc: str

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return words(self.types)

    @property
    def signature(self) -> str:
        """How it is written, for people."""
        if not self.parameters:
            return self.name
        parts = []
        for parameter in self.parameters:
            if parameter.variadic:
                parts.append("…")
            elif parameter.required:
                parts.append(parameter.name)
            elif isinstance(parameter.default, Missing):
                parts.append(f"{parameter.name}=…")
            else:
                parts.append(f"{parameter.name}={_shown(parameter.default)}")
        return f"{self.name}({', '.join(parts)})"


FILTERS: Final[dict[str, Filter]] = {}
"""All filters by name. Filled by importing the modules of this package."""


def _length(value: Any) -> int:
    if type(value) is int and 0 <= value <= TEXT_LIMIT:
        return value
    raise ValueError(f"a whole number from 0 to {TEXT_LIMIT}")


def _nonempty(value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("a text in quotes that is not empty")


Length = Annotated[int, Prepared(_length, "a number of characters")]
"""A parameter that is a number of characters."""

NonEmpty = Annotated[str, Prepared(_nonempty, "a text that is not empty")]
"""A parameter that is a text with something in it."""

F = TypeVar("F", bound=Callable[..., Any])

_WORDS: Final[Mapping[type, str]] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    dt.date: "a date",
    dt.datetime: "a date with time",
    list: "a list",
    dict: "an object",
}


def words(accepted: frozenset[type]) -> str:
    """Return what these types are called, as in `a text or a number`."""
    if not accepted:
        return "anything"
    names = [name for kind, name in _WORDS.items() if kind in accepted]
    if Decimal in accepted:
        names = ["a number" if name == "a whole number" else name for name in names]
    return " or ".join(names)


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return repr(value) if isinstance(value, (str, int)) else repr(str(value))


def register(
    section: str, *examples: tuple[str, str], empty: bool = False, long: bool = False, name: str = ""
) -> Callable[[F], F]:
    """Add a function to the table: its annotations say what it takes and gives, its docstring what it does.

    `examples` are pairs of an expression and the Python literal of its value.
    """

    def add(function: F) -> F:
        hints = typing.get_type_hints(function, include_extras=True)
        value, *rest = inspect.signature(function).parameters.values()
        public = name or function.__name__.rstrip("_")
        returned = _types(hints["return"])
        kinds = {KINDS[kind] for kind in returned - {str}} or {KINDS[kind] for kind in returned}
        FILTERS[public] = Filter(
            public,
            section,
            function,
            _types(hints[value.name]),
            kinds.pop() if len(kinds) == 1 else Kind.ANY,
            tuple(_parameter(parameter, hints[parameter.name]) for parameter in rest),
            empty,
            long,
            examples,
            inspect.getdoc(function) or "",
        )
        return function

    return add


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    marks: tuple[Any, ...] = ()
    if typing.get_origin(hint) is Annotated:
        hint, *rest = typing.get_args(hint)
        marks = tuple(rest)
    prepared = next((mark for mark in marks if isinstance(mark, Prepared)), None)
    table = TableName in marks
    required = parameter.default is inspect.Parameter.empty
    variadic = parameter.kind is inspect.Parameter.VAR_POSITIONAL
    return Parameter(
        parameter.name,
        frozenset() if prepared or table else _types(hint),
        required and not variadic,
        None if required else parameter.default,
        prepared,
        table,
        variadic,
    )


def _types(hint: Any) -> frozenset[type]:
    """Return the Python types that an annotation stands for; none at all for anything."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        found = frozenset().union(*map(_types, typing.get_args(hint)))
        return frozenset() if {str, list, dict, dt.date} <= found else found
    hint = typing.get_origin(hint) or hint
    return frozenset({hint}) if hint in KINDS else frozenset()
