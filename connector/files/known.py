"""What a model knows at a place in a file: found by walking its annotations."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def models_at(model: type[BaseModel], path: Sequence[int | str], branch: str = "") -> list[type[BaseModel]]:
    """Return the models that can stand at that path; of a union, the one named `branch` if there is one."""
    here: list[Any] = [model]
    for part in path:
        here = [inner for annotation in here for inner in _inside(annotation, part)]
    found = [annotation for annotation in here if _is_model(annotation)]
    return [one for one in found if one.__name__ == branch] or found


def known_keys(models: Sequence[type[BaseModel]]) -> list[str]:
    """Return the keys that at least one of the models takes, as they are written in a file."""
    return list(dict.fromkeys(key for model in models for key in _keys(model)))


def description(models: Sequence[type[BaseModel]], key: str) -> str:
    """Return the description of a key, or nothing."""
    for model in models:
        name = _keys(model).get(key)
        if name is not None:
            return model.model_fields[name].description or ""
    return ""


def meant(models: Sequence[type[BaseModel]], said: str) -> str:
    """Return what to try for a key that people write for something else, or nothing.

    A model says so in `MEANT`: word → hint.
    """
    return next((hint for model in models if (hint := getattr(model, "MEANT", {}).get(said))), "")


def nearest(said: str, known: Sequence[str]) -> str:
    """Return the key that was surely meant, or nothing: a wrong guess leads further away than none."""
    word = said.lower().replace("-", "_")
    longer = [key for key in known if key.startswith(f"{word}_")]
    return next(iter(longer or get_close_matches(word, known, 1, 0.75)), "")


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _keys(model: type[BaseModel]) -> dict[str, str]:
    """Map the keys in a file to the fields' names."""
    keys: dict[str, str] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias if isinstance(field.validation_alias, str) else field.alias
        keys[alias or name] = name
    return keys


def _inside(annotation: Any, part: int | str) -> Iterator[Any]:
    """Yield what can stand at a key or list item of such a value."""
    if _is_model(annotation):
        name = _keys(annotation).get(str(part))
        if name is not None:
            yield from _members(annotation.model_fields[name].annotation)
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if not arguments or not isinstance(origin, type):
        return
    if issubclass(origin, Mapping):
        yield from _members(arguments[-1])
    elif issubclass(origin, tuple) and isinstance(part, int) and Ellipsis not in arguments:
        yield from _members(arguments[min(part, len(arguments) - 1)])
    elif issubclass(origin, list | tuple | set | frozenset | Sequence):
        yield from _members(arguments[0])


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows, without what it says of them."""
    while hasattr(annotation, "__value__"):  # a named type
        annotation = annotation.__value__
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation
