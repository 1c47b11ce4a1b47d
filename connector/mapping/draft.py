"""One file, read as far as it can be: the model, its compiled expressions and tables, and every problem on the way."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connector.files.build import build
from connector.files.document import Document, KeyPath, read
from connector.files.problem import Problem, ProblemsError
from connector.mapping.expression import Expression, ExpressionError, compile_expression
from connector.mapping.model import Defaults, MappingFile, Value
from connector.mapping.normal import written_out
from connector.mapping.tables import TableError, read_table

M = TypeVar("M", bound=BaseModel)

_STAND_IN: Mapping[str, Any] = {
    "name": "unnamed",
    "from": {"database": 1},
    "to": {"crm": "unknown", "object": "unknown"},
}
_ITEMWISE = ("set", "on_create_only", "tables")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mapping file on its way to a mapping.

    `broken` names the top keys that could not be read, or not whole: nothing is concluded from them. `expressions`
    and `tables` hold those that are good.
    """

    path: Path
    document: Document
    model: MappingFile
    broken: frozenset[str]
    said: frozenset[str]
    expressions: Mapping[KeyPath, Expression]
    tables: Mapping[str, Mapping[str, Any]]
    version: str

    def expression(self, path: KeyPath) -> Expression | None:
        """Return the compiled expression of the value at that path, if it has a good one."""
        return self.expressions.get((*path, "from"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What `_defaults.yaml` says, its short forms written out."""

    document: Document | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def values_of(model: MappingFile) -> Iterator[tuple[KeyPath, str, Value]]:
    """Return every value of a mapping: its path in the file, the CRM field, and the value."""
    for top in ("set", "on_create_only"):
        for name, value in getattr(model, top).items():
            yield (top, name), name, value
    for index, item in enumerate(model.match):
        for name, value in item.items():
            yield ("match", index, name), name, value
    for top in ("on_delete", "otherwise"):
        section = getattr(model, top)
        if section is not None:
            for name, value in section.set.items():
                yield (top, "set", name), name, value


def place_of(draft: Draft, path: KeyPath) -> KeyPath:
    """Return where an expression stands in the file: in its short form there is no `from`."""
    return path if path in draft.document.values or path[-1] != "from" else path[:-1]


def read_defaults(path: Path | None) -> tuple[Shared, list[Problem]]:
    """Read the defaults of a folder; with problems there are none."""
    if path is None:
        return Shared(), []
    try:
        document = read(path)
    except ProblemsError as error:
        return Shared(), error.problems
    written = written_out(document)
    problems = list(written.problems)
    try:
        build(Defaults, written.document)
    except ProblemsError as error:
        problems += error.problems
    return (Shared(document=document, data=written.document.data) if not problems else Shared()), problems


def draft(path: Path, shared: Shared) -> tuple[Draft | None, list[Problem]]:
    """Read one file as far as possible, and return all its problems that can be seen in it alone."""
    try:
        document = read(path)
    except ProblemsError as error:
        return None, error.problems
    written = written_out(document)
    problems = list(written.problems)
    merged = replace(written.document, data=_with_defaults(written.document.data, shared.data))
    broken = set(written.broken)
    try:
        model = build(MappingFile, merged)
    except ProblemsError as error:
        problems += [problem for problem in error.problems if not _follows(problem, broken)]
        rest, more = _salvage(MappingFile, merged.data)
        broken |= more
        if rest is None:
            return None, problems
        model = rest
    tables, contents = _tables(model, document, path.parent, problems, broken)
    return (
        Draft(
            path=path,
            document=document,
            model=model,
            broken=frozenset(broken),
            said=frozenset(document.data),
            expressions=dict(_expressions(model, document, tables, problems, broken)),
            tables=tables,
            version=_version(merged.data, contents),
        ),
        problems,
    )


def _follows(problem: Problem, broken: set[str]) -> bool:
    """Whether a key is only missing because it was broken, and that was said."""
    return problem.where in broken and "missing" in problem.what


def _with_defaults(data: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(data)
    origin = data.get("from")
    is_email = isinstance(origin, dict) and "email" in origin
    for key, value in defaults.items():
        if key not in merged:
            if not (key == "on_delete" and (is_email or _keeps_off_deletes(data))):
                merged[key] = value
        elif key in ("from", "to", "tables") and isinstance(merged[key], dict):
            merged[key] = {**value, **merged[key]}
    return merged


def _keeps_off_deletes(data: Mapping[str, Any]) -> bool:
    origin = data.get("from")
    events = origin.get("events") if isinstance(origin, dict) else None
    return isinstance(events, list) and "delete" not in events and data.get("otherwise", {}).get("do") != "delete"


def _salvage(model: type[M], data: Mapping[str, Any]) -> tuple[M | None, set[str]]:
    """Leave out what is wrong, stand in for what is missing: the rest can be checked, too."""
    rest = json.loads(json.dumps(data))
    broken: set[str] = set()
    known = [info.alias or name for name, info in model.model_fields.items()]
    for _ in range(3):
        try:
            return model.model_validate_json(json.dumps(rest), strict=True), broken
        except ValidationError as error:
            for top, item in {(str(e["loc"][0]), e["loc"][1] if len(e["loc"]) > 1 else None) for e in error.errors()}:
                broken |= {top, *get_close_matches(top, known, 1, 0.7)}  # on_delet: then on_delete is not unsaid
                if top in _ITEMWISE and isinstance(rest.get(top), dict) and item in rest[top]:
                    del rest[top][item]
                elif top in _STAND_IN:
                    rest[top] = _STAND_IN[top]
                else:
                    rest.pop(top, None)
    return None, broken


def _tables(
    model: MappingFile, document: Document, folder: Path, problems: list[Problem], broken: set[str]
) -> tuple[dict[str, Mapping[str, Any]], list[bytes]]:
    tables: dict[str, Mapping[str, Any]] = {}
    contents: list[bytes] = []
    for name, table in model.tables.items():
        try:
            tables[name], content = read_table(table, folder)
        except TableError as error:
            problems.append(document.problem(("tables", name, error.key), error.what, error.hint))
            tables[name] = {}
            broken.add("tables")
        else:
            contents.append(content)
            if not tables[name]:
                problems.append(document.problem(("tables", name), "the table is empty", "a row: NL: Nederland"))
    return tables, contents


def _expressions(
    model: MappingFile,
    document: Document,
    tables: Mapping[str, Mapping[str, Any]],
    problems: list[Problem],
    broken: set[str],
) -> Iterator[tuple[KeyPath, Expression]]:
    texts: list[tuple[KeyPath, str]] = [
        ((*path, "from"), value.from_) for path, _, value in values_of(model) if value.from_ is not None
    ]
    if model.when is not None:
        texts.append((("when",), model.when))
    for path, text in texts:
        try:
            yield path, compile_expression(text, tables=tables, condition=path == ("when",))
        except ExpressionError as error:
            place = path if path in document.values or path[-1] != "from" else path[:-1]
            problems.append(document.problem(place, error.message, error.hint, offset=error.offset))
            broken.add(str(path[0]))


def _version(data: Mapping[str, Any], contents: list[bytes]) -> str:
    """Return a short hash of all that the mapping says: its file, the defaults, its tables; not its examples."""
    said = {key: value for key, value in data.items() if key != "examples"}
    digest = hashlib.sha256(json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]
