"""Lookup tables, from the mapping file or from CSV."""

from collections.abc import Mapping
from typing import Annotated

from connector.domain.change import JsonValue
from connector.mapping.filters.registry import TableName, register
from connector.mapping.values import MISSING, Missing, UnfitError, Value


class Table:
    """A lookup table: found as written, else without regard to case and outer spaces."""

    __slots__ = ("_folded", "_rows", "name")

    def __init__(self, name: str, rows: Mapping[str, JsonValue]) -> None:
        self.name = name
        self._rows = rows
        self._folded: Mapping[str, JsonValue] | None = None

    def find(self, key: Value) -> "JsonValue | Missing":
        """Return what the table says for a text or number; MISSING when it has no such row."""
        text = key if isinstance(key, str) else str(key)
        if text in self._rows:
            return self._rows[text]
        if self._folded is None:
            self._folded = {str(name).strip().casefold(): value for name, value in self._rows.items()}
        return self._folded.get(text.strip().casefold(), MISSING)


@register(
    "Lists and tables",
    ("'nl' | lookup('landen')", "'Nederland'"),
    ("'xx' | lookup('landen', default='onbekend')", "'onbekend'"),
)
def lookup(value: str | int, table: Annotated[Table, TableName], default: Value | Missing = MISSING) -> Value | Missing:
    """Replaces the value by what the table says for it, without regard to case and outer spaces.

    A value that the table does not have is an error, unless there is a default.
    """
    found = table.find(value)
    if found is not MISSING:
        return found  # type: ignore[return-value]  # a table's values are JSON, which has no more kinds than Value but float
    if default is not MISSING:
        return default
    raise UnfitError(f"a value that stands in table {table.name}")


@register(
    "Lists and tables",
    ("['nl', 'be'] | lookup_each('landen')", "['Nederland', 'België']"),
    ("['nl', 'xx'] | lookup_each('landen')", "['Nederland']"),
)
def lookup_each(value: list[Value], table: Annotated[Table, TableName]) -> list[Value]:
    """Replaces every member by what the table says for it; members that the table does not have are left out."""
    found = (table.find(item) for item in value if isinstance(item, (str, int)))
    return [item for item in found if item is not MISSING]  # type: ignore[misc]  # as in lookup
