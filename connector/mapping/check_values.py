"""Checks of single values: what a key does not go with, and what cannot fit."""

from collections.abc import Iterator
from typing import Any

from connector.files.document import KeyPath
from connector.files.problem import Problem
from connector.mapping.draft import Draft, values_of
from connector.mapping.expression import Kind
from connector.mapping.model import Value, ValueType
from connector.mapping.typed import EXPECTED, MisfitError, fit, kind

_GIVES: dict[Kind, frozenset[ValueType]] = {
    Kind.NUMBER: frozenset({"string", "integer", "number"}),
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.DATE: frozenset({"date", "string"}),
    Kind.DATETIME: frozenset({"datetime", "string"}),
    Kind.LIST: frozenset({"list"}),
    Kind.OBJECT: frozenset({"object"}),
}
"""Which types what an expression certainly gives can go out as. A text may be any of them, in plain form."""

_NOT_IN_MATCH = {
    "default": "would be the same for all records that have nothing",
    "fallback": "would be the same for all records that do not fit",
    "value": "is the same for all records",
}


def check_values(draft: Draft) -> Iterator[Problem]:
    """Return what is wrong with the values of this file."""
    for path, _, value in values_of(draft.model):
        yield from _lookup(draft, path, value)
        yield from _type(draft, path, value)
        if path[0] == "match":
            yield from _match(draft, path, value)


def _lookup(draft: Draft, path: KeyPath, value: Value) -> Iterator[Problem]:
    if value.lookup is None:
        return
    if value.lookup not in draft.model.tables:
        if "tables" in draft.broken:
            return
        known = ", ".join(draft.model.tables) or f"tables: {{{value.lookup}: {{NL: Nederland}}}}"
        yield draft.document.problem((*path, "lookup"), f"there is no table {value.lookup!r}", known)


def _match(draft: Draft, path: KeyPath, value: Value) -> Iterator[Problem]:
    for key, why in _NOT_IN_MATCH.items():
        if value.says(key):
            place = (*path, key)
            yield draft.document.problem(
                place, f"a match value that {why} finds the wrong record", "an expression alone", at_key=True
            )
    if value.type not in (None, "string", "integer"):
        yield draft.document.problem(
            (*path, "type"), "a match value is a string or an integer", "type: string", at_key=False
        )


def _type(draft: Draft, path: KeyPath, value: Value) -> Iterator[Problem]:
    if value.type is None:
        return
    expected, hint = EXPECTED[value.type]
    for key in ("default", "fallback"):
        said = getattr(value, key)
        if value.says(key) and said is not None and not _fits(said, value.type):
            yield draft.document.problem((*path, key), f"{kind(said)} does not fit: expected {expected}", "")
    if value.empty == "keep" and value.type not in ("string", "list", "object"):
        yield draft.document.problem((*path, "empty"), f'`keep` sends "", which is not {expected}', "clear or omit")
    expression = draft.expression(path)
    if expression is not None and value.lookup is None:
        possible = _GIVES.get(expression.kind)
        if possible is not None and value.type not in possible:
            yield draft.document.problem(
                (*path, "type"), f"the expression gives a {expression.kind.value}, expected {expected}", hint
            )


def _fits(said: Any, wanted: ValueType) -> bool:
    try:
        fit(said, wanted)
    except MisfitError:
        return False
    return True
