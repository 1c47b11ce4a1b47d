"""The short cut for usual calls: what it reads, gunicorn's parser reads alike; all else it leaves alone."""

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connector.http.usual import Answer, environment, read_usual

PLAIN = (
    b"POST /in/shop?a=%20b HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"X-Copernica-ID:account-1\r\nX-Two: 1\r\nX-Two:\t2 \r\nX-Empty:\r\nContent-Length: 5\r\n\r\na=b&c"
)


def strict():
    config = Config()
    chosen = {"http_parser": "python", "permit_obsolete_folding": True, "header_map": "drop", "forwarded_allow_ips": "",
              "forwarder_headers": "", "secure_scheme_headers": {}, "limit_request_fields": 8, "limit_request_field_size": 32768}  # fmt: skip
    for name, value in chosen.items():
        config.set(name, value)
    return config


CONFIG = strict()


def test_a_usual_call_is_read_as_it_was_sent():
    """Target and body byte by byte; headers in order, repeated ones too, names in upper case, values trimmed."""
    call = read_usual(PLAIN, 8)
    assert call is not None
    assert call.target == "/in/shop?a=%20b"
    assert call.body == b"a=b&c"
    assert call.keep
    assert call.headers[2:6] == (("X-COPERNICA-ID", "account-1"), ("X-TWO", "1"), ("X-TWO", "2"), ("X-EMPTY", ""))
    made = environment(call, "192.0.2.1")
    assert (made["PATH_INFO"], made["QUERY_STRING"], made["CONTENT_LENGTH"]) == ("/in/shop", "a=%20b", "5")


ODD = {
    "another method": (b"POST", b"PUT"),
    "lower case": (b"POST", b"post"),
    "HTTP/1.0": (b"HTTP/1.1", b"HTTP/1.0"),
    "an absolute target": (b"/in/shop", b"http://h/in/shop"),
    "a byte above ASCII in the target": (b"/in/shop", b"/in/sh\xe9p"),
    "two spaces": (b"POST ", b"POST  "),
    "a folded header": (b"X-Two: 1", b"X-Two:\r\n 1"),
    "a bare line feed": (b"X-Two: 1\r\n", b"X-Two: 1\n"),
    "a bare carriage return": (b"X-Two: 1", b"X-Two: 1\rX: y"),
    "a control character": (b"X-Two: 1", b"X-Two: \x011"),
    "a NUL": (b"X-Two: 1", b"X-Two: \x001"),
    "a space before the colon": (b"X-Two: 1", b"X-Two : 1"),
    "a name with an underscore": (b"X-Two: 1", b"X_Two: 1"),
    "no name": (b"X-Two: 1", b": 1"),
    "no colon": (b"X-Two: 1", b"X-Two 1"),
    "chunks": (b"X-Two: 1", b"Transfer-Encoding: chunked"),
    "a wish to be told to go on": (b"X-Two: 1", b"Expect: 100-continue"),
    "two hosts": (b"X-Two: 1", b"host: other"),
    "two types": (b"X-Two: 1", b"Content-type: text/xml"),
    "two lengths": (b"X-Two: 1", b"Content-Length: 5"),
    "no length": (b"Content-Length: 5\r\n", b""),
    "a length with a sign": (b"Content-Length: 5", b"Content-Length: +5"),
    "a length with zeros": (b"Content-Length: 5", b"Content-Length: 05"),
    "a longer length": (b"Content-Length: 5", b"Content-Length: 6"),
    "a shorter length": (b"Content-Length: 5", b"Content-Length: 4"),
    "an odd connection": (b"X-Two: 1", b"Connection: upgrade"),
    "too many headers": (b"X-Two: 1", b"X-Two: 1\r\nX-3: 3\r\nX-4: 4"),
    "a request line that is too long": (b"/in/shop", b"/in/shop" + b"x" * 8190),
    "no end of the head": (b"\r\n\r\n", b"\r\n"),
    "an empty line before": (b"POST", b"\r\nPOST"),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_left_to_gunicorns_parser(odd):
    """The short cut judges nothing: it reads what is plain, or nothing at all."""
    old, new = ODD[odd]
    changed = PLAIN.replace(old, new, 1)
    assert changed != PLAIN
    assert read_usual(changed, 8) is None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(PLAIN)), st.integers(0, 12), st.sampled_from(
        [b"", b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\x7f", b"\xe9", b"_", b"X-A: b\r\n", b"Host: x\r\n", b"Connection: close\r\n",
         b"Connection: keep-alive\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"#", b"?", b"%", b"5"]
    )), max_size=4)
)  # fmt: skip
@example([])
def test_what_the_short_cut_reads_the_strict_parser_reads_alike(edits):
    """Over mutations of a call: never more lenient, never another target, header, body or end of the connection."""
    data = PLAIN
    for at, size, new in edits:
        data = data[:at] + new + data[at + size :]
    call = read_usual(data, 8)
    if call is None:
        return
    try:
        strictly = next(RequestParser(CONFIG, [data], ("127.0.0.1", 1)))
    except ParseException as error:
        raise AssertionError(f"the strict parser refuses it: {error!r}") from error
    assert (strictly.method, strictly.uri, strictly.version) == ("POST", call.target, (1, 1))
    assert tuple(strictly.headers) == call.headers
    assert strictly.body.read() == call.body
    assert strictly.should_close() is not call.keep


def test_an_answer_leaves_in_one_piece_with_all_that_http_asks_for():
    """Status, the application's headers, the date, whether the connection goes on, the body."""
    answer = Answer()
    answer.start("200 OK", [("Content-Length", "3"), ("Retry-After", "30")])
    head, _, body = answer.data(b"abc", keep=False).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert body == b"abc"
    assert lines[:3] == [b"HTTP/1.1 200 OK", b"Content-Length: 3", b"Retry-After: 30"]
    assert lines[3].startswith(b"Date: ")
    assert lines[3].endswith(b" GMT")
    assert lines[4:] == [b"Connection: close"]
