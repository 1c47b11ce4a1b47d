"""`simulate`: the calls that it sends are what Copernica would send, and prove genuine."""

import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connector.cli.sample_call import SampleCall
from connector.domain.decode import decode
from connector.domain.dkim import parse_records
from connector.domain.event import Event, EventType
from connector.domain.judgement import judge
from connector.domain.keyrecord import Key
from connector.domain.record import Record, RecordKind
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Dialect, Proof, Source
from connector.process.clock import SystemClock
from tests.sample_crm.conftest import wait_until

from .conftest import CONFIG


class Door(HTTPServer):
    """Keeps the last call, and answers what it is told."""

    status = 200
    request: UnverifiedRequest

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.request = UnverifiedRequest(
            "shop", "POST", self.path, tuple(self.headers.items()), body, SystemClock().now(), "127.0.0.1", True
        )
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"stored 5\n")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def door() -> Iterator[Door]:
    server = Door(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def key(tmp_path, run) -> str:
    path = str(tmp_path / "test.pem")
    assert run("simulate", "--new-key", path, configured=False).code == 0
    return path


def taken(door: Door, key: str, **source: object) -> Event:
    """Judge the call as the receiver does, with the key's published half; return what it says."""
    record = Path(key + ".dkim.txt").read_bytes().strip()
    published = parse_records([record], "test._domainkey.copernica.com")
    assert isinstance(published, Key)
    host = door.request.header("Host")
    assert host is not None
    expected = Source(
        **{"name": "shop", "path": "/shop", "host": host, "account": 1234, "proof": Proof.KEY_FILE, **source}
    )
    verdict = judge(door.request, expected, lambda _: published, now=door.request.received_at, zone="copernica.com")
    assert isinstance(verdict, VerifiedRequest), verdict
    event = decode(verdict, expected)
    assert isinstance(event, Event), event
    return event


@pytest.mark.parametrize(
    ("options", "kind", "record"),
    [
        ([], EventType.UPDATE, Record(RecordKind.PROFILE, "1", "123")),
        (
            ["--event", "create", "--profile", "7", "--database", "9"],
            EventType.CREATE,
            Record(RecordKind.PROFILE, "9", "7"),
        ),
        (["--event", "delete"], EventType.DELETE, Record(RecordKind.PROFILE, "1", "123")),
        (["--record", "subprofile"], EventType.UPDATE, Record(RecordKind.SUBPROFILE, "2", "456")),
        (
            ["--record", "subprofile", "--event", "delete", "--subprofile", "8", "--collection", "3"],
            EventType.DELETE,
            Record(RecordKind.SUBPROFILE, "3", "8"),
        ),
    ],
)
def test_every_sample_call_proves_genuine_and_says_what_was_asked(door, key, run, options, kind, record):
    """Profile and subprofile; create, update and delete."""
    result = run("simulate", "--url", f"{door.url}/shop", "--key", key, *options, configured=False)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Taken: 200 stored 5\n")
    event = taken(door, key)
    assert (event.type, event.record) == (kind, record)
    assert (event.fields is None) == (kind is EventType.DELETE)


def test_fields_and_interests_arrive_as_they_were_given(door, key, run):
    """Names with spaces, brackets and accents, values with anything."""
    values = {"Achter naam": "Müller & Söhne", "a[b]": "1=2", "leeg": ""}
    given = [part for name, value in values.items() for part in ("--field", f"{name}={value}")]
    result = run("simulate", "--url", f"{door.url}/shop", "--key", key, "--interest", "blue", *given, configured=False)
    assert result.code == 0
    event = taken(door, key)
    assert event.fields == values
    assert event.interests == {"blue"}


def test_a_body_of_ones_own_is_sent_as_it_is(door, key, run, tmp_path):
    """Byte for byte, with its content type."""
    body = b'{"id": 5, "action": "update", "fields": {"x": "y"}}\r\n'
    (tmp_path / "body").write_bytes(body)
    options = ["--body", str(tmp_path / "body"), "--content-type", "application/json"]
    assert run("simulate", "--url", f"{door.url}/shop", "--key", key, *options, configured=False).code == 0
    assert door.request.body == body
    event = taken(door, key, dialect=Dialect.CALLBACK, kind=RecordKind.PROFILE, scope="7", database="7")
    assert event.record == Record(RecordKind.PROFILE, "7", "5")


def test_a_configured_source_gives_address_account_and_dialect(door, key, run, tmp_path, installation):
    """`--source NAME` is all it takes; --via goes past the proxy and says what the public URL says."""
    installation.configure(
        '[receiver]\npublic_url = "https://hooks.example.com/copernica/"\n'
        + CONFIG
        + '[sources.callbacks]\naccount = "environment_77"\ndialect = "callback"\ncollection = 5\n'
    )
    result = run("simulate", "--source", "callbacks", "--via", door.url, "--key", key)
    assert result.code == 0
    assert door.request.header("Host") == "hooks.example.com"
    assert door.request.header("X-Forwarded-Proto") == "https"
    source = {"path": "/copernica/callbacks", "account": 77, "dialect": Dialect.CALLBACK}
    event = taken(door, key, **source, kind=RecordKind.SUBPROFILE, scope="5")
    assert event.record == Record(RecordKind.SUBPROFILE, "5", "456")


def test_a_source_with_a_secret_in_its_path_needs_no_key(door, run, installation, monkeypatch):
    """The secret comes from where the configuration says, and goes into the path."""
    monkeypatch.setenv("HOOK", "0123456789abcdef0123")
    installation.configure(
        f'[receiver]\npublic_url = "{door.url}/"\nrequire_https = false\n'
        + CONFIG
        + '[sources.plain]\nproof = "secret"\nsecret = {env = "HOOK"}\n'
    )
    result = run("simulate", "--source", "plain")
    assert result.code == 0
    assert door.request.target == "/plain/0123456789abcdef0123"
    assert "0123456789abcdef" not in result.out


def test_a_refusal_exits_1_and_says_where_to_look(door, key, run):
    """The receiver tells a stranger nothing: its log tells the operator."""
    door.status = 401
    result = run("simulate", "--url", f"{door.url}/shop", "--key", key, configured=False)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Refused: 401 ")
    assert "log" in result.err
    assert "connector verify" in result.err


def test_nobody_there_exits_69(key, run):
    """Connection refused is not a refusal."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{place.getsockname()[1]}/shop"
        result = run("simulate", "--url", url, "--key", key, configured=False)
    assert (result.code, result.out) == (69, "")
    assert result.err.startswith("Error: nobody takes calls at http://127.0.0.1:")
    assert "Try: " in result.err


def test_an_answer_that_is_no_http_exits_69(key, run):
    """So is a port where something else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def hang_up() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(b"SSH-2.0\r\n")

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}/shop"
        result = run("simulate", "--url", url, "--key", key, configured=False)
        thread.join()
    assert result.code == 69


def test_a_new_key_is_private_published_and_never_overwritten(tmp_path, run):
    """Mode 600; the record beside it is its public half; the words say how a source is told to believe it."""
    path = tmp_path / "test.pem"
    result = run("simulate", "--new-key", str(path), configured=False)
    assert result.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    record = (tmp_path / "test.pem.dkim.txt").read_bytes().strip()
    found = parse_records([record], "x")
    assert isinstance(found, Key)
    private = load_pem_private_key(path.read_bytes(), None)
    assert found.public.public_numbers() == private.public_key().public_numbers()
    assert record.decode() in result.out
    for words in ('proof = "key-file"', f'key_file = "{path}.dkim.txt"', "test._domainkey.copernica.com"):
        assert words in result.out
    before = path.read_bytes()
    again = run("simulate", "--new-key", str(path), configured=False)
    assert (again.code, path.read_bytes()) == (2, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "either --url URL, or --source NAME"),
        (["--url", "http://x/", "--source", "shop"], "either --url URL, or --source NAME"),
        (["--url", "ftp://x/"], "begins with https://"),
        (["--url", "http://x:99999/"], "not possible"),
        (["--url", "http://ü.example/"], "begins with https://"),
        (["--url", "http://127.0.0.1:1/"], "A key to sign with is needed"),
        (["--url", "http://127.0.0.1:1/", "--key", "/nowhere"], "cannot be read"),
        (["--url", "http://127.0.0.1:1/", "--key", __file__], "no private key"),
        (["--url", "http://x/", "--field", "x"], "NAME=VALUE"),
        (["--url", "http://x/", "--account", "me"], "account"),
        (["--source", "shoq"], "known: shop"),
    ],
)
def test_a_mistake_in_the_options_exits_2(installation, run, options, words):
    """And sends nothing."""
    result = run("simulate", *options)
    assert (result.code, result.out) == (2, "")
    assert words in result.err


def test_the_form_is_laid_out_as_copernica_lays_it_out():
    """Written by hand next to the specification's table."""
    call = SampleCall(
        kind=RecordKind.SUBPROFILE, type="update", at=1_769_860_800_000, fields={"order nr": "5"}, interests=["blue"]
    )
    assert call.form() == (
        b"type=update&timestamp=2026-01-31+13%3A00%3A00&time=1769860800&profile=123&subprofile=456&collection=2"
        b"&id=123&database=1&created=2026-01-31+13%3A00%3A00&modified=2026-01-31+13%3A00%3A00"
        b"&parameters%5Border+nr%5D=5&fields%5Border+nr%5D=5"
    )
    delete = SampleCall(kind=RecordKind.SUBPROFILE, type="delete", at=1_769_860_800_000)
    assert delete.form() == (
        b"type=delete&timestamp=2026-01-31+13%3A00%3A00&time=1769860800&profile=123&subprofile=456&collection=2"
    )
    assert json.loads(SampleCall(kind=RecordKind.PROFILE, type="create", at=0, fields={"a": "b"}).document()) == {
        "id": 123,
        "action": "create",
        "fields": {"a": "b"},
        "interests": [],
    }


def test_the_real_receiver_takes_what_is_simulated(tmp_path):
    """A key made by `--new-key`, a source that believes it, `serve`, `simulate`, `list`: all as real processes."""
    ready = tmp_path / "ready"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "config.toml").write_text(
        f'[receiver]\nlisten = "127.0.0.1:{port}"\npublic_url = "http://127.0.0.1:{port}/hooks/"\n'
        'require_https = false\n[outbox]\npath = "outbox.db"\nfree_bytes = 0\n'
        '[sources.test]\naccount = "account-1234"\nproof = "key-file"\nkey_file = "test.pem.dkim.txt"\n'
    )
    (tmp_path / "mappings").mkdir()
    command = [sys.executable, "-m", "connector", "--config", str(tmp_path / "config.toml")]

    def connector(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)

    key = str(tmp_path / "test.pem")
    assert connector("simulate", "--new-key", key).returncode == 0
    receiver = subprocess.Popen(
        [*command, "serve", "--ready-file", str(ready)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: ready.exists() or receiver.poll() is not None, 60)
        taken = connector("simulate", "--source", "test", "--key", key, "--event", "create")
        assert (taken.returncode, taken.stderr) == (0, "")
        refused = connector("simulate", "--source", "test", "--key", key, "--account", "99")
        assert refused.returncode == 1
        assert refused.stderr.startswith("Refused: 401")
    finally:
        receiver.terminate()
        receiver.wait(60)
    (event,) = json.loads(connector("list", "--json").stdout)["events"]
    assert (event["type"], event["record"]) == ("create", "profile/1/123")
