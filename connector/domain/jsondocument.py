"""Reads JSON documents: bounded, and with every value as the text that the other dialects have for it."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from connector.domain.document import (
    DEFAULT_BOUNDS,
    MAPS,
    Document,
    DocumentBounds,
    DocumentError,
    RefusedError,
    gather_interests,
    read_text,
    repeated,
)
from connector.domain.note import Note

# A string counts as closed at the end of the text, so that no quote is ever looked at twice: the time stays linear.
_STRUCTURE: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)


def parse_json(body: bytes, charset: str = "", bounds: DocumentBounds = DEFAULT_BOUNDS) -> Document | DocumentError:
    """Read a JSON document.

    Values become text as PHP's http_build_query makes it, so that a value is the same in every dialect: true is "1",
    false is "0", null is missing, a number is as it stands. NaN and Infinity are refused, and so is a document that
    says something twice; of a field that comes twice the last value counts, as in every common parser, with a note.
    An empty list stands for an empty mapping (PHP cannot tell them apart). Never raises.
    """
    if len(body) > bounds.size:
        return DocumentError(f"a JSON document of more than {bounds.size} bytes")
    text, notes = read_text(body, charset)

    def number(digits: str) -> str:
        if len(digits) > bounds.number:
            raise RefusedError(f"a number of more than {bounds.number} digits")
        return digits

    try:
        _check_structure(text, bounds)
        tree = json.loads(
            text, object_pairs_hook=_pairs, parse_int=number, parse_float=number, parse_constant=_refuse_constant
        )
        return _from_json(tree, notes)
    except RefusedError as refusal:
        return DocumentError(f"JSON: {refusal}")
    except (ValueError, RecursionError) as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        return DocumentError(f"not valid JSON{where}")


class _Repeating(dict[str, Any]):
    """An object of which a name came more than once."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = {_clean(name): value for name, value in pairs}
    return names if len(names) == len(pairs) else _Repeating(names)


def _refuse_constant(_name: str) -> NoReturn:
    raise RefusedError("NaN and Infinity are no JSON")


def _clean(text: str) -> str:
    """Return the text without half characters (one of a surrogate pair): no encoding can write them."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _check_structure(text: str, bounds: DocumentBounds) -> None:
    # Counting is much quicker than looking, and nearly always enough.
    opened = text.count("[") + text.count("{")
    if opened <= bounds.depth and opened + text.count(",") <= bounds.items:
        return
    depth = items = 0
    for match in _STRUCTURE.finditer(text):
        sign = match[0]
        if sign in ("[", "{"):
            depth += 1
            items += 1
        elif sign in ("]", "}"):
            depth -= 1
        elif sign == ",":
            items += 1
        if depth > bounds.depth:
            raise RefusedError(f"nested deeper than {bounds.depth}")
        if items > bounds.items:
            raise RefusedError(f"more than {bounds.items} values")


def _from_json(tree: Any, notes: tuple[Note, ...]) -> Document:
    if not isinstance(tree, dict):
        raise RefusedError("not an object")
    if isinstance(tree, _Repeating):
        raise RefusedError("a variable comes more than once")
    values: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    maps: dict[str, Mapping[str, str]] = {}
    interests = None
    for name, value in tree.items():
        if name in MAPS or name == "interests":
            if value is None or value == "":
                continue
            if name == "interests":
                interests = gather_interests(_interest_items(value))
                continue
            maps[name] = _map(name, value)
            if isinstance(value, _Repeating):
                notes = (*notes, repeated(name))
        elif isinstance(value, list):
            lists[name] = tuple(_scalar(item) for item in value if _is_text(item))
        elif _is_text(value):
            values[name] = _scalar(value)
    return Document(values=values, lists=lists, maps=maps, interests=interests, notes=notes)


def _is_text(value: Any) -> bool:
    """Tell whether a value is one: null is missing, and a variable that is a structure of its own is not known."""
    return value is not None and not isinstance(value, list | dict)


def _scalar(value: Any) -> str:
    if value is True:
        return "1"
    if value is False:
        return "0"
    assert isinstance(value, str)  # numbers come as their digits
    return _clean(value)


def _map(name: str, value: Any) -> Mapping[str, str]:
    if value == []:
        return {}
    if not isinstance(value, dict):
        raise RefusedError(f"{name} is not an object")
    if any(isinstance(item, list | dict) for item in value.values()):
        raise RefusedError(f"a value in {name} is not text")
    return {key: _scalar(item) for key, item in value.items() if item is not None}


def _interest_items(value: Any) -> list[tuple[str | None, str]]:
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = [(None, item) for item in value]
    else:
        pairs = [(None, value)]
    if any(isinstance(item, list | dict) for _, item in pairs):
        raise RefusedError("an interest is not text")
    return [(name, _scalar(item)) for name, item in pairs if item is not None]
