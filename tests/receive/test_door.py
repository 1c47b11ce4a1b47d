"""Which source a path means, how long proofs are remembered, and what is never written per refused call."""

from pathlib import Path

import pytest

from connector.domain.request import Refusal, RefusalReason
from connector.domain.source import Proof, Source
from connector.receive.committer import Committer
from connector.receive.door import Door, Timing
from tests.receive.fakes import FakeInbox
from tests.support.clock import ManualClock


def door(*sources: Source) -> tuple[Door, FakeInbox, Committer]:
    inbox, clock = FakeInbox(), ManualClock()
    committer = Committer(inbox.open, clock, timeout=20)
    return Door(sources, {}, committer, clock, zone="copernica.com", timing=Timing(1000)), inbox, committer


SHOP = Source(name="shop", path="/in/shop", host="h")
PART = Source(name="part", path="/in/shop/part", host="h", proof=Proof.SECRET)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/in/shop", "shop"),
        ("/in/shop/", "shop"),
        ("/in/shop/more", "shop"),
        ("/in/shop/part", "part"),
        ("/in/shop/part/secret", "part"),
        ("/in/shopping", None),
        ("/in", None),
        ("/", None),
        ("/IN/SHOP", None),
        ("/in/%73hop", None),
    ],
)
def test_a_path_means_the_longest_source_that_it_is_or_lies_below(path: str, name: str | None) -> None:
    """As sent: no decoding, no other case."""
    found = door(SHOP, PART)[0].source_at(path)
    assert (found.name if found else None) == name


def test_proofs_are_remembered_for_the_window_and_the_time_a_call_may_stay_unproven() -> None:
    """So that a captured call is recognised as long as it could be taken."""
    assert Timing(1000).proof_until(SHOP, 5_000_000) == 5_000_000 + 120_000 + 1000


def test_a_thousand_refusals_are_not_a_thousand_writes(tmp_path: Path) -> None:
    """Whoever forges calls cannot make us sync the disk for each."""
    made, inbox, committer = door(SHOP)
    committer.start()
    for _ in range(1000):
        assert made.refuse("shop", Refusal(RefusalReason.SIGNATURE, "")).status == 401
    committer.stop()
    assert inbox.counted == {"refused.shop.signature": 1000}
    assert inbox.groups == []


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_refusal_has_its_status_and_a_body_that_tells_nothing(reason: RefusalReason) -> None:
    """The reason is for the log."""
    taken = door(SHOP)[0].refuse("shop", Refusal(reason, "the detail"))
    assert taken.status == reason.status
    assert len(taken.body) < 30
    assert "detail" not in taken.body
    assert taken.fields["reason"] == str(reason)
