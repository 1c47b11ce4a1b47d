"""Events for tests of mappings, in few words."""

from connector.domain.event import Event, EventType, TimeFrom
from connector.domain.record import Record, RecordKind
from connector.mapping.load import load_mappings

AT = 1_769_857_200_000


def profile(fields=None, *, kind=EventType.UPDATE, profile="7", database="7616", interests=(), **more):
    return Event(
        type=kind,
        record=Record(RecordKind.PROFILE, database, profile),
        at=AT,
        at_from=TimeFrom.TIME,
        profile=profile,
        database=database,
        fields=fields,
        interests=None if kind is EventType.DELETE else frozenset(interests),
        **more,
    )


def subprofile(fields=None, *, kind=EventType.UPDATE, subprofile="900", profile="7", collection="22", **more):
    return Event(
        type=kind,
        record=Record(RecordKind.SUBPROFILE, collection, subprofile),
        at=AT,
        at_from=TimeFrom.TIME,
        profile=profile,
        subprofile=subprofile,
        collection=collection,
        fields=fields,
        **more,
    )


def email(variables, *, kind=EventType.FAILURE, source="shop", **more):
    recipient = variables.get("recipient", "a@example.com")
    return Event(
        type=kind,
        record=Record(RecordKind.RECIPIENT, source, recipient.lower()),
        at=AT,
        at_from=TimeFrom.TIME,
        message="m1",
        variables={"recipient": recipient, **variables},
        **more,
    )


BASE = """name: readers
from: {database: 7616}
to: {crm: crm, object: contact}
match: [{copernica_id: profile.id}, {email: email | trim | lower}]
set:
  copernica_id: profile.id
  email: email | trim | lower
  firstname: voornaam
on_delete: archive
"""


def mappings(folder, *texts):
    """Load these texts as the files of a folder."""
    for number, text in enumerate(texts):
        (folder / f"m{number}.yaml").write_text(text)
    return load_mappings(folder)


def mapping(folder, text=BASE, *others):
    """Load a file, with others beside it."""
    loaded = mappings(folder, text, *others)
    name = next(line.split(": ")[1] for line in text.splitlines() if line.startswith("name: "))
    return loaded.mappings[name]
