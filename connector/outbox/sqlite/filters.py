"""An operator's filter as SQL."""

from collections.abc import Sequence

from connector.domain.delivery import DeliveryState
from connector.domain.record import Record, RecordKind
from connector.outbox.port import EventState, Filter
from connector.outbox.sqlite.database import Database

DELIVERY_STATES = {state.word: state for state in DeliveryState}
EVENT_STATES = {state.name.lower().replace("_", "-"): state for state in EventState}


def record_key(db: Database, text: str) -> str:
    """Return the key of a record as people write it: an address is looked up by its hash."""
    try:
        record = Record.parse(text)
    except ValueError:
        return text
    if record.kind is RecordKind.RECIPIENT and "@" in record.id:
        return db.record_key(record)
    return text


def where(db: Database, wanted: Filter) -> tuple[str, list[object]]:
    """Return a condition over `events e` and `deliveries d` (left-joined), and its values."""
    parts, values = ["1"], list[object]()
    if wanted.ids:
        parts.append(f"e.id IN ({_marks(wanted.ids)})")
        values += wanted.ids
    if wanted.states:
        deliveries = [int(DELIVERY_STATES[s]) for s in wanted.states if s in DELIVERY_STATES]
        events = [int(EVENT_STATES[s]) for s in wanted.states if s in EVENT_STATES]
        parts.append(f"(d.state IN ({_marks(deliveries)}) OR (d.id IS NULL AND e.state IN ({_marks(events)})))")
        values += [*deliveries, *events]
    if wanted.source is not None:
        parts.append("e.source = ?")
        values.append(db.find_name(wanted.source))
    if wanted.mapping is not None:
        parts.append("d.mapping = ?")
        values.append(db.find_name(wanted.mapping))
    if wanted.record is not None:
        parts.append("e.record = ?")
        values.append(db.find_record(record_key(db, wanted.record)))
    if wanted.since is not None:
        parts.append("e.received_at >= ?")
        values.append(wanted.since)
    if wanted.until is not None:
        parts.append("e.received_at < ?")
        values.append(wanted.until)
    if wanted.text is not None:
        parts.append("instr(lower(coalesce(d.reason, e.note, '')), lower(?)) > 0")
        values.append(wanted.text)
    return " AND ".join(parts), values


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


JOINED = "FROM events e LEFT JOIN deliveries d ON d.event = e.id"
