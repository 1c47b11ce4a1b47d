"""The HTTP that the sample CRM speaks."""

import socket

import pytest

from .conftest import TOKEN

HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"


def talk(url: str, *parts: bytes, answers: int = 1) -> list[bytes]:
    """Send the parts, each in a packet of its own as far as the kernel lets us; return the status lines."""
    host, port = url.removeprefix("http://").split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        while received.count(b"HTTP/1.1 ") < answers:
            more = connection.recv(65536)
            if not more:
                break
            received += more
    return [line for line in received.replace(b"}HTTP", b"}\r\nHTTP").split(b"\r\n") if line.startswith(b"HTTP/1.1")]


def test_requests_that_come_in_one_piece_are_answered_in_order(crm):
    """Pipelining, a thousand deep, does not confuse or exhaust it."""
    one = f"GET /contacts HTTP/1.1\r\n{HEAD}\r\n".encode()
    other = f"GET /contacts/5 HTTP/1.1\r\n{HEAD}\r\n".encode()
    lines = talk(crm.url, (one + other) * 500, answers=1000)
    assert lines == [b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found"] * 500


def test_a_request_that_comes_in_pieces_is_read_whole(crm):
    """Bytes come as they like."""
    whole = f'POST /deals HTTP/1.1\r\n{HEAD}Content-Length: 13\r\n\r\n{{"title":"D"}}'.encode()
    assert talk(crm.url, *(whole[place : place + 1] for place in range(len(whole)))) == [b"HTTP/1.1 201 Created"]
    assert crm.records("deals")[0]["title"] == "D"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"POST /deals HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /deals HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /deals HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /deals HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40000, 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(crm, request_bytes, status):
    """It never hangs on nonsense, and never works on it."""
    lines = talk(crm.url, request_bytes, answers=2)
    assert [line.split()[1] for line in lines] == [str(status).encode()]
    assert crm.journal() == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"5"])
def test_a_body_that_is_no_json_object_is_400(crm, call, body):
    """And it is in the journal as text."""
    answer = call("POST", "/deals", data=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_json")
    assert call.ok("GET", "/_admin/journal")["entries"][0]["status"] == 400


def test_connection_close_is_obeyed(crm):
    """Who asks for the end gets it: the answer, then nothing."""
    request = f"GET /contacts HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n".encode()
    assert talk(crm.url, request, answers=2) == [b"HTTP/1.1 200 OK"]
