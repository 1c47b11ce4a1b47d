"""Retention: settled rows go after their time, in small steps; what order and links rest on stays."""

from connector.domain.clock import DAY, HOUR
from connector.domain.outcome import OutcomeKind
from connector.outbox.port import Filter, Keep, Pause
from tests.support.world import World, answer, lost_reply

KEEP = Keep(settled=DAY, dead=10 * DAY, unwanted=2 * DAY)


def prune(world):
    total = {}
    while gone := world.engine.queue.prune(world.clock.now(), KEEP, 50):
        for name, count in gone.items():
            total[name] = total.get(name, 0) + count
    return total


def test_s29_settled_events_go_after_their_time_and_the_file_shrinks(tmp_path):
    """Pages go back to the disk."""
    world = World(path=tmp_path / "o.db")
    for i in range(300):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A" * 2000)
    world.settle()
    world.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (tmp_path / "o.db").stat().st_size
    world.clock.pass_(DAY - HOUR)
    assert prune(world) == {}
    world.clock.pass_(2 * HOUR)
    assert prune(world) == {"settled": 300}
    assert world.desk.list(Filter(), 10) == []
    world.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "o.db").stat().st_size < before


def test_s7_order_and_links_survive_retention():
    """After pruning, an older call is still superseded, a delete still finds its link, and nothing new is still free."""
    world = World()
    world.call("create", at=100, email="a@x.nl", name="A")
    world.settle()
    world.clock.pass_(2 * DAY)
    assert prune(world) == {"settled": 1}
    world.call("update", at=50, email="old@x.nl", name="old")
    world.call("update", at=200, email="a@x.nl", name="A")
    world.settle()
    assert world.states() == ["superseded", "unchanged"]
    world.call("delete", at=300)
    world.settle()
    assert world.contacts() == []


def test_s29_dead_rows_have_a_retention_of_their_own_that_is_counted():
    """They outlive settled ones, and their passing is visible."""
    world = World()
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="no")]
    world.call("create", 1, email="a@x.nl", name="A")
    world.settle()
    world.call("create", 2, email="b@x.nl", name="B")
    world.settle()
    world.clock.pass_(2 * DAY)
    assert prune(world) == {"settled": 1}
    world.clock.pass_(9 * DAY)
    assert prune(world) == {"dead": 1}
    assert world.desk.status().counters["pruned.dead"] == 1


def test_what_is_pending_is_never_pruned_and_holds_up_nothing_behind_it():
    """However old it is."""
    world = World()
    world.crm.faults = [answer(OutcomeKind.UNREACHABLE, reason="down")]
    world.call("create", 1, email="a@x.nl", name="A")
    world.settle()
    for i in range(120):
        world.call("delete", 1000 + i)
    world.settle()
    world.clock.pass_(100 * DAY)
    assert prune(world) == {"settled": 120}
    assert world.states() == ["pending"]


def test_a_proof_is_remembered_for_as_long_as_the_call_could_come_again():
    """Then it goes, too."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    count = "SELECT count(*) FROM proofs"
    prune(world)
    assert world.db.conn.execute(count).fetchone()[0] == 1
    world.clock.pass_(HOUR)
    prune(world)
    assert world.db.conn.execute(count).fetchone()[0] == 0


def test_s22_what_may_have_been_made_without_an_answer_is_recognised_after_retention_too():
    """The create of a@ left, and its answer never came; it was superseded, and its time has passed since."""
    world = World()
    world.crm.faults = [lost_reply]
    world.call("create", at=1, email="a@x.nl", name="A")
    world.settle()
    assert len(world.contacts()) == 1
    world.desk.pause(Pause("crm", "operator", "a long holiday", world.clock.now()))
    world.call("update", at=2, email="b@x.nl", name="B")
    world.settle()
    world.clock.pass_(2 * DAY)
    assert prune(world) == {}
    world.desk.resume("crm")
    world.wait(DAY)
    assert world.contacts() == [{"email": "b@x.nl", "firstname": "B"}]
    world.clock.pass_(2 * DAY)
    assert prune(world) == {"settled": 2}


def test_s26_a_replay_never_takes_a_record_back_to_an_older_state_whose_newer_one_was_pruned():
    """The newest state was delivered and is not kept any more; an older one came late, and is."""
    world = World()
    world.call("create", at=100, email="a@x.nl", name="new")
    world.settle()
    world.clock.pass_(DAY - HOUR)
    world.call("update", at=50, email="a@x.nl", name="old")
    world.settle()
    world.clock.pass_(2 * HOUR)
    assert prune(world) == {"settled": 1}
    done = world.desk.replay(Filter(record="profile/1/7"), world.clock.now(), exact=False, again=False, dry_run=False)
    assert (done.done, [*done.left.values()]) == (0, [1])
    world.settle()
    assert world.contacts()[0]["firstname"] == "new"
