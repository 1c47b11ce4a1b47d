"""What goes in and out of the sample CRM: one request, one answer, and how it says no."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `headers` has the names in lower case; of a repeated one the last counts."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path, as sent, without the query."""
        return self.target.partition("?")[0]

    @property
    def parts(self) -> list[str]:
        """The path's segments, percent-decoded."""
        return [unquote(part) for part in self.path.split("/")[1:]]

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last counts."""
        query = self.target.partition("?")[2]
        return dict(parse_qsl(query, keep_blank_values=True)) if query else {}

    def json(self) -> dict[str, Any]:
        """Return the body, which has to be a JSON object. Raises ApiError (400)."""
        if not self.body:
            return {}
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise ApiError(400, "bad_json", f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise ApiError(400, "bad_json", "the body has to be a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `body` None is an answer without content.

    `record`, `records` (of a batch, in its order) and `commits` are for the journal: what it was about, and the
    numbers of the writes that it made.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    record: str | None = None
    records: tuple[str | None, ...] = ()
    commits: tuple[int, ...] = ()


class ApiError(Exception):
    """The API says no. `more` goes into the error object: `field`, `existing`, `candidates`."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, **more}}

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer that says so."""
        return Response(self.status, self.body, headers or {})
