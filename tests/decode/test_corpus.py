"""Each row and cell of what Copernica sends, as a raw request, means what was written down for it by hand."""

import tomllib
from dataclasses import fields
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from connector.domain.clock import SECOND
from connector.domain.decode import decode
from connector.domain.event import Event, EventType, NotUnderstood, TimeFrom
from connector.domain.record import Record
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from tests.decode.calls import SOURCES

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(path.name.removesuffix(".http") for path in CORPUS.glob("*.http"))


def load(name: str) -> VerifiedRequest:
    head, _, body = (CORPUS / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _version = request_line.split(" ")
    headers = tuple((line.partition(": ")[0], line.partition(": ")[2]) for line in lines)
    values = {key.lower(): value for key, value in headers}
    assert int(values["content-length"]) == len(body), "the request is damaged"
    date = int(parsedate_to_datetime(values["date"]).timestamp()) * SECOND
    source = SOURCES[target]
    request = UnverifiedRequest(
        source=source.name,
        method=method,
        target=target,
        headers=headers,
        body=body,
        received_at=date + SECOND,
        peer="192.0.2.1",
        secure=True,
    )
    return VerifiedRequest(request, None, date if source.is_signed else None)


def expected_event(table: dict[str, Any]) -> Event:
    table = dict(table)
    assert set(table) <= {field.name for field in fields(Event)}
    convert = {"type": EventType, "at_from": TimeFrom, "record": Record.parse}
    for name, value in table.items():
        if isinstance(value, datetime):
            table[name] = round(value.timestamp() * SECOND)
        elif name in ("interests", "interests_off"):
            table[name] = frozenset(value)
        elif name in convert:
            table[name] = convert[name](value)
        elif name == "variables":
            table[name] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return Event(**table)


@pytest.mark.parametrize("name", NAMES)
def test_every_documented_call_means_what_was_written_down_for_it(name: str) -> None:
    """A call of the corpus becomes exactly the Event, or the refusal, that stands beside it."""
    expected = tomllib.loads((CORPUS / f"{name}.expected.toml").read_text("utf-8"))
    request = load(name)
    decoded = decode(request, SOURCES[request.request.target])
    if "event" in expected:
        assert decoded == expected_event(expected["event"]), expected["row"]
    else:
        assert isinstance(decoded, NotUnderstood), expected["row"]
        assert decoded.fault == expected["not_understood"]["fault"]
        assert expected["not_understood"]["reason"] in decoded.reason
    if "note" in expected:
        (note,) = decoded.notes
        assert expected["note"] in note.text
    else:
        assert decoded.notes == ()


def test_every_request_of_the_corpus_has_its_expectation_and_its_row() -> None:
    """Nothing lies in the corpus unused: each request has an expectation and each expectation a request and a row."""
    expectations = sorted(path.name.removesuffix(".expected.toml") for path in CORPUS.glob("*.expected.toml"))
    assert expectations == NAMES
    assert all(tomllib.loads((CORPUS / f"{name}.expected.toml").read_text("utf-8"))["row"] for name in NAMES)
    assert len(NAMES) >= 90
