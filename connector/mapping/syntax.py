"""Reads an expression into a tree; every mistake gets its place and words that a marketer understands.

The syntax is that of Jinja2's expressions, which people know, less everything that could run away: no calls, loops,
powers, slices or formats. The parser is our own because Jinja2's knows only lines, not columns, and its messages
speak of tokens and blocks.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NoReturn

from connector.mapping.tokens import LITERALS, WORDS, Token, tokens
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
from connector.mapping.values import ExpressionError, UnfitError, bounded_number

EXPRESSION_LIMIT = 2_000
"""Characters of one expression."""

NESTING_LIMIT = 25
"""Parentheses, lists, filters' arguments and signs inside each other."""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_STATEMENTS: Final = frozenset({"for", "while", "lambda", "import", "def", "set", "macro", "exec", "eval"})
_ANSWERS: Final = frozenset({"ja", "nee", "yes", "no"})
_NOTHINGS: Final = frozenset({"null", "nil", "undefined", "NULL", "Null"})


@dataclass(slots=True)
class _Parser:
    text: str
    tokens: list[Token]
    index: int = 0
    depth: int = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.tokens[self.index]
        self.index += token.sort != "end"
        return token

    def at(self, *texts: str) -> bool:
        token = self.token
        return token.sort in ("operator", "name") and token.text in texts

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.at(*texts) else None

    def enter(self) -> None:
        self.depth += 1
        if self.depth > NESTING_LIMIT:
            raise ExpressionError("too many parts inside each other", self.token.start, "splitting it over fields")

    def leave(self) -> None:
        self.depth -= 1

    def whole(self) -> Node:
        if self.token.sort == "end":
            raise ExpressionError("the expression is empty", 0, "the name of a field")
        node = self.conditional()
        if self.token.sort != "end":
            self.left_over(node)
        return node

    def left_over(self, node: Node) -> NoReturn:
        token = self.token
        self.check_single(token)
        if token.text == "(":
            if isinstance(node, Name):
                raise ExpressionError("calls are not possible", token.start, f"a filter, as in VALUE | {node.name}")
            raise ExpressionError("calls are not possible", token.start, "a filter, as in VALUE | trim")
        if token.text in (")", "]", "}"):
            raise ExpressionError(f"{token.text} closes nothing", token.start, f"leaving out the {token.text}")
        if token.text in _STATEMENTS:
            raise ExpressionError(
                "there are no loops or statements in an expression", token.start, "a filter such as join"
            )
        if token.sort == "name" and token.text in WORDS:
            raise ExpressionError(f"`{token.text}` cannot stand here", token.start, "A not in B, or not A")
        if token.sort == "name" and isinstance(node, Name):
            both = self.text[node.start : token.end]
            raise ExpressionError(
                "two names stand side by side", token.start, f"fields['{both}'] if that is one field, or ~ to join two"
            )
        if token.sort in ("name", "text", "number"):
            raise ExpressionError("an operator is missing here", token.start, "~ to join texts, or == to compare")
        if token.text == ",":
            raise ExpressionError("a comma makes no list by itself", token.start, "[ ] around a list")
        if token.text == ":":
            raise ExpressionError("a colon cannot be used here", token.start, "| before a filter")
        raise ExpressionError(f"{token.text} cannot be used here", token.start, "putting texts in quotes")

    def check_single(self, token: Token) -> None:
        if token.text == "=" and token.sort == "operator":
            raise ExpressionError("= is not a comparison", token.start, "==")

    def conditional(self) -> Node:
        self.enter()
        node = self.either()
        while self.accept("if"):
            condition = self.either()
            no = self.conditional() if self.accept("else") else None
            node = Conditional(node.start, (no or condition).end, condition, node, no)
        self.leave()
        return node

    def either(self) -> Node:
        node = self.both()
        while operator := self.accept("or"):
            right = self.both()
            node = Binary(node.start, right.end, "or", node, right, operator.start)
        return node

    def both(self) -> Node:
        node = self.negation()
        while operator := self.accept("and"):
            right = self.negation()
            node = Binary(node.start, right.end, "and", node, right, operator.start)
        return node

    def negation(self) -> Node:
        if operator := self.accept("not"):
            self.enter()
            of = self.negation()
            self.leave()
            return Unary(operator.start, of.end, "not", of)
        return self.comparison()

    def comparison(self) -> Node:
        node = self.sum()
        compared = False
        while True:
            token = self.token
            if self.at("not") and self.tokens[self.index + 1].text == "in":
                self.take()
                self.take()
                operator = "not in"
            elif self.at("==", "!=", "<", "<=", ">", ">=", "in"):
                operator = self.take().text
                if operator in ("==", "!=") and self.token.text == "=":
                    raise ExpressionError("this has one = too many", self.token.start, operator)
            elif self.at("is"):
                node = self.test(node)
                continue
            else:
                return node
            if compared:
                raise ExpressionError("comparisons cannot be chained", token.start, "A < B and B < C")
            compared = True
            right = self.sum()
            node = Binary(node.start, right.end, operator, node, right, token.start)

    def test(self, of: Node) -> Node:
        self.take()
        negated = self.accept("not") is not None
        word = self.token
        if word.sort == "name" and word.text in ("empty", "missing"):
            self.take()
            return Test(of.start, word.end, of, word.text, negated)
        hints = {"defined": "is not missing", "undefined": "is missing", "none": "== none", "null": "== none"}
        raise ExpressionError(
            "after `is` comes empty or missing", word.start, hints.get(word.text, "is empty, is not empty, or ==")
        )

    def sum(self) -> Node:
        node = self.concatenation()
        while self.at("+", "-"):
            operator = self.take()
            right = self.concatenation()
            self.check_hyphen(operator, node, right)
            node = Binary(node.start, right.end, operator.text, node, right, operator.start)
        return node

    def check_hyphen(self, operator: Token, left: Node, right: Node) -> None:
        tight = operator.text == "-" and left.end == operator.start and right.start == operator.end
        if tight and isinstance(left, Name):
            name = re.match(r"[\w-]*", self.text[left.start :])
            raise ExpressionError(
                "this reads as a subtraction",
                operator.start,
                f"fields['{name.group() if name else ''}'] for a field, or spaces around the minus",
            )

    def concatenation(self) -> Node:
        node = self.product()
        while operator := self.accept("~"):
            right = self.product()
            node = Binary(node.start, right.end, "~", node, right, operator.start)
        return node

    def product(self) -> Node:
        node = self.signed()
        while self.at("*", "/", "//", "%"):
            operator = self.take()
            right = self.signed()
            node = Binary(node.start, right.end, operator.text, node, right, operator.start)
        return node

    def signed(self) -> Node:
        return self.filtered(self.sign())

    def sign(self) -> Node:
        if self.at("-", "+"):
            self.enter()
            operator = self.take()
            of = self.sign()
            self.leave()
            return Unary(operator.start, of.end, operator.text, of)
        return self.member(self.primary())

    def member(self, node: Node) -> Node:
        while True:
            if self.accept("."):
                token = self.take()
                if token.sort == "number":
                    raise ExpressionError("a member of a list stands in brackets", token.start, f"[{token.text}]")
                if token.sort != "name":
                    raise ExpressionError("a name is missing after the dot", token.start, "fields['…']")
                node = self.named_member(node, token)
            elif self.at("["):
                node = self.bracketed(node)
            else:
                return node

    def named_member(self, node: Node, token: Token) -> Node:
        if token.text.startswith("_"):
            raise ExpressionError(
                f"{token.text} is not data: names after a dot do not begin with _",
                token.start,
                f"fields['{token.text}'] if it is a field",
            )
        if self.at("("):
            hint = "fields['…']" if token.text == "get" else f"the filter | {token.text}"
            raise ExpressionError("calls are not possible", self.token.start, hint)
        key = Literal(token.start, token.end, token.text)
        return Member(node.start, token.end, node, key, token.start)

    def bracketed(self, node: Node) -> Node:
        opening = self.take()
        if self.at("]"):
            raise ExpressionError("nothing stands between the brackets", opening.start, "['name of the field']")
        if self.at(":"):
            raise ExpressionError("slices are not possible", self.token.start, "the filter | slice(0, 3)")
        self.enter()
        key = self.conditional()
        self.leave()
        if self.at(":"):
            raise ExpressionError("slices are not possible", self.token.start, "the filter | slice(0, 3)")
        end = self.closing(opening, "]")
        return Member(node.start, end, node, key, key.start)

    def closing(self, opening: Token, text: str) -> int:
        if token := self.accept(text):
            return token.end
        self.check_single(self.token)
        if self.token.sort == "end":
            raise ExpressionError(f"this {opening.text} is never closed", opening.start, f"a {text} where it ends")
        if self.token.text in _STATEMENTS:
            raise ExpressionError(
                "there are no loops in an expression", self.token.start, "a filter such as join or unique"
            )
        if self.token.text == "," and text == ")":
            raise ExpressionError("a comma makes no list by itself", self.token.start, "[ ] around a list")
        raise ExpressionError(f"{text} or an operator is missing here", self.token.start, text)

    def filtered(self, node: Node) -> Node:
        while self.accept("|"):
            token = self.take()
            if token.sort != "name":
                raise ExpressionError("the name of a filter is missing after |", token.start, "| trim")
            arguments: list[Node] = []
            named: list[tuple[str, int, Node]] = []
            end = token.end
            if self.at("("):
                end = self.arguments(arguments, named)
            node = Filtered(node.start, end, node, token.text, tuple(arguments), tuple(named), token.start)
        return node

    def arguments(self, arguments: list[Node], named: list[tuple[str, int, Node]]) -> int:
        opening = self.take()
        self.enter()
        while not self.at(")"):
            after = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
            if self.token.sort == "name" and after.text == "=":
                name = self.take()
                self.take()
                named.append((name.text, name.start, self.conditional()))
            elif named:
                raise ExpressionError("a value without a name cannot follow one with a name", self.token.start)
            else:
                arguments.append(self.conditional())
            if not self.accept(","):
                break
        self.leave()
        return self.closing(opening, ")")

    def primary(self) -> Node:
        token = self.take()
        if token.sort == "name":
            return self.word(token)
        if token.sort == "text":
            return self.quoted(token)
        if token.sort == "number":
            return _number(token)
        if token.text == "(":
            self.enter()
            node = self.conditional()
            self.leave()
            self.closing(token, ")")
            return node
        if token.text == "[":
            return self.list_of(token)
        if token.text == "{":
            return self.object_of(token)
        if token.sort == "end":
            raise ExpressionError("something is missing at the end", token.start, "a field or a text in quotes")
        raise ExpressionError(f"something is missing before {token.text}", token.start, "a field or a text in quotes")

    def word(self, token: Token) -> Node:
        if token.text in LITERALS:
            return Literal(token.start, token.end, LITERALS[token.text])
        if token.text in WORDS:
            raise ExpressionError(
                f"something is missing before `{token.text}`", token.start, "a field or a text in quotes"
            )
        if token.text in _STATEMENTS and self.token.sort in ("name", "number", "text"):
            raise ExpressionError(
                "there are no loops or statements in an expression", token.start, "a filter such as join"
            )
        if token.text in _NOTHINGS:
            raise ExpressionError(f"{token.text} is not known here", token.start, "none, or `is missing`")
        if token.text in _ANSWERS:
            raise ExpressionError(
                f"{token.text} without quotes is the name of a field",
                token.start,
                f"'{token.text}' for the word, or fields['{token.text}'] for the field",
            )
        if token.text.startswith("__"):
            raise ExpressionError(f"{token.text} is not data", token.start, f"fields['{token.text}'] if it is a field")
        if self.at("("):
            raise ExpressionError("calls are not possible", token.start, f"a filter, as in VALUE | {token.text}")
        return Name(token.start, token.end, token.text)

    def quoted(self, token: Token) -> Literal:
        inner = token.text[1:-1]
        for match in _ESCAPE.finditer(inner):
            if match.group(1) not in _ESCAPES:
                raise ExpressionError(
                    f"\\{match.group(1)} has no meaning", token.start + 1 + match.start(), "\\\\ for one backslash"
                )
        return Literal(token.start, token.end, _ESCAPE.sub(lambda match: _ESCAPES[match.group(1)], inner))

    def list_of(self, opening: Token) -> Node:
        members: list[Node] = []
        self.enter()
        while not self.at("]"):
            members.append(self.conditional())
            if not self.accept(","):
                break
        self.leave()
        return ListOf(opening.start, self.closing(opening, "]"), tuple(members))

    def object_of(self, opening: Token) -> Node:
        members: list[tuple[str, Node]] = []
        self.enter()
        while not self.at("}"):
            key = self.take()
            if key.sort != "text":
                raise ExpressionError("a key of an object is a text in quotes", key.start, "{'name': field}")
            if not self.accept(":"):
                raise ExpressionError("a colon is missing after the key", self.token.start, ":")
            members.append((str(self.quoted(key).value), self.conditional()))
            if not self.accept(","):
                break
        self.leave()
        return ObjectOf(opening.start, self.closing(opening, "}"), tuple(members))


def parse(text: str) -> Node:
    """Return the tree of an expression. Raises ExpressionError."""
    if len(text) > EXPRESSION_LIMIT:
        raise ExpressionError(
            f"the expression is longer than {EXPRESSION_LIMIT} characters", EXPRESSION_LIMIT, "a lookup table"
        )
    return _Parser(text, list(tokens(text))).whole()


def _number(token: Token) -> Literal:
    """Return a literal number: an integer, or a Decimal when it has a point."""
    try:
        value = bounded_number(Decimal(token.text))
    except UnfitError:
        raise ExpressionError("this number is too large", token.start, "quotes around an ID") from None
    return Literal(token.start, token.end, value if "." in token.text else int(value))
