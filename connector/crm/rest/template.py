"""Templates of a preset: `{id}`, `{key.value|soql}`; compiled once, filled for each request."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

Scope: TypeAlias = Mapping[str, Any]
"""Values by their dotted names: `id`, `key.value`, `settings.host`."""

Compiled: TypeAlias = Callable[[Scope], Any]

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_-]+)?)((?:\|[a-z0-9]+)*)\}")
_SPLICE = "*"


class TemplateError(ValueError):
    """A template that cannot be understood: its message is for the author of the preset."""


class UnusableError(ValueError):
    """A value that cannot stand where the template puts it; the message holds no value."""


def _integer(value: Any) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise UnusableError("an ID that has to be a number is not one") from None


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnusableError("names, values and pairs are for {fields}")
    return value


_SOQL = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)

FILTERS: Mapping[str, Callable[[Any], Any]] = {
    "int": _integer,
    "text": str,
    "lower": lambda value: str(value).lower(),
    "json": _as_json,
    "base64": lambda value: base64.urlsafe_b64encode(str(value).encode()).decode(),
    "odata": lambda value: str(value).replace("'", "''"),
    "soql": lambda value: str(value).translate(_SOQL),
    "list": lambda value: [value],
    "names": lambda value: list(_mapping(value)),
    "values": lambda value: list(_mapping(value).values()),
    "pairs": lambda value: [{"name": name, "value": item} for name, item in _mapping(value).items()],
}
"""What can stand behind a `|`."""


def placeholders(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each placeholder's name and filters. Raises TemplateError for a brace that is none."""
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        raise TemplateError(f"{text!r} has a brace that is no placeholder; a brace itself is written twice")
    for match in _PLACEHOLDER.finditer(text):
        if match.group(1):
            filters = tuple(match.group(2).split("|")[1:])
            for name in filters:
                if name not in FILTERS:
                    raise TemplateError(f"there is no filter {name!r}; there are {', '.join(sorted(FILTERS))}")
            yield match.group(1), filters


def names_in(value: Any) -> Iterator[str]:
    """Yield the names of all placeholders in a text or in the texts of a structure."""
    if isinstance(value, str):
        yield from (name for name, _ in placeholders(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from names_in(key)
            yield from names_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from names_in(item)


def _reader(name: str, filters: tuple[str, ...]) -> Compiled:
    def read(scope: Scope) -> Any:
        try:
            value = scope[name]
        except KeyError:
            raise UnusableError(f"there is no {{{name}}} at this point") from None
        for each in filters:
            value = FILTERS[each](value)
        return value

    return read


def compile_text(text: str, escape: Callable[[Any], str] = str) -> Callable[[Scope], str]:
    """Compile a text whose placeholders always become text, each escaped."""
    list(placeholders(text))
    parts: list[str | Compiled] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match.group(1):
            parts.append(_reader(match.group(1), tuple(match.group(2).split("|")[1:])))
        else:
            parts.append(match.group()[0])
    parts.append(text[end:])
    fixed = [part for part in parts if part != ""]
    if all(isinstance(part, str) for part in fixed):
        whole = "".join(part for part in fixed if isinstance(part, str))
        return lambda _: whole
    return lambda scope: "".join(part if isinstance(part, str) else escape(part(scope)) for part in fixed)


def compile_value(value: Any) -> Compiled:
    """Compile a JSON structure. A text that is one placeholder becomes the value itself, with its type."""
    if isinstance(value, str):
        match = _PLACEHOLDER.fullmatch(value)
        if match and match.group(1):
            list(placeholders(value))
            return _reader(match.group(1), tuple(match.group(2).split("|")[1:]))
        return compile_text(value)
    if isinstance(value, Mapping):
        pairs = [(compile_text(str(key)), compile_value(item)) for key, item in value.items()]
        return lambda scope: _fill(pairs, scope)
    if isinstance(value, (list, tuple)):
        items = [compile_value(item) for item in value]
        return lambda scope: [item(scope) for item in items]
    return lambda _: value


def _fill(pairs: list[tuple[Callable[[Scope], str], Compiled]], scope: Scope) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for name, item in pairs:
        key, value = name(scope), item(scope)
        if key == _SPLICE:
            merge(filled, _mapping(value))
        elif isinstance(value, Mapping) and isinstance(filled.get(key), dict):
            merge(filled[key], value)
        else:
            filled[key] = value
    return filled


def merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put `more` into an object, and objects in it into those that are there."""
    for key, value in more.items():
        here = into.get(key)
        if isinstance(here, dict) and isinstance(value, Mapping):
            merge(here, value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def segment(value: Any) -> str:
    """Return a value as one segment of a path. Raises UnusableError for what cannot be one."""
    text = str(value)
    if text in ("", ".", ".."):
        raise UnusableError("a value that is empty or only dots cannot stand in a path")
    return quote(text, safe="")


def compile_path(path: str) -> Callable[[Scope], str]:
    """Compile a path whose placeholders are segments."""
    return compile_text(path, segment)


def compile_query(query: Mapping[str, Any], arrays: str) -> Callable[[Scope], str]:
    """Compile a query: lists and objects by the style of `arrays`; $json and $base64 for a structure in one value."""
    pairs = [(compile_text(name), _query_value(value)) for name, value in query.items()]

    def fill(scope: Scope) -> str:
        flat: list[tuple[str, str]] = []
        for name, value in pairs:
            flat.extend(_flatten(name(scope), value(scope), arrays))
        return "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in flat)

    return fill


def _query_value(value: Any) -> Compiled:
    if isinstance(value, Mapping) and len(value) == 1:
        (marker, inner), *_ = value.items()
        if marker in ("$json", "$base64"):
            compiled = compile_value(inner)
            if marker == "$json":
                return lambda scope: _as_json(compiled(scope))
            return lambda scope: base64.urlsafe_b64encode(_as_json(compiled(scope)).encode()).decode()
    return compile_value(value)


def _flatten(name: str, value: Any, arrays: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(f"{name}[{key}]", item, arrays)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            inner = {"repeat": name, "brackets": f"{name}[]", "index": f"{name}[{index}]"}[arrays]
            if isinstance(item, (Mapping, list)):
                inner = f"{name}[{index}]"
            yield from _flatten(inner, item, arrays)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, str(value)


_PLAIN = {str, int, float, bool, type(None)}


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with dotted paths as nested objects."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        if "." not in path and type(value) in _PLAIN:
            nested[path] = value
            continue
        *parents, last = path.split(".")
        here = nested
        for parent in parents:
            inner = here.get(parent)
            if not isinstance(inner, dict):
                inner = here[parent] = {}
            here = inner
        if isinstance(value, Mapping) and isinstance(here.get(last), dict):
            merge(here[last], value)
        else:
            here[last] = dict(value) if isinstance(value, Mapping) else value
    return nested
