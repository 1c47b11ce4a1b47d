"""The corpus, signed and sent to a real receiver process: what is stored means what was written down for it."""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connector.domain.decode import decode
from connector.domain.event import Event, NotUnderstood, TimeFrom
from connector.domain.request import VerifiedRequest
from tests.decode.calls import SOURCES
from tests.decode.test_corpus import CORPUS, NAMES, expected_event, load
from tests.http.receiver import Receiver, genuine, other_source

SIGNED = [name for name in NAMES if load(name).request.target != "/unsigned"]
MORE = """
[sources.profiles]
path = "callback/profile"
account = "account-1234"
proof = "key-file"
key_file = "key.pem"
dialect = "callback"
database = 1
[sources.subprofiles]
path = "callback/subprofile"
account = "account-1234"
proof = "key-file"
key_file = "key.pem"
dialect = "callback"
database = 1
collection = 2
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("corpus"), sources=MORE) as receiver:
        yield receiver


@pytest.mark.parametrize("name", SIGNED)
def test_every_documented_call_goes_through_the_door_unharmed(running: Receiver, name: str) -> None:
    """200 whatever it holds (S30); what lies in the outbox is read as the Event, or the refusal, beside the call."""
    request = load(name).request
    source = other_source(name="x", path=f"/in{request.target}")
    answer = running.send(genuine(request.body, source=source, content_type=request.header("content-type")))
    assert answer.status == 200
    stored = running.call(answer)
    assert stored.body == request.body
    assert stored.header("content-type") == request.header("content-type")
    found = decode(VerifiedRequest(stored, b"p" * 32, load(name).signed_at), SOURCES[request.target])
    expected = tomllib.loads((Path(CORPUS) / f"{name}.expected.toml").read_text("utf-8"))
    if "event" not in expected:
        assert isinstance(found, NotUnderstood)
        assert found.fault == expected["not_understood"]["fault"]
        return
    wanted = expected_event(expected["event"])
    assert isinstance(found, Event)
    if wanted.at_from is not TimeFrom.DATE:
        assert (found.at, found.at_from) == (wanted.at, wanted.at_from)
    assert replace(found, at=0, at_from=wanted.at_from) == replace(wanted, at=0)
