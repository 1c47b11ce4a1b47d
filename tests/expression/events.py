"""The event that the tests and docs/expressions.md speak of."""

from connector.domain.event import Event, EventType, TimeFrom
from connector.domain.record import Record, RecordKind


def event(**changes):
    """Return that event, with changes."""
    values = {
        "type": EventType.UPDATE,
        "record": Record(RecordKind.PROFILE, "7616", "12"),
        "at": 1_719_828_000_250,
        "at_from": TimeFrom.TIME,
        "profile": "12",
        "database": "7616",
        "fields": {
            "voornaam": "Jan",
            "Achter naam": "van Dijk",
            "email": " Jan@X.NL ",
            "leeg": "",
            "optin": "ja",
            "aantal": "12",
            "time": "een veld",
            "e-mail": "j@x.nl",
            "dag": "0000-00-00",
            "straße": "Ö",
        },
        "interests": frozenset({"rood", "blauw"}),
        "parameters": {"voornaam": "Jan"},
    }
    return Event(**{**values, **changes})
