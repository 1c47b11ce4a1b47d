"""The tree of an expression: plain values, each with its place in the text."""

from dataclasses import dataclass

from connector.mapping.values import Value


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the tree; `start` and `end` are its place in the text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A text, number, true, false or none."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A field, or one of the reserved names."""

    name: str


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`of.key`, `of['key']` or `of[0]`; `at` is where the key stands."""

    of: Node
    key: Node
    at: int


@dataclass(frozen=True, slots=True)
class Filtered(Node):
    """`of | name(arguments, named=…)`; `at` is where the name stands."""

    of: Node
    name: str
    arguments: tuple[Node, ...]
    named: tuple[tuple[str, int, Node], ...]
    at: int


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`not x`, `-x`, `+x`."""

    operator: str
    of: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two operands; `at` is where the operator stands."""

    operator: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Test(Node):
    """`x is empty`, `x is not missing`."""

    of: Node
    test: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`yes if condition else no`; without else, missing."""

    condition: Node
    yes: Node
    no: Node | None


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """`[a, b]`."""

    members: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf(Node):
    """`{'a': x}`."""

    members: tuple[tuple[str, Node], ...]
