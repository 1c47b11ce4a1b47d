"""The tables of docs/presets.md, made from the model: `python -m connector.crm.presets.reference docs/presets.md`."""

import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connector.crm.presets import model

_MARK = re.compile(r"(<!-- made from the model: [^>]* -->\n).*?(<!-- end -->)", re.DOTALL)
_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file", model.Preset),
    ("`connection`", model.Connection),
    ("`connection.auth`, type: bearer", model.Bearer),
    ("`connection.auth`, type: header", model.HeaderAuth),
    ("`connection.auth`, type: basic", model.Basic),
    ("`connection.auth`, type: oauth2", model.OAuth2),
    ("`connection.timeouts`", model.Timeouts),
    ("`limits`", model.PresetLimits),
    ("`limits.rates[]`", model.RateLimit),
    ("`resets[]`", model.Reset),
    ("`left[]`", model.Left),
    ("`rules[]`", model.Rule),
    ("A capture", model.Capture),
    ("`values`", model.Values),
    ("`settings.NAME`", model.Asked),
    ("`secrets.NAME`", model.AskedSecret),
    ("`verified`", model.Verified),
    ("`objects.NAME`", model.Object),
    ("A request (every step has these)", model.Step),
    ("`find`, besides", model.Find),
    ("`upsert`, besides", model.Upsert),
    ("`links.NAME`", model.Link),
    ("`shapes.PATH`", model.Shape),
    ("`fields.PATH`", model.FieldFacts),
    ("`batch.update`, `batch.upsert`, `batch.erase`, besides", model.Batch),
    ("`results` and `errors` of a batch", model.Results),
    ("`examine[]`, besides", model.Examine),
)


def reference() -> str:
    """Return the tables."""
    return "\n".join(_lines()).rstrip() + "\n"


def renewed(page: str) -> str:
    """Return the page with its tables as the model has them."""
    return _MARK.sub(lambda found: f"{found[1]}\n{reference()}\n{found[2]}", page)


def _lines() -> Iterator[str]:
    for title, section in _SECTIONS:
        below = model.Step.model_fields if section is not model.Step and issubclass(section, model.Step) else {}
        yield f"### {title}"
        yield ""
        yield "| key | value | default | meaning |"
        yield "|---|---|---|---|"
        for name, field in section.model_fields.items():
            if name in below:
                continue
            about = (field.description or "").replace("|", "\\|")
            yield f"| `{field.alias or name}` | {_kind(field.annotation)} | {_default(field)} | {about} |"
        yield ""


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return ", ".join(str(value) for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_kind(each) for each in arguments if each is not type(None)))
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"object of {_kind(arguments[1])}"
    return _plain(annotation)


def _plain(annotation: Any) -> str:
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
    if annotation in words:
        return words[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "outcome"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "see below"
    return str(annotation.__name__) if isinstance(annotation, type) else "anything"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ((), {}, "") or isinstance(default, BaseModel):
        return ""
    if isinstance(default, tuple):
        return ", ".join(f"`{each}`" for each in default if not isinstance(each, BaseModel)) or "Retry-After"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text("utf-8")), "utf-8")
