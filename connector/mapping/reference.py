"""The tables of docs/mappings.md, made from the model: `python -m connector.mapping.reference docs/mappings.md`."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from connector.mapping.model import CsvTable, Defaults, Expect, From, Given, Guard, MappingFile, To, Value
from connector.mapping.normal import ON_DELETE, OTHERWISE
from connector.mapping.scope import RESERVED

_MARK = re.compile(r"(<!-- made from the model: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def documented() -> dict[str, type[BaseModel]]:
    """Return the models that have a table of their own, by its name in the page."""
    return {
        "file": MappingFile,
        "from": From,
        "to": To,
        "value": Value,
        "guard": Guard,
        "csv": CsvTable,
        "given": Given,
        "expect": Expect,
        "defaults": Defaults,
    }


def tables() -> dict[str, str]:
    """Return each table in Markdown, by its name in the page."""
    made = {name: _keys(model) for name, model in documented().items()}
    made["on_delete"] = _words(ON_DELETE)
    made["otherwise"] = _words(OTHERWISE)
    names = {name: f"{meaning} ({kind.value})" for name, (kind, meaning, _) in RESERVED.items()}
    made["names"] = _table(("name", "what it is"), names)
    return made


def _keys(model: type[BaseModel]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        if field.is_required():
            default = "must be said"
        elif field.default in (None, PydanticUndefined, (), {}) or isinstance(field.default, tuple):
            default = ""
        else:
            default = f"`{json.dumps(field.default)}`".replace('"', "")
        rows.append(f"| `{field.alias or name}` | {_cell(field.description or '')} | {default} |")
    return "\n".join(["| key | what it says | default |", "|---|---|---|", *rows])


def _words(words: Mapping[str, str]) -> str:
    return _table(("word", "what it does"), words)


def _table(heads: tuple[str, str], rows: Mapping[str, str]) -> str:
    lines = [f"| `{name}` | {_cell(text)} |" for name, text in rows.items()]
    return "\n".join([f"| {heads[0]} | {heads[1]} |", "|---|---|", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def filled_in(page: str) -> str:
    """Return the page with its tables as the model has them now."""
    made = tables()
    return _MARK.sub(lambda mark: f"{mark[1]}{made[mark[2]]}\n{mark[3]}", page)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        path = Path(argument)
        path.write_text(filled_in(path.read_text(encoding="utf-8")), encoding="utf-8")
