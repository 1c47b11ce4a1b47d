"""Limits hold over all processes of a machine: rates in a shared file, the day's budget in the outbox."""

import subprocess
import sys

import pytest

from connector.crm.port import Limits, Rate
from connector.deliver.limits import Limiter
from connector.domain.clock import DAY, HOUR, MINUTE
from connector.outbox.port import Filter
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.queue import SqliteQueue
from connector.process.rates import SharedLimiter
from tests.support.world import T0, SmallCrm, TestClock, World

RATES = (Rate(100, HOUR),)

TAKE_RATE = """
import sys
from pathlib import Path
from connector.crm.port import Rate
from connector.domain.clock import HOUR
from connector.process.clock import SystemClock
from connector.process.rates import SharedLimiter
limiter = SharedLimiter(Path(sys.argv[1]), (Rate(100, HOUR),), SystemClock(), "boot")
print("ready", flush=True)
sys.stdin.readline()
print(sum(limiter.reserve(1) == 0 for _ in range(90)))
"""

TAKE_BUDGET = """
import sys
from pathlib import Path
from connector.deliver.budget import Budget
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.queue import SqliteQueue
budget = Budget("crm", 1010, SqliteQueue(Database(Path(sys.argv[1]))))
print("ready", flush=True)
sys.stdin.readline()
spent = 0
while budget.refill(1_800_000_000_000):
    while budget.spend(3):
        spent += 3
print(spent)
"""


def together(code, path):
    """Run the code in two real processes at the same time; return what each printed."""
    command = [sys.executable, "-c", code, str(path)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    results = [int(process.communicate(timeout=60)[0]) for process in started]
    assert [process.returncode for process in started] == [0, 0]
    return results


def test_a_rate_is_shared_by_all_deliverers_of_a_machine(tmp_path):
    """Two processes that ask for 90 each get 100 together, not 180."""
    assert 100 <= sum(together(TAKE_RATE, tmp_path / "o.db.rates-crm")) <= 101


def test_a_daily_budget_is_shared_by_all_processes_to_the_last_unit(tmp_path):
    """Never one more than the budget, and no more left over than one request costs for each process."""
    Database(tmp_path / "o.db").close()
    assert 1010 - 2 * 3 < sum(together(TAKE_BUDGET, tmp_path / "o.db")) <= 1010


def test_shared_rates_outlive_a_restart_and_begin_anew_after_a_boot(tmp_path):
    """A deliverer that is restarted does not get a full bucket again; a new boot has a new clock."""
    clock = TestClock()
    path = tmp_path / "rates"
    first = SharedLimiter(path, RATES, clock, "boot-1")
    assert [first.reserve(50), first.reserve(50)] == [0, 0]
    first.close()
    assert SharedLimiter(path, RATES, clock, "boot-1").delay() > 0
    clock.since_boot = 5
    assert SharedLimiter(path, RATES, clock, "boot-2").delay() == 0


@pytest.mark.parametrize("content", [b"", b"x" * 7, b"\xff" * 24, b"x" * 1000])
def test_a_damaged_file_of_rates_stops_nobody(tmp_path, content):
    """It begins anew, and holds after that."""
    path = tmp_path / "rates"
    path.write_bytes(content)
    clock = TestClock()
    limiter = SharedLimiter(path, RATES, clock, "boot-1")
    assert limiter.reserve(100) == 0
    assert SharedLimiter(path, RATES, clock, "boot-1").reserve(1) > 0


def test_without_a_file_the_rates_hold_in_the_process(tmp_path):
    """A folder that cannot be written to is no reason to send without limits."""
    limiter = SharedLimiter(tmp_path / "nowhere" / "rates", RATES, TestClock(), "boot-1")
    assert limiter.reserve(100) == 0
    assert limiter.reserve(1) > 0


def test_shared_and_plain_rates_give_the_same_answers(tmp_path):
    """One is the other with a file beneath."""
    clock = TestClock()
    rates = (Rate(10, 1000), Rate(30, MINUTE))
    plain, shared = Limiter(rates, clock), SharedLimiter(tmp_path / "rates", rates, clock, "b")
    for step in range(60):
        assert plain.reserve(1 + step % 3) == shared.reserve(1 + step % 3)
        assert plain.delay() == shared.delay()
        clock.pass_(step * 37 % 900)


class LimitedCrm(SmallCrm):
    def __init__(self, per_day):
        super().__init__()
        self.limits = Limits(per_day=per_day)


def test_s23_when_the_daily_budget_is_used_up_the_destination_waits_visibly_for_the_next_day():
    """It is paused by `budget` until midnight UTC, costs no attempt, and goes on by itself."""
    world = World(crm=LimitedCrm(20))
    for i in range(30):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.settle()
    assert world.crm.calls == 20
    (pause,) = world.desk.status().pauses
    assert (pause.subject, pause.by, pause.until) == ("crm", "budget", (T0 // DAY + 1) * DAY)
    assert "20" in pause.reason
    waiting = [d for row in world.desk.list(Filter(states=("pending",)), 100) for d in row.deliveries]
    assert len(waiting) == 10
    assert all(d.attempts == 0 for d in waiting)
    world.wait(pause.until - world.clock.time - MINUTE)
    assert world.crm.calls == 20
    world.wait(2 * MINUTE)
    assert world.states() == ["delivered"] * 30
    assert world.desk.status().pauses == ()


def test_live_traffic_goes_before_replays_when_the_budget_runs_low():
    """The last tenth of a day is for what is new; replays wait, and go the next day."""
    world = World(crm=LimitedCrm(1000))
    for i in range(10):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.settle()
    queue = world.engine.queue
    assert queue.budget("day.crm", T0 // DAY, 960 - queue.spent("day.crm", T0 // DAY), 1000)
    world.desk.replay(Filter(source="shop"), world.clock.now(), exact=False, again=False, dry_run=False)
    world.call("create", 50, email="new@x.nl", name="N")
    calls = world.crm.calls
    world.settle()
    assert world.crm.calls == calls + 1
    assert world.states().count("pending") == 10
    assert "live traffic" in world.reason(1)
    world.wait(DAY)
    assert world.states().count("delivered") == 11


def test_what_was_fetched_of_the_budget_and_not_spent_is_given_back(tmp_path):
    """A restart costs nothing of the day's budget."""
    world = World(crm=LimitedCrm(100_000), path=tmp_path / "o.db")
    world.call("create", 1, email="a@x.nl", name="A")
    world.settle()
    world.engine.close()
    assert SqliteQueue(world.db).spent("day.crm", T0 // DAY) == 1
    world.db.close()


def test_a_request_dearer_than_what_is_left_does_not_make_the_loop_spin():
    """Units that are too few for any request count as used up."""
    world = World(crm=LimitedCrm(20))
    budget = world.engine.limiters["crm"].budget
    assert budget.refill(T0)
    assert not budget.spend(30)
    assert not budget.refill(T0)
