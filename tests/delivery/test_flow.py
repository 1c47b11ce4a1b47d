"""How the deliverer goes about its work: short transactions, bounded steps, live traffic first, patience with its own store."""

import pytest

from connector.deliver.run import Runner
from connector.domain.outcome import OutcomeKind
from connector.outbox.port import Filter, OutboxBusyError, Pause
from tests.support.world import SmallCrm, World, answer


def test_no_transaction_is_open_while_a_request_is_under_way():
    """Claim, request and settling are three steps: an outcome can never be rolled back with what it reports."""
    world = World()
    seen = []
    send = world.crm.send

    def look(writes, gate):
        seen.append(world.db.conn.in_transaction)
        return send(writes, gate)

    world.crm.send = look
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    assert seen == [False]


def test_one_turn_takes_a_bounded_number_of_rows_however_many_wait():
    """Memory does not grow with the backlog."""
    world = World()
    for i in range(1000):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.engine.pool.hold_back = True
    for _ in range(20):
        world.engine.turn()
    leased = sum(len(job.leased) for job in world.engine.pool.jobs)
    assert 0 < leased <= world.engine.concurrency
    world.engine.pool.hold_back = False
    world.settle(turns=1000)
    assert len(world.contacts()) == 1000


def test_live_traffic_goes_before_a_replay():
    """A replay of everything does not hold up what people do now."""
    world = World()
    for i in range(60):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.settle()
    world.desk.replay(Filter(states=("delivered",)), world.clock.now(), exact=False, again=False, dry_run=False)
    world.call("create", 1000, email="live@x.nl", name="L")
    before = len(world.crm.journal)
    world.settle()
    assert world.crm.journal[before][3]["email"] == "live@x.nl"


def test_a_permanent_refusal_is_dead_at_once_and_holds_up_nobody():
    """One bad record is not tried for ever."""
    world = World()
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="422: no such city")]
    bad = world.call("create", 1, email="bad@x.nl", name="A")
    for i in range(5):
        world.call("create", i + 2, email=f"p{i}@x.nl", name="A")
    world.settle()
    assert world.states() == ["dead"] + ["delivered"] * 5
    assert world.reason(bad) == "422: no such city"
    world.wait(86_400_000)
    assert world.crm.calls == 6


class Waits:
    """A pool that only remembers how long it was asked to wait."""

    busy = 0

    def __init__(self):
        self.asked = []

    def wait(self, timeout):
        self.asked.append(timeout)


class Troubled:
    """An engine whose outbox is locked for a number of turns."""

    def __init__(self, turns):
        self.turns = turns
        self.pool = Waits()
        self.said = []
        self.is_idle = True
        self.rest = None

    def begin(self):
        pass

    def finish(self):
        pass

    def next_due(self):
        return None

    def log(self, event, /, **particulars):
        self.said.append((event, particulars))

    def turn(self):
        self.turns -= 1
        if self.turns >= 0:
            raise OutboxBusyError("locked")
        return False


@pytest.mark.parametrize("turns", [1, 5, 12])
def test_trouble_with_its_own_store_is_waited_out_ever_longer(turns):
    """No tight loop floods the log; when it is over, everything is as before."""
    world = World()
    engine = Troubled(turns)
    runner = Runner(engine, world.clock, idle_poll=1000, shutdown=0, pulse=lambda: None)
    for _ in range(turns + 1):
        runner._turn_or_wait()
    waits = engine.pool.asked[:-1]
    assert len(engine.said) == turns
    assert waits == sorted(waits)
    assert waits[0] == 200
    assert max(waits) <= 30_000
    assert engine.pool.asked[-1] == 1000


def test_trouble_at_the_first_turn_takes_no_lease_of_our_own_for_an_earlier_boot_s(monkeypatch):
    """Nothing is leased before the outbox knows which boot the leases are of: what is under way stays ours."""
    world = World()
    recover = world.engine.queue.recover
    troubles = [OutboxBusyError("another process writes")]

    def trouble(*arguments):
        if troubles:
            raise troubles.pop()
        return recover(*arguments)

    monkeypatch.setattr(type(world.engine.queue), "recover", lambda _, *arguments: trouble(*arguments))
    world.call("create", email="a@x.nl", name="A")
    with pytest.raises(OutboxBusyError):
        world.engine.turn()
    world.engine.pool.hold_back = True
    world.engine.turn()
    world.clock.pass_(1_500)
    world.engine.turn()
    world.engine.pool.hold_back = False
    assert world.said("leases ended without an answer") == []
    world.settle()
    assert world.states() == ["delivered"]


def test_what_was_settled_is_on_disk_at_the_end_of_each_turn(monkeypatch):
    """With much to do, the leases of a turn sync its answers as well; when nothing is leased after all, that is made up for."""
    world = World()
    written: list[str] = []
    queue = type(world.engine.queue)
    settle, take, sync = queue.settle, queue.take, queue.sync

    def watched_settle(self, settlements, now, *, sync=True):
        written.append("settled" if sync else "settled, not synced")
        return settle(self, settlements, now, sync=sync)

    def watched_take(self, takes, settlements, now):
        if takes or settlements:
            written.append("synced")
        return take(self, takes, settlements, now)

    def watched_sync(self):
        written.append("synced")
        sync(self)

    monkeypatch.setattr(queue, "settle", watched_settle)
    monkeypatch.setattr(queue, "take", watched_take)
    monkeypatch.setattr(queue, "sync", watched_sync)
    for profile in range(300):
        world.call("create", profile + 1, email=f"p{profile}@x.nl", name="A")
    turns = []
    for number in range(400):
        if number == 3:
            world.desk.pause(Pause("crm", "operator", "maintenance", world.clock.now()))
        if number == 5:
            world.desk.resume("crm")
        written.clear()
        world.engine.turn()
        turns.append(tuple(written))
    assert world.states() == ["delivered"] * 300
    assert ("settled, not synced",) not in turns
    assert turns[3] == ("settled, not synced", "synced")  # paused: nothing could be leased


def test_what_is_odd_in_a_genuine_call_is_counted_each_time_and_logged_once():
    """A stamp in another zone: `status` counts it by source, the log is not filled."""
    world = World()
    for profile in range(3):
        said = {"type": "update", "profile": profile + 1, "database": 1, "time": 1714550400}
        world.raw({name: str(value) for name, value in said.items()} | {"timestamp": "2024-05-01 12:00:00"})
    world.settle()
    assert world.desk.status().counters["noted.shop.zone"] == 3
    (said,) = world.said("calls are odd, and taken all the same")
    assert (said["source"], said["kind"]) == ("shop", "zone")


def test_what_is_not_understood_is_logged_with_its_number():
    """Copernica's test call, and every type of tomorrow: kept, counted as a test, and `show` takes the number."""
    world = World()
    event = world.raw({"type": "test", "profile": "1"})
    world.settle()
    (said,) = world.said("not understood")
    assert (said["id"], said["source"]) == (event, "shop")
    assert "not known to this version" in said["reason"]


def test_discard_throws_away_what_the_filter_names():
    """A mass of dead deliveries goes by one filter, counted; the others stay, and what is in flight is left alone."""
    world = World()
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="422: no such city")] * 30
    for i in range(30):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.settle()
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="403: forbidden")]
    other = world.call("create", 99, email="other@x.nl", name="A")
    world.settle()
    done = world.desk.discard(Filter(text="no such city"), world.clock.now(), dry_run=False)
    assert done.done == 30
    assert world.states().count("discarded") == 30
    assert world.reason(other) == "403: forbidden"


class UpdatesTogether(SmallCrm):
    """Takes updates in batches of a hundred, and each create by itself."""

    def batch_of(self, write):
        return "id" if write.crm_id is not None else None


def jobs_of_a_turn(world):
    world.engine.pool.hold_back = True
    world.engine.turn()
    sizes = [len(job.leased) for job in world.engine.pool.jobs]
    world.engine.pool.hold_back = False
    world.settle()
    return sizes


def test_creates_that_cannot_go_together_do_not_wait_for_one_another():
    """Each is a job of its own, and there are no more of them than there is room; updates go in one."""
    world = World(crm=UpdatesTogether(batch=100))
    for i in range(40):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    assert jobs_of_a_turn(world) == [1] * world.crm.limits.concurrency
    assert len(world.contacts()) == 40
    for i in range(40):
        world.call("update", i + 1, at=1, email=f"p{i}@x.nl", name="B")
    first = jobs_of_a_turn(world)
    assert len(first) == 1
    assert first[0] >= 16
    for i in range(40):
        world.call("update", i + 1, at=2, email=f"p{i}@x.nl", name="C")
    assert jobs_of_a_turn(world) == [40]
