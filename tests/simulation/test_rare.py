"""What simulated worlds meet too seldom to be relied on: arranged by hand, over the same engine and outbox."""

from dataclasses import replace

import pytest

from connector.domain.change import Verb, WhenGone
from connector.domain.event import EventType
from connector.domain.outcome import Outcome, OutcomeKind
from connector.mapping.port import Deliver
from connector.outbox.port import Filter, Pause
from tests.support.world import SimpleMapping, SmallCrm, World, answer, lost_reply


def test_a_claim_that_was_decided_before_another_one_s_attempt_is_not_granted():
    """Suspended between decision and claim: what it meant to create may be there by now, so it has to decide anew."""
    world = World(crm=SmallCrm(lag=5_000))
    world.call("create", email="a@x.nl", name="A")
    sleeper = world.deliverer()
    take = sleeper.queue.take

    def late(*arguments):
        sleeper.queue.take = take
        world.crm.faults = [lost_reply]
        world.settle()
        return take(*arguments)

    sleeper.queue.take = late
    sleeper.turn()
    assert sleeper.pool.jobs == []
    world.wait(10_000)
    assert len(world.contacts()) == 1


def test_what_fails_while_a_newer_state_waits_is_not_tried_again():
    """The newer state takes its place at once; nobody waits for the older one's next try."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [answer(OutcomeKind.RETRY, reason="500", status=500)]
    world.engine.pool.hold_back = True
    world.call("update", at=1, email="a@x.nl", name="B")
    world.engine.turn()
    world.call("update", at=2, email="a@x.nl", name="C")
    world.engine.turn()
    world.engine.pool.hold_back = False
    world.settle()
    assert world.states() == ["delivered", "superseded", "delivered"]
    assert [entry[3].get("firstname") for entry in world.crm.journal] == ["A", "C"]


def test_what_was_written_before_a_refusal_counts_as_written():
    """The update was done, then its association was refused for good: going back to the old state is sent."""

    def refused(crm, write):
        crm.do(write)
        return Outcome(kind=OutcomeKind.PERMANENT, reason="no such relation", wrote=True, crm_id=write.crm_id)

    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [refused]
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    assert world.states() == ["delivered", "dead"]
    world.call("update", at=2, email="a@x.nl", name="A")
    world.settle()
    assert world.contacts()[0]["firstname"] == "A"


def test_a_late_answer_does_not_send_an_event_of_an_each_mapping_once_more():
    """Two attempts were in doubt for each other and both came through: a third would count it once too often."""
    clicks = SimpleMapping(
        name="clicks", verb=Verb.UPDATE, deliver=Deliver.EACH, fields={}, types=frozenset({EventType.CLICK})
    )
    world = World(SimpleMapping(), clicks)
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    sleeper = world.deliverer()
    world.email("click", "a@x.nl")
    sleeper.turn()
    sleeper.pool.hold_back = True
    (job,) = sleeper.pool.jobs
    sent = sleeper.pool.perform_job(job)
    world.clock.pass_(300_000)
    world.settle()
    calls = world.crm.calls
    assert world.states("clicks") == ["delivered"]
    sleeper.pool.perform_job = lambda _: sent
    sleeper.pool.hold_back = False
    sleeper.finish()
    world.wait(60_000)
    assert world.crm.calls == calls


def test_a_newer_state_of_one_mapping_leaves_what_waits_in_another_alone():
    """A mapping that takes creates only has not seen the update: its create is still to be delivered."""
    welcome = SimpleMapping(name="welcome", object="welcomes", types=frozenset({EventType.CREATE}))
    world = World(SimpleMapping(), welcome)
    world.desk.pause(Pause("welcome", "operator", "not yet", world.clock.now()))
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    world.desk.resume("welcome")
    world.settle()
    assert world.states("welcome") == ["delivered"]


def test_s26_a_replay_of_a_held_record_keeps_its_newest_state_whatever_came_last():
    """The older state came later: it is that one which is superseded, and release sends the newest."""
    world = World()
    world.desk.hold(Filter(record="profile/1/7"), world.clock.now(), dry_run=False)
    world.call("update", at=10, email="a@x.nl", name="new")
    world.call("update", at=5, email="a@x.nl", name="old")
    world.settle()
    assert world.states() == ["held", "superseded"]
    world.desk.replay(Filter(record="profile/1/7"), world.clock.now(), exact=False, again=False, dry_run=False)
    world.desk.release(Filter(record="profile/1/7"), world.clock.now(), dry_run=False)
    world.settle()
    assert world.contacts()[0]["firstname"] == "new"


def test_s17_what_a_late_request_filled_again_is_emptied_again():
    """B (phone empty) was delivered while a stopped deliverer still held A (phone 1): A comes after B, then B goes anew."""
    world = World(SimpleMapping(fields={"email": "email", "phone": "phone"}))
    world.call("create", email="a@x.nl", phone="")
    world.settle()
    world.call("update", at=1, email="a@x.nl", phone="1")
    sleeper = world.deliverer()
    sleeper.turn()
    (job,) = sleeper.pool.jobs
    perform, sleeper.pool.hold_back = sleeper.pool.perform_job, True
    world.clock.pass_(300_000)
    world.call("update", at=2, email="a@x.nl", phone="2")
    world.settle()
    world.call("update", at=3, email="a@x.nl", phone="")
    world.settle()
    assert world.contacts() == [{"email": "a@x.nl"}]
    sent = world.crm.do(job.leased[0].attempt.write)
    assert world.contacts() == [{"email": "a@x.nl", "phone": "1"}]
    sleeper.pool.perform_job = lambda job: replace(perform(job), outcomes=[sent])
    sleeper.pool.hold_back = False
    sleeper.finish()
    world.wait(60_000)
    assert world.contacts() == [{"email": "a@x.nl"}]


def stopped_after(world, profile=7):
    """Let a deliverer send what is due, and end it before it has settled the answer."""
    dying = world.deliverer()
    dying.turn()
    for job in dying.pool.jobs:
        dying.pool.perform_job(job)
    world.clock.pass_(300_000)


def test_a_delete_finds_the_record_that_was_made_anew_without_an_answer():
    """A person deleted the linked contact; the next state made another, and the deliverer died before it was settled."""
    world = World(SimpleMapping(when_gone=WhenGone.RECREATE))
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.table("contacts").clear()
    world.call("update", at=1, email="a@x.nl", name="B")
    stopped_after(world)
    assert len(world.contacts()) == 1
    world.call("delete", at=2)
    world.wait(60_000)
    assert world.contacts() == []
    assert world.states()[-1] == "delivered"


def made_anew_without_an_answer(crm, write):
    """The linked record was gone, another one was made, and its answer never came."""
    crm.do(replace(write, crm_id=None))
    return Outcome(kind=OutcomeKind.AMBIGUOUS, wrote=True, created_maybe=True, unlinked=True, reason="no answer")


def test_s17_what_was_made_anew_without_an_answer_is_emptied_like_any_other():
    """The city that the unanswered create brought along is taken away when the profile has none any more."""
    world = World(SimpleMapping(when_gone=WhenGone.RECREATE))
    world.call("create", email="a@x.nl", name="A", city="Ede")
    world.settle()
    world.crm.table("contacts").clear()
    world.call("update", at=1, email="a@x.nl", name="B", city="Ede")
    world.crm.faults = [made_anew_without_an_answer]
    world.settle()
    assert [contact.get("city") for contact in world.contacts()] == ["Ede"]
    world.call("update", at=2, email="a@x.nl", name="B", city="")
    world.wait(60_000)
    assert [contact.get("city") for contact in world.contacts()] == [None]


def test_a_delete_of_what_a_person_had_deleted_looks_for_nothing_else():
    """Under `when_gone: stop` nothing was made in its place: one with the same address is a colleague's."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [lost_reply]
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    world.crm.table("contacts").clear()
    world.crm.table("contacts")["77"] = {"email": "a@x.nl", "firstname": "by a colleague"}
    world.call("delete", at=2)
    world.wait(60_000)
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "by a colleague"}]


def test_a_delete_that_nothing_recognises_finds_what_was_made_without_an_answer():
    """The create's answer is missing, and the delete comes without fields after a state without an address."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    stopped_after(world)
    assert len(world.contacts()) == 1
    world.call("update", at=1, email="", name="A")
    world.call("delete", at=2)
    world.wait(60_000)
    assert world.contacts() == []


def test_a_late_delete_of_our_own_is_no_deletion_by_a_person():
    """A stopped deliverer erased the contact after its lease, when the profile was revived and delivered: made anew."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("delete", at=1)
    sleeper = world.deliverer()
    sleeper.turn()
    perform, sleeper.pool.hold_back = sleeper.pool.perform_job, True
    world.clock.pass_(300_000)
    world.call("create", at=2, email="a@x.nl", name="B")
    world.settle()
    world.crm.table("contacts").clear()  # the late request
    late = Outcome(kind=OutcomeKind.RETRY, wrote=True, crm_id="1", reason="no answer")
    sleeper.pool.perform_job = lambda job: replace(perform(job), outcomes=[late])
    sleeper.pool.hold_back = False
    sleeper.finish()
    world.wait(60_000)
    assert [contact["firstname"] for contact in world.contacts()] == ["B"]


def test_s16_nobody_removes_what_another_record_may_have_been_linked_to_without_an_answer():
    """Profile 8 shares the contact of 7, and took it to another address; nothing of that was settled. Now 7 is deleted."""
    world = World()
    world.call("create", 7, email="a@x.nl", name="A")
    world.settle()
    world.call("create", 8, email="a@x.nl", name="A")
    stopped_after(world)
    world.call("update", 8, at=1, email="b@x.nl", name="B")
    stopped_after(world)
    world.call("update", 8, at=2, email="c@x.nl", name="C")
    world.call("delete", 7, at=3)
    world.engine.pool.hold_back = True
    world.engine.turn()
    assert sum(len(job.leased) for job in world.engine.pool.jobs) == 1
    world.engine.pool.hold_back = False
    world.wait(60_000)
    assert [contact["email"] for contact in world.contacts()] == ["c@x.nl"]


def sharing_until_8_is_deleted(world):
    """7 and 8 share a contact, and 8 wrote it last; it is deleted, so 7 is to go whole."""
    world.call("create", 7, email="a@x.nl", name="A", city="Ede")
    world.wait(60_000)
    world.call("create", 8, email="a@x.nl", name="B", city="Goes")
    world.settle()
    assert [contact["firstname"] for contact in world.contacts()] == ["B"]
    world.call("delete", 8, at=1)


def test_s16_a_state_that_comes_while_the_one_before_it_waits_to_go_whole_goes_whole():
    """7 waits until a search surely shows what 8 wrote, and its profile is saved again meanwhile, with nothing changed."""
    world = World(crm=SmallCrm(lag=30_000))
    sharing_until_8_is_deleted(world)
    world.settle()
    world.call("update", 7, at=2, email="a@x.nl", name="A", city="Ede")
    world.wait(60_000)
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "A", "city": "Ede"}]


def test_s16_a_state_that_comes_while_the_one_before_it_fails_to_go_whole_goes_whole():
    """7 was under way when its profile was saved again, and the CRM had no time for it."""
    world = World()
    sharing_until_8_is_deleted(world)
    world.crm.faults = [answer(OutcomeKind.THROTTLED, reason="429")]
    world.engine.pool.hold_back = True
    world.engine.turn()
    world.engine.turn()
    assert len(world.engine.pool.jobs) == 1
    world.call("update", 7, at=2, email="a@x.nl", name="A", city="Ede")
    world.engine.turn()
    world.engine.pool.hold_back = False
    world.wait(60_000)
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "A", "city": "Ede"}]


@pytest.mark.parametrize("state", [{"name": "A", "city": "Veere"}, {"name": "A", "city": "Ede"}])
def test_s16_a_state_that_is_decided_beside_the_delete_of_the_other_one_goes_whole(state):
    """Both are due at once; that 7 is to go whole is known only when the delete of 8 is written down."""
    world = World()
    sharing_until_8_is_deleted(world)
    world.call("update", 7, at=2, email="a@x.nl", **state)
    world.wait(60_000)
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "A", "city": state["city"]}]


def test_s16_a_state_goes_whole_in_the_place_of_a_delete_before_which_one_was_to():
    """7 is held when 8 is deleted. It is changed, deleted, and comes back as it was before anything leaves."""
    world = World()
    sharing_until_8_is_deleted(world)
    held = Filter(record="profile/1/7")
    world.desk.hold(held, world.clock.now(), dry_run=False)
    world.call("update", 7, at=2, email="a@x.nl", name="C", city="Ede")
    world.settle()
    world.call("delete", 7, at=3)
    world.settle()
    world.call("create", 7, at=4, email="a@x.nl", name="A", city="Ede")
    world.settle()
    world.desk.release(held, world.clock.now(), dry_run=False)
    world.wait(60_000)
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "A", "city": "Ede"}]


def test_s22_who_was_stopped_while_the_clock_was_set_back_does_not_take_a_young_doubt_for_an_old_one(monkeypatch):
    """It had read the time, two hours ahead. When it wakes, the other one has made a contact and heard nothing."""
    world = World(crm=SmallCrm(lag=30_000))
    stopped = world.deliverer()
    due, meanwhile = type(stopped.queue).due, []

    def wakes_late(queue, now, *rest):
        if queue is stopped.queue and not meanwhile:
            meanwhile.append("the clock is set back")
            world.clock.time -= 2 * 3_600_000
            world.call("create", email="a@x.nl", name="A")
            world.crm.faults = [lost_reply]
            world.settle()
        return due(queue, now, *rest)

    monkeypatch.setattr(type(stopped.queue), "due", wakes_late)
    stopped.turn()
    stopped.turn()
    assert meanwhile
    assert world.crm.calls == 1  # no look yet: it might not be seen
    world.wait(120_000)
    assert world.states() == ["delivered"]
    assert len(world.contacts()) == 1


def test_s5_a_delete_does_not_go_out_because_the_state_before_it_was_to_go_whole():
    """The create was dead (two contacts have the address), and is replayed; the profile is deleted before it leaves."""
    world = World()
    world.crm.table("contacts").update({"8": {"email": "a@x.nl"}, "9": {"email": "a@x.nl"}})
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    assert world.states() == ["dead"]
    del world.crm.table("contacts")["9"]
    world.desk.replay(Filter(record="profile/1/7"), world.clock.now(), exact=False, again=False, dry_run=False)
    world.call("delete", at=1)
    world.wait(60_000)
    assert world.contacts() == [{"email": "a@x.nl"}]
    assert world.states() == ["superseded", "skipped"]


def written_without_an_answer(crm, write):
    """The record was found, and what became of the write into it is not known."""
    return Outcome(kind=OutcomeKind.RETRY, wrote=True, touched=crm.do(write).crm_id, reason="no answer")


def test_s8_what_an_unanswered_write_went_into_is_written_whole_by_whoever_is_linked_to_it():
    """8 found the contact of 7; its answer is missing, it is deleted, and nothing leads there: 7 has another address."""
    world = World()
    world.call("create", 7, email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [written_without_an_answer]
    world.call("create", 8, email="a@x.nl", name="B")
    world.settle()
    assert [contact["firstname"] for contact in world.contacts()] == ["B"]
    world.call("update", 7, at=1, email="b@x.nl", name="A")
    world.settle()
    world.call("delete", 8, at=2)
    world.wait(60_000)
    assert world.contacts() == [{"email": "b@x.nl", "firstname": "A"}]


def test_s9_an_unanswered_write_of_another_mapping_is_no_reason_to_write_whole():
    """A click found the contact, and what became of it is not known: the profile's own fields are as they were."""
    clicks = SimpleMapping(
        name="clicks", verb=Verb.UPDATE, deliver=Deliver.EACH, fields={}, types=frozenset({EventType.CLICK})
    )
    world = World(SimpleMapping(), clicks)
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [written_without_an_answer]
    world.email("click", "a@x.nl")
    world.settle()
    world.call("update", at=1, email="a@x.nl", name="A")
    world.settle()
    assert world.states("customers") == ["delivered", "unchanged"]


def test_s8_what_a_late_write_went_into_is_written_whole_by_whoever_is_linked_to_it():
    """8 was deleted while its deliverer slept; it woke and wrote into the contact of 7, which changed its address then."""
    world = World(crm=SmallCrm(lag=5_000))
    world.call("create", 7, email="a@x.nl", name="A")
    world.wait(60_000)
    world.call("create", 8, email="a@x.nl", name="B")
    sleeper = world.deliverer()
    sleeper.turn()
    (job,) = sleeper.pool.jobs
    perform, sleeper.pool.hold_back = sleeper.pool.perform_job, True
    world.clock.pass_(300_000)
    world.call("delete", 8, at=1)
    world.wait(60_000)
    sent = world.crm.do(job.leased[0].attempt.write)
    assert [contact["firstname"] for contact in world.contacts()] == ["B"]
    sleeper.pool.perform_job = lambda job: replace(perform(job), outcomes=[sent])
    sleeper.pool.hold_back = False
    sleeper.finish()
    world.call("update", 7, at=2, email="b@x.nl", name="A")
    world.wait(60_000)
    assert world.contacts() == [{"email": "b@x.nl", "firstname": "A"}]


def test_s11_who_lost_its_link_searches_only_when_its_own_last_write_surely_shows():
    """8 gave the contact that it shared with 7 an address, left it, and comes back with that address: it may be found."""
    world = World(crm=SmallCrm(lag=30_000))
    world.call("create", 7, email="a@x.nl", name="A")
    world.wait(60_000)
    world.call("create", 8, email="a@x.nl", name="B")
    world.wait(60_000)
    world.call("update", 8, at=1, email="b@x.nl", name="B")
    world.settle()
    world.call("delete", 8, at=2)
    world.settle()
    world.call("create", 8, at=3, email="b@x.nl", name="B")
    world.settle()
    assert world.states()[-2:] == ["skipped", "pending"]
    world.wait(60_000)
    assert world.states()[-1] == "delivered"
    assert sorted(contact["email"] for contact in world.contacts()) == ["a@x.nl", "b@x.nl"]
