"""What a search found: the records in its answer, and which of them is the newest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connector.crm.presets.model import Find
from connector.crm.rest import jsonpath
from connector.crm.rest.answer import as_id
from connector.crm.rest.sending import Reply
from connector.domain.change import MatchKey


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that a search found; `order` tells newest from oldest."""

    id: str
    order: Any


def hits_of(reply: Reply, model: Find, key: MatchKey) -> list[Hit] | None:
    """Return the distinct hits; None when the answer is not as the preset says."""
    assert reply.answer is not None
    if not reply.answer.is_json:
        return [] if reply.status == 204 else None  # noqa: PLR2004
    items = jsonpath.find(reply.answer.json, model.items)
    if items is jsonpath.MISSING or items is None:
        return None if items is jsonpath.MISSING else []
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        return None
    hits: dict[str, Hit] = {}
    for item in items:
        crm_id = as_id(jsonpath.find(item, model.id))
        if crm_id is None:
            return None
        if model.confirm is None or _confirmed(item, model.confirm, key):
            hits[crm_id] = Hit(crm_id, jsonpath.find(item, model.order_by) if model.order_by else None)
    return list(hits.values())


def _confirmed(item: Any, path: str, key: MatchKey) -> bool:
    wanted = str(key.value).strip().casefold()
    return any(str(value).strip().casefold() == wanted for value in jsonpath.find_all(item, path))


def ordered(hits: Sequence[Hit]) -> list[Hit] | None:
    """Return the hits, oldest first; None when their values cannot be compared."""
    order = [_sortable(hit.order) for hit in hits]
    if all(isinstance(each, int) for each in order) or all(isinstance(each, str) for each in order):
        return sorted(hits, key=lambda hit: _sortable(hit.order))  # type: ignore[arg-type,return-value]
    return None


def _sortable(value: Any) -> int | str | None:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:  # noqa: PLR2004
        return int(value)
    return value
