"""A call as a file: what was captured on the wire, or typed by hand."""

import re

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE = re.compile(r"([!-~]+) ([^ \r\n]+) HTTP/[0-9]\.[0-9]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)", re.DOTALL)


def read_raw(data: bytes) -> tuple[str, str, tuple[tuple[str, str], ...], bytes]:
    """Return method, target, headers and body.

    Lines may end in CRLF or LF; folded ones are joined by a space, as the receiver does. The body is as long as
    Content-Length says, if that many bytes are there; else it is all the rest. Raises ValueError with what is wrong, in
    plain words.
    """
    data = data.lstrip(b"\r\n")
    if not data:
        raise ValueError("there is nothing on standard input; give it a raw HTTP request")
    end = _HEAD_END.search(data)
    head, rest = (data[: end.start()], data[end.end() :]) if end else (data.rstrip(b"\r\n"), b"")
    first, *lines = re.split(r"\r?\n", head.decode("latin-1"))
    request_line = _REQUEST_LINE.fullmatch(first)
    if request_line is None:
        raise ValueError("line 1 is not a request line (POST /path HTTP/1.1)")
    headers: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 2):
        if line[:1] in (" ", "\t") and headers:
            name, value = headers[-1]
            headers[-1] = (name, " ".join((value.rstrip(" \t"), line.strip(" \t"))))
            continue
        found = _HEADER.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is not a header (Name: value)")
        headers.append((found[1], found[2]))
    values = {name.lower(): value.strip() for name, value in headers}
    if "transfer-encoding" in values:
        raise ValueError("the body is chunked; save it decoded, and without the Transfer-Encoding header")
    length = values.get("content-length", "")
    if re.fullmatch(r"[0-9]{1,12}", length) and int(length) <= len(rest):
        rest = rest[: int(length)]
    return request_line[1], request_line[2], tuple(headers), rest
