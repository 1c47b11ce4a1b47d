"""Against the sample CRM while it commits and dies: no duplicate, no lost update, every link right."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from connector.crm.port import Association, Write
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import MatchKey, Verb
from connector.domain.outcome import Outcome, OutcomeKind
from connector.sample_crm.server import Options, SampleCrm
from tests.crm.helpers import OpenGate, email, make, upsert

RECORDS = 50
DEADLINE = 150.0


class RealClock:
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def elapsed(self) -> int:
        return time.monotonic_ns() // 1_000_000


@dataclass
class Sync:
    """The least of an engine: it keeps links and doubts, and brings each write to an end."""

    crm: RestCrm
    clock: RealClock
    deadline: float

    def bring(self, write: Write, doubts: list[int], due: int = 0) -> Outcome:
        idle = threading.Event()
        while time.monotonic() < self.deadline:
            if self.clock.now() < due:
                idle.wait(0.005)
                continue
            started = self.clock.now()
            (outcome,) = self.crm.send([write], OpenGate())
            if outcome.kind.is_success:
                return outcome
            assert outcome.kind in (OutcomeKind.RETRY, OutcomeKind.AMBIGUOUS, OutcomeKind.UNREACHABLE), outcome
            if outcome.wrote and (outcome.status is None or outcome.status >= 500):
                doubts.append(self.clock.now())
            if outcome.created_maybe:
                write = replace(write, created_maybe_at=max(self.clock.now(), started))
            if outcome.crm_id:
                write = replace(write, crm_id=outcome.crm_id, created_maybe_at=None)
            due = outcome.retry_at or 0
        raise AssertionError("it never came to an end")


@pytest.fixture
def sample() -> Iterator[SampleCrm]:
    with SampleCrm(Options(token="t", unique=False, search_lag_ms=150)) as made:
        yield made


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "cut-after", "share": 0.25}, id="commits and dies"),
        pytest.param({"kind": "cut-before", "share": 0.25}, id="dies before it commits"),
        pytest.param({"kind": "status", "status": 502, "share": 0.25}, id="a gateway in the way"),
        pytest.param({"kind": "slow-answer", "delay_ms": 700, "share": 0.08}, id="answers after we gave up"),
        pytest.param({"kind": "slow-commit", "delay_ms": 500, "share": 0.08}, id="commits after we gave up"),
    ],
)
def test_no_duplicate_and_no_lost_update_while_it_dies(
    sample: SampleCrm, tmp_path: Path, fault: dict[str, object]
) -> None:
    """Uniqueness off, a search that lags, faults at random places of every step: one record each, linked, newest state."""
    override = {
        "connection": {"timeouts": {"connect": 2, "read": 0.3, "total": 0.4}},
        "objects": {name: {"visible_after": 2.5} for name in ("contact", "company", "deal")},
    }
    clock = RealClock()
    crm = make("sample", state=tmp_path, secrets={"token": "t"}, base_url=sample.url, clock=clock, override=override)
    sync = Sync(crm, clock, time.monotonic() + DEADLINE)
    sample.fail(**fault)  # type: ignore[arg-type]

    def life(number: int) -> tuple[int, str, str]:
        address = f"p{number}@example.com"
        doubts: list[int] = []
        made = sync.bring(upsert(match=email(address), full={"email": address, "score": 1}), doubts)
        assert made.crm_id
        title = f"deal {number}"
        deal = sync.bring(
            upsert(
                "deal",
                match=(MatchKey("title", title),),
                full={"title": title},
                associations=(Association("contact", "contact", made.crm_id),),
            ),
            [],
        )
        assert deal.crm_id
        newest = upsert(crm_id=made.crm_id, full={"email": f"n{number}@example.com", "score": 2})
        moved = sync.bring(newest, doubts)
        if doubts:  # an older state may still come through: the newest goes again, when that must have happened (S21)
            sync.bring(newest, [], due=max(doubts) + 2500)
        assert moved.crm_id == made.crm_id
        return number, made.crm_id, deal.crm_id

    with ThreadPoolExecutor(25) as pool:
        lives = list(pool.map(life, range(RECORDS)))
    sample.heal()
    contacts = {row["id"]: row for row in sample.records("contacts")}
    assert len(contacts) == len(sample.records("deals")) == RECORDS
    for number, contact, deal in lives:
        assert (contacts[contact]["email"], contacts[contact]["score"]) == (f"n{number}@example.com", 2)
        assert sample.links("deals", deal) == {"contacts": [contact]}
    crm.close()


def test_a_batch_that_dies_is_safe(sample: SampleCrm, tmp_path: Path) -> None:
    """Whole batches are cut after they were committed: doing them again changes nothing (S24)."""
    clock = RealClock()
    crm = make("sample", state=tmp_path, secrets={"token": "t"}, base_url=sample.url, clock=clock)
    sample.fail("cut-after", count=1, path="/contacts/batch")
    writes = [upsert(match=email(f"b{i}@example.com"), full={"email": f"b{i}@example.com"}) for i in range(50)]
    first = crm.send(writes, OpenGate())
    assert {outcome.kind for outcome in first} == {OutcomeKind.RETRY}
    assert all(outcome.wrote and not outcome.created_maybe for outcome in first)
    second = crm.send(writes, OpenGate())
    assert {outcome.kind for outcome in second} == {OutcomeKind.UPDATED}
    assert len(sample.records("contacts")) == 50
    assert len({outcome.crm_id for outcome in second}) == 50
    crm.close()


def test_a_batch_refused_as_a_whole_is_split_until_the_bad_one_is_alone(sample: SampleCrm, tmp_path: Path) -> None:
    """Four refusals of a whole batch cost requests, and nobody's change (S24)."""
    crm = make("sample", state=tmp_path, secrets={"token": "t"}, base_url=sample.url, clock=RealClock())
    sample.fail("status", status=400, count=3, path="/contacts/batch")
    writes = [upsert(match=email(f"b{i}@example.com"), full={"email": f"b{i}@example.com"}) for i in range(16)]
    outcomes = crm.send(writes, OpenGate())
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.CREATED}
    assert len(sample.records("contacts")) == 16
    crm.close()


def test_a_500_for_one_item_does_not_block_the_batch(sample: SampleCrm, tmp_path: Path) -> None:
    """A batch that breaks the CRM is taken apart as soon as one of its items alone does not."""
    crm = make("sample", state=tmp_path, secrets={"token": "t"}, base_url=sample.url, clock=RealClock())
    sample.fail("status", status=500, count=1, path="/contacts/batch")
    writes = [upsert(match=email(f"b{i}@example.com"), full={"email": f"b{i}@example.com"}) for i in range(8)]
    assert {outcome.kind for outcome in crm.send(writes, OpenGate())} == {OutcomeKind.CREATED}
    assert len(sample.records("contacts")) == 8
    crm.close()


def test_a_500_for_everything_asks_only_twice_more(sample: SampleCrm, tmp_path: Path) -> None:
    """A CRM that is down gets no storm of single requests."""
    crm = make("sample", state=tmp_path, secrets={"token": "t"}, base_url=sample.url, clock=RealClock())
    sample.fail("status", status=500)
    gate = OpenGate()
    writes = [upsert(crm_id=str(i), full={"email": f"b{i}@example.com"}) for i in range(50)]
    assert {outcome.kind for outcome in crm.send(writes, gate)} == {OutcomeKind.RETRY}
    assert len(gate.costs) == 3
    crm.close()


def test_a_batch_throttled_is_throttled_for_all(sample: SampleCrm, tmp_path: Path) -> None:
    """One request, and everybody waits as long as the CRM says."""
    clock = RealClock()
    crm = make("sample", state=tmp_path, secrets={"token": "t"}, base_url=sample.url, clock=clock)
    sample.fail("status", status=429, retry_after=30)
    gate = OpenGate()
    writes = [upsert(crm_id=str(i), full={"email": f"b{i}@example.com"}) for i in range(5)]
    outcomes = crm.send(writes, gate)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.THROTTLED}
    assert all(outcome.retry_at and outcome.retry_at > clock.now() + 20_000 for outcome in outcomes)
    assert len(gate.costs) == 1
    crm.close()


def test_what_the_batch_size_is(tmp_path: Path) -> None:
    """Only what the preset can send together goes together."""
    crm = make("sample", state=tmp_path)
    assert [crm.batch_limit("contact", verb) for verb in (Verb.UPSERT, Verb.UPDATE, Verb.ERASE)] == [100, 100, 1]
    assert crm.batch_limit("unknown", Verb.UPSERT) == 1
    crm.close()
