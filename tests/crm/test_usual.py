"""The short way to read an answer says what http.client says, or nothing."""

import io
from http.client import HTTPException, HTTPResponse
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.crm.rest.usual import usual_answer

MOST = 2000
LINES = ["Content-Type: application/json", "X-Request-Id: 7", "set-cookie: a=b", "Set-Cookie: c=d", "Connection: close",
         "connection: Keep-Alive", "Transfer-Encoding: chunked", "Content-Encoding: gzip", "Keep-Alive: timeout=5",
         "content-length: 2", "Trailer: X", "Proxy-Connection: close", "x_odd:  padded ", ": none", "X Y: 1", "X: é",
         "X: a\x0bConnection: close", "X: a\x1cb", "X: a\r\n b", "X-Empty:"]  # fmt: skip
STARTS = ["HTTP/1.1 200 OK", "HTTP/1.1 201 Created", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified",
          "HTTP/1.1 429 Too Many Requests", "HTTP/1.1 503 ", "HTTP/1.0 200 OK", "HTTP/1.1 200", "HTTP/1.1 100 Continue",
          "HTTP/2 200", "HTTP/1.1 999 Odd", "http/1.1 200 OK", "HTTP/1.1  200 OK", "ICY 200 OK", "HTTP/1.1 200 Ça"]  # fmt: skip
bodies = st.sampled_from(
    [b"", b"{}", b'{"id": 7}', b"\r\n\r\n", b"x" * (MOST + 1), b"2\r\n{}\r\n0\r\n\r\n"]
) | st.binary(max_size=40)


class Here(io.BytesIO):
    """A connection on which these bytes have come, and that the other side leaves open."""

    def makefile(self, _mode: str) -> io.BytesIO:
        return self

    def close(self) -> None:
        """Http.client closes its end of it, which stays readable."""


def by_library(data: bytes) -> tuple[int, dict[str, str], bytes, bool] | None:
    """Return the answer as http.client reads it, and whether the connection can be kept and nothing is left on it."""
    here: Any = Here(data)
    response = HTTPResponse(here, method="POST")
    try:
        response.begin()
        said = {name.lower(): value for name, value in response.headers.items()}
        body = response.read()
    except (HTTPException, OSError, ValueError):
        return None
    return response.status, said, body, not response.will_close and here.tell() == len(data)


@settings(max_examples=1000)
@given(
    st.sampled_from(STARTS[:6]) | st.sampled_from(STARTS),
    st.lists(st.sampled_from(LINES), max_size=2),
    bodies,
    st.sampled_from([0, 0, 0, 1, -1]),
    st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"]),
)
def test_what_is_read_the_short_way_is_what_http_client_reads(
    start: str, said: list[str], body: bytes, wrong_by: int, end: str
) -> None:
    """Whatever a CRM sends: the same status, headers and body, all of it here, and a connection that can be kept."""
    lines = [start, *said, f"Content-Length: {len(body) + wrong_by}", "", ""]
    data = end.join(lines).encode("latin-1") + body
    found = usual_answer(data, MOST)
    if found is not None:
        assert (found.status, dict(found.headers), found.body, True) == by_library(data)


@pytest.mark.parametrize(
    "status", ["200 OK", "201 Created", "404 Not Found", "429 Too Many Requests", "500 Server Error"]
)
def test_the_usual_answer_goes_the_short_way(status: str) -> None:
    """So that the rule above is about something."""
    data = (
        f'HTTP/1.1 {status}\r\nServer: nginx\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"id": 7}}'
    )
    found = usual_answer(data.encode(), MOST)
    assert found is not None
    assert (found.status, found.json, found.headers["server"]) == (int(status[:3]), {"id": 7}, "nginx")


@pytest.mark.parametrize(
    "odd",
    [
        "Connection: close",
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip",
        "Content-Length: 2",
        "X: é",
        "X: a\r\n b",
    ],
)
def test_an_odd_answer_is_left_to_http_client(odd: str) -> None:
    """It knows what servers do."""
    data = f"HTTP/1.1 200 OK\r\n{odd}\r\nContent-Length: 2\r\n\r\n{{}}"
    assert usual_answer(data.encode("latin-1"), MOST) is None


def test_an_answer_that_is_not_all_here_or_too_large_is_left_to_it_too() -> None:
    """The rest of it is waited for, and the bound is kept, where that is done."""
    for length, body in ((3, b"{}"), (1, b"{}"), (MOST + 1, b"x" * (MOST + 1))):
        assert usual_answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (length, body), MOST) is None
