"""Filters on lists."""

import json
from typing import Any

from connector.mapping.filters.registry import NonEmpty, register
from connector.mapping.values import (
    LIST_LIMIT,
    MISSING,
    TEXT_LIMIT,
    Kind,
    Missing,
    UnfitError,
    Value,
    is_empty,
    kind_of,
    text_of,
    to_json,
)


@register(
    "Lists and tables",
    ("'a, b,,c' | split(',')", "['a', 'b', 'c']"),
    ("'a b' | split", "['a', 'b']"),
    ("'' | split(',')", "[]"),
    empty=True,
)
def split(value: str, separator: NonEmpty = " ") -> list[Value]:
    """Makes a list of a text. The parts are trimmed, empty ones are left out."""
    if value.count(separator) >= LIST_LIMIT:
        raise UnfitError(f"at most {LIST_LIMIT} parts")
    return [part for item in value.split(separator) if (part := item.strip())]


@register(
    "Lists and tables",
    ("['a', 'b'] | join(';')", "'a;b'"),
    ("['Jan', '', 'Dijk'] | join(' ')", "'Jan Dijk'"),
)
def join(value: list[Value], separator: str = ", ") -> str:
    """Makes a text of a list. Empty members are left out."""
    parts = []
    for item in value:
        if not is_empty(item):
            if isinstance(item, (list, dict)):
                raise UnfitError("texts, numbers, booleans or dates as members")
            parts.append(text_of(item))
    if sum(map(len, parts)) + len(separator) * len(parts) > TEXT_LIMIT:
        raise UnfitError(f"at most {TEXT_LIMIT} characters as its result")
    return separator.join(parts)


@register("Lists and tables", ("['b', 'a', 'C'] | sort", "['a', 'b', 'C']"), ("[3, 1] | sort", "[1, 3]"))
def sort(value: list[Value]) -> list[Value]:
    """Sorts texts (without regard to case), numbers or dates; all members of one kind."""
    kinds = {kind_of(item) for item in value}
    if len(kinds) > 1 or kinds & {Kind.LIST, Kind.OBJECT, Kind.NOTHING}:
        raise UnfitError("members of one kind: texts, numbers or dates")
    if kinds == {Kind.TEXT}:
        return sorted(value, key=lambda item: (str(item).casefold(), str(item)))
    return sorted(value)  # type: ignore[type-var]  # of one kind, as has just been checked


@register("Lists and tables", ("['b', 'a', 'b'] | unique", "['b', 'a']"))
def unique(value: list[Value]) -> list[Value]:
    """Leaves out what has been there already; the first one stays."""
    seen: dict[Any, Value] = {}
    for item in value:
        key = json.dumps(to_json(item), sort_keys=True) if isinstance(item, (list, dict)) else item
        seen.setdefault((kind_of(item), key), item)
    return list(seen.values())


@register("Lists and tables", ("['b', 'a'] | first", "'b'"), ("[] | first", "''"))
def first(value: list[Value]) -> Value | Missing:
    """Gives the first member that is not empty; an empty text when there is none."""
    return next((item for item in value if not is_empty(item)), "")


@register("Lists and tables", ("['b', 'a'] | last", "'a'"))
def last(value: list[Value]) -> Value | Missing:
    """Gives the last member that is not empty; an empty text when there is none."""
    return next((item for item in reversed(value) if not is_empty(item)), "")


@register("Lists and tables", ("['a', '', 'b'] | compact", "['a', 'b']"))
def compact(value: list[Value]) -> list[Value]:
    """Leaves out the empty members."""
    return [item for item in value if not is_empty(item)]


@register("Lists and tables", ("['a', 'b', 'c'] | without('b')", "['a', 'c']"))
def without(value: list[Value], *members: str) -> list[Value]:
    """Leaves these texts out of a list."""
    return [item for item in value if not (isinstance(item, str) and item in members)]


@register("Lists and tables", ("['a', 'b', 'c'] | only('c', 'a')", "['a', 'c']"))
def only(value: list[Value], *members: str) -> list[Value]:
    """Keeps only these texts of a list."""
    return [item for item in value if isinstance(item, str) and item in members]


@register("Lists and tables", ("'a' | as_list", "['a']"), ("['a'] | as_list", "['a']"), ("'' | as_list", "[]"))
def as_list(value: Value | Missing) -> list[Value] | Missing:
    """Makes a list of one value; a list stays a list, an empty value gives an empty list."""
    if value is MISSING or isinstance(value, list):
        return value
    return [] if is_empty(value) else [value]
