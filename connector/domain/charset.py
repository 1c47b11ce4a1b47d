"""From a sender's bytes to text, by the character set that it names. Never raises, never loses a byte."""

import codecs
from dataclasses import dataclass
from typing import Final

from connector.domain.note import Note, NoteKind

UTF_8: Final = "utf-8"
_WESTERN: Final = "windows-1252"

_LABELS: Final = {
    # A superset of ASCII, and what a sender that says ASCII and sends more has in mind.
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), UTF_8),
    # What the web means by these labels: senders write windows-1252 (€, curly quotes) and call it ISO-8859-1.
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1"), _WESTERN),
    **dict.fromkeys(("windows-1252", "cp1252", "cp-1252", "x-cp1252"), _WESTERN),
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"windows-{page}": f"cp{page}" for page in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)},
    **dict.fromkeys(("koi8-r", "koi8-u"), "koi8-r"),
    **{name: name for name in ("shift_jis", "euc-jp", "euc-kr", "gbk", "gb18030", "big5")},
}
"""Labels that are understood, and the codec for each.

Only sets in which ASCII is ASCII, since the syntax around the values is. A list of its own, since Python's look-up
would also find codecs that are no character sets (`punycode`, quadratic in its input), and remembers every unknown name
that it was ever asked for.
"""


@dataclass(frozen=True, slots=True)
class Charset:
    """A known character set. `notes` say whether the label was not known."""

    codec: str
    notes: tuple[Note, ...] = ()


def find_charset(label: str) -> Charset:
    """Return the character set of a label (any case; empty: UTF-8). An unknown one is read as UTF-8, with a note."""
    name = label.strip().strip("\"'").lower()
    if not name:
        return Charset(UTF_8)
    codec = _LABELS.get(name)
    if codec is None:
        note = Note(NoteKind.CHARSET, "the character set that the header names is not known: read as UTF-8")
        return Charset(UTF_8, (note,))
    return Charset(codec)


def to_text(data: bytes, codec: str) -> str:
    """Decode by one of our codecs; what is not valid in it is read as windows-1252.

    U+FFFD would lose the byte for good, here and in the CRM. Bytes that are not valid UTF-8 come, in practice, from a
    Western European sender that forgot to convert: read as windows-1252 they are right, and where they are not, nothing
    is lost, for the reading can be undone.
    """
    if codec == _WESTERN:
        return _western(data)
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return _western(data)


_WESTERN_TABLE: Final = "".join(bytes((byte,)).decode(_WESTERN, "ignore") or chr(byte) for byte in range(256))
"""windows-1252; the five bytes that mean nothing there are the control characters that ISO-8859-1 has for them."""


def _western(data: bytes) -> str:
    return codecs.charmap_decode(data, "strict", _WESTERN_TABLE)[0]
