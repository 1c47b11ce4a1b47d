"""The Flask application: bytes in, an UnverifiedRequest to the door, its word back.

A POST is a call, and is answered before Flask's dispatch: contexts, routing and response objects cost as much as
proving a call does, and it needs none of them. Everything else goes the usual way.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import HTTPException

from connector.domain.clock import Clock
from connector.domain.request import Refusal, RefusalReason, UnverifiedRequest
from connector.domain.source import Source
from connector.http.origin import Network, origin
from connector.http.ownership import Ownership
from connector.http.worker import end_connection, sent_headers
from connector.receive.door import Taken
from connector.receive.service import Receiving

NO_SOURCE = "-"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_TRY_LATER = Taken(503, "try again later\n", (("Retry-After", "30"),))

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Edge:
    """What the application needs to know of its surroundings. `max_body` is in bytes."""

    max_body: int
    trusted_proxies: Collection[Network] = ()


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal, source: str = NO_SOURCE) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
        self.source = source


def make_app(receiving: Receiving, ownership: Ownership, edge: Edge, clock: Clock) -> Flask:
    """Return the application. It has one rule for all paths: what a path means is judged as it was sent."""
    app = Flask("connector", static_folder=None)
    pages = _Pages(receiving, ownership, edge, clock)
    app.add_url_rule("/", "call", pages.handle, methods=_METHODS, provide_automatic_options=False)
    app.register_error_handler(Exception, _failed)
    app.wsgi_app = _Front(app.wsgi_app, pages)  # type: ignore[method-assign]
    return app


class _Pages:
    def __init__(self, receiving: Receiving, ownership: Ownership, edge: Edge, clock: Clock) -> None:
        self._receiving = receiving
        self._door = receiving.door
        self._ownership = ownership
        self._edge = edge
        self._trusted = frozenset(edge.trusted_proxies)
        self._clock = clock
        self._log = log.bind()  # once: without it, each line would make a logger of its own

    def handle(self) -> Response:
        """Answer whatever came."""
        target = _target(request.environ)
        path = target.partition("?")[0]
        page = self._page(path) if request.method in ("GET", "HEAD") else None
        if page is not None:
            return page
        taken = self.take(request.environ)
        return _plain(taken.body, taken.status, *taken.headers)

    def _page(self, path: str) -> Response | None:
        if path == "/healthz":
            return _plain("alive\n")
        if path == "/readyz":
            return self._ready()
        content = self._ownership.find(path)
        return None if content is None else Response(content, mimetype="text/plain")

    def _ready(self) -> Response:
        problem = self._receiving.readiness.problem()
        lines = [f"not ready: {problem}" if problem else "ready"]
        for name, off_by in self._door.clocks_differ().items():
            lines.append(f"clocks differ: genuine calls of {name} are refused, their Date is off by {off_by:+d} s")
        return _plain("\n".join(lines) + "\n", 503 if problem else 200)

    def take(self, environ: dict[str, Any]) -> Taken:
        """Take a call, and say what is to be answered; whatever is no POST is refused."""
        started = time.perf_counter()
        target, method = _target(environ), environ["REQUEST_METHOD"]
        headers = sent_headers(environ) or _joined_headers(environ)
        tls = environ.get("wsgi.url_scheme") == "https"
        peer, secure = origin(environ.get("REMOTE_ADDR", ""), headers, self._trusted, tls=tls)
        body = b""
        try:
            source = self._source(target.partition("?")[0], method)
            body = _body(environ, min(self._edge.max_body, source.max_body), source.name)
            now = self._clock.now()
            taken = self._door.take(UnverifiedRequest(source.name, method, target, headers, body, now, peer, secure))
        except _RefusedError as refused:
            taken = self._door.refuse(refused.source, refused.refusal)
        fields: dict[str, object] = {**taken.fields, "status": taken.status, "bytes": len(body)}
        if taken.level != "info":
            fields["peer"] = peer
        fields["ms"] = round((time.perf_counter() - started) * 1000, 1)
        getattr(self._log, taken.level)("call", **fields)
        return taken

    def _source(self, path: str, method: str) -> Source:
        source = self._door.source_at(path)
        if source is None:
            raise _RefusedError(Refusal(RefusalReason.SOURCE, f"no source at {_shown(path)}"))
        if method != "POST":
            raise _RefusedError(Refusal(RefusalReason.METHOD, f"{method[:20]}, not POST"), source.name)
        return source


def _failed(error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return _plain("bad request\n", 400)
    log.error("a call could not be answered", exc_info=error)
    return _plain(_TRY_LATER.body, _TRY_LATER.status, *_TRY_LATER.headers)


class _Front:
    """Stands before Flask: answers calls, and keeps routing from having an opinion about paths and methods.

    Both are judged as they were sent.
    """

    def __init__(self, app: Any, pages: _Pages) -> None:
        self._app = app
        self._pages = pages

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.setdefault("RAW_URI", environ.get("REQUEST_URI") or environ.get("PATH_INFO", "/"))
        if environ["REQUEST_METHOD"] == "POST":
            return self._take(environ, start_response)
        environ["PATH_INFO"] = "/"
        if environ["REQUEST_METHOD"] not in _METHODS:
            environ["REQUEST_METHOD"] = "TRACE"  # some method that is not ours either: 405
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def _take(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            taken = self._pages.take(environ)
        except Exception:
            log.exception("a call could not be answered")
            taken = _TRY_LATER
        body = taken.body.encode()
        length = ("Content-Length", str(len(body)))
        start_response(_STATUS[taken.status], [*taken.headers, ("Content-Type", "text/plain"), length])
        return (body,)


def _joined_headers(environ: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the headers under a server that is not ours: repeated ones are joined there."""
    return tuple(EnvironHeaders(environ).items())


def _target(environ: dict[str, Any]) -> str:
    """Return path and query exactly as sent; of the absolute form (for proxies) the part after the host."""
    target = str(environ["RAW_URI"])
    if not target.startswith("/"):
        _, _, rest = target.partition("://")
        _, slash, path = rest.partition("/")
        target = f"{slash or '/'}{path}"
    return target


def _body(environ: dict[str, Any], limit: int, source: str) -> bytes:
    """Read the body, at most `limit` bytes of it, and see that it is whole."""
    announced = environ.get("CONTENT_LENGTH") or ""
    length = int(announced) if announced.isdecimal() else None
    too_large = _RefusedError(Refusal(RefusalReason.TOO_LARGE, f"more than {limit} bytes"), source)
    if length is not None and length > limit:
        raise too_large
    try:
        body: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except (ParseException, OSError) as error:
        end_connection(environ)
        detail = f"the body breaks off or is malformed: {type(error).__name__}"
        raise _RefusedError(Refusal(RefusalReason.BROKEN_HTTP, detail), source) from None
    if len(body) > limit:
        raise too_large
    if length is not None and len(body) < length:
        end_connection(environ)
        detail = f"Content-Length says {length}, {len(body)} bytes came"
        raise _RefusedError(Refusal(RefusalReason.BROKEN_HTTP, detail), source)
    return body


def _shown(path: str) -> str:
    """Return as much of an unknown path as the log may have: a secret could stand in the rest of it."""
    first, slash, rest = path[1:].partition("/")
    return f"/{first[:40]}{slash}{'…' if rest else ''}"


def _plain(text: str, status: int = 200, *headers: tuple[str, str]) -> Response:
    return Response(text, status, [*headers, ("Content-Type", "text/plain")])
