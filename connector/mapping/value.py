"""One value of a mapping, compiled: from an event to what goes out, or to the reason why nothing does."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from connector.domain.change import JsonValue
from connector.mapping.expression import Expression
from connector.mapping.filters.lookup import Table
from connector.mapping.model import ValueType
from connector.mapping.scope import Scope
from connector.mapping.typed import EXPECTED, MisfitError, fit, is_empty, plain
from connector.mapping.values import MISSING, EvaluationError, Missing


class _Cleared:
    """The type of CLEARED."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "CLEARED"


CLEARED = _Cleared()
"""The value is empty at Copernica, and the CRM's field is to be emptied if it has something from us (S17)."""


Found: TypeAlias = "JsonValue | Missing | _Cleared"
"""What a value comes to: what goes out, CLEARED, or MISSING: the field is left alone."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No `default` and no `fallback` is said (either may be null)."""


NOTHING = Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setter:
    """How one CRM field gets its value.

    `expression` is None for a constant, which then is `constant`, ready for JSON. `table` is what the result is looked
    up in, under the name `lookup`. `is_plain`: no key asks for more than what the expression gives.
    """

    path: str
    expression: Expression | None
    constant: JsonValue = None
    lookup: str | None = None
    table: Table | None = None
    default: Any = NOTHING
    type: ValueType | None = None
    empty: Literal["omit", "clear", "keep"] = "clear"
    zero: bool = False
    required: bool = False
    fallback: Any = NOTHING
    volatile: bool = False
    is_plain: bool = False

    def value(self, scope: Scope) -> Found:
        """Return what goes out: a value, CLEARED, or MISSING when the field is left alone.

        Raises MisfitError, which names the field, what was found and what is expected, never the value.
        """
        if self.expression is None:
            return CLEARED if self.constant is None else self.constant
        try:
            found: Any = self.expression.evaluate(scope)
        except EvaluationError as error:
            return self._instead(error.reason)
        if self.is_plain:  # the usual case, fast
            sort = type(found)
            if sort is str:
                if found > "0000-00-01":  # neither empty, nor Copernica's empty date, nor a space at the beginning
                    return found  # type: ignore[no-any-return]
            elif sort is bool or sort is int:
                return found  # type: ignore[no-any-return]
        return self._worked(found)

    def _worked(self, found: Any) -> Found:
        if self.table is not None and found is not MISSING and not is_empty(found):
            found = self.table.find(key_of(found))
            if found is MISSING:
                if self.default is NOTHING:
                    return self._instead(f"its value is not in the table {self.lookup}: add it there, or say `default`")
                found = self.default
        nothing = found is MISSING or is_empty(found, zero=self.zero)
        if nothing and self.default is not NOTHING:
            found = self.default
            nothing = is_empty(found)
        if nothing:
            return self._nothing(found)
        try:
            return plain(found) if self.type is None else fit(found, self.type)
        except MisfitError as error:
            if self.type is None:
                return self._instead(f"found {error}")
            expected, hint = EXPECTED[self.type]
            return self._instead(f"found {error}, expected {expected}; try {hint}")

    def _nothing(self, found: Any) -> Found:
        if self.required:
            return self._instead("is required, and there is nothing")
        if found is MISSING or self.empty == "omit":
            return MISSING
        if self.empty == "clear":
            return CLEARED
        if isinstance(found, list | tuple | set | frozenset | dict):
            return plain(found)
        return found if self.zero and isinstance(found, int) else ""

    def _instead(self, reason: str) -> Found:
        if self.fallback is NOTHING:
            raise MisfitError(f"{self.path}: {reason}")
        return CLEARED if self.fallback is None else plain(self.fallback)


def key_of(found: Any) -> str:
    """Return a value as the key of a table: as text, a whole number without its fraction."""
    if isinstance(found, bool):
        return "true" if found else "false"
    converted = plain(found)
    return converted if isinstance(converted, str) else str(converted)
