"""Tokens: renewed before they end and after a 401, by one at a time, on disk before they are used."""

import json
import multiprocessing
import os
import signal
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connector.crm.rest.adapter import RestCrm
from connector.domain.outcome import Outcome, OutcomeKind, Scope
from tests.crm.helpers import FixedClock, OpenGate, make, upsert
from tests.crm.raw import RawServer, reply
from tests.crm.raw_http import TokenServer

PRESET = """
about: a CRM with rotating tokens
verified: {how: not verified, on: 2026-11-21}
settings: {url: {about: x}, client_id: {about: x, default: cid}}
secrets: {client_secret: {about: x}, refresh_token: {about: x, optional: true}, private_key: {about: x, optional: true}}
connection:
  base_url: "{settings.url}"
  auth: {type: oauth2, grant: refresh_token, token_url: "{settings.url}/token"}
objects:
  contact:
    update: {method: PATCH, path: "/contacts/{id}", body: "{fields}"}
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    file = tmp_path / "rotating.yaml"
    file.write_text(PRESET)
    return file


def crm_of(
    server: TokenServer, preset: Path, state: Path, *, clock: Any = None, refresh: str = "r0", **more: Any
) -> RestCrm:
    return make(
        str(preset),
        state=state,
        clock=clock,
        secrets={"client_secret": "shh-client", "refresh_token": refresh},
        settings={"url": server.url},
        **more,
    )


def write(crm: RestCrm) -> Outcome:
    return crm.send([upsert(crm_id="7", full={"a": 1})], OpenGate())[0]


def test_a_token_is_used_until_it_ends_and_then_renewed(preset: Path, tmp_path: Path) -> None:
    """One refresh for many requests; the next one before the token ends."""
    clock = FixedClock()
    with TokenServer() as server:
        crm = crm_of(server, preset, tmp_path, clock=clock)
        for _ in range(3):
            assert write(crm).kind is OutcomeKind.UPDATED
        assert server.refreshes == 1
        clock.time += 3_541_000
        assert write(crm).kind is OutcomeKind.UPDATED
        crm.close()
    assert server.refreshes == 2
    assert server.reused == 0


def test_the_new_refresh_token_is_on_disk_safely(preset: Path, tmp_path: Path) -> None:
    """Only this user can read it, and another start goes on with it."""
    with TokenServer() as server:
        for _ in range(3):
            crm = crm_of(server, preset, tmp_path / "state", clock=FixedClock())
            server.revoke()  # as if it had ended meanwhile
            assert write(crm).kind is OutcomeKind.UPDATED
            crm.close()
    file = tmp_path / "state" / "token-test.json"
    assert json.loads(file.read_text())["refresh"] == server.refresh
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert server.reused == 0


def test_a_401_renews_once_and_tries_again_once(preset: Path, tmp_path: Path) -> None:
    """A token that was withdrawn early costs one refresh, no outcome."""
    with TokenServer() as server:
        crm = crm_of(server, preset, tmp_path)
        assert write(crm).kind is OutcomeKind.UPDATED
        server.revoke()
        outcome = write(crm)
        assert (outcome.kind, outcome.requests) == (OutcomeKind.UPDATED, 2)
        server.refuse_all = True
        outcome = write(crm)
        crm.close()
    assert (outcome.kind, outcome.scope, outcome.requests) == (OutcomeKind.UNAUTHORISED, Scope.DESTINATION, 2)


def test_a_refused_refresh_says_what_to_do(preset: Path, tmp_path: Path) -> None:
    """The destination pauses, and the reason names the secret, not the token."""
    with TokenServer() as server:
        crm = crm_of(server, preset, tmp_path, refresh="wrong-refresh-token")
        outcome = write(crm)
        crm.close()
    assert (outcome.kind, outcome.wrote, outcome.requests) == (OutcomeKind.UNAUTHORISED, False, 0)
    assert "refresh_token" in outcome.reason
    assert "wrong-refresh-token" not in outcome.reason
    assert "shh-client" not in outcome.reason


def test_a_refresh_that_is_refused_after_a_401_says_what_to_do(preset: Path, tmp_path: Path) -> None:
    """Not only that the CRM said 401."""
    with TokenServer() as server:
        crm = crm_of(server, preset, tmp_path)
        assert write(crm).kind is OutcomeKind.UPDATED
        server.revoke()
        server.refresh = "somebody authorised anew"
        outcome = write(crm)
        crm.close()
    assert (outcome.kind, outcome.scope) == (OutcomeKind.UNAUTHORISED, Scope.DESTINATION)
    assert "authorise the connector anew" in outcome.reason


def test_a_replaced_secret_is_read_again_after_a_401(tmp_path: Path) -> None:
    """A fixed token that somebody renewed is used without a restart."""
    current = {"token": "old-token"}
    seen: list[str] = []

    def serve(connection: Any, request: bytes) -> None:
        token = b"new-token" if b"Bearer new-token" in request else b"old"
        seen.append(token.decode())
        connection.sendall(reply("200 OK" if token == b"new-token" else "401 Unauthorized"))

    with RawServer(serve) as server:
        crm = make("sample", state=tmp_path, secrets=current, base_url=server.url)
        assert write(crm).kind is OutcomeKind.UNAUTHORISED
        current["token"] = "new-token"
        assert write(crm).kind is OutcomeKind.UPDATED
        crm.close()
    assert seen == ["old", "old", "new-token"]


def test_new_credentials_in_the_configuration_are_used_at_once(preset: Path, tmp_path: Path) -> None:
    """Who authorises anew does not have to delete a file."""
    with TokenServer() as server:
        crm = crm_of(server, preset, tmp_path, refresh="wrong")
        assert write(crm).kind is OutcomeKind.UNAUTHORISED
        crm.close()
        crm = crm_of(server, preset, tmp_path)
        assert write(crm).kind is OutcomeKind.UPDATED
        crm.close()


def test_a_token_address_in_trouble_is_no_refusal(preset: Path, tmp_path: Path) -> None:
    """A 503 there passes by itself: nobody has to authorise anew."""
    with TokenServer() as server:
        server.token_status = 503
        crm = crm_of(server, preset, tmp_path)
        outcome = write(crm)
        crm.close()
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.UNREACHABLE, False)


def test_many_threads_refresh_once(preset: Path, tmp_path: Path) -> None:
    """Sixteen threads that find the token ended make one request to the token address."""
    with TokenServer() as server:
        crm = crm_of(server, preset, tmp_path)
        outcomes: list[Outcome] = []
        barrier = threading.Barrier(16)

        def work() -> None:
            barrier.wait()
            outcomes.append(write(crm))

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        crm.close()
    assert [(outcome.kind, outcome.reason) for outcome in outcomes] == [(OutcomeKind.UPDATED, "")] * 16
    assert (server.refreshes, server.reused) == (1, 0)


def _process(url: str, preset: str, state: str, start: Any, results: Any) -> None:
    class Server:
        pass

    server: Any = Server()
    server.url = url
    crm = crm_of(server, Path(preset), Path(state))
    start.wait()
    results.put([str(write(crm).kind) for _ in range(5)])
    crm.close()


def test_many_processes_never_use_a_refresh_token_twice(preset: Path, tmp_path: Path) -> None:
    """A rotating token that two processes use at once would be the end of the authorisation."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Event(), context.Queue()
    with TokenServer() as server:
        made = [
            context.Process(target=_process, args=(server.url, str(preset), str(tmp_path / "s"), start, results))
            for _ in range(3)
        ]
        for process in made:
            process.start()
        start.set()
        kinds = [results.get(timeout=60) for _ in made]
        for process in made:
            process.join(30)
    assert kinds == [["updated"] * 5] * 3
    assert (server.refreshes, server.reused) == (1, 0)


@dataclass
class Killing:
    """Another process that writes once; it can be killed at a moment that the server chooses."""

    process: Any
    begin: Any
    results: Any
    reached: threading.Event = field(default_factory=threading.Event)
    dead: threading.Event = field(default_factory=threading.Event)

    def stop_here(self) -> bool:
        """Wait, in the server, until the process is dead; nothing is answered."""
        self.reached.set()
        assert self.dead.wait(60)
        return False

    def kill(self) -> None:
        self.begin.set()
        assert self.reached.wait(60)
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(60)
        self.dead.set()


@pytest.fixture
def killing(preset: Path, tmp_path: Path) -> Callable[[TokenServer], Killing]:
    """Start a process that refreshes; a moment of the server's is then chosen for its end."""
    context = multiprocessing.get_context("spawn")

    def start(server: TokenServer) -> Killing:
        begin, results = context.Event(), context.Queue()
        process = context.Process(target=_process, args=(server.url, str(preset), str(tmp_path), begin, results))
        process.start()
        return Killing(process, begin, results)

    return start


def _survivor(server: TokenServer, preset: Path, state: Path) -> Outcome:
    server.at_token = server.after_token = server.at_use = None
    crm = crm_of(server, preset, state)
    outcome = write(crm)
    crm.close()
    return outcome


def test_kill_9_at_the_first_use_of_a_token_loses_no_refresh_token(
    preset: Path, tmp_path: Path, killing: Callable[[TokenServer], Killing]
) -> None:
    """When the CRM sees the new token for the first time, the new refresh token is on disk already."""
    with TokenServer() as server:
        killed = killing(server)
        server.at_use = killed.stop_here
        killed.kill()
        kept = json.loads(next(tmp_path.glob("token-*.json")).read_text())
        assert (kept["access"], kept["refresh"]) == (server.access, server.refresh) == ("a1", "r1")
        assert _survivor(server, preset, tmp_path).kind is OutcomeKind.UPDATED
    assert (server.refreshes, server.reused) == (1, 0)


def test_kill_9_in_the_middle_of_a_refresh_leaves_no_lock(
    preset: Path, tmp_path: Path, killing: Callable[[TokenServer], Killing]
) -> None:
    """The next process refreshes with the token that is still good."""
    with TokenServer() as server:
        killed = killing(server)
        server.at_token = killed.stop_here
        killed.kill()
        assert _survivor(server, preset, tmp_path).kind is OutcomeKind.UPDATED
    assert (server.refreshes, server.reused) == (1, 0)


def test_kill_9_between_the_crms_answer_and_our_disk_says_what_to_do(
    preset: Path, tmp_path: Path, killing: Callable[[TokenServer], Killing]
) -> None:
    """A token that works once, given and never received: nobody can have it; it is told, and nothing was sent."""
    with TokenServer() as server:
        killed = killing(server)
        server.after_token = killed.stop_here
        killed.kill()
        outcome = _survivor(server, preset, tmp_path)
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.UNAUTHORISED, False)
    assert "authorise the connector anew" in outcome.reason


def test_a_half_written_token_is_never_read(preset: Path, tmp_path: Path) -> None:
    """What a crash left beside the file is not looked at; a file that cannot be read counts as none."""
    with TokenServer() as server:
        crm = crm_of(server, preset, tmp_path)
        assert write(crm).kind is OutcomeKind.UPDATED
        crm.close()
        file = next(tmp_path.glob("token-*.json"))
        file.with_suffix(".new").write_text('{"access": "ha')
        assert _survivor(server, preset, tmp_path).kind is OutcomeKind.UPDATED
        assert server.refreshes == 1
        file.write_text('{"access": "ha')
        server.refresh = "r0"  # what the configuration has
        assert _survivor(server, preset, tmp_path).kind is OutcomeKind.UPDATED
    assert server.reused == 0


def test_client_credentials_and_a_base_url_from_the_answer(preset: Path, tmp_path: Path) -> None:
    """The token answer may say which address to use; a wrong one is not used."""
    override = {
        "connection": {
            "auth": {
                "type": "oauth2",
                "grant": "client_credentials",
                "token_url": "{settings.url}/token",
                "base_url_from": "instance_url",
                "client_auth": "basic",
            }
        }
    }
    with TokenServer() as server:
        server.instance_url = f"{server.url}/instance"
        crm = crm_of(server, preset, tmp_path / "a", override=override)
        assert write(crm).kind is OutcomeKind.UPDATED
        assert server.paths == ["/instance/contacts/7"]
        crm.close()
        server.instance_url = "http://elsewhere.example"
        crm = crm_of(server, preset, tmp_path / "b", override=override)
        outcome = write(crm)
        crm.close()
    assert (outcome.kind, outcome.wrote) == (OutcomeKind.UNAUTHORISED, False)


def test_a_signed_assertion_proves_who_we_are(preset: Path, tmp_path: Path) -> None:
    """JWT bearer: RS256 over issuer, subject, audience and a short life."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    override = {
        "connection": {
            "auth": {
                "type": "oauth2",
                "grant": "jwt_bearer",
                "token_url": "{settings.url}/token",
                "subject": "me@example.com",
                "audience": "https://login.example",
                "client_secret": None,
            }
        }
    }
    bodies: list[bytes] = []

    def serve(connection: Any, request: bytes) -> None:
        bodies.append(request.partition(b"\r\n\r\n")[2])
        connection.sendall(reply("200 OK", b'{"access_token": "a1"}'))

    clock = FixedClock()
    with RawServer(serve) as server:
        crm = make(
            str(preset),
            state=tmp_path,
            clock=clock,
            settings={"url": server.url},
            secrets={"client_secret": "x", "private_key": pem.decode()},
            override=override,
        )
        assert write(crm).kind is OutcomeKind.UPDATED
        crm.close()
    form = parse_qs(bodies[0].decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = form["assertion"][0].split(".")
    key.public_key().verify(_decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    said = json.loads(_decoded(claims))
    assert (said["iss"], said["sub"], said["aud"]) == ("cid", "me@example.com", "https://login.example")
    assert said["exp"] == clock.time // 1000 + 180


def _decoded(text: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_key_that_is_none_is_said(preset: Path, tmp_path: Path) -> None:
    """A mistake in a secret is no crash."""
    override = {
        "connection": {
            "auth": {
                "type": "oauth2",
                "grant": "jwt_bearer",
                "token_url": "{settings.url}/token",
                "client_secret": None,
            }
        }
    }
    crm = make(
        str(preset),
        state=tmp_path,
        settings={"url": "http://127.0.0.1:1"},
        secrets={"client_secret": "x", "private_key": "no key"},
        override=override,
    )
    outcome = write(crm)
    crm.close()
    assert outcome.kind is OutcomeKind.UNAUTHORISED
    assert "private key" in outcome.reason
