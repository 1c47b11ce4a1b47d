"""What pydantic found, in words for the person who wrote the file."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

_EXPECTED = {
    "string_type": "text",
    "bytes_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "keys with values",
    "mapping_type": "keys with values",
    "frozen_dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "dataclass_type": "keys with values",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "none_required": "nothing",
    "path_type": "a path",
    "date_type": "a date (2026-01-31)",
    "date_parsing": "a date (2026-01-31)",
    "date_from_datetime_parsing": "a date (2026-01-31)",
    "time_type": "a time (13:45:00)",
    "time_parsing": "a time (13:45:00)",
    "datetime_type": "a date and time (2026-01-31T13:45:00Z)",
    "datetime_parsing": "a date and time (2026-01-31T13:45:00Z)",
    "datetime_from_date_parsing": "a date and time (2026-01-31T13:45:00Z)",
    "url_type": "an address such as https://example.com/",
    "url_parsing": "an address such as https://example.com/",
    "uuid_type": "a UUID",
    "uuid_parsing": "a UUID",
}
"""What was expected, by the kind of error."""

_FORM = frozenset(kind for kind in _EXPECTED if kind.startswith(("url_", "uuid_")) or kind.endswith("_parsing"))
"""Kinds that also come for a value of the right type whose text has the wrong form."""


def is_about_kind(kind: str) -> bool:
    """Tell whether an error says that the value is not at all of the kind that was expected."""
    return kind in _EXPECTED or kind in ("literal_error", "enum")


def kind_of(value: Any) -> str:
    """Say what stands there, without repeating it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {str: "text", int: "a number", float: "a number", dict: "keys with values", list: "a list"}
    return names.get(type(value), "something else")


def explain(kind: str, context: Mapping[str, Any], value: Any, *, hidden: bool) -> tuple[str, str]:
    """Return what is wrong with a value, and a hint. `hidden` values are not repeated."""
    if kind in ("literal_error", "enum"):
        return _choice(choices(str(context.get("expected", ""))), value, hidden=hidden)
    if kind == "union_tag_invalid":
        return _choice(choices(str(context.get("expected_tags", ""))), context.get("tag"), hidden=hidden)
    if kind == "union_tag_not_found":
        return f"{str(context.get('discriminator', '')).replace(chr(39), '`')} is missing", ""
    if kind in _EXPECTED:
        return _expected([_EXPECTED[kind]], value, form=kind in _FORM, hidden=hidden), _hint(
            [kind], value, hidden=hidden
        )
    return _bound(kind, context), ""


def none_of(kinds: Sequence[tuple[str, Mapping[str, Any]]], value: Any, *, hidden: bool) -> tuple[str, str]:
    """Return one sentence for a value that is none of the kinds that a union allows."""
    allowed = [
        choice
        for kind, context in kinds
        if kind in ("literal_error", "enum")
        for choice in choices(str(context.get("expected", "")))
    ]
    expected = list(dict.fromkeys(_EXPECTED[kind] for kind, _ in kinds if kind in _EXPECTED))
    if not expected:
        return _choice(allowed, value, hidden=hidden)
    names = [kind for kind, _ in kinds]
    form = any(kind in _FORM for kind in names)
    what = _expected([*expected, *(f"`{choice}`" for choice in allowed)], value, form=form, hidden=hidden)
    return what, _hint(names, value, hidden=hidden)


def choices(expected: str) -> list[str]:
    """Take the choices out of pydantic's `'a', 'b' or 'c'`."""
    found = re.findall(r"'((?:[^'\\]|\\.)*)'", expected)
    return found or [word for word in re.split(r", | or ", expected) if word]


def _choice(allowed: Sequence[str], value: Any, *, hidden: bool) -> tuple[str, str]:
    listed = f"expected {_or(allowed)}"
    if not isinstance(value, str):
        return f"{listed}, not {kind_of(value)}", ""
    near = get_close_matches(value.lower().replace("_", "-"), allowed, 1, 0.6)
    return f"{listed}, not {'this' if hidden else f'`{_short(value)}`'}", f"`{near[0]}`" if near else ""


def _expected(expected: Sequence[str], value: Any, *, form: bool, hidden: bool) -> str:
    stands = kind_of(value)
    if form and isinstance(value, str):
        stands = "this" if hidden else f"`{_short(value)}`"
    elif "a whole number" in expected and isinstance(value, float):
        stands = f"`{value}`"
    return f"expected {_or(expected)}, not {stands}"


def _hint(kinds: Sequence[str], value: Any, *, hidden: bool) -> str:
    if hidden or isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if {"tuple_type", "list_type"} & set(kinds) and not {"model_type", "dict_type"} & set(kinds):
        return f'`["{_short(value)}"]`' if isinstance(value, str) else f"`[{value}]`"
    if not isinstance(value, str):
        return f'`"{value}"`' if "string_type" in kinds else ""
    wants_number = {"int_type", "float_type", "int_parsing", "float_parsing"} & set(kinds)
    if wants_number and re.fullmatch(r"-?[0-9]{1,18}", value):
        return f"`{value}`, without quotes"
    if "bool_type" in kinds:
        return {"yes": "`true`", "on": "`true`", "no": "`false`", "off": "`false`"}.get(value.lower(), "")
    return ""


_BOUNDS = {
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "can be at most {le}",
    "multiple_of": "has to be a multiple of {multiple_of}",
    "string_too_short": "has to have at least {min_length} characters",
    "string_too_long": "can have at most {max_length} characters",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "string_not_ascii": "can only have plain letters, digits and signs (ASCII)",
    "too_short": "has to have at least {min_length} entries",
    "too_long": "can have at most {max_length} entries",
    "url_scheme": "has to begin with {expected_schemes}",
    "timezone_aware": "has to say its time zone",
}


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    form = _BOUNDS.get(kind)
    if form is None:
        return "this value cannot be used here"
    return "this " + re.sub(r"\{(\w+)\}", lambda found: _number(context.get(found[1], "")), form)


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _or(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


_LONGEST = 60


def _short(value: str) -> str:
    text = " ".join(value.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
