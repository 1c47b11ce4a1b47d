"""Starts the real servers on loopback, each in a folder of its own, as long as a test needs them."""

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from connector.process.parent import with_parent
from tests.real.install import READY, folder

_PATIENCE = 60.0


@dataclass(frozen=True)
class Running:
    """A server that takes calls; `facts` are what its installation said of it."""

    url: str
    facts: Mapping[str, Any]
    log: Path
    auth: Any

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Ask the server itself, past the connector."""
        return requests.request(method, self.url + path, json=body, auth=self.auth, timeout=30, **more)


class Key(requests.auth.AuthBase):
    """A bearer token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"bearer {self.token}"
        return request


def why_not(name: str) -> str | None:
    """Return why the server's tests cannot run; None if they can."""
    return None if (folder(name) / READY).exists() else "not installed (`make real-servers` installs it)"


def facts(name: str) -> dict[str, Any]:
    """Return what the installation said of the server; skips the test if there is none."""
    if (why := why_not(name)) is not None:
        pytest.skip(f"{name}: {why}")
    found: dict[str, Any] = json.loads((folder(name) / READY).read_text("ascii"))
    return found


@contextlib.contextmanager
def tryton(where: Path) -> Iterator[Running]:
    """Tryton, with a database of its own."""
    known = facts("tryton")
    here = folder("tryton")
    shutil.copy(here / "crm.sqlite", where / "crm.sqlite")
    config = where / "trytond.conf"
    config.write_text(f"[database]\nuri = sqlite://\npath = {where}\n[web]\nlisten = 127.0.0.1:0\n", encoding="utf-8")
    command = [here / "bin" / "trytond", "-c", config, "-d", "crm"]
    with _running(command, where / "tryton.log", r"Running on (http://\S+)") as url:
        server = Running(f"{url}/crm", known, where / "tryton.log", Key(known["key"]))
        _until_it_answers(lambda: server.ask("GET", "/rest/model/party.party?s=1"))
        yield server


_KINTO = """\
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.userid_hmac_secret = a secret of this test alone
kinto.bucket_create_principals = system.Authenticated
kinto.experimental_collection_schema_validation = true
multiauth.policies = basicauth
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = 0
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
class = kinto.core.JsonLogFormatter
"""
_PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "email": {"type": "string"},
        "score": {"type": "integer", "maximum": 100},
    },
}


@contextlib.contextmanager
def kinto(where: Path) -> Iterator[Running]:
    """Kinto, in memory, with a bucket, a collection of people that knows its fields, and one of orders."""
    facts("kinto")
    here = folder("kinto")
    ini = where / "kinto.ini"
    ini.write_text(_KINTO, encoding="ascii")
    command = [here / "bin" / "kinto", "start", "--ini", ini]
    with _running(command, where / "kinto.log", r"Serving on (http://[0-9.:]+)") as url:
        server = Running(f"{url}/v1", {}, where / "kinto.log", ("crm", "secret"))
        _until_it_answers(lambda: server.ask("PUT", "/buckets/crm"))
        server.ask("PUT", "/buckets/crm/collections/people", {"data": {"schema": _PERSON}}).raise_for_status()
        server.ask("PUT", "/buckets/crm/collections/orders").raise_for_status()
        yield server


@contextlib.contextmanager
def _running(command: list[Any], log: Path, announced: str) -> Iterator[str]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"},
            preexec_fn=with_parent(),  # noqa: PLW1509 - one thread, and nothing in it that could be locked
        )
    try:
        deadline = time.monotonic() + _PATIENCE
        while (found := re.search(announced, log.read_text("utf-8", "replace"))) is None:
            assert process.poll() is None, log.read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() < deadline, f"{command[0]} says nothing after {_PATIENCE} s"
            time.sleep(0.05)
        yield found[1].rstrip("/")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_it_answers(ask: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(requests.RequestException):
            if ask().ok:
                return
        assert time.monotonic() < deadline, f"the server does not answer after {_PATIENCE} s"
        time.sleep(0.05)
