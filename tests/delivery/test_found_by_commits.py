"""Defects that a CRM which commits and dies at random places has shown, each as the smallest story of it."""

from connector.deliver.health import Health
from connector.domain.outcome import Outcome, OutcomeKind
from connector.outbox.port import Pause
from tests.support.world import World, answer, lost_reply

NOW = 1_800_000_000_000


def test_s23_a_pause_is_not_lengthened_by_failures_that_left_before_it():
    """Sixteen requests that fail together are one piece of news: the first probe comes after a second, not minutes."""
    health = Health("crm")
    pause: Pause | None = None
    for _ in range(16):
        pause = health.note(Outcome(kind=OutcomeKind.RETRY, wrote=True), "contact", NOW, pause) or pause
    assert pause is not None
    assert pause.until == NOW + 1000


def test_s23_a_failed_probe_lengthens_the_pause():
    """Each probe that fails doubles the wait."""
    health = Health("crm")
    pause: Pause | None = None
    for _ in range(4):
        pause = health.note(Outcome(kind=OutcomeKind.RETRY), "contact", NOW, pause) or pause
    assert pause is not None
    assert pause.until is not None
    second = health.note(Outcome(kind=OutcomeKind.RETRY), "contact", pause.until, pause)
    assert second is not None
    assert second.until == pause.until + 2000


def test_s4_a_record_that_our_own_lost_delete_took_away_comes_back_after_a_refusal_in_between():
    """Delete (taken, reply lost), revived, refused once by a limit: still nobody else deleted it, so it is made anew."""
    world = World()
    world.call("create", email="a@x.nl", name="A")
    world.settle()
    world.crm.faults = [lost_reply]
    world.call("delete", at=1)
    world.settle()
    assert world.crm.table("contacts") == {}
    world.crm.faults = [answer(OutcomeKind.THROTTLED, wrote=True, crm_id="1")]
    world.call("create", at=2, email="a@x.nl", name="B")
    world.wait(120_000)
    assert world.crm.faults == []
    assert world.contacts() == [{"email": "a@x.nl", "firstname": "B"}]
