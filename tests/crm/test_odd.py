"""A REST API that nobody foresaw: a preset file of under sixty lines, and no Python."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from connector.crm.port import Association, Limits, Rate
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import MatchKey, Verb, WhenGone
from connector.domain.outcome import Outcome, OutcomeKind
from tests.crm.helpers import FixedClock, OpenGate, make, upsert

FOLDER = Path(__file__).parent / "presets"
MAIL = (MatchKey("mail", "jan@example.com"),)


class Oddware:
    """Says 200 to everything, and the truth inside."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.ties: set[tuple[str, str]] = set()
        self.trouble: list[tuple[str, str]] = []
        self.again: int | None = None
        self.hidden = False

    def __call__(self, request: Request) -> Response:
        assert request.method == "POST"
        if request.headers.get("X-Odd-Key") != "Key=geheim" or request.headers.get("X-Odd-Tenant") != "12":
            return self.says({"trouble": {"code": "E31", "words": "who are you?"}})
        if self.trouble:
            code, words = self.trouble.pop(0)
            return self.says({"trouble": {"code": code, "words": words}})
        data = json.loads(request.form.get("data", "{}"))
        number = request.form.get("no") or request.args.get("no", "")
        match request.args["action"]:
            case "seek":
                name, value = request.args["where[0][field]"], request.args["where[0][is]"]
                hits = [{"no": int(key)} for key, row in self.rows.items() if row.get(name) == value]
                return self.says({"hits": [] if self.hidden else hits})
            case "new":
                for key, row in self.rows.items():
                    if row.get("mail") == data.get("mail"):
                        return self.says({"trouble": {"code": "E20", "words": f"taken by {key}"}})
                key = str(len(self.rows) + 500)
                self.rows[key] = data
                return self.says({"done": True}, record=f"klant/{key}")
            case "change" if number in self.rows:
                self.rows[number].update(data)
                return self.says({"done": True})
            case "wipe" if self.rows.pop(number, None) is not None:
                return self.says({"done": True})
            case "tie":
                self.ties.add((request.args["a"], request.args["b"]))
                return self.says({"done": True})
        return self.says({"trouble": {"code": "E17", "words": "no such number"}})

    def says(self, body: Any, record: str | None = None) -> Response:
        response = Response(json.dumps(body), content_type="application/json")
        if record:
            response.headers["X-Odd-Record"] = record
        if self.again:
            response.headers["X-Odd-Again"] = str(self.again)
        return response


@pytest.fixture
def oddware(httpserver: HTTPServer) -> Oddware:
    odd = Oddware()
    httpserver.expect_request(re.compile("/do")).respond_with_handler(odd)
    return odd


def crm_at(httpserver: HTTPServer, state: Path, clock: FixedClock | None = None, key: str = "geheim") -> RestCrm:
    return make(
        "odd",
        state=state,
        presets=FOLDER,
        clock=clock,
        secrets={"key": key},
        settings={"tenant": 12},
        base_url=httpserver.url_for("/").rstrip("/"),
    )


@pytest.fixture
def crm(httpserver: HTTPServer, oddware: Oddware, tmp_path: Path) -> Iterator[RestCrm]:
    made = crm_at(httpserver, tmp_path)
    yield made
    made.close()


def send(crm: RestCrm, **how: Any) -> Outcome:
    return crm.send([upsert("klant", **how)], OpenGate())[0]


def test_the_preset_is_short() -> None:
    """Under sixty lines, comments included."""
    assert len((FOLDER / "odd.yaml").read_text().splitlines()) < 60


def test_a_life_in_an_odd_crm(crm: RestCrm, oddware: Oddware) -> None:
    """Made, found, changed, linked, wiped; the ID comes from a header."""
    made = send(crm, match=MAIL, full={"mail": "jan@example.com", "naam": "Jan & Co"})
    assert (made.kind, made.crm_id) == (OutcomeKind.CREATED, "500")
    found = send(crm, match=MAIL, full={"mail": "jan@example.com", "naam": "Jan"})
    assert (found.kind, found.crm_id) == (OutcomeKind.UPDATED, "500")
    tied = send(crm, crm_id="500", full={"mail": "j@example.com"}, associations=(Association("firma", "firma", "9"),))
    assert tied.kind is OutcomeKind.UPDATED
    assert oddware.rows == {"500": {"mail": "j@example.com", "naam": "Jan"}}
    assert oddware.ties == {("500", "9")}
    for _ in range(2):
        assert send(crm, verb=Verb.ERASE, crm_id="500").kind is OutcomeKind.ERASED
    assert oddware.rows == {}


def test_a_duplicate_inside_a_200_is_adopted(crm: RestCrm, oddware: Oddware) -> None:
    """The ID of the other record stands in the error's words."""
    oddware.rows["77"] = {"mail": "jan@example.com"}
    oddware.hidden = True
    outcome = send(crm, match=MAIL, full={"mail": "jan@example.com", "naam": "Jan"})
    assert (outcome.kind, outcome.crm_id) == (OutcomeKind.UPDATED, "77")
    assert oddware.rows["77"]["naam"] == "Jan"


def test_a_record_that_is_gone_inside_a_200(crm: RestCrm, oddware: Oddware) -> None:
    """E17 is a 404 in other words."""
    assert send(crm, crm_id="77", full={"naam": "x"}).kind is OutcomeKind.GONE
    outcome = send(crm, crm_id="77", match=MAIL, full={"mail": "jan@example.com"}, when_gone=WhenGone.RECREATE)
    assert (outcome.kind, outcome.unlinked) == (OutcomeKind.CREATED, True)
    assert len(oddware.rows) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [("E50", OutcomeKind.RETRY), ("E99", OutcomeKind.PERMANENT), ("E33", OutcomeKind.UNAUTHORISED)],
)
def test_errors_inside_a_200_have_their_outcomes(crm: RestCrm, oddware: Oddware, code: str, kind: OutcomeKind) -> None:
    """A 200 alone says nothing."""
    oddware.trouble = [(code, "so it is")]
    outcome = send(crm, crm_id="77", full={"naam": "x"})
    assert outcome.kind is kind
    assert "so it is" in outcome.reason


def test_a_reset_in_epoch_milliseconds(httpserver: HTTPServer, oddware: Oddware, tmp_path: Path) -> None:
    """The CRM's own word on when to come back."""
    clock = FixedClock()
    oddware.again = clock.time + 4321
    oddware.trouble = [("E29", "slowly")]
    crm = crm_at(httpserver, tmp_path, clock)
    outcome = send(crm, crm_id="77", full={"naam": "x"})
    crm.close()
    assert (outcome.kind, outcome.retry_at) == (OutcomeKind.THROTTLED, clock.time + 4321)


def test_a_wrong_key_is_told(httpserver: HTTPServer, oddware: Oddware, tmp_path: Path) -> None:
    """Also an authorisation failure may hide in a 200."""
    crm = crm_at(httpserver, tmp_path, key="falsch")
    assert send(crm, crm_id="77", full={"naam": "x"}).kind is OutcomeKind.UNAUTHORISED
    crm.close()


def test_the_limits_of_the_preset_are_the_crms(crm: RestCrm) -> None:
    """Several rates at once, concurrency and a daily budget are there for the engine."""
    assert crm.limits == Limits(rates=(Rate(50, 1000), Rate(1000, 60_000)), concurrency=2, per_day=20_000)
    assert crm.visible_after("klant") == 1000
