"""What the CRM last accepted, per link and mapping, and what is new against it (S7, S8, S9, S17)."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import field, replace

from connector.domain.change import Change, JsonValue
from connector.domain.frozen import frozen

HASH_BYTES = 6
DIGEST_BYTES = 16
EMPTY = b"\0" * HASH_BYTES
"""Stands for a value that is certainly empty at the CRM, as far as this mapping ever wrote it."""


@frozen()
class Accepted:
    """Keyed hashes of the values that the CRM last accepted from one mapping, by field path.

    With `known` false an attempt may have left since: the hashes then only tell, by being EMPTY or not, whether the
    field may hold something there. Unknown equals nothing.
    """

    known: bool
    hashes: Mapping[str, bytes] = field(default_factory=dict)

    def or_filled(self, other: "Accepted") -> "Accepted":
        """Return it as unknown, with what `other` may have filled meanwhile counted as filled."""
        filled = {path: digest for path, digest in other.hashes.items() if digest != EMPTY}
        kept = {path: digest for path, digest in self.hashes.items() if digest != EMPTY or path not in filled}
        return Accepted(known=False, hashes={**filled, **kept})


NOTHING = Accepted(known=False)
"""Nothing was ever accepted."""


@frozen()
class Difference:
    """What a change brings. `changed` is sent to a linked record, `full` to one that was found or is made.

    `links` are the relations to make. `after` is what the CRM has accepted once it succeeded; `during` what is certain
    while the attempt is under way: nothing is known, and every field that the attempt may fill counts as filled.
    """

    changed: Mapping[str, JsonValue]
    full: Mapping[str, JsonValue]
    links: frozenset[str]
    after: Accepted
    during: Accepted

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send to a linked record."""
        return not self.changed and not self.links


_as_text = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


class Hasher:
    """Hashes values with the outbox's own key, so that no personal data can be read or tested from outside."""

    def __init__(self, key: bytes) -> None:
        # A copy of one that has the key already is made in half the time.
        self._begun = {size: hashlib.blake2b(key=key, digest_size=size) for size in (HASH_BYTES, DIGEST_BYTES)}

    def value(self, value: JsonValue) -> bytes:
        """Return the hash of a mapped value; never EMPTY."""
        kind = type(value)
        # Nothing else begins with a quotation mark: one more would only cost time, with each field of each change.
        text = f'"{value}' if kind is str else str(value) if kind is int else _as_text(value)
        digest = self.digest(text, HASH_BYTES)
        return digest if digest != EMPTY else b"\1" * HASH_BYTES

    def digest(self, text: str, size: int = DIGEST_BYTES) -> bytes:
        """Return `size` bytes of keyed hash: for match keys and addresses. `size` is one of the two that are used."""
        begun = self._begun[size].copy()
        begun.update(text.encode("utf-8", "surrogatepass"))
        return begun.digest()


_LINK = "link:"  # stands before a relation's name among the field paths


def compare(
    change: Change, parents: Mapping[str, str], last: Accepted, hasher: Hasher, *, everything: bool, forced: bool
) -> Difference:
    """Compare a wanted state with what was last accepted.

    `parents` are the associations to make, relation → CRM ID: another parent is a change. `everything` is `write: all`:
    if anything differs, all goes. `forced` sends all (a replay, or a doubt).
    """
    wanted = {path: hasher.value(value) for path, value in change.fields.items()}
    wanted |= {_LINK + relation: hasher.value(crm_id) for relation, crm_id in parents.items()}
    clears = {path for path in change.clears if last.hashes.get(path, EMPTY) != EMPTY}
    new = {path for path, digest in wanted.items() if last.hashes.get(path) != digest} | clears
    if forced or not last.known or (everything and new - change.volatile):
        new = set(wanted) | clears
    elif not new - change.volatile:
        new = set()
    full: dict[str, JsonValue] = {**change.fields, **dict.fromkeys(sorted(clears))}
    after = {**last.hashes, **wanted, **dict.fromkeys(change.clears, EMPTY)}
    during = {**dict.fromkeys(after, EMPTY), **last.hashes, **{path: wanted[path] for path in new if path in wanted}}
    return Difference(
        changed={path: value for path, value in full.items() if path in new},
        full=full,
        links=frozenset(path.removeprefix(_LINK) for path in new if path.startswith(_LINK)),
        after=Accepted(known=True, hashes=after),
        during=Accepted(known=False, hashes=during),
    )


def without_links(accepted: Accepted, relations: Collection[str]) -> Accepted:
    """Return what was accepted but for these relations: they could not be made."""
    if not relations:
        return accepted
    missing = {_LINK + relation for relation in relations}
    return replace(accepted, hashes={path: one for path, one in accepted.hashes.items() if path not in missing})
