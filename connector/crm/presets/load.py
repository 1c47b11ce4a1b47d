"""Preset files: read, completed (`extends`, `like`, overrides), validated and checked, every mistake at its place."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from connector.crm.presets.check import check
from connector.crm.presets.model import Preset
from connector.files.build import build
from connector.files.document import Document, KeyPath, parse, read
from connector.files.problem import Problem, ProblemsError, Severity

_STEP_LISTS = ("find", "update", "create", "erase", "archive", "anonymise")
_ENDINGS = (".yaml", ".yml")
_DEPTH = 5


@dataclass(frozen=True, slots=True)
class Shipped:
    """A preset that can be named: its name and where it is."""

    name: str
    file: str
    own: bool


def list_presets(folder: Path | None) -> Sequence[Shipped]:
    """Return the presets that can be named: the user's own, in `folder`, before the shipped ones."""
    own = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in _ENDINGS} if folder else {}
    found = [Shipped(name, str(path), own=True) for name, path in own.items()]
    shipped = sorted(entry.name[:-5] for entry in files(__package__).iterdir() if entry.name.endswith(".yaml"))
    found += [Shipped(name, f"presets/{name}.yaml", own=False) for name in shipped if name not in own]
    return found


def load_preset(name_or_path: str, folder: Path | None = None, override: Mapping[str, Any] | None = None) -> Preset:
    """Return a preset, by name (the user's own before the shipped) or by path, with parts overridden.

    Raises ProblemsError with every mistake.
    """
    preset, problems = examine_preset(name_or_path, folder, override)
    if errors := [problem for problem in problems if problem.severity is Severity.ERROR]:
        raise ProblemsError(errors)
    return preset


def examine_preset(
    name_or_path: str, folder: Path | None = None, override: Mapping[str, Any] | None = None
) -> tuple[Preset, Sequence[Problem]]:
    """Return a preset and what `check` says of it, warnings too. Raises ProblemsError when it cannot be built."""
    document = _completed(_document(name_or_path, folder), folder, ())
    if override:
        preset, problems = _built(document)
        if any(problem.severity is Severity.ERROR for problem in problems):
            return preset, problems
        shown = f"{document.file} with `override`"
        document = _normal(Document(shown, merge(document.data, override), {}, {}))
    return _built(document)


def _built(document: Document) -> tuple[Preset, Sequence[Problem]]:
    objects = document.data.get("objects")
    if not isinstance(objects, dict) or not all(isinstance(each, dict) for each in objects.values()):
        return build(Preset, document), ()  # it says what is wrong
    problems = list(_like_problems(document))
    if problems:
        raise ProblemsError(problems)
    whole = {**document.data, "objects": {name: _with_like(objects, name) for name in objects}}
    try:
        preset = build(Preset, replace(document, data=whole))
    except ProblemsError as error:
        raise ProblemsError(_once(error.problems, objects)) from None
    return preset, sorted(_once(set(check(preset, document)), objects))


def _once(problems: Iterable[Problem], objects: Mapping[str, Any]) -> list[Problem]:
    """Leave out of an object what is wrong in the one that it is like."""
    problems = list(problems)
    said = {(problem.where, problem.what) for problem in problems}
    kept = []
    for problem in problems:
        above, _, rest = problem.where.removeprefix("objects.").partition(".")
        base = objects.get(above, {}).get("like") if problem.where.startswith("objects.") else None
        if base is None or (f"objects.{base}.{rest}".rstrip("."), problem.what) not in said:
            kept.append(problem)
    return kept


def _document(name_or_path: str, folder: Path | None) -> Document:
    if "/" in name_or_path or name_or_path.endswith(_ENDINGS):
        return _normal(read(Path(name_or_path)))
    presets = list_presets(folder)
    for preset in presets:
        if preset.name == name_or_path:
            if preset.own:
                return _normal(read(Path(preset.file)))
            text = files(__package__).joinpath(f"{preset.name}.yaml").read_text("utf-8")
            return _normal(parse(text, file=preset.file))
    names = [preset.name for preset in presets]
    near = get_close_matches(name_or_path, names, 1)
    what = f"there is no preset {name_or_path!r} (there are: {', '.join(names)})"
    raise ProblemsError([Problem(name_or_path, 1, 1, "", what, f"`{near[0]}`, or the path of a file" if near else "")])


def text_of(name_or_path: str, folder: Path | None = None) -> str:
    """Return a preset's file as it stands. Raises ProblemsError when there is none."""
    shown = _document(name_or_path, folder).file
    if any(preset.name == name_or_path and not preset.own for preset in list_presets(folder)):
        return files(__package__).joinpath(f"{name_or_path}.yaml").read_text("utf-8")
    return Path(shown).read_text("utf-8")


def _completed(document: Document, folder: Path | None, seen: tuple[str, ...]) -> Document:
    base = document.data.get("extends")
    if base is None:
        return document
    if not isinstance(base, str):
        raise ProblemsError([document.problem(("extends",), "this has to be the name of a preset")])
    if base in seen or len(seen) >= _DEPTH:
        raise ProblemsError([document.problem(("extends",), f"presets extend each other in a circle ({base})")])
    try:
        below = _completed(_document(base, folder), folder, (*seen, base))
    except ProblemsError as error:
        if base in seen:
            raise
        named = [document.problem(("extends",), f"`{base}` cannot be extended: {error.problems[0].what}")]
        raise ProblemsError(named) from None
    return replace(document, data=merge(below.data, document.data))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the parts of `over` in their place: objects merge, null takes one away."""
    if base.get("type") != over.get("type") and "type" in over and "type" in base:
        return dict(over)  # another way to authenticate: nothing of the first one is meant
    merged = dict(base)
    for key, value in over.items():
        here = merged.get(key)
        if value is None and isinstance(here, Mapping):
            del merged[key]
            continue
        merged[key] = merge(here, value) if isinstance(here, Mapping) and isinstance(value, Mapping) else value
    return merged


def _like_problems(document: Document) -> Iterator[Problem]:
    objects = document.data["objects"]
    for name, data in objects.items():
        base = data.get("like")
        if base is None:
            continue
        if not isinstance(base, str):
            yield document.problem(("objects", name, "like"), "this has to be the name of another object")
        elif base not in objects or base == name:
            near = get_close_matches(base, [other for other in objects if other != name], 1)
            yield document.problem(
                ("objects", name, "like"), f"there is no other object {base!r}", near[0] if near else ""
            )
        elif objects[base].get("like") is not None:
            yield document.problem(("objects", name, "like"), f"`{base}` is like another one itself")


def _with_like(objects: Mapping[str, Any], name: str) -> dict[str, Any]:
    data = dict(objects[name])
    return merge(objects[data["like"]], data) if data.get("like") else data


def _normal(document: Document) -> Document:
    """Write out the short forms: one step for a list of one, a path for a capture, one status for a list."""
    wrapped: list[KeyPath] = []
    into: list[tuple[KeyPath, str]] = []
    data = _normalised(copy.deepcopy(dict(document.data)), (), wrapped, into)
    keys, values, contents = dict(document.keys), dict(document.values), dict(document.contents)
    for places in (keys, values, contents):
        for path in wrapped:
            _shift(places, path, 0)
        for path, name in into:
            _shift(places, path, name)
    return Document(document.file, data, keys, values, contents)


def _shift(places: dict[KeyPath, Any], at: KeyPath, by: str | int) -> None:
    for path, place in list(places.items()):
        if path[: len(at)] == at:
            places[(*at, by, *path[len(at) :])] = place


def _normalised(value: Any, path: KeyPath, wrapped: list[KeyPath], into: list[tuple[KeyPath, str]]) -> Any:
    if isinstance(value, list):
        return [_normalised(item, (*path, index), wrapped, into) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        here = (*path, key)
        if len(path) == 2 and path[0] == "objects" and key in _STEP_LISTS and isinstance(item, dict):  # noqa: PLR2004
            wrapped.append(here)
            item = [item]  # noqa: PLW2901 - written out
        elif key == "status" and "outcome" in value and isinstance(item, (int, str)):
            wrapped.append(here)
            item = [item]  # noqa: PLW2901
        elif isinstance(item, str) and ((key == "existing" and "outcome" in value) or path[-1:] == ("capture",)):
            into.append((here, "json"))
            item = {"json": item}  # noqa: PLW2901
        result[key] = _normalised(item, here, wrapped, into)
    return result


def schema() -> dict[str, Any]:
    """Return the JSON Schema of preset files, with their short forms, for editors."""
    found: dict[str, Any] = json.loads(json.dumps(Preset.model_json_schema(by_alias=True)))
    definitions = found["$defs"]
    for name in _STEP_LISTS:
        here = definitions["Object"]["properties"][name]
        one = {"$ref": "#/$defs/Find"} if name == "find" else {"$ref": "#/$defs/Step"}
        definitions["Object"]["properties"][name] = {"anyOf": [one, here], "description": here.get("description", "")}
    status = definitions["Rule"]["properties"]["status"]
    definitions["Rule"]["properties"]["status"] = {"anyOf": [{"type": ["integer", "string"]}, status]}
    existing = definitions["Rule"]["properties"]["existing"]
    definitions["Rule"]["properties"]["existing"] = {"anyOf": [{"type": "string"}, existing]}
    for each in definitions.values():
        if "capture" in each.get("properties", {}):
            each["properties"]["capture"]["additionalProperties"] = {
                "anyOf": [{"type": "string"}, {"$ref": "#/$defs/Capture"}]
            }
    for each in definitions.values():
        if each is not definitions["Rule"]:
            each.pop("required", None)  # it may stand in the preset, or the object, that is built on
        for key in each.get("properties", {}).values():
            if isinstance(key.get("additionalProperties"), dict):
                key["additionalProperties"] = {"anyOf": [key["additionalProperties"], {"type": "null"}]}
    found.pop("required")
    found["title"] = "A preset of the connector: a CRM described as data"
    return found
