"""A first mapping file, proposed from one event, or from the number of a database alone."""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping

from connector.domain.event import Event
from connector.domain.record import RecordKind
from connector.mapping.scope import RESERVED

_USUAL = {
    "email": ("email", " | trim | lower", ""),
    "firstname": ("firstname", " | trim", ""),
    "lastname": ("lastname", " | trim", ""),
    "phone": ("phone", " | e164('NL')", "fallback: null"),
    "city": ("address.city", "", ""),
    "street": ("address.street", "", ""),
    "postcode": ("address.postcode", " | postcode", "fallback: null"),
    "country": ("address.country", " | country", "fallback: null"),
    "birthdate": ("birthdate", " | date", "type: date"),
    "language": ("language", " | language", "fallback: null"),
}
"""What people call it → the CRM's field, the filters that suit it, and what else its value says."""

_WORDS = {
    "email": ("email", "mail", "emailadres", "emailaddress"),
    "firstname": ("voornaam", "firstname", "roepnaam", "naam", "name"),
    "lastname": ("achternaam", "lastname", "surname", "familienaam"),
    "phone": ("telefoon", "telefoonnummer", "mobiel", "phone", "mobile", "tel", "gsm"),
    "city": ("plaats", "woonplaats", "stad", "city"),
    "street": ("straat", "adres", "street", "address"),
    "postcode": ("postcode", "zip", "zipcode", "postalcode"),
    "country": ("land", "country"),
    "birthdate": ("geboortedatum", "geboren", "birthdate", "birthday", "dateofbirth"),
    "language": ("taal", "language"),
}
_MEANT = {word: usual for usual, words in _WORDS.items() for word in words}


def propose(event: Event, *, name: str | None, crm: str, object_name: str) -> str:
    """Return a mapping file that takes such events. It passes `check`, and does nothing that cannot be undone."""
    fields = sorted(event.fields or ())
    kind, scope = event.record.kind, event.record.scope
    if kind is RecordKind.RECIPIENT:
        return _email(event, name or f"email-{event.type}", crm, object_name)
    origin = "database" if kind is RecordKind.PROFILE else "collection"
    return records(origin, scope, fields, name=name or f"{origin}-{scope}", crm=crm, object_name=object_name)


def records(
    origin: str,
    scope: str,
    fields: list[str],
    *,
    name: str,
    crm: str,
    object_name: str,
    on_delete: str = "ignore",
    known: Collection[str] = (),
    required: Collection[str] = (),
    matched: Collection[str] | None = None,
) -> str:
    """Return a mapping file for a database or collection with these fields.

    `known` are names of fields in the CRM, `required` those that a new record must have,
    `matched` those by which one can be found (None: any).
    """
    spelt = {_plain(path): path for path in known}
    own = "profile.id" if origin == "database" else "subprofile.id"
    keeps_id = matched is None or "copernica_id" in matched
    told: dict[str, str] = {"copernica_id": own} if keeps_id else {}
    left: list[str] = []
    for field in fields:
        usual = _MEANT.get(_plain(field))
        path, filters, more = _USUAL[usual] if usual else ("", "", "")
        path = spelt.get(_plain(path), path)
        if path and path not in told:
            expression = f"{_reference(field)}{filters}"
            told[path] = f"{{from: {json.dumps(expression)}, {more}}}" if more else _quoted(expression)
        else:
            left.append(field)
    for path in required:
        told.setdefault(path, _required(path, told))
    keys = [key for key in ("copernica_id", "email") if key in told and (matched is None or key in matched)]
    lines = [
        f"# Proposed by the connector for {origin} {scope}. Read it, mend it, then:",
        "# `connector check FILE`, and `connector preview FILE`.",
        "",
        f"name: {name}",
        f"from: {{{origin}: {scope}}}",
        f"to: {{crm: {crm}, object: {object_name}}}",
        "",
        "# How the CRM's record is recognised, in this order. Nobody is found by an empty value.",
        "match:",
        *(
            ["# `copernica_id`: a text field of yours that keeps the number; without one, take it out."]
            if keeps_id
            else []
        ),
        *(f"  - {key}: {told[key]}" for key in keys),
        "",
        "# CRM field: Copernica field.",
        "set:",
        *(f"  {path}: {value}" for path, value in told.items()),
    ]
    if left:
        lines += [
            "  # Not proposed: put the CRM's name in front, and take the # away.",
            *(f"  # …: {_quoted(_reference(x))}" for x in left),
        ]
    lines += [
        "",
        "# When the record is deleted in Copernica: ignore, archive, anonymise, erase, or {set: {…}}.",
        f"on_delete: {on_delete}",
        "",
    ]
    return "\n".join(lines)


def _required(path: str, told: Mapping[str, str]) -> str:
    """Return a value for a field that must not be missing: a name is made of the names that are there."""
    names = [value.partition(" ")[0] for key, value in told.items() if _plain(key) in ("firstname", "lastname")]
    if "name" in _plain(path) and names:
        return _quoted(" ~ ' ' ~ ".join(names))
    return told.get("email", "{value: CHANGE ME}")


def _email(event: Event, name: str, crm: str, object_name: str) -> str:
    return "\n".join(
        [
            "# Proposed by the connector from an e-mail event. Read it, mend it, then:",
            "# `connector check FILE`, and `connector preview FILE`.",
            "",
            f"name: {name}",
            f"from: {{email: [{event.type}]}}",
            f"to: {{crm: {crm}, object: {object_name}}}",
            "",
            "# An e-mail event knows only an address. It changes what it finds, and makes nobody.",
            "match:",
            "  - email: recipient | trim | lower",
            "",
            f"# CRM field: a value. The event has {', '.join(sorted(event.variables or ())) or 'nothing'}.",
            "set:",
            f"  custom_last_{event.type}: time",
            "",
        ]
    )


def _plain(field: str) -> str:
    text = unicodedata.normalize("NFKD", field).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", text)


def _reference(field: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", field) and field not in RESERVED and field.lower() not in _NOT_NAMES:
        return field
    inner = field.replace("\\", "\\\\").replace("'", "\\'")
    return f"fields['{inner}']"


_NOT_NAMES = frozenset(
    {"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "null", "ja", "nee", "yes", "no"}
)


def _quoted(text: str) -> str:
    """Return a value as YAML takes it without surprise."""
    return text if re.fullmatch(r"[A-Za-z][\w.'\[\] |]*", text) else json.dumps(text, ensure_ascii=False)
