"""Filters on text. None takes a pattern: what cannot be written cannot explode."""

import html
import re
import unicodedata
from typing import Annotated, Any

from connector.mapping.filters.registry import Length, NonEmpty, Prepared, register
from connector.mapping.values import TEXT_LIMIT, UnfitError, bounded_text

_PARTICLES = frozenset(
    {
        "van",
        "von",
        "de",
        "den",
        "der",
        "des",
        "te",
        "ten",
        "ter",
        "het",
        "'t",
        "'s",
        "in",
        "op",
        "aan",
        "bij",
        "tot",
        "uit",
        "over",
        "onder",
        "voor",
        "zu",
        "zum",
        "zur",
        "du",
        "la",
        "le",
        "les",
        "d'",
        "da",
        "do",
        "dos",
        "di",
        "del",
        "della",
        "y",
        "e",
    }
)
_LONGEST_TITLE = 5_000
_LONGEST_NAME = 500
_TAG = re.compile(r"<[^<>]*>")
_BLOCK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\b[^<>]*>", re.IGNORECASE)


@register("Text", ("'  Jan ' | trim", "'Jan'"))
def trim(value: str) -> str:
    """Takes the spaces and line breaks off both ends."""
    return value.strip()


@register("Text", ("'JAN@X.NL' | lower", "'jan@x.nl'"))
def lower(value: str) -> str:
    """Puts the text in lower case."""
    return value.lower()


@register("Text", ("'1234 ab' | upper", "'1234 AB'"))
def upper(value: str) -> str:
    """Puts the text in capitals."""
    return bounded_text(value.upper())


@register("Text", ("'grote markt' | title", "'Grote Markt'"))
def title(value: str) -> str:
    """Gives every word a capital and puts the rest in lower case."""
    if len(value) > _LONGEST_TITLE:
        raise UnfitError(f"at most {_LONGEST_TITLE} characters")
    return bounded_text(" ".join(word[:1].title() + word[1:].lower() for word in value.split(" ")))


@register(
    "Text",
    ("'JAN VAN DER BERG' | proper_name", "'Jan van der Berg'"),
    ("'van der berg-jansen' | proper_name", "'van der Berg-Jansen'"),
    ("'ijsbrand o\\'neill' | proper_name", "'IJsbrand O\\'Neill'"),
    ("'McDonald' | proper_name", "'McDonald'"),
)
def proper_name(value: str) -> str:
    """Writes a name as Dutch names are written: particles (van, de, der, …) small, IJ as one letter.

    A word that has both capitals and small letters already stays as it is, unless it is a particle.
    """
    if len(value) > _LONGEST_NAME:
        raise UnfitError("a name")
    return bounded_text(" ".join(_name_word(word) for word in value.split()))


def _name_word(word: str) -> str:
    if word.lower() in _PARTICLES:
        return word.lower()
    if not (word.islower() or word.isupper()):
        return word
    return "-".join(_capital(part) for part in word.lower().split("-"))


def _capital(part: str) -> str:
    if part in _PARTICLES:
        return part
    if part.startswith("ij"):
        return "IJ" + part[2:]
    if part.startswith(("o'", "d'")) and len(part) > 2:  # noqa: PLR2004 - a letter, an apostrophe, and more
        return (part[0].upper() if part[0] == "o" else part[0]) + "'" + part[2].upper() + part[3:]
    return part[:1].title() + part[1:]


@register("Text", ("'Jan  van\\n Dijk' | squeeze", "'Jan van Dijk'"))
def squeeze(value: str) -> str:
    """Makes one space of every run of spaces and line breaks, and trims."""
    return " ".join(value.split())


@register("Text", ("'06-12 34' | replace('-', '')", "'0612 34'"), ("'a.b.c' | replace('.', ',')", "'a,b,c'"))
def replace(value: str, old: NonEmpty, new: str) -> str:
    """Puts another text in the place of every occurrence of a text (plain text, no pattern)."""
    if len(value) + value.count(old) * (len(new) - len(old)) > TEXT_LIMIT:
        raise UnfitError(f"at most {TEXT_LIMIT} characters as its result")
    return value.replace(old, new)


@register(
    "Text",
    ("'Amsterdam-Noord' | truncate(9)", "'Amsterdam'"),
    ("'Amsterdam' | truncate(6, '…')", "'Amste…'"),
    long=True,
)
def truncate(value: str, length: Length, end: str = "") -> str:
    """Cuts the text off after so many characters; `end` marks that it was cut, within that length."""
    if len(end) > length:
        raise UnfitError("a length that is no shorter than the mark")
    return value if len(value) <= length else value[: length - len(end)] + end


@register("Text", ("'1234AB' | slice(0, 4)", "'1234'"), ("'NL91ABNA' | slice(-4)", "'ABNA'"), long=True, name="slice")
def slice_(value: str, start: int, end: int | None = None) -> str:
    """Gives the characters from a position (from 0; negative: from the end) up to another, not included."""
    return bounded_text(value[start:end])


@register("Text", ("'Jan van Dijk' | first_word", "'Jan'"))
def first_word(value: str) -> str:
    """Gives the text up to the first space."""
    return next(iter(value.split(None, 1)), "").strip()


@register("Text", ("'Jan van Dijk' | after_first_word", "'van Dijk'"), ("'Jan' | after_first_word", "''"))
def after_first_word(value: str) -> str:
    """Gives what comes after the first word: with first_word, a simple way to split a name."""
    parts = value.split(None, 1)
    return parts[1].strip() if len(parts) > 1 else ""


@register("Text", ("'Jan van Dijk' | last_word", "'Dijk'"))
def last_word(value: str) -> str:
    """Gives the text after the last space."""
    parts = value.rsplit(None, 1)
    return parts[-1].strip() if parts else ""


def _one(value: Any) -> str:
    if isinstance(value, str) and len(value) == 1:
        return value
    raise ValueError("one character in quotes")


@register("Text", ("'42' | pad_left(6, '0')", "'000042'"), ("42 | pad_left(4)", "'0042'"))
def pad_left(value: str | int, length: Length, fill: Annotated[str, Prepared(_one, "one character")] = "0") -> str:
    """Fills the text up to a length, at its beginning."""
    return str(value).rjust(length, fill)


@register("Text", ("'<p>Hallo <b>Jan</b></p>' | strip_tags", "'Hallo Jan'"), ("'a &amp; b' | strip_tags", "'a & b'"))
def strip_tags(value: str) -> str:
    """Takes the HTML tags out and reads the entities; line breaks and paragraphs become line breaks."""
    plain = _TAG.sub("", _BLOCK.sub("\n", value))
    return bounded_text(html.unescape(plain)).strip()


@register("Text", ("'Caf&eacute; &amp; bar' | unescape", "'Café & bar'"))
def unescape(value: str) -> str:
    """Reads the HTML entities."""
    return bounded_text(html.unescape(value))


@register("Text", ("'Zoë Çelik' | ascii", "'Zoe Celik'"), ("'straße' | ascii", "'strasse'"), name="ascii")
def ascii_(value: str) -> str:
    """Takes the accents off; what has no plain letter is left out."""
    plain = unicodedata.normalize("NFKD", value.replace("ß", "ss").replace("ø", "o").replace("Ø", "O"))
    return bounded_text(plain.encode("ascii", "ignore").decode("ascii"))


@register("Text", ("'Nieuwe klant: 2024!' | slug", "'nieuwe-klant-2024'"))
def slug(value: str) -> str:
    """Makes a name for use in codes: small letters and digits, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", ascii_(value).lower()))


@register("Text", ("'+31 6-12 34' | digits", "'3161234'"))
def digits(value: str) -> str:
    """Keeps the digits 0 to 9 only."""
    return re.sub(r"[^0-9]+", "", value)


@register("Text", ("'order-12' | starts_with('order-')", "True"))
def starts_with(value: str, beginning: str) -> bool:
    """Tells whether the text begins with that text, case included."""
    return value.startswith(beginning)


@register("Text", ("'jan@voorbeeld.nl' | ends_with('.nl')", "True"))
def ends_with(value: str, end: str) -> bool:
    """Tells whether the text ends with that text, case included."""
    return value.endswith(end)


@register("Text", ("'jan@voorbeeld.nl' | after('@')", "'voorbeeld.nl'"), ("'jan' | after('@')", "''"))
def after(value: str, mark: NonEmpty) -> str:
    """Gives what comes after the first occurrence of a text; empty when it is not there."""
    return value.partition(mark)[2]


@register("Text", ("'jan@voorbeeld.nl' | before('@')", "'jan'"), ("'jan' | before('@')", "'jan'"))
def before(value: str, mark: NonEmpty) -> str:
    """Gives what comes before the first occurrence of a text; everything when it is not there."""
    return value.partition(mark)[0]


@register("Text", ("'abc' | length", "3"), ("['a', 'b'] | length", "2"), ("'' | length", "0"), empty=True, long=True)
def length(value: str | list[object] | dict[str, object]) -> int:
    """Counts the characters of a text, or the members of a list or object."""
    return len(value)
