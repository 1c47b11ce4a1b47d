"""Lookup tables: in the mapping file, or in a CSV file beside it. Bounded, and read once, when mappings are loaded."""

import csv
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from connector.mapping.model import MAX_TABLE_ROWS, CsvTable, Table

MAX_CSV_BYTES = 2 * 1024 * 1024


class TableError(Exception):
    """A table that cannot be used: which key of it is to blame, what is wrong, and what to try."""

    def __init__(self, key: str, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.key = key
        self.what = what
        self.hint = hint


def read_table(table: Table, folder: Path) -> tuple[Mapping[str, Any], bytes]:
    """Return a table's rows, and the bytes of its file for the version of the mapping. Raises TableError."""
    if table.csv is None:
        rows = table.rows or {}
        return {key: Decimal(str(row)) if isinstance(row, float) else row for key, row in rows.items()}, b""
    return _read_csv(table.csv, folder)


def _read_csv(told: CsvTable, folder: Path) -> tuple[Mapping[str, Any], bytes]:
    name = Path(told.file)
    if name.is_absolute() or ".." in name.parts:
        raise TableError("file", "a table's file lies beside the mapping file", "its name without a path")
    try:
        with (folder / name).open("rb") as stream:
            content = stream.read(MAX_CSV_BYTES + 1)
    except OSError as error:
        raise TableError("file", f"the file cannot be read ({error.strerror})", "its name, beside this file") from None
    if len(content) > MAX_CSV_BYTES:
        raise TableError("file", f"the file is larger than {MAX_CSV_BYTES // 1024 // 1024} MiB", "fewer rows")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableError("file", "the file is not UTF-8", "saving it as CSV UTF-8") from None
    first = text.partition("\n")[0]
    lines = csv.reader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",")
    return _rows(told, lines), content


def _rows(told: CsvTable, lines: Any) -> Mapping[str, Any]:
    try:
        headings = [heading.strip() for heading in next(lines, [])]
        places = []
        for key, heading in (("key", told.key), ("value", told.value)):
            if heading not in headings:
                known = ", ".join(headings[:12]) or "none: the file is empty"
                raise TableError(key, f"the file has no column {heading!r}", f"one of its columns: {known}")
            places.append(headings.index(heading))
        found: dict[str, Any] = {}
        for line in lines:
            if not line:
                continue
            if len(line) <= max(places):
                raise TableError("file", f"line {lines.line_num} of the file has too few columns", "mending that line")
            key, value = line[places[0]].strip(), line[places[1]].strip()
            if found.setdefault(key, value) != value:
                raise TableError(
                    "file", f"line {lines.line_num} of the file gives a second value for a key", "one each"
                )
            if len(found) > MAX_TABLE_ROWS:
                raise TableError("file", f"the file has more than {MAX_TABLE_ROWS} rows", "fewer rows")
    except csv.Error as error:
        raise TableError(
            "file", f"line {lines.line_num} of the file is not CSV ({error})", "mending that line"
        ) from None
    return found
