"""What an answer says is wrong, without the person it is about and without our credentials."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from connector.crm.rest import jsonpath
from connector.crm.rest.answer import Answer

LENGTH = 300
_LOOK_AT = 4000
_EMAIL = re.compile(r"[^\s\"'<>(),;:=]{1,64}(?:@|%40)[^\s\"'<>(),;:=]{1,255}")
_BLANK = re.compile(r"\s+")
_TAG = re.compile(r"<[^>]{0,500}>")
_SHORTEST = 3


def message(answer: Answer, paths: Iterable[str], private: Iterable[Any]) -> str:
    """Return the answer's own words on what is wrong, capped, with every private value replaced."""
    text = ""
    if answer.is_json:
        for path in paths:
            found = jsonpath.find(answer.json, path)
            if isinstance(found, str) and found.strip():
                text = found
                break
    if not text:
        text = _TAG.sub(" ", answer.text[:_LOOK_AT])
    return clean(text, private)


def clean(text: str, private: Iterable[Any]) -> str:
    """Return the text on one line, capped, without e-mail addresses and without the values in `private`."""
    text = text[:_LOOK_AT]
    for value in sorted(set(_texts(private)), key=len, reverse=True):
        text = re.sub(re.escape(value), "…", text, flags=re.IGNORECASE)
    text = _BLANK.sub(" ", _EMAIL.sub("…", text)).strip()
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, (list, tuple)):
            yield from _texts(value)
        elif value is not None and not isinstance(value, bool):
            text = str(value)
            if len(text) >= _SHORTEST:
                yield text
                yield json.dumps(text)[1:-1]
                yield quote(text, safe="")
