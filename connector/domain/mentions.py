"""Finding a person's address in a call, however it is encoded there (S28)."""

import base64
import binascii
import html
import quopri
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from connector.domain.limits import LARGEST_LIMITS
from connector.domain.reading import Reading, read_body
from connector.domain.request import UnverifiedRequest

_DEPTH: Final = 5  # a form that holds a URL that holds a message that holds base64 …
_VIEWS: Final = 300  # of one call; only a body that is made to be awkward has more than a dozen
_ADDRESS: Final = re.compile(
    r"[^\s<>()\[\]{},;:\"'\\@=&?/|]+@[^\s<>()\[\]{},;:\"'\\@=&?/|%]+\.[^\s<>()\[\]{},;:\"'\\@=&?/|%]+"
)
_LONGEST_ADDRESS: Final = 320
_JSON_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\"\\/bfnrt]))")
_JSON_SHORT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{2,20};);?")  # a form's `&` begins none
_QUOTED: Final = re.compile(r"=[0-9A-Fa-f]{2}|=\r?\n")
_WORD: Final = re.compile(r"=\?[^?\s]+\?([bqBQ])\?([^?\s]*)\?=")
_BETWEEN_WORDS: Final = re.compile(r"(\?=)\s+(=\?)")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}(?:[ \t]*\r?\n[ \t]*[A-Za-z0-9+/_-]+)*={0,2}")
_CONTROL: Final = bytes(set(range(32)) - {0, 9, 10, 13})
_HIGH: Final = bytes(range(128, 256))
_BINARY: Final = 0.03  # with a larger share of control characters it is no text
_LONGER: Final = r"(?<![\w.+-])"  # `an@x` is not in `jan@x`


def spellings(address: str) -> frozenset[str]:
    """Return the ways to write an address: in lower case, its domain as Unicode and as ASCII."""
    whole = address.strip().lower()
    local, at, domain = whole.rpartition("@")
    found = {whole}
    for codec in (_to_ascii, _to_unicode):
        other = codec(domain)
        if at and other:
            found.add(f"{local}@{other}")
    return frozenset(found)


def _to_ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _to_unicode(domain: str) -> str:
    try:
        return domain.encode("ascii").decode("idna").lower()
    except UnicodeError:
        return ""


def addresses(text: str) -> frozenset[str]:
    """Return the e-mail addresses in a text, in lower case."""
    if "@" not in text:
        return frozenset()
    found = (match[0].strip(".").lower() for match in _ADDRESS.finditer(text))
    return frozenset(address for address in found if len(address) <= _LONGEST_ADDRESS)


def own_addresses(request: UnverifiedRequest) -> frozenset[str]:
    """Return the addresses that a call gives its record: in fields (before and after), parameters, recipient."""
    reading = read_body(request, LARGEST_LIMITS)
    if not isinstance(reading, Reading):
        return frozenset()
    document = reading.document
    texts = [value for values in document.maps.values() for value in values.values()]
    texts.append(document.values.get("recipient", ""))
    return frozenset(address for text in texts for address in addresses(text))


class Needles:
    """Addresses to be looked for, all of them in one pass over a text."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._by_spelling = {spelling: address for address in wanted for spelling in spellings(address)}
        longest_first = sorted(self._by_spelling, key=len, reverse=True)
        any_of = "|".join(re.escape(spelling) for spelling in longest_first)
        self._pattern = re.compile(rf"{_LONGER}({any_of})(?![\w-]|\.\w)") if any_of else None

    def in_text(self, text: str) -> frozenset[str]:
        """Return those that stand in a text."""
        if self._pattern is None:
            return frozenset()
        return frozenset(self._by_spelling[match[1]] for match in self._pattern.finditer(text.lower()))

    def in_call(self, request: UnverifiedRequest) -> frozenset[str]:
        """Return those that stand anywhere in a call: target, headers, body, in any encoding."""
        found: set[str] = set()
        if self._pattern is not None:
            for view in views(request):
                found |= self.in_text(view)
        return frozenset(found)


def views(request: UnverifiedRequest) -> Iterator[str]:
    """Return all texts that a call can be read as, from the raw one inwards."""
    head = "\n".join([request.target, *(value for _, value in request.headers), request.peer])
    seen: set[str] = set()
    layer = [head, *_texts(request.body)]
    for _ in range(_DEPTH):
        following: list[str] = []
        for text in layer:
            if text in seen:
                continue
            if len(seen) >= _VIEWS:
                return
            seen.add(text)
            yield text
            following += _inside(text)
        layer = following


def _texts(data: bytes) -> list[str]:
    """Return bytes as text: UTF-8 where it is that, the western set where not; UTF-16 loses its empty halves."""
    found = [data.decode("utf-8", "replace")]
    if "\ufffd" in found[0]:
        found.append(data.decode("latin-1"))
    if b"\0" in data:
        found.append(data.replace(b"\0", b"").decode("latin-1"))
    return found


def _inside(text: str) -> Iterator[str]:
    """Return what a text becomes when one layer of encoding is taken off it."""
    if "%" in text:
        raw = text.encode("utf-8", "surrogatepass")
        yield from _texts(unquote_to_bytes(raw))
        if "+" in text:
            yield from _texts(unquote_to_bytes(raw.replace(b"+", b" ")))
    if "\\" in text:
        yield _JSON_ESCAPE.sub(_unescaped, text)
    if "&#" in text or ("&" in text and ";" in text):
        yield _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    if "=?" in text:
        yield _WORD.sub(_word, _BETWEEN_WORDS.sub(r"\1\2", text))
    if _QUOTED.search(text):
        yield from _texts(quopri.decodestring(text.encode("utf-8", "surrogatepass")))
    for match in _BASE64.finditer(text):
        yield from _from_base64(match[0])


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return _JSON_SHORT.get(match[2], match[2])


def _word(match: re.Match[str]) -> str:
    """An encoded word of a message's header (RFC 2047)."""
    if match[1] in "qQ":
        return _texts(quopri.decodestring(match[2].encode("utf-8", "surrogatepass"), header=True))[0]
    return " ".join(_from_base64(match[2])) or match[0]


def _from_base64(text: str) -> Iterator[str]:
    """Return what may be in there: from each of the places at which a word glued to it could end."""
    lines = text.translate(_URL_SAFE).rstrip("=").split()
    starts = ["".join(lines)[offset:] for offset in range(4)] + (["".join(lines[1:])] if len(lines) > 1 else [])
    for start in starts:
        try:
            data = base64.b64decode(start[: len(start) - (len(start) % 4 == 1)] + "=" * (-len(start) % 4 % 3))
        except (binascii.Error, ValueError):
            continue
        if _is_text(data):
            yield from _texts(data)


def _is_text(data: bytes) -> bool:
    """Whether this can be text, perhaps after some bytes that are none: most of what looks like base64 is not."""
    if len(data) - len(data.translate(None, _CONTROL)) > _BINARY * len(data):
        return False
    is_western = len(data.translate(None, _HIGH)) >= len(data) / 2
    return is_western or "\ufffd" not in data.decode("utf-8", "replace")


_URL_SAFE: Final = str.maketrans("-_", "+/")
