"""What the network and a hostile CRM can do to us, on real sockets."""

import gzip
import itertools
import logging
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from connector.crm.presets.model import Timeouts
from connector.crm.rest import wire as rest_wire
from connector.crm.rest.answer import Answer, NoAnswer
from connector.crm.rest.wire import Outgoing, Tls, Wire
from tests.crm import authority
from tests.crm.raw import RawServer, cuts, drips, read_request, reply, says

QUICK = Timeouts(connect=2, read=0.3, total=0.6)
PATIENT = Timeouts(connect=5, read=20, total=30)


def wire(
    timeouts: Timeouts = PATIENT, *, most: int = 100_000, tls: Tls | None = None, proxy: str | None = None
) -> Wire:
    return Wire(timeouts, tls or Tls(), proxy, most, 4)


def ask(server: RawServer | str, made: Wire, method: str = "POST", body: bytes | None = b"{}") -> Answer | NoAnswer:
    url = server if isinstance(server, str) else server.url
    try:
        return made.exchange(Outgoing(method, f"{url}/x", {}, body), 60)
    finally:
        made.close()


def test_an_answer_comes_whole() -> None:
    """Status, headers and body are what the CRM said."""
    with RawServer(says(reply("201 Created", b'{"id": 7}', "X-Some: thing"))) as server:
        answer = ask(server, wire())
    assert isinstance(answer, Answer)
    assert (answer.status, answer.json, answer.headers["x-some"]) == (201, {"id": 7}, "thing")


def test_a_refused_connection_is_told_as_not_sent() -> None:
    """Where nobody listens, nothing was sent: a create may simply go again later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = ask(f"http://127.0.0.1:{port}", wire())
    assert answer == NoAnswer(sent=False, why="the connection was refused")


def test_an_unknown_name_is_told_as_not_sent() -> None:
    """A name that DNS does not know means that nothing was sent."""
    answer = ask("http://nobody.invalid", wire())
    assert isinstance(answer, NoAnswer)
    assert not answer.sent
    assert "name" in answer.why


def test_a_cut_after_the_request_is_told_as_sent() -> None:
    """A connection that is cut in the place of an answer may have done its work."""
    with RawServer(cuts) as server:
        answer = ask(server, wire())
    assert isinstance(answer, NoAnswer)
    assert answer.sent


def test_a_cut_of_a_kept_connection_is_told_as_sent() -> None:
    """Also on a connection that was used before, nobody can know that the request was not read."""
    with RawServer(says(reply("200 OK")), cuts) as server:
        made = wire()
        first = made.exchange(Outgoing("POST", f"{server.url}/x", {}, b"{}"), 60)
        second = made.exchange(Outgoing("POST", f"{server.url}/x", {}, b"{}"), 60)
        made.close()
        assert server.connections == 1
    assert isinstance(first, Answer)
    assert second == NoAnswer(sent=True, why="the connection was cut")


def test_connections_are_kept() -> None:
    """Ten requests take one connection."""
    with RawServer(says(reply("200 OK"))) as server:
        made = wire()
        for _ in range(10):
            assert isinstance(made.exchange(Outgoing("GET", f"{server.url}/x", {}, None), 60), Answer)
        made.close()
        assert server.connections == 1


def test_a_connection_closed_while_idle_is_replaced_before_anything_is_sent() -> None:
    """A CRM that closes idle connections costs no ambiguity."""

    def last(connection: socket.socket, _: bytes) -> None:
        connection.sendall(reply("200 OK"))
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()
        raise OSError

    closed = threading.Event()
    with RawServer(last) as server:
        made = wire()
        for _ in range(3):
            assert isinstance(made.exchange(Outgoing("POST", f"{server.url}/x", {}, b"{}"), 60), Answer)
            closed.wait(5)
            closed.clear()
            _until_closed(made)
        made.close()
        assert server.connections == 3


def _until_closed(made: Wire) -> None:
    """Wait until the kernel has the other side's end for every kept connection."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        pools = made._adapter.poolmanager.pools
        kept = [one for key in pools.keys() for one in list(pools[key].pool.queue) if one is not None]  # noqa: SIM118 - not a dict
        if not any(one.is_connected for one in kept):
            return
    raise AssertionError("the end of the connection was never seen")


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="no byte at all"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"], id="half a body"),
    ],
)
def test_a_stalled_answer_ends_by_the_read_time_out(parts: list[bytes]) -> None:
    """Nobody holds a thread by being silent."""
    released = threading.Event()

    def run(connection: socket.socket, _: bytes) -> None:
        for part in parts:
            connection.sendall(part)
        released.wait(20)

    with RawServer(run) as server:
        answer = ask(server, wire(QUICK))
        released.set()
    assert isinstance(answer, NoAnswer)
    assert answer.sent
    assert "time-out" in answer.why


@pytest.mark.parametrize(
    "head",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\n"], id="headers"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"], id="body"),
    ],
)
def test_a_dripping_answer_ends_by_the_total_time_out(head: list[bytes]) -> None:
    """A byte now and then does not keep a request alive beyond its total time."""
    released = threading.Event()
    drop = [b"X-A: b\r\n"] if len(head[0]) < 20 else [b"x"]
    with RawServer(drips(itertools.chain(head, itertools.cycle(drop)), released, 0.05)) as server:
        answer = ask(server, wire(QUICK))
        released.set()
    assert isinstance(answer, NoAnswer)
    assert answer.sent


def test_what_connecting_took_is_no_time_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange has one deadline, whatever part of it is slow."""
    made, passed, used = wire(), [0.0], []
    lend = rest_wire._Lending.lend

    def slow(pool: rest_wire._Lending, patience: float) -> object:
        conn = lend(pool, patience)
        passed[0] += 25
        used.append(conn.sock)
        return conn

    monkeypatch.setattr(rest_wire._Lending, "lend", slow)
    monkeypatch.setattr(rest_wire.time, "monotonic", lambda: passed[0])
    with RawServer(says(reply("200 OK"))) as server:
        answer = made.exchange(Outgoing("POST", f"{server.url}/x", {}, b"{}"), 60)
        assert isinstance(answer, Answer)
        assert used[0].gettimeout() == PATIENT.total - 25
        made.close()


def test_an_answer_beyond_the_limit_is_not_kept() -> None:
    """No more than the limit is read."""
    with RawServer(says(reply("200 OK", b"x" * 500_000))) as server:
        answer = ask(server, wire())
    assert answer == NoAnswer(sent=True, why="the answer (200) is larger than 100000 bytes")


def test_an_endless_answer_is_cut() -> None:
    """An answer without an end stops at the limit."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with RawServer(drips(itertools.chain([head], itertools.repeat(b"x" * 65536)), threading.Event(), 0)) as server:
        answer = ask(server, wire())
    assert isinstance(answer, NoAnswer)
    assert "larger" in answer.why


def test_a_compression_bomb_is_cut() -> None:
    """What is small on the wire and huge in memory stops at the limit."""
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 100_000
    with RawServer(says(reply("200 OK", bomb, "Content-Encoding: gzip"))) as server:
        answer = ask(server, wire())
    assert isinstance(answer, NoAnswer)
    assert "larger" in answer.why


def test_a_compressed_answer_is_read() -> None:
    """gzip is understood."""
    with RawServer(says(reply("200 OK", gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip"))) as server:
        answer = ask(server, wire())
    assert isinstance(answer, Answer)
    assert answer.json == {"a": 1}


def test_a_false_compression_is_no_answer() -> None:
    """What is not compressed as it says is as good as no answer."""
    with RawServer(says(reply("200 OK", b"not gzip", "Content-Encoding: gzip"))) as server:
        answer = ask(server, wire())
    assert isinstance(answer, NoAnswer)
    assert answer.sent


@pytest.mark.parametrize(
    "junk",
    [
        b"220 mail.example ESMTP\r\n",
        b"\x00\x01\x02\xff" * 10,
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA" + b"b" * 70_000,
    ],
)
def test_what_is_not_http_is_no_answer(junk: bytes) -> None:
    """Whatever comes back, the exchange ends in an answer or in none."""

    def run(connection: socket.socket, _: bytes) -> None:
        connection.sendall(junk)
        raise OSError

    with RawServer(run) as server:
        answer = ask(server, wire())
    assert isinstance(answer, NoAnswer)
    assert answer.sent


def test_redirects_are_not_followed() -> None:
    """A redirect is an answer like any other: our credentials go nowhere else."""
    with RawServer(says(reply("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/elsewhere"))) as server:
        answer = ask(server, wire())
        assert len(server.requests) == 1
    assert isinstance(answer, Answer)
    assert answer.status == 307


def test_cookies_are_not_kept() -> None:
    """The CRM cannot make us carry state."""
    with RawServer(says(reply("200 OK", b"{}", "Set-Cookie: a=b; Path=/"))) as server:
        made = wire()
        for _ in range(2):
            made.exchange(Outgoing("GET", f"{server.url}/x", {}, None), 60)
        made.close()
        assert not any(b"ookie" in request for request in server.requests)


def test_the_environment_does_not_choose_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and friends are not listened to; the configuration's proxy is."""
    with RawServer(says(reply("200 OK"))) as server, RawServer(says(reply("200 OK", b'"proxied"'))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        direct = ask(server, wire())
        through = ask(server, wire(proxy=proxy.url))
    assert isinstance(direct, Answer)
    assert direct.json == {}
    assert isinstance(through, Answer)
    assert through.json == "proxied"


def test_a_proxy_is_told_the_whole_address_and_its_own_password() -> None:
    """A plain proxy gets what it needs to go on, and the credentials that its address holds."""
    with RawServer(says(reply("200 OK"))) as proxy:
        ask("http://crm.example:8080", wire(proxy=proxy.url.replace("http://", "http://me:mine@")))
        asked = proxy.requests[0]
    assert asked.startswith(b"POST http://crm.example:8080/x HTTP/1.1\r\nHost: crm.example:8080\r\n")
    assert b"Proxy-Authorization: Basic bWU6bWluZQ==\r\n" in asked


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b""])
def test_a_proxy_that_lets_nothing_through_is_told_as_not_sent(answer: bytes) -> None:
    """Behind a proxy, too, nothing is sent before the CRM itself is reached by TLS."""

    def refuses(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        raise OSError

    with RawServer(refuses) as proxy:
        found = ask("https://crm.example", wire(proxy=proxy.url.replace("http://", "http://me:mine@")))
        assert [request.split(b" HTTP/")[0] for request in proxy.requests] == [b"CONNECT crm.example:443"]
        assert b"Proxy-Authorization: Basic bWU6bWluZQ==" in proxy.requests[0]
    assert isinstance(found, NoAnswer)
    assert not found.sent


def test_a_target_is_encoded_before_it_is_sent() -> None:
    """What cannot stand in a request line is encoded: no value can make a request of its own."""
    with RawServer(says(reply("200 OK"))) as server:
        made = wire()
        for end in ("/a b\r\nX: y", "/ä?q=[1]#part", "?q=1"):
            assert isinstance(made.exchange(Outgoing("GET", server.url + end, {}, None), 60), Answer)
        made.close()
        lines = [request.split(b"\r\n")[0] for request in server.requests]
    assert lines == [b"GET /a%20b%0D%0AX:%20y HTTP/1.1", b"GET /%C3%A4?q=%5B1%5D HTTP/1.1", b"GET /?q=1 HTTP/1.1"]


def test_a_header_cannot_hold_another_one() -> None:
    """A line break in a header's value is sent to nobody."""
    with RawServer(says(reply("200 OK"))) as server:
        made = wire()
        found = made.exchange(Outgoing("GET", f"{server.url}/x", {"X-A": "a\r\nX-B: b"}, None), 60)
        made.close()
        assert server.connections == 0
    assert isinstance(found, NoAnswer)
    assert not found.sent


def test_netrc_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody else's credentials go to the CRM."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with RawServer(says(reply("200 OK"))) as server:
        ask(server, wire())
        assert b"uthorization" not in server.requests[0]


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """TLS is verified, and an own authority can be named."""
    made = authority.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    seen.append(read_request(secure))
                    secure.sendall(reply("200 OK", b'"secure"'))
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    refused = ask(url, wire())
    trusted = ask(url, wire(tls=Tls(ca_file=made.ca)))
    thread.join(5)
    listener.close()
    assert isinstance(refused, NoAnswer)
    assert not refused.sent
    assert "not trusted" in refused.why
    assert isinstance(trusted, Answer)
    assert trusted.json == "secure"
    assert len(seen) == 1


def test_a_client_certificate_is_shown_when_there_is_one(tmp_path: Path) -> None:
    """A CRM that wants to know who calls gets the configured certificate; without one nothing is sent to it."""
    made = authority.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    context.load_verify_locations(made.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    shown: list[object] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as secure:
            shown.append(secure.getpeercert())
            read_request(secure)
            secure.sendall(reply("200 OK", b'"known"'))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    answer = ask(url, wire(tls=Tls(ca_file=made.ca, client_cert=made.cert, client_key=made.key)))
    thread.join(5)
    listener.close()
    assert isinstance(answer, Answer)
    assert answer.json == "known"
    assert shown


def test_no_address_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """A search has a person in its address: the HTTP library's own messages stay away, also at level debug."""
    caplog.set_level(logging.DEBUG)
    with RawServer(says(reply("200 OK"))) as server:
        made = wire()
        made.exchange(Outgoing("GET", f"{server.url}/contacts?email=jan%40example.com", {}, None), 60)
        made.close()
    assert "jan" not in caplog.text
