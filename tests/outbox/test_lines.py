"""A line has one head: whatever an operator does, its deliveries go one after another, and none waits for nobody."""

import pytest

from connector.domain.accepted import Accepted
from connector.domain.delivery import DeliveryState
from connector.domain.event import EventType
from connector.outbox.port import Filter, Keep, LinkChange, Settlement, Take
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.desk import SqliteDesk
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.outbox.sqlite.queue import SqliteQueue
from tests.outbox.conformance.calls import MAPPINGS, RECORDS, Said, Table

T0 = 1_800_000_000_000


class Outbox:
    """An outbox in memory, and short ways to use it."""

    def __init__(self):
        db = Database(None)
        self.inbox, self.queue, self.desk, self.table = SqliteInbox(db), SqliteQueue(db), SqliteDesk(db), Table()
        self.table.now = T0

    def call(self, second, mapping="clicks"):
        """Return the event of a new call that this mapping takes."""
        said = Said(
            f"{len(self.table.rows)}".encode(), RECORDS[0], EventType.UPDATE, T0 + second * 1000, (mapping,), 0, None
        )
        self.table.rows[said.body] = said
        event_id = self.inbox.append([said.call(T0, None, T0)])[0].event_id
        self.queue.route(T0, 10, self.table.route)
        return event_id

    def due(self, mapping="clicks"):
        kind = MAPPINGS[mapping]
        return self.queue.due(T0, mapping, kind.destination, kind.object, 10)

    def events_due(self, mapping="clicks"):
        return [one.call.event_id for one in self.due(mapping)]

    def decide(self, state, reason="because"):
        """Settle what is due, without a request."""
        (one,) = self.due()
        settlement = Settlement(
            delivery_id=one.delivery_id, destination=one.destination, object=one.object, state=state, reason=reason
        )
        self.queue.settle([settlement], T0)

    def take(self, due):
        """Lease it for a request that can write; return the lease, None when it is not granted."""
        lease = self.queue.lease()
        take = Take(
            delivery_id=due.delivery_id, event_id=due.call.event_id, destination=due.destination, object=due.object,
            link_version=due.link.version, keys=(), lease=lease, lease_until=T0, during=Accepted(known=False),
            in_doubt_until=T0,
        )  # fmt: skip
        return lease if self.queue.take([take], [], T0)[0] == [True] else None

    def answer(self, due, lease, state, *, wrote=True, accepted=None):
        self.queue.settle(
            [
                Settlement(
                    delivery_id=due.delivery_id, destination=due.destination, object=due.object, state=state,
                    lease=lease, due_at=T0, wrote=wrote, link=LinkChange(crm_id="7", accepted=accepted),
                )
            ],
            T0,
        )  # fmt: skip


@pytest.fixture
def outbox():
    return Outbox()


def test_holding_one_event_of_a_line_does_not_stop_the_ones_behind_it(outbox):
    """They waited for it to end; held, it may never."""
    first, second = outbox.call(1), outbox.call(2)
    outbox.desk.hold(Filter(ids=(first,)), T0, dry_run=False)
    assert outbox.events_due() == [second]


@pytest.mark.parametrize("exact", [False, True])
def test_events_of_a_line_that_are_replayed_together_go_one_after_another(outbox, exact):
    """In their order, and the next one not before the first has ended (S2)."""
    first, second = outbox.call(1), outbox.call(2)
    for _ in range(2):
        outbox.decide(DeliveryState.DEAD)
    outbox.desk.replay(Filter(), T0, exact=exact, again=False, dry_run=False)
    assert outbox.events_due() == [first]
    outbox.decide(DeliveryState.SKIPPED)
    assert outbox.events_due() == [second]


def test_events_of_a_line_that_were_only_observed_go_live_one_after_another(outbox):
    """In their order (S2, S27)."""
    first, second = outbox.call(1), outbox.call(2)
    for _ in range(2):
        outbox.decide(DeliveryState.HELD, "observe: would be sent")
    assert outbox.queue.release_observed(["clicks"], T0) == 2
    assert outbox.events_due() == [first]
    outbox.decide(DeliveryState.SKIPPED)
    assert outbox.events_due() == [second]


def test_the_newest_state_of_a_line_waits_while_an_older_one_that_was_asked_for_is_under_way(outbox):
    """A replay of the record makes it due only when that has ended."""
    first, _ = outbox.call(1, "people"), outbox.call(2, "people")
    (one,) = outbox.due("people")
    lease = outbox.take(one)
    outbox.answer(one, lease, DeliveryState.DELIVERED)
    outbox.desk.replay(Filter(ids=(first,)), T0, exact=True, again=False, dry_run=False)
    (asked,) = outbox.due("people")
    lease = outbox.take(asked)
    outbox.desk.replay(
        Filter(record=str(RECORDS[0]), states=("delivered",)), T0, exact=False, again=False, dry_run=False
    )
    assert outbox.events_due("people") == []
    outbox.answer(asked, lease, DeliveryState.DELIVERED)
    assert len(outbox.events_due("people")) == 1


def test_a_newer_state_that_takes_the_place_of_the_head_leaves_no_line_without_one(outbox):
    """An older one that was asked for waits behind the head; when that is superseded, its turn has come."""
    first = outbox.call(1, "people")
    second = outbox.call(2, "people")
    outbox.desk.replay(Filter(ids=(first,)), T0, exact=True, again=False, dry_run=False)
    assert outbox.events_due("people") == [second]
    outbox.call(3, "people")
    assert outbox.events_due("people") == [first]


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.PENDING])
def test_s21_a_doubt_about_a_state_that_has_a_newer_one_behind_it_makes_that_one_go_whole(outbox, state):
    """The older one does not go again in between; what the CRM has is not believed, whatever the older one's answer was."""
    outbox.call(1, "people")
    (one,) = outbox.due("people")
    late = outbox.take(one)
    outbox.queue.recover(T0, T0 + 1, "boot", ())  # its lease has ended
    (one,) = outbox.due("people")
    lease = outbox.take(one)
    outbox.answer(one, late, DeliveryState.DELIVERED)  # too late: what was sent may have come after what is under way
    second = outbox.call(2, "people")
    outbox.answer(one, lease, state, accepted=Accepted(known=True))
    (newest,) = outbox.due("people")
    assert (newest.call.event_id, newest.forced) == (second, True)


def test_a_claim_from_before_takes_nothing_that_waits_for_another_one_of_its_line(outbox):
    """It was the head when it was looked at; an operator has put another one before it since (S2)."""
    outbox.call(1)
    outbox.decide(DeliveryState.DEAD)
    outbox.call(2)
    (second,) = outbox.due()
    outbox.desk.discard(Filter(states=("pending",)), T0, dry_run=False)
    outbox.desk.replay(Filter(), T0, exact=False, again=False, dry_run=False)
    assert outbox.take(second) is None
    (first,) = outbox.due()
    assert outbox.take(first) is not None


def test_a_claim_does_not_take_what_came_in_the_place_of_what_was_pruned(outbox):
    """A deliverer was stopped between looking and leasing; the delivery's number belongs to another record by now."""
    outbox.call(1)
    (claim,) = outbox.due()
    outbox.decide(DeliveryState.SKIPPED)
    outbox.queue.prune(T0 + 1000, Keep(settled=0, dead=0, unwanted=0), 10)
    outbox.call(2)
    (other,) = outbox.due()
    assert other.delivery_id == claim.delivery_id
    assert outbox.take(claim) is None
    assert outbox.take(other) is not None
