"""As much of OpenAPI as checks whether a request fits its description, strictly: no unknown fields."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator


def _strict(schema: Any) -> Any:
    """Turn OpenAPI 3.0's words into JSON Schema's, and refuse fields that are not described."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items() if key not in ("nullable", "example", "examples")}
    result.pop("oneOf", None)  # in a converted description the branches overlap: they say nothing
    if schema.get("nullable") and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and "oneOf" not in schema:
        result["additionalProperties"] = False
        # a description may require what it does not describe: nobody can satisfy that, so it is no oracle there
        result["required"] = [name for name in schema.get("required", []) if name in schema["properties"]]
    return result


class Description:
    """One vendor's OpenAPI document."""

    def __init__(self, file: Path) -> None:
        self._document = json.loads(file.read_text())
        self._components = _strict(copy.deepcopy(self._document.get("components", {})))

    def template(self, method: str, path: str) -> str | None:
        """Return the described path that fits, the most literal one first."""
        fitting = []
        for template, operations in self._document["paths"].items():
            pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
            if method.lower() in operations and re.fullmatch(pattern, path):
                fitting.append((template.count("{"), template))
        return min(fitting)[1] if fitting else None

    def problems(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> Iterator[str]:
        """Yield what does not fit."""
        template = self.template(method, path)
        if template is None:
            yield "there is no such operation"
            return
        operation = self._document["paths"][template][method.lower()]
        parameters = operation.get("parameters", []) + self._document["paths"][template].get("parameters", [])
        yield from self._query(parameters, query)
        names = re.findall(r"\{([^}]*)\}", template)
        pattern = re.sub(r"\\\{[^}]*\\\}", "([^/]+)", re.escape(template))
        match = re.fullmatch(pattern, path)
        assert match
        for name, value in zip(names, match.groups(), strict=True):
            for parameter in parameters:
                if parameter.get("in") == "path" and parameter["name"] == name:
                    yield from self._value(parameter, value)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            if body is not None:
                yield "it takes no body"
        elif body is None:
            if operation["requestBody"].get("required"):
                yield "the body is missing"
        else:
            yield from self._against(content.get("schema", {}), body)

    def _query(self, parameters: list[dict[str, Any]], query: Mapping[str, list[str]]) -> Iterator[str]:
        known = {each["name"]: each for each in parameters if each.get("in") == "query"}
        for name, values in query.items():
            if name not in known:
                yield f"there is no query parameter {name}"
            else:
                yield from self._value(known[name], values[0])
        for name, each in known.items():
            if each.get("required") and name not in query:
                yield f"the query parameter {name} is missing"

    def _value(self, parameter: dict[str, Any], text: str) -> Iterator[str]:
        schema = parameter.get("schema", {})
        value: Any = text
        if schema.get("type") in ("integer", "number", "boolean"):
            try:
                value = json.loads(text)
            except ValueError:
                yield f"{parameter['name']} is not {schema['type']}"
                return
        yield from self._against(schema, value)

    def _against(self, schema: Any, value: Any) -> Iterator[str]:
        whole = {**_strict(schema), "components": self._components}
        for error in Draft202012Validator(whole).iter_errors(value):
            yield f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"
