"""How the sample CRM breaks, and what its journal says of it."""

import socket
import threading

import pytest
import requests

from connector.sample_crm import Fault, Options, SampleCrm
from connector.sample_crm.api import LimitError, RateLimit
from connector.sample_crm.faults import Faults
from connector.sample_crm.journal import Journal
from connector.sample_crm.message import ApiError

from .conftest import TOKEN, wait_until

ANNA = {"email": "anna@example.com"}


def test_the_journal_has_every_request_in_order(call):
    """Method, path, record, body, status, number of the write: enough to count what was lost or done twice."""
    identity = call.ok("POST", "/contacts", ANNA)["id"]
    call("POST", "/contacts", ANNA)
    call("PATCH", f"/contacts/{identity}", {"firstname": "A"})
    call("GET", "/contacts?email=anna%40example.com")
    call("POST", f"/contacts/{identity}/archive")
    call("POST", f"/contacts/{identity}/archive")
    call("DELETE", f"/contacts/{identity}")
    journal = call.ok("GET", "/_admin/journal")
    assert [
        (
            entry["seq"],
            entry["method"],
            entry["path"],
            entry["record"],
            entry["body"],
            entry["status"],
            entry["commits"],
        )
        for entry in journal["entries"]
    ] == [
        (1, "POST", "/contacts", identity, ANNA, 201, [1]),
        (2, "POST", "/contacts", None, ANNA, 409, []),
        (3, "PATCH", f"/contacts/{identity}", identity, {"firstname": "A"}, 200, [2]),
        (4, "GET", "/contacts?email=anna%40example.com", None, None, 200, []),
        (5, "POST", f"/contacts/{identity}/archive", identity, None, 200, [3]),
        (6, "POST", f"/contacts/{identity}/archive", identity, None, 200, []),
        (7, "DELETE", f"/contacts/{identity}", identity, None, 204, [4]),
    ]
    assert all(entry["answered"] and entry["at"] > 1_700_000_000_000 for entry in journal["entries"])
    times = [entry["at"] for entry in journal["entries"]]
    assert times == sorted(times)


def test_the_journal_is_read_in_pages_and_cleared(call):
    """`after` and `limit` page on; clearing keeps the numbers going."""
    for _ in range(5):
        call("GET", "/contacts")
    page = call.ok("GET", "/_admin/journal?limit=3")
    assert ([entry["seq"] for entry in page["entries"]], page["next"]) == ([1, 2, 3], 3)
    page = call.ok("GET", f"/_admin/journal?after={page['next']}")
    assert [entry["seq"] for entry in page["entries"]] == [4, 5]
    call.ok("DELETE", "/_admin/journal")
    call("GET", "/contacts")
    assert [entry["seq"] for entry in call.ok("GET", "/_admin/journal")["entries"]] == [6]


def test_the_journal_is_bounded_and_says_what_it_forgot():
    """A long run does not fill the memory, and nobody takes a part for the whole."""
    journal = Journal(3)
    for _ in range(5):
        journal.open(0, "GET", "/", b"")
    assert [entry.seq for entry in journal.after(0, 10)] == [3, 4, 5]
    assert [entry.seq for entry in journal.after(3, 1)] == [4]
    assert (journal.total, journal.dropped) == (5, 2)


def test_a_batch_is_in_the_journal_with_its_records_and_writes(call):
    """One request, one entry, and what each input came to."""
    body = {"key": "email", "inputs": [ANNA, {"email": "wrong"}, {"email": "b@example.com"}]}
    results = call.ok("POST", "/contacts/batch", body)["results"]
    entry = call.ok("GET", "/_admin/journal")["entries"][0]
    assert entry["records"] == [results[0]["id"], None, results[2]["id"]]
    assert entry["commits"] == [1, 2] == [results[0]["commit"], results[2]["commit"]]


def test_it_fails_for_so_many_requests_and_recovers(call):
    """503 with Retry-After twice, and then as if nothing had been; nothing was written meanwhile."""
    call.ok("POST", "/_admin/faults", {"kind": "status", "status": 503, "count": 2, "retry_after": 7})
    answers = [call("POST", "/contacts", ANNA) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert answers[0].headers["Retry-After"] == "7"
    assert [entry["fault"] for entry in call.ok("GET", "/_admin/journal")["entries"]] == ["status", "status", None]


def test_faults_hit_only_what_fits_and_end_by_time():
    """Method, path with a star, share and time narrow them down; the random ones repeat with the seed."""
    now = 0.0
    faults = Faults(lambda: now, seed=5)
    faults.add(Fault.from_json({"kind": "cut-before", "method": "PUT", "path": "/deals/*/contacts/*", "for_ms": 1000}))
    assert faults.pick("PUT", "/deals/5/contacts/6") is not None
    assert faults.pick("GET", "/deals/5/contacts/6") is None
    assert faults.pick("PUT", "/deals/5") is None
    now = 1.0
    assert faults.pick("PUT", "/deals/5/contacts/6") is None
    assert faults.as_json() == []
    hits = []
    for _ in range(2):
        faults = Faults(lambda: now, seed=7)
        faults.add(Fault.from_json({"kind": "status", "share": 0.5}))
        hits.append([faults.pick("GET", "/") is not None for _ in range(100)])
    assert hits[0] == hits[1]
    assert 20 < sum(hits[0]) < 80


@pytest.mark.parametrize(
    "wrong", [{}, {"kind": "explode"}, {"kind": "stall", "delay": 5}, {"kind": "stall", "count": "2"}]
)
def test_a_fault_that_is_none_is_refused(wrong):
    """A test that misspells a fault must not pass for want of it."""
    with pytest.raises(ApiError):
        Fault.from_json(wrong)


def test_cut_before_writes_nothing_and_cut_after_writes(crm, call):
    """Both look the same to the client; the journal tells them apart."""
    crm.fail("cut-before", count=1, method="POST")
    with pytest.raises(requests.ConnectionError):
        call("POST", "/contacts", ANNA)
    assert crm.records("contacts") == []
    crm.fail("cut-after", count=1, method="POST")
    with pytest.raises(requests.ConnectionError):
        call("POST", "/contacts", ANNA)
    assert [row["email"] for row in crm.records("contacts")] == ["anna@example.com"]
    first, second = crm.journal()
    assert (first.status, first.commits, first.answered, first.fault) == (None, (), False, "cut-before")
    assert (second.status, second.commits, second.answered, second.fault) == (201, (1,), False, "cut-after")


def test_a_slow_answer_is_written_before_the_client_gives_up(crm, call):
    """The write is there at once; the answer finds nobody."""
    crm.fail("slow-answer", delay_ms=400, count=2)
    with pytest.raises(requests.ReadTimeout):
        call("POST", "/contacts", ANNA, timeout=0.1)
    assert wait_until(lambda: crm.records("contacts"))
    assert call("GET", "/contacts").status_code == 200  # answered later than the first would have been
    assert [(entry.status, entry.answered) for entry in crm.journal()] == [(201, False), (200, True)]


def test_a_slow_commit_is_written_after_the_client_gave_up(crm, call):
    """The worst of all: who looks at once finds nothing, and then it is there."""
    crm.fail("slow-commit", delay_ms=400, count=1)
    with pytest.raises(requests.ReadTimeout):
        call("POST", "/contacts", ANNA, timeout=0.1)
    assert wait_until(lambda: crm.records("contacts"))
    assert crm.journal()[0].answered is False


def test_a_stall_writes_nothing_for_a_client_that_gave_up_and_serves_one_that_waits(crm, call):
    """A CRM that hangs."""
    crm.fail("stall", delay_ms=200, count=1)
    with pytest.raises(requests.ReadTimeout):
        call("POST", "/contacts", ANNA, timeout=0.05)
    crm.fail("stall", delay_ms=250, count=1)
    assert call("GET", "/contacts").status_code == 200  # its wait ended after the first one's
    assert crm.records("contacts") == []
    assert crm.journal()[0].status is None


def test_the_rate_limit_holds_in_every_window():
    """So many in any span of that length, not in fixed ones; what is refused does not count."""
    now = 0.0
    limit = RateLimit(lambda: now, 2, 10)
    limit.check()
    now = 9.0
    limit.check()
    with pytest.raises(LimitError) as refused:
        limit.check()
    assert refused.value.wait == 1
    now = 10.0
    limit.check()
    with pytest.raises(LimitError) as refused:
        limit.check()
    assert refused.value.wait == 9


def test_too_many_requests_are_429_with_retry_after(crm, call):
    """And nothing is written for them."""
    crm.set(rate=1, rate_ms=3_600_000)
    assert call("POST", "/contacts", ANNA).status_code == 201
    answer = call("POST", "/contacts", {"email": "b@example.com"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 3000
    assert len(crm.records("contacts")) == 1
    with pytest.raises(ValueError, match="no setting rat"):
        crm.set(rat=1)


def test_down_refuses_connections_and_keeps_port_and_data(crm, call):
    """A CRM that is away for a moment: connection refused, then the same as before under the same address."""
    call.ok("POST", "/contacts", ANNA)
    crm.down()
    with pytest.raises(requests.ConnectionError):
        call("GET", "/contacts")
    host, port = crm.url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    crm.up()
    assert len(call.ok("GET", "/contacts")["results"]) == 1


def test_down_over_http_ends_by_itself(crm, call):
    """The demo tells it so, and it is back after the time."""
    assert call("POST", "/_admin/down", {"for_ms": 100}).status_code == 204

    def refused() -> bool:
        with requests.Session() as session:
            try:
                session.get(crm.url, timeout=5)
            except requests.ConnectionError:
                return True
            return False

    wait_until(refused)
    wait_until(lambda: not refused())


def test_the_whole_state_is_readable(call):
    """For a comparison at the end: records of every object, and links."""
    contact = call.ok("POST", "/contacts", ANNA)["id"]
    deal = call.ok("POST", "/deals", {"title": "D"})["id"]
    call.ok("PUT", f"/deals/{deal}/contacts/{contact}")
    state = call.ok("GET", "/_admin/state")
    assert [row["id"] for row in state["records"]["contacts"]] == [contact]
    assert state["links"] == {contact: {"deals": [deal]}, deal: {"contacts": [contact]}}
    assert state["commit"] == 3


def test_a_port_that_is_taken_is_an_error_and_not_shared(crm):
    """Two sample CRMs never take turns at one port."""
    port = int(crm.url.rpartition(":")[2])
    with pytest.raises(OSError):
        SampleCrm(Options(token=TOKEN, port=port)).start()


def test_stop_frees_the_port_and_leaves_no_thread():
    """A test suite that starts hundreds ends clean."""
    crm = SampleCrm(Options(token=TOKEN))
    url = crm.start()
    crm.stop()
    crm.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "sample-crm"]
    again = SampleCrm(Options(token=TOKEN, port=int(url.rpartition(":")[2])))
    assert again.start() == url
    again.stop()
