"""A CRM with a lagging search and no unique fields, used by colleagues as well; and the adapter that talks to it.

The adapter is the port's contract in small (known → find → create), a request at a time: it yields a `Request` and is
sent a `Reply`, so that anything can happen in between.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from connector.crm.port import Limits, Write
from connector.domain.change import MatchKey, Verb, WhenGone
from connector.domain.outcome import Outcome, OutcomeKind, Scope

if TYPE_CHECKING:
    from connector.deliver.work import JobGate, Leased

REQUEST_TIMEOUT = 8_000
OBJECTS = ("contacts", "deals", "letters")


class Answer(Enum):
    """What the adapter learns of a request."""

    OK = auto()
    NOT_FOUND = auto()
    FAILED = auto()  # 5xx
    LOST = auto()  # it left, and no answer came
    UNREACHABLE = auto()
    THROTTLED = auto()
    DENIED = auto()  # 401
    FORBIDDEN = auto()  # 403, for one object
    REFUSED = auto()  # 422
    STOPPED = auto()  # the gate did not let it pass


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `leased` says for which attempt it is: for the watch only, the CRM does not see it."""

    kind: str  # find, create, update, erase, associate
    object: str
    leased: Leased
    crm_id: str = ""
    key: MatchKey | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        return self.kind != "find"


@dataclass(frozen=True, slots=True)
class Reply:
    answer: Answer
    crm_id: str | None = None
    hits: tuple[str, ...] = ()
    retry_at: int | None = None


@dataclass(slots=True)
class Row:
    """A CRM record. `writers` says for each field who wrote it last; `index` is what a search sees, from when on.

    `unheard` are the fields that a request wrote last which left after its lease, and that lease, until its answer was
    heard: if its process dies first, nobody knows of it (S21).
    """

    id: str
    fields: dict[str, Any]
    created_at: int
    maker: str  # the Copernica record it was created for, or "person"
    writers: dict[str, str] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)  # what we wrote last into each field
    index: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    unheard: dict[str, int] = field(default_factory=dict)
    deleted_at: int | None = None
    deleted_by: str = ""
    came_late: bool = False  # made by a request that left after its lease
    late: bool = False  # made by a request that left after its lease: nobody knows of it (S21) until it is found


class Store:
    """The CRM's records."""

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in OBJECTS}
        self._last = 0

    def live(self, obj: str) -> list[Row]:
        return [row for row in self.rows[obj].values() if row.deleted_at is None]

    def get(self, obj: str, crm_id: str) -> Row | None:
        row = self.rows[obj].get(crm_id)
        return None if row is None or row.deleted_at is not None else row

    def find(self, obj: str, name: str, value: Any, now: int) -> tuple[str, ...]:
        """What the search knows at that moment: it lags behind what was written and deleted."""
        hits = []
        for row in self.rows[obj].values():
            if row.deleted_at is not None and now >= row.deleted_at + self.lag:
                continue
            seen = [fields for since, fields in row.index if since <= now]
            if seen and seen[-1].get(name) == value:
                hits.append(row.id)
        return tuple(hits)

    def create(self, obj: str, fields: dict[str, Any], now: int, maker: str) -> Row:
        self._last += 1
        row = Row(str(self._last), {}, now, maker)
        self.rows[obj][row.id] = row
        self.put(row, fields, now, "person" if maker == "person" else "us")
        return row

    def put(self, row: Row, fields: dict[str, Any], now: int, who: str) -> None:
        for name, value in fields.items():
            if value is None:
                row.fields.pop(name, None)
            else:
                row.fields[name] = value
            row.writers[name] = who
            row.unheard.pop(name, None)
            if who == "us":
                row.ours[name] = value
        row.index.append((now + self.lag, dict(row.fields)))

    def delete(self, row: Row, now: int, who: str) -> None:
        row.deleted_at, row.deleted_by = now, who


@dataclass(slots=True)
class SimCrm:
    """The port as the engine has it. `send` is not used: the world drives `bring` itself."""

    visible: int
    batch: int
    limits: Limits

    @property
    def longest_send(self) -> int:
        return 30_000 * self.batch

    def batch_limit(self, _object: str, _verb: Verb) -> int:
        return self.batch

    def batch_of(self, _write: Write) -> str | None:
        return "all" if self.batch > 1 else None

    def visible_after(self, _object: str) -> int:
        return self.visible

    def send(self, writes: Sequence[Write], gate: Any) -> Sequence[Outcome]:
        raise NotImplementedError

    def plan(self, write: Write) -> Sequence[Any]:
        return []

    def examine(self, objects: Sequence[str]) -> Sequence[Any]:
        return []

    def close(self) -> None:
        pass


Flow = Generator[Request, Reply, Outcome]


class Bring:
    """One write on its way: known → find → create, then the associations."""

    def __init__(self, leased: Leased, gate: JobGate) -> None:
        self.leased = leased
        self.write = leased.attempt.write
        self.gate = gate
        self.wrote = False
        self.requests = 0
        self.crm_id = self.write.crm_id
        self.touched: str | None = None
        self.unlinked = False

    def run(self) -> Flow:
        write = self.write
        if write.verb.removes:
            return (yield from self._remove())
        if write.crm_id is None:
            return (yield from self._unlinked())
        if write.changed:
            reply = yield from self._ask("update", crm_id=write.crm_id, fields=dict(write.changed))
            if reply.answer is Answer.NOT_FOUND:
                self.unlinked, self.crm_id = True, None
                if write.when_gone is WhenGone.STOP:
                    return self._end(OutcomeKind.GONE, "the linked record is no longer there")
                return (yield from self._unlinked())
            if reply.answer is not Answer.OK:
                return self._failed(reply)
        return (yield from self._associate(write.crm_id, OutcomeKind.UPDATED))

    def _unlinked(self) -> Flow:
        write = self.write
        if not write.match:
            return self._end(OutcomeKind.UNMATCHABLE, write.unmatchable)
        found = yield from self._find()
        if isinstance(found, Outcome):
            return found
        if found is not None:
            if write.full:
                reply = yield from self._ask("update", crm_id=found, fields=dict(write.full))
                if reply.answer is Answer.NOT_FOUND:
                    return self._end(OutcomeKind.RETRY, "the search found a record that is not there")
                if reply.answer is not Answer.OK:
                    self.touched = found if self.wrote else None
                    return self._failed(reply)
            self.crm_id = found
            return (yield from self._associate(found, OutcomeKind.UPDATED))
        if write.verb is not Verb.UPSERT:
            return self._end(OutcomeKind.ABSENT, "there is no such record, and this change may not create one")
        reply = yield from self._ask("create", fields={**write.full, **write.create_only})
        if reply.answer is not Answer.OK:
            return self._failed(reply, creating=True)
        assert reply.crm_id is not None
        self.crm_id = reply.crm_id
        return (yield from self._associate(reply.crm_id, OutcomeKind.CREATED))

    def _find(self) -> Generator[Request, Reply, Outcome | str | None]:
        hits: set[str] = set()
        doubtful = self.write.created_maybe_match
        for place, key in enumerate((*doubtful, *self.write.match)):
            reply = yield from self._ask("find", key=key)
            if reply.answer is not Answer.OK:
                return self._failed(reply)
            hits |= set(reply.hits)
            if reply.hits and place >= len(doubtful):
                break
        if len(hits) > 1:
            return self._end(OutcomeKind.MANY, "more than one record matches", candidates=tuple(sorted(hits)))
        return hits.pop() if hits else None

    def _remove(self) -> Flow:
        crm_id = self.write.crm_id
        if crm_id is None:
            found = yield from self._find()
            if isinstance(found, Outcome):
                return found
            if found is None:
                return self._end(OutcomeKind.ERASED, "there was no such record")
            crm_id = self.crm_id = found
        reply = yield from self._ask("erase", crm_id=crm_id)
        if reply.answer is Answer.NOT_FOUND and self.write.crm_id is not None and self.write.created_maybe_match:
            self.unlinked, self.crm_id = True, None
            return self._end(OutcomeKind.RETRY, "the linked record is not there, and one may have been made for it")
        if reply.answer in (Answer.OK, Answer.NOT_FOUND):
            return self._end(OutcomeKind.ERASED)
        return self._failed(reply)

    def _associate(self, crm_id: str, kind: OutcomeKind) -> Flow:
        for association in self.write.associations:
            reply = yield from self._ask("associate", crm_id=crm_id, fields={"to": association.crm_id})
            if reply.answer not in (Answer.OK, Answer.NOT_FOUND):
                return self._failed(reply)
        return self._end(kind)

    def _ask(self, kind: str, **more: Any) -> Generator[Request, Reply, Reply]:
        if not self.gate.may_send(1):
            return Reply(Answer.STOPPED)
        request = Request(kind, self.write.object, self.leased, **more)
        self.requests += 1
        reply = yield request
        if request.writes and reply.answer in (Answer.OK, Answer.FAILED, Answer.LOST, Answer.NOT_FOUND):
            self.wrote = True
        return reply

    def _failed(self, reply: Reply, *, creating: bool = False) -> Outcome:
        answer = reply.answer
        if answer is Answer.STOPPED:
            return self._end(OutcomeKind.RETRY if self.wrote else OutcomeKind.NOT_SENT, "the lease had ended")
        if answer is Answer.FORBIDDEN:
            return self._end(OutcomeKind.UNAUTHORISED, "403", scope=Scope.OBJECT)
        if answer in (Answer.LOST, Answer.FAILED) and creating:
            return self._end(OutcomeKind.AMBIGUOUS, "no answer to a create", created_maybe=True)
        kinds = {
            Answer.UNREACHABLE: OutcomeKind.UNREACHABLE,
            Answer.THROTTLED: OutcomeKind.THROTTLED,
            Answer.DENIED: OutcomeKind.UNAUTHORISED,
            Answer.REFUSED: OutcomeKind.PERMANENT,
        }
        return self._end(kinds.get(answer, OutcomeKind.RETRY), answer.name.lower(), retry_at=reply.retry_at)

    def _end(self, kind: OutcomeKind, reason: str = "", **more: Any) -> Outcome:
        return replace(
            Outcome(kind=kind, reason=reason, crm_id=self.crm_id, unlinked=self.unlinked, wrote=self.wrote),
            touched=self.touched,
            requests=self.requests,
            **more,
        )
