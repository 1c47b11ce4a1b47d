"""What the operator should know of a call that was understood all the same."""

from dataclasses import dataclass
from enum import StrEnum


class NoteKind(StrEnum):
    """What is odd. Counted by source, so that `status` can show it."""

    CHARSET = "charset"  # the header names a character set that is not known
    REPEATED = "repeated"  # a field comes more than once: the last value counts
    ZONE = "zone"  # `timestamp`, read as Dutch time, is not `time`


@dataclass(frozen=True, slots=True)
class Note:
    """One odd thing, in words; no personal data in them."""

    kind: NoteKind
    text: str
