"""The configuration file, found, read, checked, and with its relative paths resolved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from connector.config import check
from connector.config.model import Config, Destination
from connector.files.build import build
from connector.files.document import Document, read
from connector.files.problem import Problem, ProblemsError

DEFAULT_PATH = Path("/etc/connector/config.toml")
VARIABLE = "CONNECTOR_CONFIG"

M = TypeVar("M", bound=BaseModel)


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """Return the configuration: of `path`, else of $CONNECTOR_CONFIG, else of /etc/connector/config.toml.

    Relative paths in it are taken from the folder of the file. Raises ProblemsError with every mistake in it.
    """
    file = find(path, env)
    if not file.exists() and path is None:
        said = f"as {VARIABLE} says" if env.get(VARIABLE) else f"and neither --config nor {VARIABLE} names another"
        what = f"there is no configuration here, {said}"
        raise ProblemsError([Problem(str(file), 1, 1, "", what, "`connector init` to make one")])
    return from_document(read(file), file.absolute().parent)


def find(path: Path | None, env: Mapping[str, str]) -> Path:
    """Return where the configuration is looked for."""
    return path or Path(env.get(VARIABLE) or DEFAULT_PATH)


def from_document(document: Document, folder: Path) -> Config:
    """Return the configuration that a document describes. Raises ProblemsError with every mistake in it."""
    found: list[Problem] = []
    config: Config | None = None
    try:
        config = build(Config, document)
    except ProblemsError as error:
        found.extend(error.problems)
    found.extend(check.problems(document))
    if config is None or found:
        raise ProblemsError(dict.fromkeys(found))
    resolved = _resolved(config, folder)
    resolved._document = document  # noqa: SLF001 - a private attribute of the model: no key of the file
    return resolved


def _resolved(section: M, folder: Path) -> M:
    """Return the section with every relative path in it taken from that folder."""
    update: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, dict):
            update[name] = {key: _resolve(inner, folder) for key, inner in value.items()}
        else:
            update[name] = _resolve(value, folder)
    if isinstance(section, Destination) and is_file_name(section.preset):
        update["preset"] = str(folder / section.preset)
    return section.model_copy(update={name: value for name, value in update.items() if value != getattr(section, name)})


def _resolve(value: Any, folder: Path) -> Any:
    if isinstance(value, BaseModel):
        return _resolved(value, folder)
    return folder / value if isinstance(value, Path) else value


def is_file_name(preset: str) -> bool:
    """Tell whether a destination's `preset` is a path rather than the name of a preset."""
    return "/" in preset or preset.endswith((".yaml", ".yml", ".toml"))
