"""From the bytes of a call to what they say: the content type decides, a look at the bytes where it says nothing."""

import re
from enum import StrEnum
from typing import Final

from connector.domain.document import MAPS, Document, DocumentBounds, DocumentError, Interests, gather_interests
from connector.domain.event import Fault, NotUnderstood
from connector.domain.form import Bounds, Branch, Form, FormError, decode_form
from connector.domain.frozen import frozen
from connector.domain.jsondocument import parse_json
from connector.domain.limits import DEFAULT_LIMITS, Limits
from connector.domain.request import UnverifiedRequest
from connector.domain.xmldocument import parse_xml


class Shape(StrEnum):
    """How a body is written."""

    FORM = "form"
    JSON = "json"
    XML = "xml"


@frozen()
class Reading:
    """What a body says, and how it was written."""

    shape: Shape
    document: Document


_GENERIC: Final = frozenset({"", "text/plain", "text/html", "application/octet-stream", "*/*"})
_MEDIA: Final = {
    "application/x-www-form-urlencoded": Shape.FORM,
    "application/json": Shape.JSON,
    "text/json": Shape.JSON,
    "application/xml": Shape.XML,
    "text/xml": Shape.XML,
}
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*(\"[^\"]*\"|[^;\s]*)", re.IGNORECASE)
_BEFORE_TEXT: Final = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
_SNIFFED: Final = 4096
_LARGEST: Final = 64 * 1024 * 1024  # what [receiver] max_body can be: the door has refused what is larger


def read_body(request: UnverifiedRequest, limits: Limits = DEFAULT_LIMITS) -> Reading | NotUnderstood:
    """Read the body by its content type; by its first character when the type is missing or generic.

    A body that is called a form but begins like a document is read as one: a form is what HTTP libraries say when
    nobody told them. Never raises.
    """
    body = request.body
    if not body.strip():
        return NotUnderstood(Fault.CONTENT, "the body is empty, as of a test call")
    content_type = request.header("content-type") or ""
    shape = _shape(content_type.partition(";")[0].strip().lower(), body)
    if shape is None:
        return NotUnderstood(Fault.CONTENT_TYPE, "the content type is neither a form nor JSON nor XML")
    named = _CHARSET.search(content_type)
    charset = named[1].strip('"') if named else ""
    document = _parse(shape, body, charset, limits)
    if isinstance(document, DocumentError):
        return NotUnderstood(Fault.CONTENT, document.detail)
    return Reading(shape, document)


def _shape(media: str, body: bytes) -> Shape | None:
    if media in _GENERIC:
        return _sniff(body)
    if media.endswith("+json"):
        return Shape.JSON
    if media.endswith("+xml"):
        return Shape.XML
    declared = _MEDIA.get(media)
    if declared is Shape.FORM and body.lstrip(_BEFORE_TEXT)[:1] in (b"{", b"<"):
        return _sniff(body)
    return declared


def _sniff(body: bytes) -> Shape | None:
    start = body[:_SNIFFED].lstrip(_BEFORE_TEXT)
    if start[:1] in (b"{", b"["):
        return Shape.JSON
    if start[:1] == b"<":
        return Shape.XML
    return Shape.FORM if b"=" in start else None


def _parse(shape: Shape, body: bytes, charset: str, limits: Limits) -> Document | DocumentError:
    if shape is not Shape.FORM:
        bounds = DocumentBounds(size=_LARGEST, items=limits.keys, depth=limits.depth)
        return parse_json(body, charset, bounds) if shape is Shape.JSON else parse_xml(body, charset, bounds)
    form = decode_form(body, charset, Bounds(pairs=limits.keys, key=limits.key_bytes, depth=limits.depth))
    return DocumentError(f"form: {form.detail}") if isinstance(form, FormError) else _from_form(form)


def _from_form(form: Form) -> Document | DocumentError:
    values: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    maps = dict(form.flat)
    interests = None
    for name, node in form.values.items():
        if name == "interests":
            interests = _interests(node)
            if interests is None:
                return DocumentError("form: an interest is not text")
        elif name in MAPS:
            if isinstance(node, Branch):
                maps[name] = _texts(node)
        elif isinstance(node, Branch):
            lists[name] = tuple(_texts(node).values())
        else:
            values[name] = node
    return Document(values=values, lists=lists, maps=maps, interests=interests, notes=form.notes)


def _texts(branch: Branch) -> dict[str, str]:
    return {name: node for name, node in branch.items() if isinstance(node, str)}


def _interests(node: str | Branch) -> Interests | None:
    if isinstance(node, str):
        return gather_interests([(None, node)])
    texts = _texts(node)
    if len(texts) != len(node):
        return None
    return gather_interests([(None if key in node.appended else key, value) for key, value in texts.items()])
