"""What came back, or what is known when nothing did. Nothing in it is trusted."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from connector.crm.presets.model import Capture
from connector.crm.rest import jsonpath

TEXT_LIMIT = 64 * 1024
VALUE_LIMIT = 2048
ID_LIMIT = 255
_ID = re.compile(r"[^\x00-\x20\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """There is no (whole) answer. `sent`: the request left, or may have left."""

    sent: bool
    why: str


@dataclass(frozen=True)
class Answer:
    """A whole answer. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or MISSING. Too deep, too long numbers, NaN: not JSON."""
        if not self.body.strip():
            return jsonpath.MISSING
        try:
            return _DECODER.decode(self.body.decode(json.detect_encoding(self.body), "surrogatepass"))
        except (ValueError, RecursionError):
            return jsonpath.MISSING

    @cached_property
    def text(self) -> str:
        """The body's beginning as text."""
        return self.body[:TEXT_LIMIT].decode("utf-8", "replace")

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        return self.json is not jsonpath.MISSING


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def of_item(item: Any, status: int, headers: Mapping[str, str]) -> Answer:
    """Return one result of a batch as an answer of its own."""
    return Answer(status, headers, json.dumps(item).encode())


def capture(answer: Answer, wanted: Capture) -> str | None:
    """Return the captured text; None if it is not there, or is no plain value, or is too long."""
    if wanted.text is not None:
        match = re.search(wanted.text, answer.text)
        return _bounded(match.group(1 if match.re.groups else 0)) if match else None
    value: Any
    if wanted.header is not None:
        value = answer.headers.get(wanted.header.lower())
    else:
        value = jsonpath.find(answer.json, wanted.json_path or "") if answer.is_json else None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value)
    if wanted.pattern is not None:
        match = re.search(wanted.pattern, text[:TEXT_LIMIT])
        if match is None:
            return None
        text = match.group(1 if match.re.groups else 0)
    return _bounded(text)


def _bounded(text: str | None) -> str | None:
    return text if text and len(text) <= VALUE_LIMIT else None


def as_id(value: Any) -> str | None:
    """Return a value as a record's ID: a number or a text without blanks and controls, of at most 255 characters."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value)
    return text if len(text) <= ID_LIMIT and _ID.fullmatch(text) else None
