"""A step of a preset, compiled: from values to a request that can be sent."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from connector.crm.presets.model import Find, Shape, Step, Values
from connector.crm.rest import template
from connector.crm.rest.template import Compiled, Scope
from connector.crm.rest.wire import Outgoing
from connector.domain.change import JsonValue


class CompiledStep:
    """A step, ready to be filled. `creates`: it makes a new record, and doing it twice makes two."""

    __slots__ = ("_body", "_form", "_headers", "_path", "_query", "creates", "model", "reads", "what")

    def __init__(self, model: Step, what: str, *, creates: bool = False) -> None:
        self.model = model
        self.what = what
        self.reads = model.reads if model.reads is not None else model.method == "GET" or isinstance(model, Find)
        repeatable = model.repeatable if model.repeatable is not None else not creates
        self.creates = not repeatable and not self.reads
        self._path = template.compile_path(model.path)
        self._query = template.compile_query(model.query, model.arrays) if model.query else None
        self._headers = [(name, template.compile_text(value)) for name, value in model.headers.items()]
        self._body = None if model.body is None else template.compile_value(model.body)
        self._form = None if model.form is None else template.compile_value(model.form)

    def url(self, base: str, scope: Scope) -> str:
        """Return the whole address. Raises UnusableError."""
        url = base + self._path(scope)
        if self._query is not None and (query := self._query(scope)):
            url += ("&" if "?" in url else "?") + query
        return url

    def payload(self, scope: Scope) -> Any:
        """Return the body as JSON, or None. Raises UnusableError."""
        if self._form is not None:
            return self._form(scope)
        return None if self._body is None else self._body(scope)

    def outgoing(self, base: str, headers: Mapping[str, str], scope: Scope) -> Outgoing:
        """Return the request. Raises UnusableError for a value that cannot stand where it should."""
        own = {name: _header(fill(scope)) for name, fill in self._headers}
        payload = self.payload(scope)
        body: bytes | None = None
        if payload is not None and self._form is not None:
            own.setdefault("Content-Type", "application/x-www-form-urlencoded")
            body = urlencode(payload).encode()
        elif payload is not None:
            own.setdefault("Content-Type", "application/json")
            body = _json(payload)
        return Outgoing(self.model.method, self.url(base, scope), {**headers, **own}, body)


_as_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _json(payload: Any) -> bytes:
    try:
        text = _as_text(payload)
    except ValueError:
        raise template.UnusableError("a number that JSON does not know cannot be sent") from None
    return text.encode("utf-8", "replace")


def _header(value: str) -> str:
    if any(ord(character) < 32 or ord(character) > 255 for character in value):  # noqa: PLR2004 - latin-1
        raise template.UnusableError("a value cannot stand in a header")
    return value


class Writer:
    """Writes fields as one object of the CRM wants them: nested, shaped, and with its own way to empty a field."""

    def __init__(self, values: Values, shapes: Mapping[str, Shape]) -> None:
        self._values = values
        self._shapes = {
            path: (shape.into, template.compile_value(shape.value), template.compile_value(shape.empty))
            for path, shape in shapes.items()
        }

    def __call__(self, fields: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return the fields as they go into a body."""
        flat: dict[str, Any] = {}
        for path, value in fields.items():
            name, shape = self._shape(path)
            if shape is None:
                flat[path] = _written(value, self._values)
                continue
            into, full, empty = shape
            made = (empty if value is None else full)({"value": value, "name": name})
            here = flat.get(into)
            flat[into] = [*here, *made] if isinstance(here, list) and isinstance(made, list) else made
        return template.nest(flat)

    def _shape(self, path: str) -> tuple[str, tuple[str, Compiled, Compiled] | None]:
        if path in self._shapes:
            return path, self._shapes[path]
        above, _, name = path.rpartition(".")
        return name, self._shapes.get(f"{above}.*") if above else None


def _written(value: JsonValue, values: Values) -> Any:
    if value is None:
        return values.clear
    if values.join is not None and isinstance(value, list):
        return values.join.join(str(item) for item in value)
    if values.as_text and isinstance(value, bool):
        return "true" if value else "false"
    if values.as_text and isinstance(value, (int, float)):
        return str(value)
    return value
