"""From a document to a pydantic model, with every mistake at its place and in plain words."""

from typing import Any, TypeVar

from pydantic import BaseModel

from connector.files.document import Document, KeyPath

M = TypeVar("M", bound=BaseModel)


def build(model: type[M], document: Document, *, at: KeyPath = (), context: Any = None) -> M:
    """Return the model that the document (or the part of it at `at`) describes.

    Raises ProblemsError with all problems at once: unknown keys with the nearest known name, missing ones, wrong
    types, values out of range; no message is pydantic's own.
    """
    raise NotImplementedError
