"""One HTTP exchange, bounded in time and size. What was sent and what was not is told honestly.

requests' adapter is used without its session: no cookies, no redirects, nothing from the environment. The connections
below it know the deadline of the exchange they serve, so that neither a stalled nor a dripping CRM can hold a thread.
"""

import io
import logging
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.util import Timeout

from connector.crm.presets.model import Timeouts
from connector.crm.rest.answer import Answer, NoAnswer

logging.getLogger("urllib3").setLevel(logging.ERROR)  # below that its messages hold addresses, and so persons

IDLE_LIMIT = 20.0
"""Seconds after which a kept connection is not used again: the other side may be about to close it."""

_CHUNK = 64 * 1024


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


class _Current(threading.local):
    """What the connection has to know of the exchange that its thread is in."""

    deadline: float = 0.0
    read_timeout: float = 30.0
    sent: bool = False


_current = _Current()


class _DeadlineIO(socket.SocketIO):
    """Reads from a socket, never past the deadline of the exchange."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, "r")
        self._socket = sock

    def readinto(self, buffer: Any) -> int | None:
        """Read once, waiting no longer than the exchange may."""
        left = _current.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long as a whole")
        self._socket.settimeout(min(left, _current.read_timeout))
        return super().readinto(buffer)


class _WatchedSocket:
    """A socket whose reading end keeps the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """Return the reading end, as http.client asks for it."""
        raw = _DeadlineIO(self._sock)
        self._sock._io_refs += 1  # type: ignore[attr-defined]  # noqa: SLF001 - as socket.makefile does
        return io.BufferedReader(raw)


class _Watching:
    """Connects before it sends, tells that it sends, and reads against the deadline."""

    sock: Any
    last_used: float = 0.0

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        if isinstance(self.sock, socket.socket):
            self.sock = _WatchedSocket(self.sock)
        self.last_used = time.monotonic()
        _current.sent = True
        super().request(*args, **kwargs)  # type: ignore[misc]

    @property
    def is_connected(self) -> bool:
        idle = time.monotonic() - self.last_used
        return bool(super().is_connected) and (self.last_used == 0.0 or idle < IDLE_LIMIT)  # type: ignore[misc]


class _Plain(_Watching, HTTPConnection):
    pass


class _Secure(_Watching, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
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
        self._adapter = _Adapter(pool_connections=4, pool_maxsize=connections, max_retries=0)

    def exchange(self, outgoing: Outgoing, within: float) -> Answer | NoAnswer:
        """Send a request and return what came of it, after `within` seconds at most. Never raises for the network."""
        total = min(within, self._timeouts.total)
        _current.deadline = time.monotonic() + total
        _current.read_timeout = min(self._timeouts.read, total)
        _current.sent = False
        prepared = requests.PreparedRequest()
        prepared.method = outgoing.method
        prepared.url = outgoing.url
        prepared.headers = CaseInsensitiveDict(outgoing.headers)
        prepared.headers.setdefault("User-Agent", "copernica-connector")
        prepared.headers["Accept-Encoding"] = "gzip"
        prepared.body = outgoing.body
        if outgoing.body is not None or outgoing.method != "GET":
            prepared.headers["Content-Length"] = str(len(outgoing.body or b""))
        prepared.hooks = default_hooks()
        timeout = Timeout(connect=min(self._timeouts.connect, total), read=_current.read_timeout)
        try:
            response = self._adapter.send(
                prepared,
                stream=True,
                timeout=timeout,  # type: ignore[arg-type]  # requests passes it on as it is
                verify=self._verify,
                cert=self._cert,
                proxies=self._proxies,
            )
        except Exception as error:  # noqa: BLE001 - whatever the network or its libraries do, the outcome is the same
            sent = _current.sent or isinstance(error, (requests.ReadTimeout, requests.exceptions.ChunkedEncodingError))
            return NoAnswer(sent, _why(error, sent=sent))
        try:
            return self._read(response)
        except Exception as error:  # noqa: BLE001 - as above
            return NoAnswer(sent=True, why=f"the answer ({response.status_code}) broke off: {_why(error, sent=True)}")
        finally:
            response.close()

    def _read(self, response: requests.Response) -> Answer | NoAnswer:
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._max_answer:
                return NoAnswer(
                    sent=True, why=f"the answer ({response.status_code}) is larger than {self._max_answer} bytes"
                )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body))

    def close(self) -> None:
        """Give connections back."""
        self._adapter.close()


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
