"""The machine: hypothesis chooses what happens, in which order and by whom; after every step all is compared."""

from __future__ import annotations

import copy

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from connector.domain.accepted import Accepted
from connector.domain.clock import DAY, HOUR, MINUTE, SECOND
from connector.domain.delivery import DeliveryState as D
from connector.domain.event import EventType
from connector.outbox.port import (
    Done,
    Due,
    Filter,
    LinkChange,
    NewCall,
    NewUnproven,
    ParentLink,
    Settled,
    Settlement,
    Take,
)  # fmt: skip
from tests.outbox.conformance.calls import MAPPINGS, RECORDS, Said, proof_of
from tests.outbox.conformance.people import Outcome, People
from tests.outbox.conformance.seldom import T0, Claim, Lease, Seldom, names, picks, records, who, wishes
from tests.outbox.conformance.values import Delivery, LinkState

_NOT_DUE_ANY_MORE = HOUR  # how far a claim that was refused may be put off
changes = st.sampled_from(
    [
        None, None, LinkChange(certain=True, resolved=True, accepted=Accepted(known=True, hashes={"name": b"123456"})),
        *(LinkChange(crm_id=crm_id, certain=True, accepted=Accepted(known=True)) for crm_id in ("7", "8")),
        LinkChange(unlink=True, gone_at=T0), LinkChange(forget=True), LinkChange(doubt_at=T0 + DAY),
        LinkChange(doubt_at=T0 + DAY, touched="7"),
    ]
)  # fmt: skip
filters = st.one_of(
    st.builds(lambda one: ("ids", one), st.lists(picks, min_size=1, max_size=3)),
    st.builds(lambda one: ("record", one), records),
    st.builds(lambda one: ("mapping", one), names),
    st.builds(lambda one: ("states", one), st.sampled_from(["dead", "held", "pending", "superseded", "unwanted"])),
    st.just(("all", None)),
)
COMMANDS = ("replay", "replay exact", "replay again", "hold", "release", "discard")


class OutboxMachine(Seldom):
    """What happens all the time: calls come in, are routed, claimed and settled; operators act."""

    @rule(number=who)
    def work(self, number: int) -> None:
        """A deliverer's round: new calls are routed, all that is due is looked at."""
        self.route(number, 200)
        for mapping in MAPPINGS:
            self.look(number, mapping, 50)

    @initialize(first=st.lists(st.tuples(records, wishes, st.integers(0, 6)), min_size=2, max_size=4))
    def begin(self, first) -> None:
        """Nothing is there, then a few calls are: whichever rules a run leaves out, there is something to act on."""
        assert self.handles[0].desk.status().oldest_new is None
        for record, wanted, second in first:
            self.call(record, EventType.CREATE, second, wanted, 0, None, True, False, 0, True)

    @rule(
        record=records, kind=st.sampled_from([EventType.CREATE, EventType.UPDATE, EventType.UPDATE, EventType.DELETE]),
        second=st.integers(0, 7), wanted=wishes, linger=st.sampled_from([0, 0, 5 * SECOND]),
        identity=st.sampled_from([None, "x", "y"]), signed=st.booleans(), waits=st.booleans(), number=who,
        routed=st.booleans(),
    )  # fmt: skip
    def call(self, record, kind, second, wanted, linger, identity, signed, waits, number, routed) -> None:
        """A call comes in: now, or late from one of a few seconds, so that orders and ties of all kinds occur."""
        at = T0 + second * SECOND if second < 7 else self.now + SECOND
        count = len(self.calls)
        body = f"type={kind}&n={count}".encode()
        said = Said(body, record, kind, at, wanted, linger, identity)
        self.table.rows[body] = said
        proof = proof_of(count) if signed else None
        self.calls.append((said, proof))
        self._append(number, said, proof, waits=waits and second == 0)
        if routed:
            self.route(number, 200)

    @precondition(lambda self: self.calls)
    @rule(pick=picks, other=picks, number=who)
    def call_again(self, pick: int, other: int, number: int) -> None:
        """A captured call is sent again, or another one under its proof."""
        said, _ = self.chosen(self.calls, other)
        proof = self.chosen(self.calls, pick)[1]
        self._append(number, said, proof, waits=False)

    def _append(self, number: int, said: Said, proof: bytes | None, *, waits: bool) -> None:
        until = self.now + HOUR
        call: NewCall | NewUnproven = said.call(self.now, proof, until)
        if waits and proof is not None:
            call = said.unproven(self.now, proof, until)
        receipt = self.handles[number].inbox.append([call])[0]
        model = self.model
        first = None if proof is None else model.proofs.get(proof)
        if first is None or (proof in model.forgettable and not receipt.duplicate):
            assert not receipt.duplicate, "a call that never came is taken for another"
        else:
            assert (receipt.duplicate, receipt.event_id) == (True, first[0]), (
                "a proof is stored once, also when its call is gone"
            )
            return
        assert receipt.event_id > model.highest, "numbers only grow"
        model.highest = receipt.event_id
        if proof is not None:
            model.proofs[proof] = (receipt.event_id, until)
            model.forgettable.discard(proof)
        if isinstance(call, NewUnproven):
            model.unproven[receipt.event_id] = (said, proof or b"", self.now, 0)
        else:
            model.store(receipt.event_id, said, self.now)

    @rule(number=who, limit=st.sampled_from([1, 3, 200]))
    def route(self, number: int, limit: int) -> None:
        """The mappings are asked."""
        self.table.now = self.now
        routed = self.handles[number].queue.route(self.now, limit, self.table.route)
        came = {(event.id, row.mapping) for event, row in self.watch.rows(self.handles[number])}
        told = (routed.events, routed.deliveries, routed.superseded, routed.revived)
        assert told == self.model.route(self.now, limit, came)

    @rule(number=who, mapping=names, limit=st.sampled_from([1, 2, 50]))
    def look(self, number: int, mapping: str, limit: int) -> None:
        """What is due, with all that is known of it."""
        queue, kind = self.handles[number].queue, MAPPINGS[mapping]
        shown = queue.due(self.now, mapping, kind.destination, kind.object, limit)
        due = self.model.due(self.now, mapping)
        assert [(one.priority, one.due_at) for one in shown] == [(one.priority, one.due) for one in due[:limit]]
        assert len({one.record for one in shown}) == len(shown), "only the head of each line"
        by_key = {one.key: one for one in due}
        for one in shown:
            self._compare_due(one, by_key[one.call.event_id, one.mapping])
        heads = [one.due for one in self.model.deliveries.values() if one.mapping == mapping and one.due is not None]
        assert queue.next_due([mapping]) == min(heads, default=None)
        self.claims += [Claim(one, self.model.token((kind.destination, kind.object, one.record))) for one in shown]
        self.claims = self.claims[-12:]

    def _compare_due(self, shown: Due, one: Delivery) -> None:
        stored = self.model.events[one.event]
        if not stored.wiped and stored.said is not None:
            assert shown.call.request.request.body == stored.said.body
        assert (
            shown.record, shown.rank, shown.attempts, shown.counted_ms, shown.forced, shown.exact, shown.released,
            shown.is_delete, shown.changed_at, shown.erases, shown.created_here,
        ) == (
            one.record, one.rank, one.attempts, one.counted_ms, one.forced, one.exact, one.released,
            one.is_delete, one.changed, one.erases, self.model.lines.get(one.line, (0, 0, False))[2],
        )  # fmt: skip
        link = self.model.links.get((shown.destination, shown.object, one.record))
        accepted = (link or LinkState()).accepted.get(one.mapping, Accepted(known=False))
        view = link or LinkState()
        assert (
            shown.link.attempted, shown.link.crm_id, shown.link.gone_at, shown.link.doubt_at,
            list(shown.link.doubt_events), shown.link.accepted,
        ) == (link is not None, view.crm_id, view.gone_at, view.doubt_at, view.doubt_events, accepted)  # fmt: skip

    @rule(
        looks=st.booleans(), chosen=st.lists(picks, min_size=1, max_size=3), matches=st.sets(st.sampled_from([b"a@x", b"b@x"])),
        lasts=st.sampled_from([0, 20 * SECOND]), writes=st.booleans(), removes=st.booleans(), number=who,
        lease_for=st.sampled_from([SECOND, MINUTE]),
    )  # fmt: skip
    def take(self, looks, chosen, matches, lasts, writes, removes, number, lease_for) -> None:
        """Claims, just made or long ago, some of them for the same match key."""
        queue = self.handles[number].queue
        if looks:
            self.work(number)
        if not self.claims:
            return
        claims = list({claim.key: claim for claim in (self.chosen(self.claims, pick) for pick in chosen)}.values())
        takes = [
            Take(
                delivery_id=claim.due.delivery_id,
                event_id=claim.due.call.event_id,
                destination=claim.due.destination,
                object=claim.due.object,
                link_version=claim.due.link.version,
                keys=(f"{claim.due.object} {claim.due.record}".encode(), *sorted(matches)),
                lasting=frozenset(matches) if lasts else frozenset(),
                lasts=lasts,
                lease=queue.lease(),
                lease_until=self.elapsed + lease_for,
                during=Accepted(known=False, hashes={"name": b"654321"}) if writes else None,
                in_doubt_until=self.now + lease_for if writes else None,
                removes=removes,
            )
            for claim in claims
        ]
        granted, _ = queue.take(takes, [], self.now)
        after = {(event.id, row.mapping): row for event, row in self.watch.rows(self.handles[number])}
        for claim, take, was_granted in zip(claims, takes, granted, strict=True):
            one = self.model.deliveries.get(claim.key)
            refusal = self.model.refusal(take, one, claim.token, self.now)
            assert was_granted == (not refusal), f"{claim.key}: granted {was_granted}, but {refusal or 'it is free'}"
            if was_granted and one is not None:
                self.model.grant(take, one, self.owners[number], self.now)
                self.leases = [*self.leases[-11:], Lease(claim, take.lease)]
            elif refusal == "busy" and one is not None and one.due is not None:
                put_off = after[claim.key].due_at
                assert put_off is not None
                assert self.now < put_off <= self.now + _NOT_DUE_ANY_MORE, "put off, and not for long"
                one.due = put_off

    @rule(
        ends=st.lists(st.tuples(st.sampled_from([D.DELIVERED, D.DELIVERED, D.PENDING, D.DEAD, None]), changes), min_size=1, max_size=3),
        later=st.sampled_from([0, 30 * SECOND]), wrote=st.booleans(), number=who,
    )  # fmt: skip
    def deliver(self, ends, later, wrote, number) -> None:
        """Most of a deliverer's life: what is due is taken, and answered (None: not yet)."""
        self.claims.clear()
        self.work(number)
        for state, change in ends[: len(self.claims)]:
            before = len(self.leases)
            last = self.leases[-1:]
            self.take(False, [0], set(), 0, wrote, False, number, MINUTE)
            self.claims.pop()
            if state is not None and (len(self.leases) > before or self.leases[-1:] != last):
                self.settle(0, state, False, later, change, wrote, False, None, number, None, False, False)

    @precondition(lambda self: self.leases)
    @rule(
        pick=picks, ends=st.sampled_from([D.DELIVERED, D.DELIVERED, D.PENDING, D.PENDING, D.DEAD, D.SKIPPED, D.UNCHANGED]),
        foreign=st.sampled_from([False, False, False, True]), later=st.sampled_from([0, 30 * SECOND]), change=changes,
        wrote=st.booleans(), late=st.booleans(), parent=st.sampled_from([None, None, *RECORDS]), number=who, tried=st.sampled_from([None, "7", "8"]),
        through_take=st.booleans(), renew=st.booleans(),
    )  # fmt: skip
    def settle(
        self, pick, ends, foreign, later, change, wrote, late, parent, number, tried, through_take, renew
    ) -> None:
        """An answer, under a lease that is the sender's own, has ended, was settled before, or is somebody else's."""
        lease = self.chosen(self.leases, pick)
        queue = self.handles[number].queue
        due = lease.claim.due
        sharers = self.model.sharers((due.destination, due.object, due.record))
        said = Settlement(
            delivery_id=due.delivery_id, destination=due.destination, object=due.object, state=ends,
            lease=queue.lease() if foreign else lease.number, due_at=self.now + later if ends is D.PENDING else None,
            counted=later > 0, counted_ms=later, reason="because", outcome="x", version="1", wrote=wrote,
            may_show_late=late, link=change,
            parents=() if parent is None else (ParentLink("contact", parent, tried),),
            renew_sharers=renew and len(sharers) == 1,
        )  # fmt: skip
        self._settle(queue, said, lease.claim, sharers, through_take=through_take)

    @precondition(lambda self: self.claims)
    @rule(pick=picks, ends=st.sampled_from([D.UNCHANGED, D.SKIPPED, D.DEAD, D.HELD, D.PENDING]), number=who)
    def decide(self, pick: int, ends: D, number: int) -> None:
        """What needs no request: nothing is new, the mapping says no, the destination is only observed."""
        claim = self.chosen(self.claims, pick)
        due = claim.due
        said = Settlement(
            delivery_id=due.delivery_id, destination=due.destination, object=due.object, state=ends,
            link_version=due.link.version, due_at=self.now + MINUTE if ends is D.PENDING else None,
            reason="observe: would be sent" if ends is D.HELD else "because",
        )  # fmt: skip
        self._settle(self.handles[number].queue, said, claim, [], through_take=False)

    def _settle(self, queue, said: Settlement, claim: Claim, sharers: list[str], *, through_take: bool) -> None:
        told = queue.take([], [said], self.now)[1] if through_take else queue.settle([said], self.now)
        one = self.model.deliveries.get(claim.key)
        if said.renew_sharers and one is not None and one.state is D.LEASED and one.lease == said.lease and not sharers:
            assert told == [Settled.LOST]
            return
        if said.renew_sharers and one is not None and one.state is D.LEASED and one.lease == said.lease:
            self.model.renew((sharers[0], one.mapping), self.now)
        assert told == [self.model.settle(said, one, claim.token, self.now)]

    @rule(
        by=st.sampled_from([1, SECOND, 10 * SECOND, 2 * MINUTE, 2 * HOUR, 2 * DAY]), recovers=st.booleans(), number=who
    )
    def wait(self, by: int, recovers: bool, number: int) -> None:
        """Time passes; mostly somebody looks for leases that have ended by it."""
        self.now += by
        self.elapsed += by
        if recovers:
            self.recover_by(number)

    @rule(number=who)
    def recover(self, number: int) -> None:
        """Leases that have ended are anybody's."""
        self.recover_by(number)

    @rule(command=st.sampled_from(COMMANDS), wanted=filters, dry_run=st.sampled_from([False, False, True]), number=who)
    def command(self, command: str, wanted, dry_run: bool, number: int) -> None:
        """Also as a dry run, which says the same and does nothing."""
        desk, which = self.handles[number].desk, self._filter(wanted)
        after = copy.deepcopy(self.model)
        people = People(after)
        matching = desk.matching(which)
        rows = people.rows(which)
        assert (matching.done, set(matching.ids)) == (len(rows), {event.id for event, _ in rows})
        if command.startswith("replay"):
            options = {"exact": command == "replay exact", "again": command == "replay again"}
            done = desk.replay(which, self.now, dry_run=dry_run, **options)
            expected = people.replay(which, self.now, **options)
        else:
            done = getattr(desk, command)(which, self.now, dry_run=dry_run)
            expected = getattr(people, command)(which, self.now)
        self._compare_done(done, expected)
        if not dry_run:
            self.model = after

    def _filter(self, wanted) -> Filter:
        what, value = wanted
        if what == "ids":
            numbers = sorted(self.model.events) or [1]
            return Filter(ids=tuple(sorted({self.chosen(numbers, pick) for pick in value})))
        if what == "states":
            return Filter(states=(value,))
        if what == "all":
            return Filter()
        return Filter(record=str(value)) if what == "record" else Filter(mapping=value)

    @staticmethod
    def _compare_done(told: Done, expected: Outcome) -> None:
        assert (told.done, sorted(told.left.values()), sorted(told.ids)) == (
            expected[0],
            sorted(expected[1].values()),
            expected[2],
        )
