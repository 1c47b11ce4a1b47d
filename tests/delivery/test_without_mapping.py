"""A mapping's file is taken away while deliveries of it wait: nothing is lost, and somebody is told."""

from connector.outbox.port import Filter, Pause
from tests.support.world import SimpleMapping, World

LETTERS = SimpleMapping(name="letters", object="letters")


def without_letters(world):
    world.desk.pause(Pause("letters", "operator", "not yet", world.clock.now()))
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    del world.mappings.mappings["letters"]
    world.desk.resume("letters")
    world.engine = world.deliverer()
    world.settle()


def test_what_waits_for_a_mapping_that_was_taken_away_is_told_and_not_called_late():
    """At the deliverer's start, and in `status` until it is discarded; it does not look as if the deliverer were late."""
    world = World(SimpleMapping(), LETTERS)
    without_letters(world)
    said = [line for event, line in world.lines if event == "deliveries wait for a mapping that is not there"]
    assert said == [{"mapping": "letters", "deliveries": 1}]
    status = world.desk.status()
    assert (status.unserved, status.oldest_due) == ({"letters": 1}, None)
    world.desk.discard(Filter(mapping="letters"), world.clock.now(), dry_run=False)
    assert world.desk.status().unserved == {}


def test_it_is_delivered_when_the_mapping_is_back():
    """Nothing has to be replayed."""
    world = World(SimpleMapping(), LETTERS)
    without_letters(world)
    world.mappings.mappings["letters"] = LETTERS
    world.engine = world.deliverer()
    world.settle()
    assert list(world.crm.table("letters").values()) == [{"email": "a@x.nl", "firstname": "A"}]
    assert world.desk.status().unserved == {}
