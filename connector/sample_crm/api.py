"""The sample CRM's API: which request does what."""

import hmac
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connector.sample_crm.message import ApiError, Request, Response
from connector.sample_crm.schema import KINDS
from connector.sample_crm.store import Store

MAX_BATCH = 100
PAGE = 100
MAX_PAGE = 1000


class RateLimit:
    """At most `requests` in any `seconds`; 0 is no limit."""

    def __init__(self, clock: Callable[[], float], requests: int = 0, seconds: float = 1) -> None:
        self.requests = requests
        self.seconds = seconds
        self._clock = clock
        self._times: deque[float] = deque()

    def check(self) -> None:
        """Count a request. Raises LimitError when it is one too many; that one does not count."""
        if not self.requests:
            return
        now = self._clock()
        while self._times and self._times[0] <= now - self.seconds:
            self._times.popleft()
        if len(self._times) >= self.requests:
            raise LimitError(self._times[0] + self.seconds - now)
        self._times.append(now)


class LimitError(ApiError):
    """The rate limit is reached. `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(429, "rate_limit", "too many requests")
        self.wait = max(1, math.ceil(wait))


@dataclass(slots=True)
class Api:
    """Turns requests into answers."""

    store: Store
    limit: RateLimit
    token: str

    def answer(self, request: Request) -> Response:
        """Do what the request asks. Never raises for what it holds."""
        try:
            self.authorise(request)
            self.limit.check()
            return self._route(request)
        except LimitError as error:
            return error.response({"Retry-After": str(error.wait)})
        except ApiError as error:
            return error.response()

    def authorise(self, request: Request) -> None:
        """Raises ApiError (401) without the right token."""
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode("latin-1", "replace"), f"Bearer {self.token}".encode()):
            raise ApiError(401, "unauthorised", "the token is missing or wrong")

    def _route(self, request: Request) -> Response:
        parts = request.parts
        kind = parts[0]
        if kind not in KINDS:
            raise ApiError(404, "no_such_address", "there is no such address")
        match parts[1:]:
            case []:
                return self._collection(kind, request)
            case ["batch"]:
                _allow(request, "POST")
                return self._batch(kind, request.json())
            case ["by", key, value]:
                _allow(request, "PUT")
                row, new = self.store.upsert(kind, key, value, request.json())
                return self._written(201 if new else 200, row)
            case [identity]:
                return self._record(kind, identity, request)
            case [identity, "archive"]:
                _allow(request, "POST")
                before = self.store.commit
                row = self.store.archive(kind, identity)
                return self._written(200, row, since=before)
            case [identity, "associations"]:
                _allow(request, "GET")
                return Response(200, self.store.links(kind, identity), record=identity)
            case [identity, other_kind, other] if other_kind in KINDS and other_kind != kind:
                return self._link(request, kind, identity, other_kind, other)
        raise ApiError(404, "no_such_address", "there is no such address")

    def _collection(self, kind: str, request: Request) -> Response:
        _allow(request, "GET", "POST")
        if request.method == "POST":
            return self._written(201, self.store.create(kind, request.json()))
        query = request.query
        limit = _number(query.pop("limit", str(PAGE)), "limit", MAX_PAGE)
        after = _number(query.pop("after", "0"), "after", 10**18)
        archived = query.pop("archived", "false") == "true"
        if len(query) > 1:
            raise ApiError(422, "unknown_field", "a search takes one key", field=sorted(query)[1])
        if query:
            key, value = next(iter(query.items()))
            rows = self.store.find(kind, key, value)
        else:
            rows = [row for row in self.store.rows(kind) if row["archived"] == archived]
        page = [row for row in rows if int(row["id"]) > after][: limit + 1]
        more = page[limit - 1]["id"] if len(page) > limit else None
        return Response(200, {"results": page[:limit], "next": more})

    def _record(self, kind: str, identity: str, request: Request) -> Response:
        _allow(request, "GET", "PATCH", "DELETE")
        if request.method == "GET":
            return Response(200, self.store.get(kind, identity), record=identity)
        if request.method == "PATCH":
            return self._written(200, self.store.update(kind, identity, request.json()))
        self.store.delete(kind, identity)
        return Response(204, record=identity, commits=(self.store.commit,))

    def _link(self, request: Request, kind: str, identity: str, other_kind: str, other: str) -> Response:
        _allow(request, "PUT", "DELETE")
        if request.method == "DELETE":
            self.store.unlink(kind, identity, other_kind, other)
            return Response(204, record=identity, commits=(self.store.commit,))
        new = self.store.link(kind, identity, other_kind, other)
        body = {"from": identity, "to": other, "created": new}
        return Response(200, body, record=identity, commits=(self.store.commit,) if new else ())

    def _batch(self, kind: str, body: dict[str, Any]) -> Response:
        key, inputs = body.get("key"), body.get("inputs")
        if not isinstance(key, str):
            raise ApiError(422, "wrong_type", "key has to name the field to upsert by, or be id", field="key")
        if not isinstance(inputs, list) or not all(isinstance(item, dict) for item in inputs):
            raise ApiError(422, "wrong_type", "inputs has to be a list of objects", field="inputs")
        if len(inputs) > MAX_BATCH:
            raise ApiError(422, "too_many", f"a batch has at most {MAX_BATCH} inputs", field="inputs")
        before = self.store.commit
        results = [{"index": index, **self._item(kind, key, item)} for index, item in enumerate(inputs)]
        commits = tuple(range(before + 1, self.store.commit + 1))
        records = tuple(item.get("id") for item in results)
        return Response(207, {"results": results}, records=records, commits=commits)

    def _item(self, kind: str, key: str, item: dict[str, Any]) -> dict[str, Any]:
        values = {name: value for name, value in item.items() if name != key}
        try:
            if key == "id":
                row, new = self.store.update(kind, str(item.get("id")), values), False
            else:
                row, new = self.store.upsert(kind, key, item.get(key), values)
        except ApiError as error:
            return {"status": error.status, **error.body}
        return {"status": 201 if new else 200, "id": row["id"], "created": new, "commit": self.store.commit}

    def _written(self, status: int, row: dict[str, Any], *, since: int | None = None) -> Response:
        commits = () if since == self.store.commit else (self.store.commit,)
        return Response(status, row, record=row["id"], commits=commits)


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise ApiError(405, "method", f"this address takes {', '.join(methods)}")


def _number(text: str, name: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise ApiError(422, "wrong_type", f"{name} has to be a number of at most {most}", field=name)
    return int(text)
