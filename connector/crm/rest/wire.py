"""One HTTP exchange, bounded in time and size. What was sent and what was not is told honestly.

urllib3 connects: names, proxies, TLS and kept connections are its work, chosen as requests' adapter does. Writing a
request in one piece and reading its answer (a plain one by `usual`, any other with the standard library) is done here,
a sixth of what the two libraries cost for each request. No cookies, no redirects, nothing from the environment; every
read knows the deadline of its exchange, so that neither a stalled nor a dripping CRM can hold a thread.
"""

import io
import logging
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager, ProxyManager

from connector.crm.overlap import wait_beside_others
from connector.crm.presets.model import Timeouts
from connector.crm.rest.answer import Answer, NoAnswer
from connector.crm.rest.usual import usual_answer

logging.getLogger("urllib3").setLevel(logging.ERROR)  # below that its messages hold addresses, and so persons

IDLE_LIMIT = 20.0
"""Seconds after which a kept connection is not used again: the other side may be about to close it."""

_AT_LEAST = 1.0  # second, to read an answer that is here
_LEAST = 0.001  # second; no time at all would be a socket that never waits
_FIRST = 16 * 1024
_CHUNK = 64 * 1024
_HOSTS = 16  # a destination has one host, and one more for its tokens
_TARGET = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]++|%[0-9A-F]{2})*+")
_FORBIDDEN = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request, ready to be sent. `url` is encoded already."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom to trust and as whom to appear; None: the usual authorities, nobody."""

    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None


class _DeadlineIO(socket.SocketIO):
    """Gives what was read already, then reads from a socket, never past the deadline of the exchange."""

    def __init__(self, sock: socket.socket, begun: bytes, deadline: float, patience: float) -> None:
        super().__init__(sock, "r")
        self._socket = sock
        self._begun = begun
        self._deadline = deadline
        self._patience = patience

    def readinto(self, buffer: Any) -> int | None:
        """Read once, waiting no longer than the exchange may."""
        if self._begun:
            given, self._begun = self._begun[: len(buffer)], self._begun[len(buffer) :]
            buffer[: len(given)] = given
            return len(given)
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long as a whole")
        _wait_at_most(self._socket, min(left, self._patience))
        return super().readinto(buffer)


def _wait_at_most(sock: socket.socket, seconds: float) -> None:
    if sock.gettimeout() != seconds:  # setting it is a system call, at which another thread may take over
        sock.settimeout(seconds)


@dataclass(frozen=True, slots=True)
class _Source:
    """What http.client asks for the reading end of a connection."""

    sock: socket.socket
    begun: bytes
    deadline: float
    patience: float

    def makefile(self, _mode: str) -> io.BufferedReader:
        raw = _DeadlineIO(self.sock, self.begun, self.deadline, self.patience)
        self.sock._io_refs += 1  # type: ignore[attr-defined]  # noqa: SLF001 - as socket.makefile does
        return io.BufferedReader(raw)


class _Kept:
    """A connection that remembers when it was last used."""

    last_used: float = 0.0

    @property
    def is_connected(self) -> bool:
        idle = time.monotonic() - self.last_used
        return bool(super().is_connected) and (self.last_used == 0.0 or idle < IDLE_LIMIT)  # type: ignore[misc]


class _Plain(_Kept, HTTPConnection):
    pass


class _Secure(_Kept, HTTPSConnection):
    pass


class _Lending(HTTPConnectionPool):
    """A pool whose connections are lent: connected, and through the proxy if there is one."""

    def lend(self, patience: float) -> Any:
        conn: Any = self._get_conn()
        try:
            conn.timeout = patience
            if conn.is_closed and self.proxy is not None and self.scheme == "https":
                self._prepare_proxy(conn)
            self._validate_conn(conn)
            if conn.is_closed:
                conn.connect()
        except Exception as error:
            to_proxy = conn.proxy is not None and not conn.has_connected_to_proxy
            self.take_back(conn, usable=False)
            if to_proxy:
                raise urllib3.exceptions.ProxyError("no way to the proxy", error) from error
            raise
        return conn

    def take_back(self, conn: Any, *, usable: bool) -> None:
        conn.last_used = time.monotonic()
        if not usable:
            conn.close()
        self._put_conn(conn)


class _PlainPool(_Lending):
    ConnectionCls = _Plain


class _SecurePool(_Lending, HTTPSConnectionPool):
    ConnectionCls = _Secure


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        _use_pools(manager)
        return manager


def _use_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = _POOLS


@dataclass(frozen=True, slots=True)
class _Place:
    """One host's connections; `host` is its header. Through a plain proxy, `before` makes a target a whole address."""

    pool: _Lending
    host: str
    before: str
    headers: Mapping[str, str]


class Wire:
    """Sends requests to one CRM. Safe to use from several threads, which share its connections."""

    def __init__(self, timeouts: Timeouts, tls: Tls, proxy: str | None, max_answer: int, connections: int) -> None:
        self._timeouts = timeouts
        self._max_answer = max_answer
        self._verify: bool | str = str(tls.ca_file) if tls.ca_file else True
        self._cert: str | tuple[str, str] | None = None
        if tls.client_cert:
            self._cert = (str(tls.client_cert), str(tls.client_key)) if tls.client_key else str(tls.client_cert)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._adapter = _Adapter(pool_connections=_HOSTS, pool_maxsize=connections, max_retries=0)
        self._places: dict[str, _Place] = {}

    def exchange(self, outgoing: Outgoing, within: float) -> Answer | NoAnswer:
        """Send a request and return what came of it, after `within` seconds at most. Never raises for the network."""
        total = min(within, self._timeouts.total)
        deadline, patience = time.monotonic() + total, min(self._timeouts.read, total)
        try:
            base, target = _split(outgoing.url)
            place = self._places.get(base) or self._find(base)
            said = _written(outgoing, place, target)
            conn = place.pool.lend(min(self._timeouts.connect, total))
        except Exception as error:  # noqa: BLE001 - whatever the network or its libraries do, the outcome is the same
            return NoAnswer(sent=False, why=_why(error, sent=False))
        status, usable = None, False
        try:
            now = time.monotonic()
            patience = max(_LEAST, min(patience, deadline - now))  # connecting took its part of the whole
            _wait_at_most(conn.sock, patience)
            conn.sock.sendall(said)
            came = wait_beside_others(conn.sock, now + patience)
            if came:  # others may have held us up since it came
                deadline = max(deadline, time.monotonic() + _AT_LEAST)
            elif came is not None:
                raise TimeoutError("no answer")  # noqa: TRY301 - as the reading would
            begun = conn.sock.recv(_FIRST)
            usual = usual_answer(begun, self._max_answer)
            if usual is not None:
                usable = True
                return usual
            source: Any = _Source(conn.sock, begun, deadline, patience)
            response = HTTPResponse(source, method=outgoing.method)
            try:
                response.begin()
                status = response.status
                answer = self._read(response)
                usable = response.isclosed() and not response.will_close
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001 - as above
            why = _why(error, sent=True)
            return NoAnswer(sent=True, why=why if status is None else f"the answer ({status}) broke off: {why}")
        else:
            return answer
        finally:
            place.pool.take_back(conn, usable=usable)

    def _find(self, base: str) -> _Place:
        """Return a host's place, made with requests' own choice of authorities, certificates and proxies."""
        asked = requests.PreparedRequest()
        asked.method, asked.url, asked.headers = "GET", f"{base}/", requests.structures.CaseInsensitiveDict()
        pool: Any = self._adapter.get_connection_with_tls_context(
            asked, self._verify, proxies=self._proxies, cert=self._cert
        )
        self._adapter.cert_verify(pool, base, self._verify, self._cert)  # type: ignore[no-untyped-call]
        there = urllib3.util.parse_url(base)
        usual = there.port in (None, {"http": 80, "https": 443}.get(there.scheme or ""))
        host = (there.host or "").rstrip(".") + ("" if usual else f":{there.port}")
        is_forwarded = pool.proxy is not None and pool.scheme == "http"
        place = _Place(
            pool, host, f"http://{host}" if is_forwarded else "", dict(pool.proxy_headers) if is_forwarded else {}
        )
        if len(self._places) >= _HOSTS:
            self._places.clear()
        self._places[base] = place
        return place

    def _read(self, response: HTTPResponse) -> Answer | NoAnswer:
        headers: dict[str, str] = {}
        for name, value in response.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
        body = self._unpacked(response) if "content-encoding" in headers else response.read(self._max_answer + 1)
        if len(body) > self._max_answer:
            why = f"the answer ({response.status}) is larger than {self._max_answer} bytes"
            return NoAnswer(sent=True, why=why)
        if response.length:
            raise ConnectionResetError("fewer bytes than it says")
        return Answer(response.status, headers, body)

    def _unpacked(self, response: HTTPResponse) -> bytes:
        """Read a compressed body, no more of it than may be kept."""
        body = bytearray()
        packed = urllib3.HTTPResponse(
            body=response,
            headers=dict(response.headers.items()),
            status=response.status,
            original_response=response,
            preload_content=False,
        )
        for chunk in packed.stream(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._max_answer:
                break
        return bytes(body)

    def close(self) -> None:
        """Give connections back."""
        self._places.clear()
        self._adapter.close()


def _split(url: str) -> tuple[str, str]:
    """Return the part of an address that names the host, and what is asked of it."""
    end = url.find("/", url.find("//") + 2)
    if end > 0 and _TARGET.fullmatch(url, end):
        return url[:end], url[end:]
    there = urllib3.util.parse_url(url)
    return f"{there.scheme}://{there.netloc}", there.request_uri


def _written(outgoing: Outgoing, place: _Place, target: str) -> bytes:
    """Return the request as it goes out, in one piece. Raises ValueError for what would be read as another header."""
    head = f"{outgoing.method} {place.before}{target} HTTP/1.1\r\nHost: {place.host}\r\n"
    fixed = _headers(tuple(place.headers.items()), tuple(outgoing.headers.items()))
    body = outgoing.body
    if body is None and outgoing.method == "GET":
        return head.encode("ascii") + fixed + b"\r\n"
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (head.encode("ascii"), fixed, len(body or b""), body or b"")


@lru_cache(maxsize=64)
def _headers(first: tuple[tuple[str, str], ...], then: tuple[tuple[str, str], ...]) -> bytes:
    """Return header lines; they are the same for all requests of a kind."""
    found = {"user-agent": ("User-Agent", "copernica-connector")}
    found |= {name.lower(): (name, value) for name, value in (*first, *then)}
    found["accept-encoding"] = ("Accept-Encoding", "gzip")
    found.pop("content-length", None)
    for name, value in found.values():
        if _FORBIDDEN.search(name + value):
            raise ValueError("a header holds a line break")
    return "".join(f"{name}: {value}\r\n" for name, value in found.values()).encode("latin-1")


def _why(error: BaseException, *, sent: bool) -> str:
    """Say what the network did, without addresses and without what was sent."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): see ca_file"
    known: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (ConnectionRefusedError, "the connection was refused"),
        (urllib3.exceptions.NameResolutionError, "its name is not known, or the name server does not answer"),
        (socket.gaierror, "its name is not known, or the name server does not answer"),
        (urllib3.exceptions.ProxyError, "the proxy does not let us through"),
        (ssl.SSLError, "no TLS connection could be made"),
        (urllib3.exceptions.ConnectTimeoutError, "no connection within the time-out"),
        ((ConnectionResetError, BrokenPipeError), "the connection was cut"),
        ((TimeoutError, urllib3.exceptions.ReadTimeoutError), "no whole answer within the time-out"),
        (urllib3.exceptions.DecodeError, "it is not compressed as it says"),
    )
    for kinds, words in known:
        if any(isinstance(cause, kinds) for cause in causes):
            return words
    return "the connection was cut" if sent else f"no connection ({type(error).__name__})"


def _causes(error: BaseException) -> "list[BaseException]":
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting and len(found) < 20:  # noqa: PLR2004 - a bound, not a rule
        here = waiting.pop(0)
        if here in found:
            continue
        found.append(here)
        waiting.extend(arg for arg in here.args if isinstance(arg, BaseException))
        waiting.extend(
            link
            for link in (here.__cause__, here.__context__, getattr(here, "reason", None))
            if isinstance(link, BaseException)
        )
    return found
