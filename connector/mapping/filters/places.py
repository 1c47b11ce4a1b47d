"""Filters on countries, languages and postal codes.

The names come from two small data files: the ISO codes with their Dutch and English names, taken from Unicode CLDR
through Babel 2.18. Babel itself would do, but weighs 30 MB for two tables that change once in years; country
packages have no Dutch names, or translate through gettext catalogues.
"""

import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final

from connector.mapping.filters.registry import Prepared, register
from connector.mapping.values import UnfitError

_LONGEST = 80
_COUNTRY_ALIASES: Final = {
    "NL": ("Holland", "The Netherlands", "Koninkrijk der Nederlanden", "Pays-Bas", "Niederlande"),
    "BE": ("Belgique", "Belgien", "Koninkrijk België"),
    "DE": ("Deutschland", "Allemagne", "BRD", "Bondsrepubliek Duitsland"),
    "FR": ("La France",),
    "GB": ("UK", "U.K.", "Groot-Brittannië", "Great Britain", "Engeland", "England", "Schotland", "Wales"),
    "US": (
        "VS",
        "V.S.",
        "U.S.",
        "U.S.A.",
        "Amerika",
        "America",
        "Verenigde Staten van Amerika",
        "United States of America",
    ),
    "AT": ("Österreich",),
    "CH": ("Schweiz", "Suisse"),
    "ES": ("España",),
    "IT": ("Italia",),
    "CZ": ("Tsjechische Republiek", "Czech Republic"),
    "IE": ("Republic of Ireland", "Republiek Ierland"),
    "AE": ("VAE", "UAE"),
    "GR": ("EL",),
    "XK": ("Kosovo",),
}
_LANGUAGE_ALIASES: Final = {
    "nl": ("Vlaams", "Flemish", "Néerlandais"),
    "no": ("Noors",),
    "zh": ("Mandarijn", "Mandarin"),
}


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").casefold()
    return " ".join(re.findall(r"[a-z0-9]+", plain.replace(".", "")))


@cache
def _countries() -> tuple[dict[str, str], dict[str, tuple[str, str, str]]]:
    by_name, rows = {}, {}
    for line in files(__package__).joinpath("countries.tsv").read_text("utf-8").splitlines():
        code, long, dutch, english = line.split("\t")
        rows[code] = (long, dutch, english)
        for name in (dutch, english):
            by_name[_fold(name)] = code
    for code, names in _COUNTRY_ALIASES.items():
        for name in names:
            by_name[_fold(name)] = code
    for code, (long, _, _) in rows.items():
        by_name[code.casefold()] = by_name[long.casefold()] = code
    return by_name, rows


@cache
def _languages() -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    by_name, rows = {}, {}
    for line in files(__package__).joinpath("languages.tsv").read_text("utf-8").splitlines():
        code, long, dutch, english = line.split("\t")
        rows[code] = (dutch, english)
        for name in (dutch, english, code, *long.split(",")):
            if name:
                by_name[_fold(name)] = code
    for code, names in _LANGUAGE_ALIASES.items():
        for name in names:
            by_name[_fold(name)] = code
    return by_name, rows


def _country_code(value: str) -> str:
    code = _countries()[0].get(_fold(value)) if len(value) <= _LONGEST else None
    if code is None:
        raise UnfitError("a country: its Dutch or English name, or its ISO code")
    return code


def _tongue(value: Any) -> str:
    if value in ("nl", "en"):
        return str(value)
    raise ValueError("'nl' or 'en'")


Tongue = Annotated[str, Prepared(_tongue, "'nl' or 'en'")]


@register(
    "Places and languages",
    ("'Nederland' | country", "'NL'"),
    ("'belgie' | country", "'BE'"),
    ("'Germany' | country", "'DE'"),
    ("'NLD' | country", "'NL'"),
)
def country(value: str) -> str:
    """Reads a country (Dutch or English name, ISO code of two or three letters) and gives the code of two letters."""
    return _country_code(value) if value.strip() else ""


@register("Places and languages", ("'Nederland' | country3", "'NLD'"))
def country3(value: str) -> str:
    """Reads a country, and gives the ISO code of three letters."""
    return _countries()[1][_country_code(value)][0] if value.strip() else ""


@register(
    "Places and languages", ("'NL' | country_name", "'Nederland'"), ("'Duitsland' | country_name('en')", "'Germany'")
)
def country_name(value: str, tongue: Tongue = "nl") -> str:
    """Reads a country, and gives its name in Dutch or English."""
    return _countries()[1][_country_code(value)][1 if tongue == "nl" else 2] if value.strip() else ""


@register(
    "Places and languages",
    ("'Nederlands' | language", "'nl'"),
    ("'English' | language", "'en'"),
    ("'nl_BE' | language", "'nl'"),
)
def language(value: str) -> str:
    """Reads a language (Dutch or English name, code, or a code with a country) and gives the code of two letters."""
    plain = value.strip()
    if not plain:
        return ""
    names, _ = _languages()
    short = re.match(r"([A-Za-z]{2,3})[-_][A-Za-z]{2,4}\Z", plain)
    code = names.get(short.group(1).casefold() if short else _fold(plain[: _LONGEST + 1]))
    if code is None:
        raise UnfitError("a language: its Dutch or English name, or its code")
    return code


@register("Places and languages", ("'nl' | language_name", "'Nederlands'"), ("'de' | language_name('en')", "'German'"))
def language_name(value: str, tongue: Tongue = "nl") -> str:
    """Reads a language, and gives its name in Dutch or English."""
    return _languages()[1][language(value)][0 if tongue == "nl" else 1] if value.strip() else ""


_POSTCODES: Final = {
    # the form without spaces → how it is written
    "NL": (re.compile(r"([1-9][0-9]{3})((?!SA|SD|SS)[A-Z]{2})\Z"), r"\1 \2"),
    "BE": (re.compile(r"(?:B-?)?([1-9][0-9]{3})\Z"), r"\1"),
    "DE": (re.compile(r"(?:D-?)?([0-9]{5})\Z"), r"\1"),
    "FR": (re.compile(r"(?:F-?)?([0-9]{5})\Z"), r"\1"),
    "LU": (re.compile(r"(?:L-?)?([0-9]{4})\Z"), r"\1"),
    "GB": (re.compile(r"([A-Z]{1,2}[0-9][A-Z0-9]?)([0-9][A-Z]{2})\Z"), r"\1 \2"),
}


def _postal_country(value: Any) -> str:
    if isinstance(value, str) and value.upper() in _POSTCODES:
        return value.upper()
    raise ValueError(f"one of {', '.join(_POSTCODES)}")


@register(
    "Places and languages",
    ("'1234ab' | postcode", "'1234 AB'"),
    ("'B-2000' | postcode('BE')", "'2000'"),
    ("'sw1a1aa' | postcode('GB')", "'SW1A 1AA'"),
)
def postcode(
    value: str, country: Annotated[str, Prepared(_postal_country, f"one of {', '.join(_POSTCODES)}")] = "NL"
) -> str:
    """Checks a postal code and writes it as its country does: 1234 AB. For NL, BE, DE, FR, LU and GB."""
    plain = "".join(value[: _LONGEST + 1].split()).upper()
    if not plain:
        return ""
    pattern, written = _POSTCODES[country]
    match = pattern.match(plain)
    if match is None or len(value) > _LONGEST:
        raise UnfitError(f"a postal code of {country}")
    return match.expand(written)
