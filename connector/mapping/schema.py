"""The JSON Schema of mapping files, for editors: the model's own, with the short forms that people write."""

from typing import Any

from pydantic import BaseModel

from connector.mapping.model import Defaults, MappingFile
from connector.mapping.normal import ON_DELETE, OTHERWISE, choices

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def mapping_schema() -> dict[str, Any]:
    """Return the schema of a mapping file."""
    return _schema(MappingFile, "A mapping: which Copernica records become which records of a CRM, and how")


def defaults_schema() -> dict[str, Any]:
    """Return the schema of `_defaults.yaml`."""
    return _schema(Defaults, "What all mapping files of a folder say unless they say otherwise themselves")


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    values = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Value"}, "minProperties": 1}
    if "Value" in parts:
        parts["Value"] = {
            "description": "an expression, such as `voornaam | trim`, or an object that says more",
            "anyOf": [{"type": "string", "minLength": 1}, parts["Value"]],
        }
    parts["OnDelete"] = _choice(ON_DELETE, {"set": values}, ("set",))
    if "Otherwise" in parts:
        clear = {"type": "array", "items": {"type": "string"}}
        parts["Otherwise"] = _choice(OTHERWISE, {"set": values, "clear": clear}, ())
    if "match" in schema["properties"]:
        schema["properties"]["match"]["items"] |= {"minProperties": 1, "maxProperties": 1}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    parts["Table"] = {
        "description": "key: value, or a CSV file beside the mapping file",
        "anyOf": [{"$ref": "#/$defs/CsvTable"}, {"type": "object", "additionalProperties": scalar, "minProperties": 1}],
    }
    for part in parts.values():
        if "enum" in part:
            del part["description"]  # written for who reads the code; the key that uses it has its own
    _tidy(schema)
    return {"$schema": DRAFT, "title": title, **{key: schema[key] for key in sorted(schema) if key != "title"}}


def _choice(words: dict[str, str], changes: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    return {
        "description": f"one of {choices(words)}",
        "anyOf": [
            {"enum": [word for word in words if word not in changes]},
            {
                "type": "object",
                "properties": changes,
                "required": list(required),
                "additionalProperties": False,
                "minProperties": 1,
            },
        ],
    }


def _tidy(part: Any) -> None:
    """Take out the titles, which only repeat a key's name."""
    if isinstance(part, dict):
        if isinstance(part.get("title"), str):
            del part["title"]
        for value in part.values():
            _tidy(value)
    elif isinstance(part, list):
        for value in part:
            _tidy(value)
