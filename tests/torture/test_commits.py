"""A small run of `make commits`."""

import pytest

from tests.torture.commits import torture


@pytest.mark.slow
def test_a_crm_that_commits_and_dies_gets_no_duplicate_no_lost_update_and_every_link() -> None:
    """Forty records, with cuts, late commits, late answers, refusals, a lagging search and no uniqueness."""
    said: list[str] = []
    result = torture(40, 11, say=said.append)
    assert result.is_clean, "\n".join([*said, str(result)])
    assert result.faults > 0
