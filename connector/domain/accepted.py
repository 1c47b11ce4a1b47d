"""What the CRM last accepted, per link and mapping, and what is new against it (S7, S8, S9, S17)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.domain.change import Change, JsonValue

HASH_BYTES = 6
EMPTY = b"\0" * HASH_BYTES
"""Stands for a value that is certainly empty at the CRM, as far as this mapping ever wrote it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Keyed hashes of the values that the CRM last accepted from one mapping, by field path.

    With `known` false an attempt may have left since: the hashes then only tell, by being EMPTY or not, whether the
    field may hold something there. Unknown equals nothing.
    """

    known: bool
    hashes: Mapping[str, bytes] = field(default_factory=dict)


NOTHING = Accepted(known=False)
"""Nothing was ever accepted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change brings: `changed` is sent to a linked record; `after` is accepted once it succeeded.

    `during` is what is certain while the attempt is under way: known nothing, and every field that the attempt may
    fill counted as filled.
    """

    changed: Mapping[str, JsonValue]
    full: Mapping[str, JsonValue]
    after: Accepted
    during: Accepted

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return not self.changed


class Hasher:
    """Hashes values with the outbox's own key, so that no personal data can be read or tested from outside."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def value(self, value: JsonValue) -> bytes:
        """Return the hash of a mapped value; never EMPTY."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        digest = self.digest(text, HASH_BYTES)
        return digest if digest != EMPTY else b"\1" * HASH_BYTES

    def digest(self, text: str, size: int = 16) -> bytes:
        """Return `size` bytes of keyed hash: for match keys and addresses."""
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=size).digest()


def compare(
    change: Change, links: Mapping[str, str], last: Accepted, hasher: Hasher, *, everything: bool, forced: bool
) -> Difference:
    """Compare a wanted state with what was last accepted.

    `links` are the associations to make, relation → CRM ID: a changed parent is a change. `everything` is
    `write: all`: if anything differs, all goes. `forced` sends all (a replay, or a doubt).
    """
    wanted = {path: hasher.value(value) for path, value in change.fields.items()}
    wanted |= {f"link:{relation}": hasher.value(crm_id) for relation, crm_id in links.items()}
    clears = {path for path in change.clears if path in last.hashes and last.hashes[path] != EMPTY}
    full: dict[str, JsonValue] = {**change.fields, **dict.fromkeys(sorted(clears))}

    new = {path for path, digest in wanted.items() if last.hashes.get(path) != digest} | clears
    if forced or not last.known:
        changed_paths = set(wanted) | clears
    elif not new - change.volatile:
        changed_paths = set()
    elif everything:
        changed_paths = set(wanted) | clears
    else:
        changed_paths = new
    changed = {path: value for path, value in full.items() if path in changed_paths}
    if not changed and any(path.startswith("link:") for path in changed_paths):
        changed = {}
    after = {**last.hashes, **wanted, **dict.fromkeys(change.clears, EMPTY)}
    during = {path: last.hashes.get(path, EMPTY) for path in after} | {
        path: digest for path, digest in wanted.items() if path in changed_paths
    }
    for path in clears:
        during[path] = last.hashes[path]
    return Difference(changed, full, Accepted(known=True, hashes=after), Accepted(known=False, hashes=during))
