"""Reads XML documents, without anything that XML has and a callback needs not: no document type, no entities."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from xml.parsers import expat

from connector.domain.document import (
    DEFAULT_BOUNDS,
    FLAGS,
    MAPS,
    Document,
    DocumentBounds,
    DocumentError,
    RefusedError,
    gather_interests,
    read_text,
    repeated,
)
from connector.domain.note import Note

_LIST_ITEMS: Final = frozenset({"interest", "tag", "item"})
_DECLARED: Final = re.compile(rb"\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_ENTITY_HANDLERS: Final = (
    "StartDoctypeDeclHandler",
    "EntityDeclHandler",
    "UnparsedEntityDeclHandler",
    "NotationDeclHandler",
    "ElementDeclHandler",
    "AttlistDeclHandler",
    "ExternalEntityRefHandler",
    "SkippedEntityHandler",
)


@dataclass(slots=True)
class _Element:
    tag: str
    label: str | None
    text: list[str] = field(default_factory=list)
    children: list["_Element"] = field(default_factory=list)

    @property
    def value(self) -> str:
        if self.children:
            raise RefusedError("an element that should be text has elements in it")
        return "".join(self.text)


def parse_xml(body: bytes, charset: str = "", bounds: DocumentBounds = DEFAULT_BOUNDS) -> Document | DocumentError:
    """Read an XML document: a root of any name, and below it an element for each variable.

    A field is an element of its own name below `<fields>` (or `<updated>`), or `<field name="…">` for a name that XML
    does not allow. Interests are `<interest>` elements, below `<interests>` or directly, or elements of their own names
    with 1 or 0. The header's character set goes before the one that the document declares, and its byte order mark
    before both. A document type declaration, with all that can stand in it, is refused where it begins. Never raises.
    """
    if len(body) > bounds.size:
        return DocumentError(f"an XML document of more than {bounds.size} bytes")
    declared = _DECLARED.match(body)
    label = charset or (declared[1].decode("ascii") if declared else "")
    text, notes = read_text(body, label)
    try:
        _check_tags(text, bounds)
        return _from_xml(_tree(text.lstrip(), bounds), notes)
    except RefusedError as refusal:
        return DocumentError(f"XML: {refusal}")
    except expat.ExpatError as error:
        return DocumentError(f"not well-formed XML at line {error.lineno}, column {error.offset}")


# A quote counts as closed at a <, which no attribute may hold: nothing is looked at twice, the time stays linear.
_TAG: Final = re.compile(r"""<[^<>!?/\s](?:[^"'<>]++|"[^"<]*+"?|'[^'<]*+'?)*+""")


def _check_tags(text: str, bounds: DocumentBounds) -> None:
    # Expat hands over a tag's attributes all at once: a million of them would be there before anybody could refuse.
    if len(text) > bounds.tag and any(len(match[0]) > bounds.tag for match in _TAG.finditer(text)):
        raise RefusedError(f"a tag of more than {bounds.tag} characters")


def _tree(text: str, bounds: DocumentBounds) -> _Element:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = _Element("", None)
    open_elements = [top]
    count = 0

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal count
        count += 1
        if count > bounds.items:
            raise RefusedError(f"more than {bounds.items} elements")
        if len(open_elements) > bounds.depth:
            raise RefusedError(f"nested deeper than {bounds.depth}")
        element = _Element(tag, attributes.get("name"))
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def characters(data: str) -> None:
        open_elements[-1].text.append(data)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: open_elements.pop()
    parser.CharacterDataHandler = characters
    for handler in _ENTITY_HANDLERS:
        setattr(parser, handler, _refuse_declaration)
    parser.Parse(text, True)  # text: expat then takes no encoding from the document
    return top.children[0]


def _refuse_declaration(*_what: Any) -> NoReturn:
    raise RefusedError("a document type declaration or an entity")


def _from_xml(root: _Element, notes: tuple[Note, ...]) -> Document:
    values: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    maps: dict[str, Mapping[str, str]] = {}
    interests: list[tuple[str | None, str]] | None = None
    for element in root.children:
        name = element.tag
        if name in ("interests", "interest"):
            interests = [*(interests or ()), *_interest_items(element)]
        elif name == "tags":
            lists[name] = (*lists.get(name, ()), *_texts(element))
        elif name in values or name in maps:
            raise RefusedError("a variable comes more than once")
        elif name in MAPS:
            maps[name], is_repeating = _map(element)
            if is_repeating:
                notes = (*notes, repeated(name))
        elif not element.children:
            values[name] = element.value.strip()
    found = None if interests is None else gather_interests(interests)
    return Document(values=values, lists=lists, maps=maps, interests=found, notes=notes)


def _map(element: _Element) -> tuple[Mapping[str, str], bool]:
    found = {_field_name(child): child.value for child in element.children}
    return found, len(found) != len(element.children)


def _field_name(element: _Element) -> str:
    return element.label if element.tag == "field" and element.label else element.tag


def _texts(element: _Element) -> tuple[str, ...]:
    if element.children:
        return tuple(child.value.strip() for child in element.children)
    return (element.value.strip(),) if element.value.strip() else ()


def _interest_items(element: _Element) -> list[tuple[str | None, str]]:
    if element.tag == "interests" and element.children:
        return [_interest(child) for child in element.children]
    if element.tag == "interest":
        return [_interest(element)]
    return [(None, text) for text in _texts(element)]


def _interest(element: _Element) -> tuple[str | None, str]:
    text = element.value.strip()
    if element.label is not None:
        return element.label, text or "1"  # <interest name="blue"/> lists it
    if element.tag in _LIST_ITEMS or text.lower() not in FLAGS:
        return None, text
    return element.tag, text
