"""Which Copernica record an event is about: the unit of order."""

from enum import StrEnum

from connector.domain.frozen import frozen


class RecordKind(StrEnum):
    """Profile and subprofile IDs are separate number ranges; an e-mail event knows only an address."""

    PROFILE = "profile"
    SUBPROFILE = "subprofile"
    RECIPIENT = "recipient"


@frozen()
class Record:
    """The record key: (database, profile), (collection, subprofile) or (source, recipient in lower case).

    `scope` is the database's ID, the collection's ID or the source's name; `id` is the record's ID in there.
    """

    kind: RecordKind
    scope: str
    id: str

    def __str__(self) -> str:
        """Return `kind/scope/id`, as the command line takes it.

        For a recipient this holds an e-mail address: the outbox stores a keyed hash in its place, and so must a log.
        """
        return f"{self.kind}/{self.scope}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Record":
        """Read what `str` writes. Raises ValueError for anything else."""
        kind, _, rest = text.partition("/")
        scope, slash, identity = rest.partition("/")
        if not (slash and scope and identity):
            raise ValueError("a record is profile/DATABASE/ID, subprofile/COLLECTION/ID or recipient/SOURCE/ADDRESS")
        return cls(RecordKind(kind), scope, identity)
