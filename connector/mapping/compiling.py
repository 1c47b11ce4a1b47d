"""From the tree of an expression to closures, with every check that can be made before there is an event."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from connector.domain.change import JsonValue
from connector.mapping.compiled import Compiled, Run, check_condition
from connector.mapping.filtering import bind_filter, filter_before
from connector.mapping.filters import FILTERS
from connector.mapping.filters.elsewhere import ELSEWHERE
from connector.mapping.filters.lookup import Table
from connector.mapping.operators import OPERATIONS, concatenate, member, negate
from connector.mapping.scope import IDENTIFIERS, RESERVED, Scope
from connector.mapping.tree import (
    Binary,
    Conditional,
    Filtered,
    ListOf,
    Literal,
    Member,
    Name,
    Node,
    ObjectOf,
    Test,
    Unary,
)
from connector.mapping.values import (
    KINDS,
    MISSING,
    RESULT_LIMIT,
    EvaluationError,
    ExpressionError,
    Kind,
    Missing,
    UnfitError,
    Value,
    check_size,
    is_empty,
    kind_of,
)

DEPTH: Final = 80
"""Steps behind or inside each other: filters in a row, operators in a row, parentheses."""

_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "//", "%"})
_ORDER: Final = frozenset({"<", "<=", ">", ">="})
_UNSURE: Final = frozenset({Kind.ANY, Kind.NOTHING, Kind.MISSING})
_RECORD: Final = frozenset({"kind", "scope", "id"})
_CONVERT: Final = {
    Kind.NUMBER: "| number to read the text as a number",
    Kind.BOOLEAN: "| bool to read the text as yes or no",
    Kind.DATE: "| date to read the text as a date",
    Kind.DATETIME: "| datetime to read the text as a date with time",
    Kind.LIST: "in to look in the list",
}


class Compiler:
    """Compiles one expression and notes what it reads."""

    def __init__(self, tables: Mapping[str, Mapping[str, JsonValue]]) -> None:
        self.tables = tables
        self.names: set[str] = set()
        self.fields: set[str] = set()
        self.parameters: set[str] = set()
        self.filters: list[str] = []
        self.tables_used: set[str] = set()
        self._read: dict[str, Run] = {}
        self._spoken_of: set[str] = set()
        self.depth = 0
        self._provided = 0  # how many parts around this one say what becomes of something missing
        self._compilers: Mapping[type[Node], Callable[[Any], Compiled]] = {
            Name: self._name,
            Member: self._member,
            Filtered: self._filtered,
            Unary: self._unary,
            Binary: self._binary,
            Test: self._test,
            Conditional: self._conditional,
            ListOf: self._list_of,
            ObjectOf: self._object_of,
        }

    def compile(self, node: Node) -> Compiled:
        """Return the part, ready to run; a part without names is computed here and now."""
        self.depth += 1
        if self.depth > DEPTH:
            raise ExpressionError("too many steps behind or inside each other", node.end, "`in [ ]`, or a lookup table")
        compiled = self._compile(node)
        self.depth -= 1
        if not compiled.constant or isinstance(node, Literal):
            return compiled
        try:
            value = compiled.value
        except EvaluationError as error:
            raise ExpressionError(f"this cannot be computed: {error.reason}", node.start) from None
        if isinstance(value, (list, dict)):  # made anew each time: nobody may change it for the next event
            return compiled
        return Compiled(node, lambda _: value, compiled.kind, compiled.parts, compiled.shown, constant=True)

    def _compile(self, node: Node) -> Compiled:
        if isinstance(node, Literal):
            value = node.value
            return Compiled(node, lambda _: value, kind_of(value), (), node.start, constant=True)
        return self._compilers[type(node)](node)

    def _name(self, node: Name) -> Compiled:
        if node.name in RESERVED:
            self.names.add(node.name)
            kind, _, read = RESERVED[node.name]
            self._note(node.name, read)
            return Compiled(node, read, kind, (), node.start)
        self.names.add(node.name)
        return self._field(node, node.name)

    def _field(self, node: Node, name: str) -> Compiled:
        self.fields.add(name)
        return Compiled(node, lambda scope: scope.fields.get(name, MISSING), Kind.TEXT, (), node.start)

    def _member(self, node: Member) -> Compiled:
        of, key = node.of, node.key
        literal = key.value if isinstance(key, Literal) else None
        if isinstance(of, Name) and of.name in ("fields", "parameters"):
            self.names.add(of.name)
            if not isinstance(literal, str):
                raise ExpressionError("the name in brackets is a text in quotes", node.at, f"{of.name}['…']")
            return self._field(node, literal) if of.name == "fields" else self._parameter(node, literal)
        if isinstance(of, Name) and of.name in IDENTIFIERS:
            if literal != "id":
                raise ExpressionError(f"of a {of.name} only the ID is known", node.at, f"{of.name}.id")
            return self.compile(Name(node.start, node.end, of.name))
        if isinstance(of, Name) and of.name == "record" and literal not in _RECORD:
            raise ExpressionError("a record has a kind, a scope and an id", node.at, "record.id")
        inner = self.compile(of)
        if inner.kind not in (Kind.LIST, Kind.OBJECT, Kind.ANY):
            if isinstance(of, Name) and of.name not in RESERVED and isinstance(literal, str):
                hint = f"fields['{of.name}.{literal}'] if that is one field"
            else:
                hint = "a filter, or fields['…']"
            raise ExpressionError(f"a {inner.kind.value} has no members", node.at, hint)
        index = self.compile(key)
        run = _picked(inner.run, index.run)
        return Compiled(node, run, Kind.ANY, (inner, index), node.start, constant=inner.constant and index.constant)

    def _note(self, name: str, read: Run) -> None:
        if self._provided:
            self._spoken_of.add(name)
        self._read[name] = read

    @property
    def needed(self) -> Mapping[str, Run]:
        """What is read, by its name, unless it is said what becomes of it when it is missing. Without the fields."""
        return {name: read for name, read in self._read.items() if name not in self._spoken_of}

    def _parameter(self, node: Node, name: str) -> Compiled:
        def read(scope: Scope) -> Value | Missing:
            parameters = scope.event.parameters
            return MISSING if parameters is None else parameters.get(name, MISSING)

        self._note(f"parameters['{name}']", read)
        self.parameters.add(name)
        return Compiled(node, read, Kind.TEXT, (), node.start)

    def _unary(self, node: Unary) -> Compiled:
        of = self.compile(node.of)
        inner = of.run
        if node.operator == "not":
            check_condition(of)
            return Compiled(node, lambda scope: not inner(scope), Kind.BOOLEAN, (of,), node.start, constant=of.constant)
        self._must_be_number(of, node.operator)
        if node.operator == "+":
            raise ExpressionError("a + before a value does nothing", node.start, "leaving it out")
        return Compiled(node, lambda scope: negate(inner(scope)), Kind.NUMBER, (of,), node.start, constant=of.constant)

    def _binary(self, node: Binary) -> Compiled:
        sign = node.operator
        if sign == "~":
            return self._concatenation(node)
        left, right = self.compile(node.left), self.compile(node.right)
        kind = Kind.BOOLEAN
        if sign in ("and", "or"):
            if sign == "and":
                check_condition(left)
            kind = left.kind if left.kind is right.kind else Kind.ANY
            run = _both(left.run, right.run) if sign == "and" else _either(left.run, right.run)
        else:
            if sign in _ARITHMETIC:
                self._must_be_number(left, sign)
                self._must_be_number(right, sign)
                kind = Kind.NUMBER
            elif sign in ("in", "not in"):
                self._check_container(left, right)
            else:
                self._check_comparison(node, left, right)
            run = _operation(sign, left, right)
        constant = left.constant and right.constant
        return Compiled(node, run, kind, (left, right), node.start, constant=constant)

    def _must_be_number(self, part: Compiled, sign: str) -> None:
        if part.kind is Kind.NUMBER or part.kind in _UNSURE:
            return
        start = part.node.start
        if part.kind is Kind.TEXT:
            if sign == "+":
                raise ExpressionError("+ adds numbers, and this is a text", start, "~ to join texts, or | number")
            if sign == "%":
                raise ExpressionError("% is for numbers, and this is a text", start, "~ to join texts, or | number")
            raise ExpressionError(f"{sign} is for numbers, and this is a text", start, "| number, or | money")
        raise ExpressionError(f"{sign} is for numbers, and this is a {part.kind.value}", start)

    def _check_container(self, left: Compiled, right: Compiled) -> None:
        if right.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME):
            raise ExpressionError(
                f"`in` looks in a list or a text, and this is a {right.kind.value}", right.node.start, "[ ] around it"
            )
        if right.kind is Kind.TEXT and left.kind not in (Kind.TEXT, *_UNSURE):
            raise ExpressionError(f"a {left.kind.value} is not a part of a text", left.node.start, "quotes around it")

    def _check_comparison(self, node: Binary, left: Compiled, right: Compiled) -> None:
        sign = node.operator
        if sign in _ORDER:
            for part, other in ((left, right), (right, left)):
                if part.kind is Kind.TEXT:
                    hint = _CONVERT.get(other.kind, "| number, or | date")
                    raise ExpressionError(
                        f"{sign} compares numbers or dates, and this is a text", part.node.start, hint
                    )
        if left.kind is right.kind or left.kind in _UNSURE or right.kind in _UNSURE:
            return
        if Kind.TEXT in (left.kind, right.kind):
            text, other = (left, right) if left.kind is Kind.TEXT else (right, left)
            hint = _CONVERT.get(other.kind, "values of one kind")
            if other.constant and other.kind is Kind.NUMBER:
                hint = f"'{other.value}' in quotes, or | number"
            raise ExpressionError(f"a text is never the same as a {other.kind.value}", text.node.start, hint)
        raise ExpressionError(f"a {left.kind.value} cannot be compared with a {right.kind.value}", node.at)

    def _concatenation(self, node: Binary) -> Compiled:
        parts: list[Compiled] = []
        rest: Node = node
        while isinstance(rest, Binary) and rest.operator == "~":
            parts.append(self.compile(rest.right))
            rest = rest.left
        parts.append(self.compile(rest))
        parts.reverse()
        for part in parts:
            if part.kind in (Kind.LIST, Kind.OBJECT):
                raise ExpressionError(
                    f"~ joins texts, and this is a {part.kind.value}", part.node.start, "| join(', ')"
                )
        runs = [part.run for part in parts]
        return Compiled(
            node,
            lambda scope: concatenate(run(scope) for run in runs),
            Kind.TEXT,
            tuple(parts),
            node.start,
            constant=all(part.constant for part in parts),
        )

    def _test(self, node: Test) -> Compiled:
        of = self._compile_provided(node.of)
        inner, negated = of.run, node.negated

        def missing(scope: Scope) -> bool:
            return (inner(scope) is MISSING) is not negated

        def empty(scope: Scope) -> bool:
            value = inner(scope)
            return (value is MISSING or is_empty(value)) is not negated

        run = missing if node.test == "missing" else empty
        return Compiled(node, run, Kind.BOOLEAN, (of,), node.start, constant=of.constant)

    def _conditional(self, node: Conditional) -> Compiled:
        condition, yes = self.compile(node.condition), self.compile(node.yes)
        check_condition(condition)
        no = None if node.no is None else self.compile(node.no)
        check, first = condition.run, yes.run
        second: Run = (lambda _: MISSING) if no is None else no.run
        kind = yes.kind if no is None or no.kind is yes.kind else Kind.ANY
        parts = (condition, yes) if no is None else (condition, yes, no)
        constant = all(part.constant for part in parts)
        return Compiled(
            node,
            lambda scope: first(scope) if check(scope) else second(scope),
            kind,
            (condition,),
            node.start,
            constant=constant,
        )

    def _list_of(self, node: ListOf) -> Compiled:
        parts = tuple(self.compile(part) for part in node.members)
        runs = [part.run for part in parts]

        def run(scope: Scope) -> Value | Missing:
            values = [value for value in _measured(scope, runs) if value is not MISSING]
            return values if values or not runs else MISSING

        return Compiled(node, run, Kind.LIST, parts, node.start, constant=all(part.constant for part in parts))

    def _object_of(self, node: ObjectOf) -> Compiled:
        parts = {name: self.compile(part) for name, part in node.members}
        names, runs = list(parts), [part.run for part in parts.values()]

        def run(scope: Scope) -> Value | Missing:
            found = zip(names, _measured(scope, runs), strict=True)
            values = {name: value for name, value in found if value is not MISSING}
            return values if values or not runs else MISSING

        constant = all(part.constant for part in parts.values())
        return Compiled(node, run, Kind.OBJECT, tuple(parts.values()), node.start, constant=constant)

    def _filtered(self, node: Filtered) -> Compiled:
        found = FILTERS.get(node.name)
        if found is None:
            near = difflib.get_close_matches(node.name.lower(), FILTERS, 1, 0.6)
            hint = ELSEWHERE.get(node.name.lower()) or (near[0] if near else "the list in docs/expressions.md")
            raise ExpressionError(f"there is no filter {node.name}", node.at, hint)
        of = self._compile_provided(node.of) if found.name in _KEEPS_KIND else self.compile(node.of)
        if found.types and of.kind not in _UNSURE and not any(KINDS[each] is of.kind for each in found.types):
            raise ExpressionError(
                f"{found.name} takes {found.expected}, and this is a {of.kind.value}",
                node.at,
                filter_before(found, of.kind),
            )
        self.filters.append(found.name)
        arguments = [self.compile(argument) for argument in node.arguments]
        named = [(name, at, self.compile(argument)) for name, at, argument in node.named]
        run = bind_filter(found, node, of.run, arguments, named, self._table)
        kind = (
            of.kind
            if found.gives is Kind.ANY and found.name in _KEEPS_KIND and not _differs(of, arguments)
            else found.gives
        )
        return Compiled(
            node,
            run,
            kind,
            (of, *arguments, *(part for _, _, part in named)),
            node.at,
            constant=of.constant and all(part.constant for part in arguments) and not named,
        )

    def _compile_provided(self, node: Node) -> Compiled:
        self._provided += 1
        compiled = self.compile(node)
        self._provided -= 1
        return compiled

    def _table(self, name: str, offset: int) -> Table:
        if name not in self.tables:
            near = difflib.get_close_matches(name, self.tables, 1, 0.5)
            raise ExpressionError(
                f"there is no table {name}",
                offset,
                f"'{near[0]}'" if near else f"tables: {{{name}: …}} in the file",
            )
        self.tables_used.add(name)
        return Table(name, self.tables[name])


_KEEPS_KIND: Final = frozenset({"default", "if_missing"})


def _differs(of: Compiled, arguments: list[Compiled]) -> bool:
    return any(argument.kind is not of.kind for argument in arguments)


def _measured(scope: Scope, runs: Sequence[Run]) -> Iterator[Value | Missing]:
    """Give the members one by one, and stop before they are too much together."""
    characters = 0
    for run in runs:
        value = run(scope)
        if value is not MISSING:
            try:
                characters += check_size(value)
            except UnfitError as error:
                raise EvaluationError(f"a list or object takes {error}") from None
            if characters > RESULT_LIMIT:
                raise EvaluationError(f"a list or object takes at most {RESULT_LIMIT} characters in all")
        yield value


def _picked(of: Run, key: Run) -> Run:
    return lambda scope: member(of(scope), key(scope))


def _both(left: Run, right: Run) -> Run:
    def run(scope: Scope) -> Value | Missing:
        value = left(scope)
        return right(scope) if value else value

    return run


def _either(left: Run, right: Run) -> Run:
    return lambda scope: left(scope) or right(scope)


def _operation(sign: str, left: Compiled, right: Compiled) -> Run:
    first, second = left.run, right.run
    if right.kind is Kind.TEXT and right.constant:
        wanted = right.value
        if sign == "==":
            return lambda scope: first(scope) == wanted
        if sign == "!=":
            return lambda scope: first(scope) != wanted
    operation = OPERATIONS[sign]
    return lambda scope: operation(first(scope), second(scope))
