"""What a CRM like the sample CRM knows, for checks."""

from connector.mapping.facts import ObjectFacts, UnknownToCrmError

ADDRESS = {"address": "object", **{f"address.{part}": "string" for part in ("street", "postcode", "city", "country")}}
OBJECTS = {
    "contact": ObjectFacts(
        fields={
            **dict.fromkeys(("email", "firstname", "lastname", "phone", "language", "note", "copernica_id"), "string"),
            **dict.fromkeys(("optin", "bounced"), "boolean"),
            "birthdate": "date",
            "score": "integer",
            "tags": "list",
            **dict.fromkeys(("custom_ended", "custom_last_click")),
            **ADDRESS,
        },
        match=frozenset({"email", "copernica_id"}),
        relations={"company": "company"},
    ),
    "company": ObjectFacts(
        fields={**dict.fromkeys(("name", "domain", "phone", "note", "copernica_id"), "string"), **ADDRESS},
        match=frozenset({"name", "domain", "copernica_id"}),
        removals=frozenset({"erase"}),
        relations={"contact": "contact"},
    ),
    "deal": ObjectFacts(
        fields={
            **dict.fromkeys(("title", "currency", "stage", "note", "copernica_id"), "string"),
            "amount": "number",
            "closed_on": "date",
            "quantity": "integer",
        },
        required=frozenset({"title"}),
        match=frozenset({"title", "copernica_id"}),
        relations={"contact": "contact"},
    ),
    "order": ObjectFacts(
        relations={"contact": "contact", "company": "company"}, needs_link=frozenset({"contact", "company"})
    ),
}


def crm_objects(destination: str, name: str) -> ObjectFacts | None:
    """Destination `crm` has contacts, companies and deals; of `other` nothing is known."""
    if destination == "other":
        return None
    if destination != "crm":
        raise UnknownToCrmError("destination", destination, ("crm", "other"))
    if name not in OBJECTS:
        raise UnknownToCrmError("object", name, tuple(OBJECTS))
    return OBJECTS[name]
