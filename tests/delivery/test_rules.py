"""The rules of a faithful sync, each by its number. What people may rely on, whatever the CRM and the network do."""

import dataclasses

import pytest

from connector.deliver.destination import Mode
from connector.domain.change import Verb, WhenGone
from connector.domain.event import EventType
from connector.domain.outcome import OutcomeKind, Scope
from connector.domain.retry import Schedule
from connector.mapping.port import Deliver
from connector.mapping.port import Write as WritePolicy
from connector.outbox.port import Filter, Pause
from tests.support.world import SimpleMapping, SmallCrm, World, answer, lost_reply

FAILS = answer(OutcomeKind.RETRY, reason="500", status=500)
UNREACHABLE = answer(OutcomeKind.UNREACHABLE, reason="connection refused")


def bounces(**more):
    return SimpleMapping(
        name="bounces",
        verb=Verb.UPDATE,
        deliver=Deliver.EACH,
        fields={},
        types=frozenset({EventType.BOUNCE, EventType.CLICK}),
        **more,
    )


def test_s1_two_mappings_of_one_event_are_two_lines():
    """Superseding in one mapping leaves the other's deliveries alone."""
    world = World(SimpleMapping(), SimpleMapping(name="audit", object="audits", deliver=Deliver.EACH))
    world.call("create", email="a@x.nl", name="A")
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    assert world.states("customers") == ["superseded", "delivered"]
    assert world.states("audit") == ["delivered", "delivered"]


def test_s2_state_lines_collapse_and_each_lines_deliver_every_event_in_order():
    """Ten opens are ten deliveries; ten updates are one."""
    world = World(SimpleMapping(), bounces())
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    for i in range(10):
        world.call("update", at=1 + i, email="a@x.nl", name=f"N{i}")
        world.email("click", "A@x.nl", at=1 + i, message=f"m{i}")
    world.settle()
    world.wait(1_000)
    assert world.states().count("superseded") == 9
    assert world.states("bounces") == ["delivered"] * 10
    assert world.contacts()[0]["firstname"] == "N9"


def test_s2_an_each_line_waits_for_its_head_and_goes_on_when_the_head_is_dead():
    """The second event of an e-mail address does not pass the first; a dead first one holds nobody for ever."""
    world = World(SimpleMapping(), bounces())
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [answer(OutcomeKind.RETRY, reason="busy"), answer(OutcomeKind.PERMANENT, reason="no")]
    first = world.email("click", "a@x.nl", message="m1")
    world.email("click", "a@x.nl", at=1, message="m2")
    world.settle()
    assert world.states("bounces") == ["pending", "pending"]
    world.wait(3_000)
    assert world.states("bounces") == ["dead", "delivered"]
    assert world.reason(first, "bounces") == "no"


def test_s3_an_older_state_that_comes_late_never_goes_after_a_newer_one():
    """Order is the event's own time, not its arrival."""
    world = World()
    world.call("update", at=10, email="a@x.nl", name="new")
    world.settle()
    world.call("update", at=5, email="a@x.nl", name="old")
    world.settle()
    assert world.states() == ["delivered", "superseded"]
    assert world.contacts()[0]["firstname"] == "new"


def test_s3_within_one_second_arrival_decides_and_a_delete_comes_last():
    """Equal stamps: the later call wins; a delete wins over an update that came after it in the same second."""
    world = World()
    world.call("update", at=1, email="a@x.nl", name="first")
    world.call("update", at=1, email="a@x.nl", name="second")
    world.settle()
    assert world.contacts()[0]["firstname"] == "second"
    world.call("delete", at=2)
    world.call("update", at=2, email="a@x.nl", name="third")
    world.settle()
    assert world.contacts() == []


def test_s4_a_delete_is_final_and_only_a_strictly_later_event_revives():
    """An update that was on its way when the profile was deleted does not bring it back; a later one does, and is said."""
    world = World()
    world.call("create", at=0, email="a@x.nl", name="A")
    world.settle()
    world.call("delete", at=5)
    world.settle()
    world.call("update", at=5, email="a@x.nl", name="B")
    world.settle()
    assert world.contacts() == []
    assert world.said("deleted records came back") == []
    world.call("update", at=6, email="a@x.nl", name="C")
    world.settle()
    assert world.contacts()[0]["firstname"] == "C"
    assert world.said("deleted records came back") == [{"records": 1}]


def test_s5_created_and_deleted_before_anything_left_sends_nothing():
    """Neither the create nor the delete costs a call."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.call("delete", at=1)
    world.settle()
    assert world.crm.calls == 0
    assert world.states() == ["superseded", "skipped"]


def test_s5_a_delete_goes_when_an_attempt_of_the_create_may_have_left():
    """The create's answer was lost: the delete has to find and remove what may be there."""
    world = World()
    world.crm.faults = [lost_reply]
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    assert len(world.contacts()) == 1
    world.call("delete", at=1)
    world.settle()
    assert world.contacts() == []


def test_s5_attempts_that_never_left_the_house_do_not_count():
    """With the CRM unreachable, create and delete still cancel out."""
    world = World()
    world.crm.faults = [UNREACHABLE]
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("delete", at=1)
    world.wait(10_000)
    assert world.crm.calls == 1
    assert world.states() == ["superseded", "skipped"]


def test_s6_a_dead_delivery_is_superseded_when_a_newer_one_of_its_line_is_delivered():
    """Nobody has to clear up a dead row whose newer state went well."""
    world = World()
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="bad city")]
    world.call("create", email="a@x.nl", name="A", city="?")
    world.settle()
    assert world.states() == ["dead"]
    world.call("update", at=1, email="a@x.nl", name="A", city="Goes")
    world.settle()
    assert world.states() == ["superseded", "delivered"]


def test_s7_links_do_not_depend_on_the_mapping_s_name():
    """A renamed mapping goes on with the same CRM record."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.mappings.mappings = {"renamed": SimpleMapping(name="renamed")}
    world.call("update", at=1, email="other@x.nl", name="B")
    world.settle()
    assert len(world.contacts()) == 1
    assert world.contacts()[0]["email"] == "other@x.nl"


def test_s8_a_lost_reply_makes_the_old_state_unknown_so_that_going_back_to_it_is_sent():
    """A accepted; B taken, its reply lost; A comes again: it is sent, not taken for unchanged."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [lost_reply]
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    assert world.contacts()[0]["firstname"] == "B"
    world.call("update", at=2, email="a@x.nl", name="A")
    world.wait(60_000)
    assert world.contacts()[0]["firstname"] == "A"


def test_s9_only_changed_fields_are_sent_and_a_colleague_s_edit_survives():
    """A field that did not change at Copernica is left alone in the CRM."""
    world = World()
    world.call("create", email="a@x.nl", name="A", city="Goes")
    world.settle()
    world.contacts()[0]["city"] = "edited in the CRM"
    world.call("update", at=1, email="a@x.nl", name="B", city="Goes")
    world.settle()
    assert world.crm.journal[-1] == ("update", "contacts", "1", {"firstname": "B"})
    assert world.contacts()[0]["city"] == "edited in the CRM"


def test_s9_nothing_new_costs_no_call():
    """A database-wide touch is free."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    for i in range(5):
        world.call("update", at=1 + i, email="a@x.nl", name="A")
        world.settle()
    assert world.crm.calls == 1
    assert world.states()[1:] == ["unchanged"] * 5
    assert world.desk.status().counters["unchanged"] == 5


def test_s9_write_all_sends_every_field_when_any_differs():
    """A mapping that owns the record overwrites a colleague's edit."""
    world = World(SimpleMapping(write=WritePolicy.ALL))
    world.call("create", email="a@x.nl", name="A", city="Goes")
    world.settle()
    world.contacts()[0]["city"] = "edited"
    world.call("update", at=1, email="a@x.nl", name="B", city="Goes")
    world.settle()
    assert world.contacts()[0]["city"] == "Goes"


def test_s10_a_record_that_a_person_deleted_in_the_crm_stays_deleted_by_default():
    """Unlinked, skipped, visible; later changes do not bring it back."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.table("contacts").clear()
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    later = world.call("update", at=2, email="a@x.nl", name="C")
    world.settle()
    assert world.contacts() == []
    assert world.states()[1:] == ["skipped", "skipped"]
    assert "when_gone" in world.reason(later)


def test_s10_recreate_brings_it_back_with_all_its_fields():
    """With when_gone: recreate the record is made anew, whole."""
    world = World(SimpleMapping(when_gone=WhenGone.RECREATE))
    world.call("create", email="a@x.nl", name="A", city="Goes")
    world.settle()
    world.crm.table("contacts").clear()
    world.call("update", at=1, email="a@x.nl", name="B", city="Goes")
    world.settle()
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "B", "city": "Goes"}]


def test_s11_a_changed_e_mail_changes_the_linked_record_and_makes_no_second():
    """The link decides, not the match key."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("update", at=1, email="b@x.nl", name="A")
    world.settle()
    assert world.contacts() == [{"email": "b@x.nl", "firstname": "A"}]


def test_s11_an_update_refused_as_duplicate_is_dead_and_names_the_other():
    """It never adopts: two people would become one."""
    world = World()
    world.call("create", 7, email="a@x.nl", name="A")
    world.call("create", 8, email="b@x.nl", name="B")
    world.settle()
    refused = world.call("update", 7, at=1, email="b@x.nl", name="A")
    world.settle()
    assert world.states()[-1] == "dead"
    assert "record 2" in world.reason(refused)
    assert sorted(c["firstname"] for c in world.contacts()) == ["A", "B"]


def test_s12_without_a_usable_match_value_nothing_is_sent():
    """An empty e-mail address never becomes a search or an upsert key."""
    world = World()
    event = world.call("create", email="", name="A")
    world.settle()
    assert world.states() == ["skipped"]
    assert world.reason(event) == "no e-mail address"
    assert world.contacts() == []


def test_s12_more_than_one_hit_is_dead_with_the_candidates():
    """Never the first of several."""
    world = World()
    world.crm.table("contacts").update({"x1": {"email": "a@x.nl"}, "x2": {"email": "a@x.nl"}})
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    assert world.states() == ["dead"]


def test_s13_fields_for_a_new_record_only_go_in_the_create():
    """A found record keeps its own."""
    world = World(SimpleMapping(create_only={"source": "copernica"}))
    world.crm.table("contacts")["x1"] = {"email": "old@x.nl", "source": "fair"}
    world.call("create", 7, email="old@x.nl", name="A")
    world.call("create", 8, email="new@x.nl", name="B")
    world.settle()
    assert sorted(c["source"] for c in world.contacts()) == ["copernica", "fair"]


def test_s14_a_newest_state_that_is_not_wanted_supersedes_older_pending_ones():
    """An opt-out that arrives while the opt-in waits wins."""
    world = World(SimpleMapping(when=lambda event: (event.fields or {}).get("city") != "no"))
    world.call("create", email="a@x.nl", name="A", city="yes")
    world.call("update", at=1, email="a@x.nl", name="A", city="no")
    world.settle()
    assert world.states() == ["superseded", "skipped"]
    assert world.crm.calls == 0


def test_s15_a_delete_without_fields_acts_on_the_link():
    """Older senders give none."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("delete", at=1)
    world.settle()
    assert world.contacts() == []


def test_s15_a_delete_without_a_link_takes_its_match_key_from_the_last_stored_call():
    """The record was in the CRM before we came, and its update is dead: the delete finds it all the same."""
    world = World()
    world.crm.table("contacts")["x1"] = {"email": "a@x.nl"}
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="no")]
    world.call("update", email="a@x.nl", name="A")
    world.settle()
    world.call("delete", at=1)
    world.settle()
    assert world.contacts() == []


def test_s15_a_delete_with_neither_link_nor_stored_call_is_skipped_with_the_reason():
    """It is visible, and nothing is guessed."""
    world = World()
    event = world.call("delete")
    world.settle()
    assert world.states() == ["skipped"]
    assert "nothing to recognise it by" in world.reason(event)


def test_s16_a_shared_record_is_erased_only_with_its_last_link():
    """Two profiles of one person: deleting one unlinks, and the other's newest state is sent again."""
    world = World()
    world.call("create", 7, email="a@x.nl", name="Seven")
    world.settle()
    world.call("create", 8, email="a@x.nl", name="Eight")
    world.settle()
    assert len(world.contacts()) == 1
    world.call("delete", 8, at=1)
    world.settle()
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "Seven"}]
    world.call("delete", 7, at=2)
    world.settle()
    assert world.contacts() == []


def test_s16_an_address_found_by_an_e_mail_event_keeps_no_record_alive():
    """A bounce that found the contact by its address is no second owner."""
    world = World(SimpleMapping(), bounces())
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.email("bounce", "a@x.nl")
    world.settle()
    world.call("delete", at=1)
    world.settle()
    assert world.contacts() == []


def test_s17_a_first_contact_never_wipes_what_the_crm_has():
    """Empty at Copernica, filled in the CRM: left alone, until we filled it ourselves."""
    world = World()
    world.crm.table("contacts")["x1"] = {"email": "a@x.nl", "city": "Goes"}
    world.call("update", email="a@x.nl", name="A", city="")
    world.settle()
    assert world.contacts()[0]["city"] == "Goes"
    world.call("update", at=1, email="a@x.nl", name="A", city="Veere")
    world.settle()
    world.call("update", at=2, email="a@x.nl", name="A", city="")
    world.settle()
    assert "city" not in world.contacts()[0]


def test_s17_a_field_that_a_lost_attempt_may_have_filled_is_cleared():
    """Nothing accepted, a city sent and the reply lost, then emptied at Copernica: the CRM ends without a city."""
    world = World()
    world.call("create", email="a@x.nl", name="A", city="")
    world.settle()
    world.crm.faults = [lost_reply]
    world.call("update", at=1, email="a@x.nl", name="A", city="Goes")
    world.settle()
    world.call("update", at=2, email="a@x.nl", name="A", city="")
    world.wait(60_000)
    assert "city" not in world.contacts()[0]


def test_s19_e_mail_events_only_update_what_they_find():
    """No contact, no new contact: skipped."""
    world = World(bounces())
    event = world.email("bounce", "nobody@x.nl")
    world.settle()
    assert world.contacts() == []
    assert world.reason(event, "bounces") == "no such record"


def test_s21_who_settles_after_its_lease_has_gone_makes_the_newest_state_go_again():
    """A deliverer that slept through its lease and sent late: the CRM flickers, and converges."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    sleeper = world.deliverer()
    world.call("update", at=1, email="a@x.nl", name="B")
    sleeper.turn()  # claimed
    job = sleeper.pool.jobs[0]
    world.clock.pass_(job.send_by - world.clock.elapsed())  # still in time to send, then suspended
    late = sleeper.pool.perform_job
    world.clock.pass_(120_000)
    world.call("update", at=2, email="a@x.nl", name="C")
    world.settle()
    assert world.contacts()[0]["firstname"] == "C"
    world.crm.do(job.leased[0].attempt.write)  # the late request arrives
    assert world.contacts()[0]["firstname"] == "B"
    sleeper.pool.perform_job = lambda job: dataclasses.replace(
        late(job),
        outcomes=[answer(OutcomeKind.UPDATED, wrote=True, crm_id="1")(world.crm, job.leased[0].attempt.write)],
    )
    sleeper.finish()
    world.settle()
    assert world.contacts()[0]["firstname"] == "C"


def test_s21_nothing_is_sent_when_the_lease_has_ended():
    """The gate stands directly before the request."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    sleeper = world.deliverer()
    sleeper.turn()
    world.clock.pass_(300_000)
    sleeper.finish()
    assert world.crm.calls == 0
    world.settle()
    assert world.states() == ["delivered"]


def test_s22_a_create_without_an_answer_is_looked_for_before_it_is_made_again():
    """One contact, however often the answer is lost; and the search waits for the index."""
    crm = SmallCrm(lag=5_000)
    world = World(crm=crm)
    crm.faults = [lost_reply]
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    assert world.states() == ["pending"]
    calls = crm.calls
    world.wait(4_000)
    assert crm.calls == calls
    world.wait(4_000)
    assert world.states() == ["delivered"]
    assert len(world.contacts()) == 1


def test_s23_a_crm_that_is_down_for_a_long_weekend_makes_nothing_dead():
    """Attempts and time do not count while the destination is not proven healthy; it resumes by itself."""
    world = World(schedule=Schedule(attempts=3, give_up_after=60_000, jitter=0))
    down = {"yes": True}

    def fault(_crm, _write):
        if down["yes"]:
            world.crm.faults.insert(0, fault)
            return UNREACHABLE(_crm, _write)
        return None

    world.crm.faults = [fault]
    for i in range(20):
        world.call("create", 100 + i, email=f"p{i}@x.nl", name="A")
    world.wait(72 * 3_600_000)
    assert set(world.states()) == {"pending"}
    assert world.said("paused")
    probes = world.crm.calls
    assert probes < 2_500, "a CRM that is down is not hammered"
    down["yes"] = False
    world.wait(5 * 60_000)
    assert set(world.states()) == {"delivered"}
    assert world.said("resumed")


def test_s23_a_record_that_fails_alone_is_given_up_by_count_and_time():
    """While others succeed, its own attempts count."""
    world = World(schedule=Schedule(attempts=3, first=1_000, factor=1, give_up_after=2_000, jitter=0))

    def only_seven(crm, write):
        crm.faults.insert(0, only_seven)
        return FAILS(crm, write) if write.full.get("email") == "bad@x.nl" else None

    world.crm.faults = [only_seven]
    bad = world.call("create", 7, email="bad@x.nl", name="A")
    for i in range(12):
        world.call("create", 100 + i, email=f"p{i}@x.nl", name="A")
        world.wait(1_000)
    assert world.states()[0] == "dead"
    assert "given up after" in world.reason(bad)
    assert set(world.states()[1:]) == {"delivered"}


def test_s23_a_throttle_pauses_until_the_crm_s_own_time_and_costs_no_attempt():
    """Retry-After is obeyed to the millisecond."""
    world = World()
    until = world.clock.now() + 30_000
    world.crm.faults = [answer(OutcomeKind.THROTTLED, retry_at=until, reason="429")]
    event = world.call("create", email="a@x.nl", name="A")
    world.wait(29_000)
    assert world.crm.calls == 1
    world.wait(2_000)
    assert world.states() == ["delivered"]
    detail = world.desk.show(event)
    assert detail is not None
    assert detail.event.deliveries[0].attempts == 0


def test_s23_a_refused_permission_for_one_object_pauses_that_object_only():
    """Contacts go on while deals may not be written."""
    world = World(SimpleMapping(), SimpleMapping(name="deals", object="deals", collection="2", match="email"))
    world.crm.faults = [answer(OutcomeKind.UNAUTHORISED, scope=Scope.OBJECT, status=403, reason="403")]
    world.subprofile("create", 1, email="d@x.nl")
    world.settle()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    assert world.states("deals") == ["pending"]
    assert world.states("customers") == ["delivered"]
    assert set(world.engine.queue.pauses(0)) == {"crm/deals"}


def test_s25_a_child_waits_for_its_pending_parent_then_is_linked_to_it():
    """The contact first, then the deal with its link."""
    deals = SimpleMapping(
        name="deals", object="deals", collection="2", match="email", parent=("contact", "customers", "contacts")
    )
    world = World(SimpleMapping(), deals)
    world.crm.faults = [FAILS]
    world.call("create", 7, email="a@x.nl", name="A")
    world.settle()
    world.subprofile("create", 1, 7, email="deal-1")
    world.settle()
    assert world.states("deals") == ["pending"]
    world.wait(20_000)
    assert world.crm.associations == {("2", "contact", "contacts", "1")}


def test_s25_a_parent_that_is_dead_holds_nobody_and_is_linked_when_it_comes():
    """The deal goes unlinked; when the contact gets its link, the association is made up for."""
    deals = SimpleMapping(
        name="deals", object="deals", collection="2", match="email", parent=("contact", "customers", "contacts")
    )
    world = World(SimpleMapping(), deals)
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="no")]
    world.call("create", 7, email="a@x.nl", name="A")
    world.settle()
    world.subprofile("create", 1, 7, email="deal-1")
    world.settle()
    assert world.states("deals") == ["delivered"]
    assert world.crm.associations == set()
    world.call("update", 7, at=1, email="a@x.nl", name="A")
    world.settle()
    assert world.crm.associations == {("1", "contact", "contacts", "2")}


def test_s26_replay_sends_the_newest_state_of_the_record_and_supersedes_older_ones():
    """Selecting two dead events of one record makes one delivery."""
    world = World()
    world.crm.faults = [
        answer(OutcomeKind.PERMANENT, reason="bad mapping"),
        answer(OutcomeKind.PERMANENT, reason="bad mapping"),
    ]
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    assert world.states() == ["dead", "dead"]
    done = world.desk.replay(Filter(states=("dead",)), world.clock.now(), exact=False, again=False, dry_run=False)
    assert done.done == 1
    assert done.left == {"older than the newest state, superseded": 1}
    world.settle()
    assert world.states() == ["superseded", "delivered"]
    assert world.contacts()[0]["firstname"] == "B"


def test_s26_replay_is_not_swallowed_because_nothing_changed():
    """A delivered record that is replayed is sent again, whole."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.contacts()[0]["firstname"] = "edited"
    world.desk.replay(Filter(ids=(1,)), world.clock.now(), exact=False, again=False, dry_run=False)
    world.settle()
    assert world.contacts()[0]["firstname"] == "A"


def test_s26_a_dry_run_changes_nothing():
    """It says what it would do."""
    world = World()
    world.crm.faults = [answer(OutcomeKind.PERMANENT, reason="no")]
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    done = world.desk.replay(Filter(states=("dead",)), world.clock.now(), exact=False, again=False, dry_run=True)
    assert done.done == 1
    world.settle()
    assert world.states() == ["dead"]


def test_s26_each_events_replay_singly_and_a_success_only_with_again():
    """A click that was counted is not counted twice by accident."""
    world = World(SimpleMapping(), bounces())
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    event = world.email("click", "a@x.nl")
    world.settle()
    calls = world.crm.calls
    done = world.desk.replay(Filter(ids=(event,)), world.clock.now(), exact=False, again=False, dry_run=False)
    world.settle()
    assert (done.done, world.crm.calls) == (0, calls)
    world.desk.replay(Filter(ids=(event,)), world.clock.now(), exact=False, again=True, dry_run=False)
    world.settle()
    assert world.crm.calls == calls + 1


def test_s27_a_hold_of_a_record_covers_later_states_and_release_sends_the_newest():
    """They collapse while they are held."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.desk.hold(Filter(record="profile/1/7"), world.clock.now(), dry_run=False)
    world.call("update", at=1, email="a@x.nl", name="B")
    world.call("update", at=2, email="a@x.nl", name="C")
    world.settle()
    assert world.states()[1:] == ["superseded", "held"]
    world.desk.release(Filter(record="profile/1/7"), world.clock.now(), dry_run=False)
    world.settle()
    assert world.contacts()[0]["firstname"] == "C"


def test_s23_a_clock_that_is_set_back_makes_no_old_success_new():
    """The other delivery succeeded ten minutes ago, whatever the time of day says since: failures cost no attempt."""
    world = World(schedule=Schedule(attempts=1, give_up_after=0, jitter=0))
    world.call("create", 1, email="a@x.nl", name="A")
    world.settle()
    world.clock.pass_(600_000)
    world.clock.time -= 600_000
    world.settle()
    world.crm.faults = [answer(OutcomeKind.RETRY, reason="500", status=500)]
    world.call("create", 2, email="b@x.nl", name="B")
    world.settle()
    assert world.states()[-1] == "pending"


def test_s27_a_replay_of_a_held_record_says_that_it_is_held():
    """It does not go before it is released, and is not counted as if it did."""
    world = World()
    world.desk.hold(Filter(record="profile/1/7"), world.clock.now(), dry_run=False)
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    done = world.desk.replay(Filter(record="profile/1/7"), world.clock.now(), exact=False, again=False, dry_run=False)
    assert (done.done, done.left) == (0, {"held: goes when it is released": 1})
    world.settle()
    assert world.states() == ["held"]


def test_s27_an_observed_destination_is_sent_nothing_and_going_live_delivers_the_newest_state():
    """What would have been sent is visible meanwhile."""
    world = World(mode=Mode.OBSERVE)
    event = world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    assert world.crm.calls == 0
    assert world.states() == ["superseded", "held"]
    assert "observe: would upsert contacts" in world.reason(event + 1)
    world.mode = Mode.LIVE
    world.engine = world.deliverer()
    world.settle()
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "B"}]


def test_s27_a_paused_destination_is_sent_nothing_until_it_is_resumed():
    """By command, without a time."""
    world = World()
    world.desk.pause(Pause("crm", "operator", "maintenance", world.clock.now()))
    world.call("create", email="a@x.nl", name="A")
    world.wait(3_600_000)
    assert world.crm.calls == 0
    world.desk.resume("crm")
    world.settle()
    assert world.states() == ["delivered"]


def test_s31_overlapping_webhooks_are_one_event_for_an_each_line():
    """The same click, signed twice, is delivered once."""
    world = World(SimpleMapping(), bounces())
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.email("click", "a@x.nl", message="m1", original="https://x.nl/a")
    world.email("click", "a@x.nl", message="m1", original="https://x.nl/a")
    world.email("click", "a@x.nl", message="m1", original="https://x.nl/b")
    world.settle()
    assert world.states("bounces") == ["delivered", "delivered"]


@pytest.mark.parametrize("kind", [OutcomeKind.RETRY, OutcomeKind.UNREACHABLE, OutcomeKind.AMBIGUOUS])
def test_a_newer_state_passes_an_older_one_that_is_being_retried(kind):
    """The older one is superseded, and never sent again."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [answer(kind, reason="later", wrote=kind is OutcomeKind.AMBIGUOUS)]
    world.call("update", at=1, email="a@x.nl", name="B")
    world.settle()
    world.call("update", at=2, email="a@x.nl", name="C")
    world.wait(30_000)
    assert world.states()[1:] == ["superseded", "delivered"]
    assert [entry[3].get("firstname") for entry in world.crm.journal] == ["A", "C"]


def test_a_newer_state_waits_for_the_one_that_is_being_sent():
    """Two states of one record are never under way together, whoever claims."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.engine.pool.hold_back = True
    world.engine.turn()
    world.call("update", at=1, email="a@x.nl", name="B")
    other = world.deliverer()
    other.turn()
    assert other.pool.jobs == []
    world.engine.pool.hold_back = False
    world.settle()
    assert world.contacts()[0]["firstname"] == "B"


def test_two_records_with_one_match_key_are_never_under_way_together():
    """So that a search-then-create race makes no second contact."""
    world = World()
    world.call("create", 7, email="a@x.nl", name="A")
    world.call("create", 8, email="A@x.nl", name="B")
    world.engine.pool.hold_back = True
    world.engine.turn()
    other = world.deliverer()
    other.turn()
    assert sum(len(job.leased) for job in world.engine.pool.jobs + other.pool.jobs) == 1


def test_a_jump_of_the_time_of_day_moves_what_was_planned_with_it():
    """A clock that was a year ahead and is put right does not stop deliveries for a year; the other way makes no storm."""
    world = World()
    world.crm.faults = [FAILS]
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    year = 365 * 86_400_000
    world.clock.time -= year
    world.settle()
    assert world.crm.calls == 1
    world.wait(10_000)
    assert world.states() == ["delivered"]


def test_a_deliverer_that_died_in_the_middle_leaves_nothing_behind(tmp_path):
    """Its lease ends at once, the next one looks first, and one contact is there."""
    world = World(path=tmp_path / "outbox.db")
    dying = world.deliverer()
    world.call("create", email="a@x.nl", name="A")
    dying.turn()
    job = dying.pool.jobs[0]
    world.crm.do(job.leased[0].attempt.write)  # sent and taken, then killed
    dying.queue._owners.close()
    world.wait(2_000)
    assert world.states() == ["delivered"]
    assert len(world.contacts()) == 1
    assert world.said("leases ended without an answer") == [{"deliveries": 1}]


def test_s20_a_mass_delete_is_held_until_a_person_decides():
    """Deleting a database in Copernica does not empty the CRM: the first 50 go, the others wait, loudly."""
    world = World()
    for i in range(80):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.settle()
    for i in range(80):
        world.call("delete", i + 1, at=1)
    world.settle()
    assert len(world.contacts()) == 30
    assert world.states().count("held") == 30
    assert len(world.said("mass delete held")) == 1
    world.wait(2 * 3_600_000)
    assert len(world.contacts()) == 30, "held is held, however long"
    world.desk.release(Filter(states=("held",)), world.clock.now(), dry_run=False)
    world.settle()
    assert world.contacts() == []


def test_s20_a_newer_state_supersedes_a_held_delete():
    """The profile came back before anybody decided: it stays."""
    world = World(SimpleMapping(guard=(0, 0.0)))
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.call("delete", at=1)
    world.settle()
    assert world.states()[-1] == "held"
    world.call("create", at=5, email="a@x.nl", name="B")
    world.settle()
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "B"}]
    assert world.states() == ["delivered", "superseded", "delivered"]


def test_s27_an_operator_s_pause_for_a_time_ends_by_itself():
    """`pause crm --for 1h` needs no resume."""
    world = World()
    now = world.clock.now()
    world.desk.pause(Pause("crm", "operator", "maintenance", now, until=now + 3_600_000))
    for i in range(5):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.wait(3_500_000)
    assert world.crm.calls == 0
    world.wait(200_000)
    assert set(world.states()) == {"delivered"}


def test_s27_a_paused_mapping_is_not_delivered_while_others_go_on():
    """One mapping of a destination, by its name."""
    world = World(SimpleMapping(), SimpleMapping(name="audit", object="audits"))
    world.desk.pause(Pause("customers", "operator", "wrong", world.clock.now()))
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    assert (world.states("customers"), world.states("audit")) == (["pending"], ["delivered"])


def test_s22_a_create_in_doubt_is_also_looked_for_under_the_e_mail_it_was_made_with():
    """The create with the old address was committed, its answer lost; then the address changed: still one contact."""
    world = World()
    world.crm.faults = [lost_reply]
    world.call("create", email="old@x.nl", name="A")
    world.settle()
    world.call("update", at=1, email="new@x.nl", name="A")
    world.wait(60_000)
    assert world.contacts() == [{"email": "new@x.nl", "firstname": "A"}]


def test_s25_a_link_to_a_parent_that_is_gone_is_made_again_when_the_parent_is():
    """Somebody deleted the contact in the CRM; it is recreated by its next change, and the deal is linked to it again."""
    deals = SimpleMapping(
        name="deals", object="deals", collection="2", match="email", parent=("contact", "customers", "contacts")
    )
    world = World(SimpleMapping(when_gone=WhenGone.RECREATE), deals)
    world.call("create", 7, email="a@x.nl", name="A")
    world.settle()
    world.crm.table("contacts").clear()
    world.crm.faults = [answer(OutcomeKind.CREATED, crm_id="d1", wrote=True, unassociated=("contact",))]
    world.subprofile("create", 1, 7, email="deal-1")
    world.settle()
    world.crm.table("deals")["d1"] = {"email": "deal-1"}
    calls = world.crm.calls
    world.wait(60_000)
    assert world.crm.calls == calls, "nothing is tried again and again"
    world.call("update", 7, at=1, email="a@x.nl", name="B")
    world.settle()
    new = next(iter(world.crm.table("contacts")))
    assert ("d1", "contact", "contacts", new) in world.crm.associations


def test_a_clock_that_was_set_back_while_nothing_ran_stops_no_delivery():
    """What waited for its next try, or for certainty, does not wait for a year."""
    world = World()
    world.crm.faults = [FAILS, lost_reply]
    world.call("create", 1, email="a@x.nl", name="A")
    world.call("create", 2, email="b@x.nl", name="B")
    world.settle()
    world.clock.time -= 365 * 86_400_000
    world.engine = world.deliverer()
    world.wait(86_400_000 + 60_000)
    assert world.states() == ["delivered", "delivered"]
    assert len(world.contacts()) == 2


def test_s22_a_recreated_record_whose_answer_was_lost_is_looked_for_under_its_old_address():
    """Linked, deleted in the CRM, recreated, killed before settling; then the address changed: still one contact."""
    world = World(SimpleMapping(when_gone=WhenGone.RECREATE))
    world.call("create", email="old@x.nl", name="A")
    world.settle()
    world.crm.table("contacts").clear()
    world.crm.faults = [lost_reply]
    world.call("update", at=1, email="old@x.nl", name="B")
    world.settle()
    assert len(world.contacts()) == 1
    world.call("update", at=2, email="new@x.nl", name="B")
    world.wait(60_000)
    assert world.contacts() == [{"email": "new@x.nl", "firstname": "B"}]


@pytest.mark.parametrize("way", ["deleted in the CRM", "deleted at Copernica"])
def test_s25_children_follow_a_parent_that_is_made_anew(way):
    """Its deals were linked with the contact that is gone; they are linked with the new one."""
    deals = SimpleMapping(
        name="deals", object="deals", collection="2", match="email", parent=("contact", "customers", "contacts")
    )
    world = World(SimpleMapping(when_gone=WhenGone.RECREATE), deals)
    world.call("create", 7, email="a@x.nl", name="A")
    world.settle()
    world.subprofile("create", 1, 7, email="deal-1")
    world.settle()
    ((deal, *_),) = world.crm.associations
    if way == "deleted in the CRM":
        world.crm.table("contacts").clear()
        world.call("update", 7, at=1, email="a@x.nl", name="B")
    else:
        world.call("delete", 7, at=1)
        world.settle()
        world.call("create", 7, at=2, email="a@x.nl", name="B")
    world.settle()
    (new,) = world.crm.table("contacts")
    assert (deal, "contact", "contacts", new) in world.crm.associations
    calls = world.crm.calls
    world.call("update", 7, at=3, email="a@x.nl", name="C")
    world.settle()
    assert world.crm.calls == calls + 1, "the deal goes again only when its contact is another one"
