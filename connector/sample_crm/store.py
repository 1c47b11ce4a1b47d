"""What the sample CRM holds. A record is replaced, never altered, so that a search may show what was."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from connector.sample_crm.message import ApiError
from connector.sample_crm.schema import KINDS, check_fields, merge, search_value

Row: TypeAlias = dict[str, Any]
FIRST_ID = 1001


class SearchIndex:
    """Finds records by a key's value, as they were `lag` seconds ago."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lag = 0.0
        self._clock = clock
        self._shown: dict[tuple[str, str], Row] = {}
        self._by_value: dict[tuple[str, str, str], dict[str, None]] = {}
        self._coming: deque[tuple[float, str, str, Row | None]] = deque()

    def put(self, kind: str, identity: str, row: Row | None) -> None:
        """Show that record from now on (after the lag); None takes it out."""
        if self.lag or self._coming:
            self._coming.append((self._clock() + self.lag, kind, identity, row))
        else:
            self._show(kind, identity, row)

    def find(self, kind: str, key: str, value: str) -> list[Row]:
        """Return what is found, oldest first."""
        self._catch_up()
        found = self._by_value.get((kind, key, search_value(value)), {})
        return [self._shown[kind, identity] for identity in sorted(found, key=int)]

    def _catch_up(self) -> None:
        now = self._clock()
        while self._coming and self._coming[0][0] <= now:
            _, kind, identity, row = self._coming.popleft()
            self._show(kind, identity, row)

    def _show(self, kind: str, identity: str, row: Row | None) -> None:
        old = self._shown.pop((kind, identity), None)
        for key in KINDS[kind].keys:
            before = None if old is None else old.get(key)
            after = None if row is None else row.get(key)
            if before is not None and before != after:
                entry = (kind, key, search_value(before))
                self._by_value[entry].pop(identity, None)
                if not self._by_value[entry]:
                    del self._by_value[entry]
            if after is not None:
                self._by_value.setdefault((kind, key, search_value(after)), {})[identity] = None
        if row is not None:
            self._shown[kind, identity] = row


class Store:
    """Records and links. Every write gets the next number; writes that refuse raise ApiError and change nothing."""

    def __init__(self, clock: Callable[[], float], *, unique: bool = True) -> None:
        self.unique = unique
        self.search = SearchIndex(clock)
        self.commit = 0
        self._rows: dict[str, dict[str, Row]] = {kind: {} for kind in KINDS}
        self._owner: dict[tuple[str, str], str] = {}
        self._links: dict[str, dict[str, dict[str, None]]] = {}
        self._next = FIRST_ID

    def rows(self, kind: str) -> Iterator[Row]:
        """Return all records in the order of their making, archived ones too."""
        yield from self._rows[kind].values()

    def get(self, kind: str, identity: str) -> Row:
        """Return one record. Raises ApiError (404)."""
        row = self._rows[kind].get(identity)
        if row is None:
            raise ApiError(404, "not_found", f"there is no such record in {kind}")
        return row

    def create(self, kind: str, values: Row) -> Row:
        """Make a record."""
        check_fields(values, KINDS[kind].fields)
        self._refuse_duplicate(kind, values, None)
        identity = str(self._next)
        self._next += 1
        return self._write(kind, identity, {"id": identity, **merge({}, values), "archived": False})

    def update(self, kind: str, identity: str, values: Row) -> Row:
        """Change the given fields of a record. Raises ApiError (410) for an archived one."""
        row = self.get(kind, identity)
        check_fields(values, KINDS[kind].fields)
        if row["archived"]:
            raise ApiError(410, "archived", "the record is archived")
        self._refuse_duplicate(kind, values, identity)
        return self._write(kind, identity, merge(row, values))

    def archive(self, kind: str, identity: str) -> Row:
        """Put a record away: it can be read by its ID, is not found any more, and its unique value is free."""
        row = self.get(kind, identity)
        return row if row["archived"] else self._write(kind, identity, {**row, "archived": True})

    def delete(self, kind: str, identity: str) -> None:
        """Take a record and its links away."""
        row = self.get(kind, identity)
        self._free(kind, row)
        del self._rows[kind][identity]
        for others in self._links.pop(identity, {}).values():
            for other in others:
                self._links[other][kind].pop(identity, None)
        self.commit += 1
        self.search.put(kind, identity, None)

    def find(self, kind: str, key: str, value: str) -> list[Row]:
        """Search, as the index has it."""
        if key not in KINDS[kind].keys:
            raise ApiError(422, "unknown_field", f"{kind} cannot be searched by {key}", field=key)
        return self.search.find(kind, key, value)

    def upsert(self, kind: str, key: str, value: Any, values: Row) -> tuple[Row, bool]:
        """Update the one record that has the value, without lag, or make it; tell whether it is new."""
        if key not in KINDS[kind].keys:
            raise ApiError(422, "unknown_field", f"{kind} has no key {key}", field=key)
        if value is None or not str(value).strip():
            raise ApiError(422, "missing_key", f"{key} may not be empty", field=key)
        found = self._holders(kind, key, value)
        if len(found) > 1:
            raise ApiError(409, "many", f"more than one record has that {key}", candidates=found)
        if found:
            return self.update(kind, found[0], values), False
        return self.create(kind, {key: value, **values}), True

    def link(self, kind: str, identity: str, other_kind: str, other: str) -> bool:
        """Link two records, both ways; tell whether the link is new."""
        self.get(kind, identity)
        self.get(other_kind, other)
        mine = self._links.setdefault(identity, {}).setdefault(other_kind, {})
        if other in mine:
            return False
        mine[other] = None
        self._links.setdefault(other, {}).setdefault(kind, {})[identity] = None
        self.commit += 1
        return True

    def unlink(self, kind: str, identity: str, other_kind: str, other: str) -> None:
        """Take a link away. Raises ApiError (404) when there is none."""
        if other not in self._links.get(identity, {}).get(other_kind, {}):
            raise ApiError(404, "not_found", "there is no such link")
        self._links[identity][other_kind].pop(other)
        self._links[other][kind].pop(identity)
        self.commit += 1

    def links(self, kind: str, identity: str) -> dict[str, list[str]]:
        """Return the IDs that a record is linked to, by object."""
        self.get(kind, identity)
        return {other: sorted(found, key=int) for other, found in self._links.get(identity, {}).items() if found}

    def _holders(self, kind: str, key: str, value: Any) -> list[str]:
        if key == KINDS[kind].unique and self.unique:
            owner = self._owner.get((kind, search_value(value)))
            return [] if owner is None else [owner]
        if self.search.lag == 0:
            return [row["id"] for row in self.search.find(kind, key, str(value))]
        wanted = search_value(value)
        rows = self._rows[kind].values()
        return [row["id"] for row in rows if not row["archived"] and search_value(row.get(key, "")) == wanted]

    def _refuse_duplicate(self, kind: str, values: Row, identity: str | None) -> None:
        field = KINDS[kind].unique
        if field is None or not self.unique or values.get(field) is None:
            return
        owner = self._owner.get((kind, search_value(values[field])))
        if owner is not None and owner != identity:
            raise ApiError(409, "duplicate", f"another record has this {field}", field=field, existing=owner)

    def _write(self, kind: str, identity: str, row: Row) -> Row:
        old = self._rows[kind].get(identity)
        if old is not None:
            self._free(kind, old)
        field = KINDS[kind].unique
        if field is not None and field in row and not row["archived"]:
            self._owner.setdefault((kind, search_value(row[field])), identity)
        self._rows[kind][identity] = row
        self.commit += 1
        self.search.put(kind, identity, None if row["archived"] else row)
        return row

    def _free(self, kind: str, row: Row) -> None:
        field = KINDS[kind].unique
        if field is not None and field in row:
            value = (kind, search_value(row[field]))
            if self._owner.get(value) == row["id"]:
                del self._owner[value]
