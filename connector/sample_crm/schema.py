"""Which objects the sample CRM has, which fields they have, and of what type."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.sample_crm.message import ApiError

Check = Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and dt.date.fromisoformat(value) is not None
    except ValueError:
        return False


TYPES: Mapping[str, Check] = {
    "string": lambda value: isinstance(value, str),
    "e-mail address": lambda value: isinstance(value, str) and value.count("@") == 1 and not value.startswith("@"),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "date (YYYY-MM-DD)": _is_date,
    "list of strings": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "string, number or boolean": lambda value: isinstance(value, str | int | float | bool),
}

TEXT, EMAIL, FLAG, INTEGER, NUMBER, DATE, TEXTS, SCALAR = TYPES

Fields = Mapping[str, "str | Fields"]

ADDRESS: Fields = {"street": TEXT, "postcode": TEXT, "city": TEXT, "country": TEXT}

CUSTOM = "custom_"
"""A field whose name begins so is a customer's own: every object takes it, with any simple value."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An object: its fields (a nested one is an object itself), those that are searched by, and the unique one."""

    fields: Fields
    keys: tuple[str, ...]
    unique: str | None = None


KINDS: Mapping[str, Kind] = {
    "contacts": Kind(
        fields={
            "email": EMAIL,
            "firstname": TEXT,
            "lastname": TEXT,
            "phone": TEXT,
            "language": TEXT,
            "birthdate": DATE,
            "optin": FLAG,
            "bounced": FLAG,
            "score": INTEGER,
            "tags": TEXTS,
            "note": TEXT,
            "address": ADDRESS,
            "copernica_id": TEXT,
        },
        keys=("email", "copernica_id"),
        unique="email",
    ),
    "companies": Kind(
        fields={"name": TEXT, "domain": TEXT, "phone": TEXT, "address": ADDRESS, "note": TEXT, "copernica_id": TEXT},
        keys=("name", "domain", "copernica_id"),
    ),
    "deals": Kind(
        fields={
            "title": TEXT,
            "amount": NUMBER,
            "currency": TEXT,
            "stage": TEXT,
            "closed_on": DATE,
            "quantity": INTEGER,
            "note": TEXT,
            "copernica_id": TEXT,
        },
        keys=("title", "copernica_id"),
    ),
}


def check_fields(values: Mapping[str, Any], fields: Fields, within: str = "") -> None:
    """Check names and types; None is right for every field. Raises ApiError (422) that names the first wrong field."""
    for name, value in values.items():
        path = within + name
        wanted = SCALAR if not within and name.startswith(CUSTOM) else fields.get(name)
        if wanted is None:
            raise ApiError(422, "unknown_field", f"there is no field {path}", field=path)
        if value is None:
            continue
        if not isinstance(wanted, str):
            if not isinstance(value, dict):
                raise ApiError(422, "wrong_type", f"{path} has to be an object", field=path)
            check_fields(value, wanted, f"{path}.")
        elif not TYPES[wanted](value):
            raise ApiError(422, "wrong_type", f"{path} has to be: {wanted}", field=path)


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with `new` over it: None takes a field away, an object is merged into the one that is there."""
    merged = dict(old)
    for name, value in new.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            inner = merge(merged.get(name, {}), value)
            if inner:
                merged[name] = inner
            else:
                merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def search_value(value: Any) -> str:
    """Return the form under which a value is searched and compared: case does not count."""
    return str(value).strip().lower()
