"""Expressions of mapping files: checked when they are loaded, then one call per value.

    compile_expression("email | trim | lower").evaluate(Scope(event))

A tree of closures is built from the text: only what is named here can happen, and every step is bounded. See
docs/expressions.md for the language.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from connector.domain.change import JsonValue
from connector.mapping.compiled import Compiled, Run, check_condition
from connector.mapping.compiling import Compiler
from connector.mapping.scope import Scope
from connector.mapping.syntax import parse
from connector.mapping.tree import Literal, Member, Name, Node
from connector.mapping.values import (
    MISSING,
    EvaluationError,
    ExpressionError,
    Kind,
    Missing,
    UnfitError,
    Value,
    check_size,
    to_json,
)

__all__ = [
    "MISSING",
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "Kind",
    "Missing",
    "Scope",
    "Step",
    "Value",
    "compile_expression",
    "to_json",
]


@dataclass(frozen=True, slots=True)
class Step:
    """A part of an expression as written, with its value; `error` is why it has none."""

    text: str
    value: Value | Missing
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A checked expression. Immutable; safe to use from several threads.

    `names` are the top-level names that it reads, `fields` the fields among them, `parameters` those of the call,
    `filters` and `tables` what it uses. `needed` reads, by its name, what is no field and has no `default` or the like.
    `kind` is what it gives as far as that is certain (ANY otherwise); a filter that converts also gives an empty text
    for an empty one.
    """

    text: str
    names: frozenset[str]
    fields: frozenset[str]
    parameters: frozenset[str]
    needed: Mapping[str, Run]
    filters: tuple[str, ...]
    tables: frozenset[str]
    kind: Kind
    is_copy: bool
    _compiled: Compiled

    def evaluate(self, scope: Scope) -> Value | Missing:
        """Return the value, or MISSING when it depends on something unknown. Raises EvaluationError."""
        return self._value(self._compiled, scope)

    def explain(self, scope: Scope) -> list[Step]:
        """Return each part's value, in the order in which they come about; ends at the first error."""
        steps: list[Step] = []
        self._explain(self._compiled, scope, steps)
        return steps

    def _value(self, part: Compiled, scope: Scope) -> Value | Missing:
        value = part.run(scope)
        if part is self._compiled and isinstance(value, (list, dict)):
            try:
                check_size(value)
            except UnfitError as error:
                raise EvaluationError(f"the result is too large: it may be {error}") from None
        return value

    def _explain(self, compiled: Compiled, scope: Scope, steps: list[Step]) -> bool:
        for part in compiled.parts:
            if not isinstance(part.node, Literal) and not self._explain(part, scope, steps):
                return False
        text = self.text[compiled.shown : compiled.node.end]
        try:
            steps.append(Step(text, self._value(compiled, scope)))
        except EvaluationError as error:
            steps.append(Step(text, MISSING, error.reason))
            return False
        return True


def compile_expression(
    text: str, *, tables: Mapping[str, Mapping[str, JsonValue]] | None = None, condition: bool = False
) -> Expression:
    """Return the checked expression. Raises ExpressionError at the first mistake.

    `tables` are the lookup tables it may use, by name. With `condition` it has to be fit for a yes or no: a bare text
    is refused, because 'nee' would count as yes.
    """
    node = parse(text)
    compiler = Compiler(tables or {})
    compiled = compiler.compile(node)
    if condition:
        check_condition(compiled)
    return Expression(
        text,
        frozenset(compiler.names),
        frozenset(compiler.fields),
        frozenset(compiler.parameters),
        compiler.needed,
        tuple(compiler.filters),
        frozenset(compiler.tables_used),
        compiled.kind,
        len(compiler.fields) == 1 and _is_plain(node),
        compiled,
    )


def _is_plain(node: Node) -> bool:
    return isinstance(node, Name) or (isinstance(node, Member) and isinstance(node.of, Name))
