"""Writes `config.example.toml` from the model: `python -m connector.config.example > config.example.toml`."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connector.config.model import (
    Alert,
    Config,
    Delivery,
    Destination,
    Dns,
    Log,
    Outbox,
    Receiver,
    Schedule,
    SecretRef,
    Section,
    Source,
)

SECTIONS: tuple[tuple[str, type[Section]], ...] = (
    ("receiver", Receiver),
    ("sources.newsletter", Source),
    ("destinations.crm", Destination),
    ("outbox", Outbox),
    ("delivery", Delivery),
    ("delivery.schedule", Schedule),
    ("dns", Dns),
    ("alert", Alert),
    ("log", Log),
)
"""The tables in the order that a reader needs them: first what has to be said, then what may stay as it is."""

SET = ("account", "preset", "secrets")
"""What a first configuration has to say; all else has a default."""


def example() -> str:
    """Return the text of the file."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# The configuration of the connector: /etc/connector/config.toml, or what --config or CONNECTOR_CONFIG says."
    yield "# Every option is here. Behind a `#` without a blank stands its default, or an example where there is none;"
    yield "# take that `#` away to set it. Times are in seconds. Paths are taken from the folder of this file."
    yield "# `connector check` tells what is wrong in it, all at once."
    yield "#"
    yield "# A secret never stands in here, but where it is, as exactly one of:"
    for name, field in SecretRef.model_fields.items():
        yield f"#   {{ {name} = {_toml(_examples(field)[0])} }}".ljust(28) + f"{field.description}"
    yield ""
    yield from _options(Config)
    for name, model in SECTIONS:
        yield ""
        yield ""
        yield f"[{name}]"
        yield f"# {(model.__doc__ or '').strip()}"
        yield ""
        yield from _options(model)


def _options(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if field.description is None:
            continue  # a table of its own
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        is_set = name in SET
        has_default = default is not None and default != {}
        value = default if has_default else _examples(field)[0]
        yield f"# {field.description}"
        if is_set:
            yield f"{name} = {_toml(value)}"
        else:
            remark = _remark(field.description, value) if has_default else "an example; not set by default"
            yield f"#{name} = {_toml(value)}" + (f"  # {remark}" if remark else "")


def _examples(field: FieldInfo) -> list[Any]:
    return list(field.examples or [])


def _remark(description: str, value: Any) -> str:
    """Return a large number in a unit that people think in."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    units: tuple[tuple[int, str], ...] = ()
    if re.search(r"\bbytes\b|\bsize\b|\bspace\b", description):
        units = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
    elif re.search(r"\bseconds\b", description):
        units = ((86400, "days"), (3600, "hours"), (60, "minutes"))
    for size, unit in units:
        if value >= size and value % size == 0:
            many = int(value // size)
            return f"{many} {unit if many > 1 or unit.endswith('B') else unit.removesuffix('s')}"
    return ""


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:_}"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(example())
