"""Filters on phones, e-mail addresses and people. The libraries are imported when a filter is first used."""

import re
from functools import lru_cache
from typing import Annotated, Any

from connector.mapping.filters.registry import Prepared, register
from connector.mapping.values import UnfitError

_LONGEST = 320
_MALE = frozenset({"m", "man", "male", "mannelijk", "heer", "dhr", "de heer", "mr", "meneer", "mijnheer", "jongen"})
_FEMALE = frozenset(
    {
        "v",
        "f",
        "vrouw",
        "female",
        "vrouwelijk",
        "mevrouw",
        "mevr",
        "mw",
        "mrs",
        "ms",
        "miss",
        "mej",
        "mejuffrouw",
        "meisje",
    }
)


def _region(value: Any) -> str:
    from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 - imported late: it is large

    if isinstance(value, str) and value.upper() in SUPPORTED_REGIONS:
        return value.upper()
    raise ValueError("a country's code of two letters, such as 'NL'")


Region = Annotated[str, Prepared(_region, "a country's code, such as 'NL'")]


@register(
    "Contact",
    ("'06-12345678' | e164('NL')", "'+31612345678'"),
    ("'0031 20 123 4567' | e164", "'+31201234567'"),
    ("'+32 470 12 34 56' | e164('NL')", "'+32470123456'"),
)
def e164(value: str, country: Region = "NL") -> str:
    """Writes a phone number in the international form, +31612345678. The country is for numbers without +.

    A number that cannot exist is an error.
    """
    number = _phone(value.strip(), country) if len(value) <= _LONGEST else None
    if number is None:
        raise UnfitError(f"a phone number that is possible in {country}, or one that begins with +")
    return number


@lru_cache(maxsize=4096)
def _phone(text: str, country: str) -> str | None:
    import phonenumbers  # noqa: PLC0415 - imported late: it is large

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@register(
    "Contact", ("' Jan@Voorbeeld.NL ' | email", "'Jan@voorbeeld.nl'"), ("'Jan@X.nl' | email | lower", "'jan@x.nl'")
)
def email(value: str) -> str:
    """Checks an e-mail address by its form (nothing is looked up) and puts the domain in lower case."""
    address = _address(value.strip()) if len(value) <= _LONGEST else None
    if address is None:
        raise UnfitError("an e-mail address, such as naam@voorbeeld.nl")
    return address


@lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - imported late

    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


@register("Contact", ("'dhr.' | gender", "'male'"), ("'V' | gender", "'female'"), ("'X' | gender", "'other'"))
def gender(value: str, male: str = "male", female: str = "female", other: str = "other") -> str:
    """Reads man/vrouw, m/v, m/f, dhr/mevr, heer/mevrouw, … and gives one of three words; the words can be given.

    x, anders, overig and other give the third. `onbekend` and `o` give an empty text.
    """
    if len(value) > _LONGEST:
        raise UnfitError("a gender, such as man/vrouw, m/v, dhr/mevr")
    word = " ".join(value.casefold().replace(".", " ").split())
    if word in _MALE:
        return male
    if word in _FEMALE:
        return female
    if word in ("x", "anders", "overig", "other", "divers", "non-binair", "non-binary"):
        return other
    if word in ("", "o", "onbekend", "unknown", "u", "-"):
        return ""
    raise UnfitError("a gender, such as man/vrouw, m/v, dhr/mevr")


@register("Contact", ("'van der Berg' | initials", "'B.'"), ("'Jan Peter' | initials", "'J.P.'"))
def initials(value: str) -> str:
    """Gives the first letters of the names, with points; particles such as van and de have none."""
    if len(value) > _LONGEST:
        raise UnfitError("a name")
    letters = [word[0].upper() for word in re.split(r"[\s-]+", value) if word and not word[0].islower()]
    return "".join(f"{letter}." for letter in letters or [word[0].upper() for word in value.split()])
