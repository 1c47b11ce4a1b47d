"""Answers that are plain in every respect, read without http.client: it takes most of the time of an exchange.

What is only a little odd (a body in chunks or compressed, a header twice, anything that is not all there) is not read
here. Whatever is read here, http.client reads alike: a test sees to that.
"""

import re
from typing import Final

from connector.crm.rest.answer import Answer

_PLAIN: Final = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) [\x20-\x7e]*+\r\n((?:[A-Za-z0-9_-]++:[\t\x20-\x7e]*+\r\n){1,64}+)\r\n"
)
_ODD: Final = frozenset({"transfer-encoding", "content-encoding", "proxy-connection", "upgrade", "trailer"})
_NO_BODY: Final = (204, 304)


def usual_answer(data: bytes, most: int) -> Answer | None:
    """Return the answer to a request (no HEAD) after which a connection can be kept; None: somebody else has to look.

    `most` is how many bytes its body may have.
    """
    head = _PLAIN.match(data)
    if head is None:
        return None
    headers: dict[str, str] = {}
    for line in head[2].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.lstrip(" \t")
    body = data[head.end() :]
    status = int(head[1])
    is_plain = (
        len(headers) == head[2].count(b"\n")
        and headers.get("content-length") == str(len(body))
        and len(body) <= most
        and headers.get("connection", "keep-alive").lower() == "keep-alive"
        and _ODD.isdisjoint(headers)
        and status not in _NO_BODY
    )
    return Answer(status, headers, body) if is_plain else None
