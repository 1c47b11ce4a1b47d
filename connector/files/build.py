"""From a document to a pydantic model, with every mistake at its place and in plain words.

A model's own validators raise ValueError or PydanticCustomError; their words are shown as they are. The latter's
context may say more: `hint` (what to try), `offset` (how far into the value), `at_key` (point at the key), `path`
(a tuple that leads on from where the validator stands).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from connector.files import words
from connector.files.document import Document
from connector.files.known import description, known_keys, meant, models_at, nearest
from connector.files.lines import KeyPath, is_secret, shown
from connector.files.problem import Problem, ProblemsError

M = TypeVar("M", bound=BaseModel)

_BUILT_IN = frozenset(get_args(ErrorType))
_KEY = "[key]"
_FEW = 16


def build(model: type[M], document: Document, *, at: KeyPath = (), context: Any = None) -> M:
    """Return the model that the document (or the part of it at `at`) describes.

    Types are strict: `"5"` is no number and `1` is not true; text stands for paths, addresses and the like. Raises
    ProblemsError with all problems at once: unknown keys with the nearest known name, missing ones, wrong types, values
    out of range; no message is pydantic's own, and no value of a secret is repeated.
    """
    data = document.value(at)
    try:
        return model.model_validate_json(json.dumps(data), strict=True, context=context)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    explainer = _Explainer(model, document, at)
    mistakes = [_locate(error, data) for error in errors]
    raise ProblemsError(dict.fromkeys(explainer.explain(mistakes, 0)))


@dataclass(frozen=True, slots=True)
class _Mistake:
    """An error at its path in the data. `branches` are those of unions on the way, each with the union's path."""

    error: ErrorDetails
    path: KeyPath
    branches: tuple[tuple[KeyPath, str], ...]
    at_key: bool

    @property
    def kind(self) -> str:
        return self.error["type"]


def _locate(error: ErrorDetails, data: Any) -> _Mistake:
    """Follow the error's location through the data: what is not in the data names a branch, or what is missing."""
    path: KeyPath = ()
    branches: list[tuple[KeyPath, str]] = []
    value: Any = data
    loc = error["loc"]
    for number, part in enumerate(loc):
        is_last = number == len(loc) - 1
        if is_last and error["type"] == "missing":
            path = (*path, part)
        elif _has(value, part):
            path, value = (*path, part), value[part]
        elif part != _KEY:
            branches.append((path, str(part)))
    return _Mistake(error, path, tuple(branches), loc[-1:] == (_KEY,))


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


class _Explainer:
    def __init__(self, model: type[BaseModel], document: Document, at: KeyPath) -> None:
        self._model = model
        self._document = document
        self._at = at

    def explain(self, mistakes: Sequence[_Mistake], depth: int) -> list[Problem]:
        """One problem for each mistake; what the branches of a union say of one value becomes one."""
        found: list[Problem] = []
        unions: dict[KeyPath, dict[str, list[_Mistake]]] = {}
        for mistake in mistakes:
            if len(mistake.branches) > depth:
                path, branch = mistake.branches[depth]
                unions.setdefault(path, {}).setdefault(branch, []).append(mistake)
            else:
                found.append(self._problem(mistake))
        for path, branches in unions.items():
            found.extend(self._union(path, branches, depth))
        return found

    def _union(self, path: KeyPath, branches: dict[str, list[_Mistake]], depth: int) -> list[Problem]:
        """Speak for the branch that the value was meant for, if its kind tells; else say all that it could be."""
        meant = [
            mistakes
            for mistakes in branches.values()
            if not any(mistake.path == path and words.is_about_kind(mistake.kind) for mistake in mistakes)
        ]
        if meant:
            return self.explain(min(meant, key=len), depth + 1)
        kinds = [
            (mistake.kind, mistake.error.get("ctx", {}))
            for mistakes in branches.values()
            for mistake in mistakes
            if mistake.path == path
        ]
        full = (*self._at, *path)
        what, hint = words.none_of(kinds, self._document.value(full), hidden=is_secret(full))
        return [self._document.problem(full, what, hint)]

    def _problem(self, mistake: _Mistake) -> Problem:
        full = (*self._at, *mistake.path)
        context = mistake.error.get("ctx", {})
        if mistake.kind == "extra_forbidden":
            return self._unknown(mistake)
        if mistake.kind == "missing":
            return self._missing(mistake)
        if mistake.kind not in _BUILT_IN:
            return self._document.problem(
                (*full, *context.get("path", ())),
                mistake.error["msg"],
                str(context.get("hint", "")),
                at_key=mistake.at_key or bool(context.get("at_key")),
                offset=int(context.get("offset", 0)),
            )
        if mistake.kind in ("value_error", "assertion_error"):
            return self._document.problem(full, str(context["error"]), at_key=mistake.at_key)
        if mistake.at_key:
            name = str(mistake.path[-1])
            what, hint = words.explain(mistake.kind, context, name, hidden=False)
            return self._document.problem(full, f"`{name}` is not possible as a key: {what}", hint, at_key=True)
        what, hint = words.explain(mistake.kind, context, self._document.value(full), hidden=is_secret(full))
        return self._document.problem(full, what, hint)

    def _models(self, mistake: _Mistake) -> list[type[BaseModel]]:
        """Return the models that the mistake's parent may be."""
        parent = mistake.path[:-1]
        branch = next((name for path, name in mistake.branches if path == parent), "")
        return models_at(self._model, parent, branch)

    def _unknown(self, mistake: _Mistake) -> Problem:
        parent, name = (*self._at, *mistake.path[:-1]), str(mistake.path[-1])
        known = known_keys(self._models(mistake))
        free = [key for key in known if key not in self._document.value(parent)]
        near = nearest(name, free)
        hint = meant(self._models(mistake), name) or (f"`{near}`" if near else "")
        what = f"unknown key `{name}`"
        if not hint and 0 < len(known) <= _FEW:
            what += f" (known here: {', '.join(known)})"
        place = self._document.place((*parent, name), at_key=True)
        return Problem(self._document.file, place.line, place.column, shown(parent), what, hint)

    def _missing(self, mistake: _Mistake) -> Problem:
        parent, name = (*self._at, *mistake.path[:-1]), mistake.path[-1]
        about = description(self._models(mistake), str(name))
        what = f"entry {name + 1} is missing" if isinstance(name, int) else f"`{name}` is missing"
        what += f" ({about})" if about else ""
        place = self._document.place(parent, at_key=True)
        return Problem(self._document.file, place.line, place.column, shown(parent), what)
