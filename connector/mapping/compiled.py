"""A part of an expression that is ready to run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from connector.mapping.scope import Scope
from connector.mapping.tree import Binary, Node
from connector.mapping.values import ExpressionError, Kind, Missing, Value

Run: TypeAlias = Callable[[Scope], Value | Missing]
"""Computes a part's value. Raises EvaluationError."""

_NO_SCOPE: Final[Any] = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A part of an expression, ready to run. `shown` is where its own text begins, for an explanation."""

    node: Node
    run: Run
    kind: Kind
    parts: tuple["Compiled", ...] = ()
    shown: int = 0
    constant: bool = False

    @property
    def value(self) -> Value | Missing:
        """The value of a constant."""
        return self.run(_NO_SCOPE)


def check_condition(compiled: Compiled) -> None:
    """Raise ExpressionError for a text that stands where a yes or no is wanted."""
    node = compiled.node
    if isinstance(node, Binary) and node.operator in ("and", "or"):
        for part in compiled.parts:
            check_condition(part)
    elif compiled.kind is Kind.TEXT:
        raise ExpressionError(
            "a text is neither yes nor no", node.start, "| bool if it says ja or nee, or `is not empty`, or == 'ja'"
        )
