"""Where a request ends: the same however it is cut into pieces."""

from hypothesis import given
from hypothesis import strategies as st

from connector.http.request_buffer import Progress, RequestBuffer

MAX_HEAD, MAX_BODY = 1000, 2000


def chunked(parts: list[bytes], trailer: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"


def plain(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: h\r\ncontent-LENGTH:\t%d \r\n\r\n" % len(body) + body


requests = st.one_of(
    st.binary(max_size=200).map(plain),
    st.builds(
        chunked, st.lists(st.binary(max_size=60), max_size=5), st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"])
    ),
    st.just(b"GET / HTTP/1.1\r\n\r\n"),
)


@given(st.lists(requests, min_size=1, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_requests_come_out_as_they_went_in_however_they_are_cut(wanted: list[bytes], cuts: list[int]) -> None:
    """Several requests on one connection, in pieces of any size: each is found at its end, none before."""
    buffer, found = RequestBuffer(MAX_HEAD, MAX_BODY), []
    stream, at, turn = b"".join(wanted), 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        turn += 1
        progress = buffer.feed(stream[at : at + size])
        at += size
        while progress is Progress.COMPLETE:
            found.append(buffer.take())
            progress = buffer.feed(b"") if buffer.data else Progress.INCOMPLETE
        assert progress is Progress.INCOMPLETE
    assert found == wanted


@given(st.binary(max_size=4000), st.lists(st.integers(1, 400), min_size=1, max_size=10))
def test_no_bytes_make_it_fail_or_grow_without_end(stream: bytes, cuts: list[int]) -> None:
    """Whatever comes: it is gathered, complete, or too large."""
    buffer, at, turn = RequestBuffer(MAX_HEAD, MAX_BODY), 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        progress = buffer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
        if progress is not Progress.INCOMPLETE:
            break
        assert len(buffer.data) <= MAX_HEAD + 8190 + 2 * MAX_BODY + 1000


def test_what_is_announced_too_large_is_known_from_its_head() -> None:
    """Before a byte of the body."""
    head = b"POST / HTTP/1.1\r\nContent-Length: 2001\r\n\r\n"
    assert RequestBuffer(MAX_HEAD, MAX_BODY).feed(head) is Progress.BODY_TOO_LARGE
    huge = b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 500 + b"\r\n\r\n"
    assert RequestBuffer(MAX_HEAD, MAX_BODY).feed(huge) is Progress.BODY_TOO_LARGE


def test_a_folded_line_is_no_content_length() -> None:
    """What stands in another header's continuation is that header's value."""
    call = b"POST / HTTP/1.1\r\nX: a\r\n Content-Length: 50\r\n\r\n"
    assert RequestBuffer(MAX_HEAD, MAX_BODY).feed(call) is Progress.COMPLETE


def test_a_chunk_without_its_end_is_left_to_the_parser() -> None:
    """Malformed is complete: there is nothing to wait for."""
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"1\r\nabc\r\n", b"zz\r\n", b"\r\n", b"-1\r\n", b"x" * 400):
        assert RequestBuffer(MAX_HEAD, MAX_BODY).feed(head + body) is Progress.COMPLETE, body


def test_headers_without_end_are_too_large() -> None:
    """With and without line ends."""
    assert RequestBuffer(MAX_HEAD, MAX_BODY).feed(b"POST / HTTP/1.1\r\nX: " + b"x" * 9500) is Progress.HEAD_TOO_LARGE
    many = b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n"
    assert RequestBuffer(MAX_HEAD, MAX_BODY).feed(many) is Progress.HEAD_TOO_LARGE
