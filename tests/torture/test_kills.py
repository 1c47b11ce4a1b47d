"""The kill loop of `make kills`, in small."""

from tests.torture.kills import torture


def test_nothing_is_lost_by_kill_9():
    """Receiver under load and deliverer in the middle of a call, killed at random: nothing lost, nothing taken back."""
    result = torture(8, seed=20261121, say=lambda _: None)
    assert result.count.is_clean, str(result)
    assert result.count.answered > 0
