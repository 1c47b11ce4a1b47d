"""Behind `/_admin/`: how others watch the sample CRM and tell it to break."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connector.sample_crm.api import RateLimit
from connector.sample_crm.faults import Fault, Faults
from connector.sample_crm.journal import Journal
from connector.sample_crm.message import ApiError, Request, Response
from connector.sample_crm.schema import KINDS
from connector.sample_crm.store import Store

PREFIX = "/_admin/"
JOURNAL_PAGE = 1000
MAX_JOURNAL_PAGE = 10_000


@dataclass(slots=True)
class Settings:
    """What can be changed while it runs. `latency_ms` is the wait before each answer."""

    latency_ms: int = 0


@dataclass(slots=True)
class AdminDesk:
    """Answers the admin requests. `down` closes the door for so many milliseconds, from after the answer on."""

    store: Store
    faults: Faults
    journal: Journal
    limit: RateLimit
    settings: Settings
    down: Callable[[int], None]

    def answer(self, request: Request) -> Response:
        """Do what the request asks. Never raises for what it holds."""
        try:
            return self._route(request)
        except ApiError as error:
            return error.response()

    def _route(self, request: Request) -> Response:
        match request.method, request.path.removeprefix(PREFIX):
            case "GET", "journal":
                return Response(200, self._journal(request.query))
            case "DELETE", "journal":
                self.journal.clear()
            case "GET", "faults":
                return Response(200, {"faults": self.faults.as_json()})
            case "POST", "faults":
                self.faults.add(Fault.from_json(request.json()))
                return Response(201, {"faults": self.faults.as_json()})
            case "DELETE", "faults":
                self.faults.clear()
            case "GET", "settings":
                return Response(200, self._settings())
            case "PATCH", "settings":
                self._change(request.json())
                return Response(200, self._settings())
            case "GET", "state":
                return Response(200, self._state())
            case "POST", "down":
                self.down(_milliseconds(request.json(), "for_ms"))
            case _:
                raise ApiError(404, "no_such_address", "there is no such address")
        return Response(204)

    def _journal(self, query: dict[str, str]) -> dict[str, Any]:
        try:
            after, limit = int(query.get("after", 0)), int(query.get("limit", JOURNAL_PAGE))
        except ValueError:
            raise ApiError(422, "wrong_type", "after and limit have to be numbers") from None
        entries = self.journal.after(after, max(1, min(limit, MAX_JOURNAL_PAGE)))
        return {
            "entries": [entry.as_json() for entry in entries],
            "next": entries[-1].seq if entries else after,
            "total": self.journal.total,
            "dropped": self.journal.dropped,
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "unique": self.store.unique,
            "search_lag_ms": round(self.store.search.lag * 1000),
            "latency_ms": self.settings.latency_ms,
            "rate": self.limit.requests,
            "rate_ms": round(self.limit.seconds * 1000),
        }

    def _change(self, wanted: dict[str, Any]) -> None:
        unknown = sorted(wanted.keys() - self._settings().keys())
        if unknown:
            raise ApiError(422, "unknown_field", f"there is no setting {unknown[0]}", field=unknown[0])
        numbers = {name: _milliseconds(wanted, name) for name in wanted if name != "unique"}
        if "unique" in wanted:
            if not isinstance(wanted["unique"], bool):
                raise ApiError(422, "wrong_type", "unique has to be true or false", field="unique")
            self.store.unique = wanted["unique"]
        self.store.search.lag = numbers.get("search_lag_ms", self.store.search.lag * 1000) / 1000
        self.settings.latency_ms = numbers.get("latency_ms", self.settings.latency_ms)
        self.limit.requests = numbers.get("rate", self.limit.requests)
        self.limit.seconds = numbers.get("rate_ms", self.limit.seconds * 1000) / 1000

    def _state(self) -> dict[str, Any]:
        return {
            "commit": self.store.commit,
            "records": {kind: list(self.store.rows(kind)) for kind in KINDS},
            "links": {row["id"]: self.store.links(kind, row["id"]) for kind in KINDS for row in self.store.rows(kind)},
        }


def _milliseconds(values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ApiError(422, "wrong_type", f"{name} has to be a whole number, 0 or more", field=name)
    return value
