"""Files of record links: CSV with a head line, or JSON lines. What is wrong is told with its place."""

import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from connector.crm.rest.answer import as_id
from connector.domain.record import Record, RecordKind
from connector.files.problem import Problem, ProblemsError
from connector.outbox.port import Link

FIELDS = ("destination", "object", "record", "crm_id")
_HEAD = ",".join(FIELDS)
_LONGEST_NUMBER = 19


@dataclass(frozen=True, slots=True)
class PlacedLink:
    """A link and the line on which it stands."""

    line: int
    link: Link


def as_csv(links: Iterable[Link]) -> Iterator[str]:
    """Return the lines of a CSV file but for its head."""
    for link in links:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow((link.destination, link.object, link.record, link.crm_id))
        yield line.getvalue()


def head_of_csv() -> str:
    """Return the head line."""
    return f"{_HEAD}\n"


def as_json_lines(links: Iterable[Link]) -> Iterator[str]:
    """Return one JSON object a line."""
    for link in links:
        values = (link.destination, link.object, link.record, link.crm_id)
        yield json.dumps(dict(zip(FIELDS, values, strict=True)), ensure_ascii=False) + "\n"


def read_links(name: str, data: bytes, objects: Mapping[str, Collection[str]]) -> list[PlacedLink]:
    """Read a file. `objects` are the known objects by destination. Raises ProblemsError with every wrong line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProblemsError([Problem(name, line, 1, "", "this is not UTF-8", "saving it as UTF-8")]) from None
    reading = _Reading(name, objects)
    reading.read(text)
    if reading.problems:
        raise ProblemsError(reading.problems)
    return reading.found


class _Reading:
    def __init__(self, name: str, objects: Mapping[str, Collection[str]]) -> None:
        self.problems: list[Problem] = []
        self.found: list[PlacedLink] = []
        self._name = name
        self._objects = objects
        self._seen: dict[tuple[str, str, str], PlacedLink] = {}

    def read(self, text: str) -> None:
        if text.lstrip().startswith("{"):
            self._read_json_lines(text)
        else:
            self._read_csv(text)

    def _wrong(self, line: int, where: str, what: str, hint: str = "") -> None:
        self.problems.append(Problem(self._name, line, 1, where, what, hint))

    def _read_json_lines(self, text: str) -> None:
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                self._wrong(number, "", "this is no JSON", '{"destination": …, "object": …, "record": …, "crm_id": …}')
                continue
            if not isinstance(values, dict):
                self._wrong(number, "", "this is no object")
                continue
            wrong = [key for key in FIELDS if key not in values] + [key for key in values if key not in FIELDS]
            for key in wrong:
                self._wrong(number, key, "unknown field" if key in values else "is missing")
            if not wrong:
                self._take(number, values)

    def _read_csv(self, text: str) -> None:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        line = 1
        try:
            head = next(rows, [])
            if tuple(cell.strip() for cell in head) != FIELDS:
                self._wrong(1, "", "the first line has to name the columns, with commas between", _HEAD)
                return
            line = rows.line_num + 1
            for row in rows:
                if len(row) == len(FIELDS):
                    self._take(line, dict(zip(FIELDS, row, strict=True)))
                elif row:
                    self._wrong(line, "", f"{len(row)} columns in the place of {len(FIELDS)}")
                line = rows.line_num + 1
        except csv.Error as error:
            self._wrong(line, "", f"this is no CSV: {error}")

    def _take(self, line: int, values: Mapping[str, Any]) -> None:
        before = len(self.problems)
        destination, object_name, record = (self._text(line, key, values[key]) for key in FIELDS[:3])
        crm_id = as_id(values["crm_id"])
        if crm_id is None:
            self._wrong(line, "crm_id", "this is no ID: a number, or a text without blanks")
        if destination:
            self._known(line, destination, object_name)
        if record:
            record = self._record(line, record)
        if len(self.problems) > before or crm_id is None:
            return
        placed = PlacedLink(line, Link(destination, object_name, record, crm_id))
        key = (destination, object_name, record)
        first = self._seen.setdefault(key, placed)
        if first is placed:
            self.found.append(placed)
        elif first.link != placed.link:
            self._wrong(line, "record", f"{record} has another crm_id on line {first.line}")

    def _text(self, line: int, key: str, value: object) -> str:
        if isinstance(value, str) and value.strip():
            return value.strip()
        self._wrong(line, key, "is missing" if value in ("", None) else "this is no text")
        return ""

    def _known(self, line: int, destination: str, object_name: str) -> None:
        objects = self._objects.get(destination)
        if objects is None:
            self._wrong(line, "destination", *_unknown(destination, self._objects))
        elif object_name and object_name not in objects:
            self._wrong(line, "object", *_unknown(object_name, objects))

    def _record(self, line: int, text: str) -> str:
        kind, _, rest = text.partition("/")
        numbers = rest.split("/")
        if kind == RecordKind.RECIPIENT:
            self._wrong(line, "record", "an address is known by a hash of this outbox's own: it cannot be imported")
            return ""
        plain = all(one.isascii() and one.isdecimal() and len(one) <= _LONGEST_NUMBER for one in numbers)
        if kind not in (RecordKind.PROFILE, RecordKind.SUBPROFILE) or len(numbers) != 2 or not plain:  # noqa: PLR2004
            self._wrong(
                line, "record", "this is no record: profile/DATABASE/ID or subprofile/COLLECTION/ID, in numbers"
            )
            return ""
        return str(Record(RecordKind(kind), str(int(numbers[0])), str(int(numbers[1]))))


def _unknown(name: str, known: Iterable[str]) -> tuple[str, str]:
    near = get_close_matches(name, known, 1)
    return f"there is no {name!r}; known: {', '.join(known) or 'none'}", near[0] if near else ""
