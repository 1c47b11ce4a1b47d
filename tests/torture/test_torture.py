"""Small runs of `make torture`, one for each kind, and what its table has to say of what went wrong."""

import pytest

from tests.torture import crm_down, disk_errors, full_disk, network, power_cut, stops
from tests.torture.__main__ import run
from tests.torture.row import Row

SEED = 20261121


def _good(row: Row) -> None:
    if row.not_run:
        pytest.skip(row.not_run)
    assert row.is_good, "; ".join([str(row.cells), *row.remarks])


def _quiet(_: str) -> None:
    pass


@pytest.mark.slow
def test_a_deliverer_that_slept_past_its_leases_settles_nothing_and_the_other_one_goes_on() -> None:
    """SIGSTOP for longer than a lease, of a deliverer and of the receiver: taken over, refused to who wakes, not lost."""
    _good(stops.row(SEED, quick=True, say=_quiet))


def test_a_full_disk_is_503_and_when_there_is_room_everything_goes_on_by_itself() -> None:
    """A small file system filled to the last byte under load, twice."""
    _good(full_disk.row(SEED, quick=True, say=_quiet))


def test_a_disk_that_fails_now_and_then_loses_nothing_and_damages_nothing() -> None:
    """EIO from writes and syncs of both programs: what was answered 2xx is delivered, and the file is sound."""
    _good(disk_errors.row(SEED, quick=True, say=_quiet))


def test_a_crm_that_is_down_for_longer_than_the_schedule_makes_nothing_dead() -> None:
    """It comes back, and gets everything in its last state."""
    _good(crm_down.row(SEED, quick=True, say=_quiet))


@pytest.mark.slow
def test_a_network_that_loses_answers_makes_no_duplicates() -> None:
    """Resets, stalls and answers cut in the middle, in front of a CRM that would take everything twice."""
    _good(network.row(SEED, quick=True, say=_quiet))


def test_a_power_cut_at_the_moment_of_an_answer_leaves_the_call_on_the_disk() -> None:
    """Only what was synced before the first byte of a 2xx counts, and it holds the call."""
    _good(power_cut.row(SEED, quick=True, say=_quiet))


GOOD = Row(kind="good", faults={"one": 2}, survived=2)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (Row(kind="k", faults={"one": 2, "other": 0}, survived=2), "NEVER INJECTED: other"),
        (Row(kind="k"), "NEVER INJECTED: k"),
        (Row(kind="k", faults={"one": 2}, survived=2, lost=1), "lost 1"),
        (Row(kind="k", faults={"one": 2}, survived=2, duplicated=1), "duplicated 1"),
        (Row(kind="k", faults={"one": 2}, survived=1), "NOT GOOD: k"),
        (Row(kind="k", faults={"one": 2}, survived=2, problems=["was taken back"]), "PROBLEM: was taken back"),
    ],
)
def test_torture_fails_when_something_was_lost_or_never_tried(row: Row, says: str) -> None:
    """A fault that was not injected is no fault survived."""
    said: list[str] = []
    assert run({"good": lambda *_, **__: GOOD, "k": lambda *_, **__: row}, 1, quick=True, say=said.append) == 1
    assert says in "\n".join(said)
    assert run({"good": lambda *_, **__: GOOD}, 1, quick=True, say=said.append) == 0


def test_torture_says_what_the_machine_cannot_do_and_counts_it_for_nothing() -> None:
    """`not run` is in the table and in the last line; alone it is no success."""
    said: list[str] = []
    missing = Row(kind="power cut", not_run="strace is not installed")
    assert run({"good": lambda *_, **__: GOOD, "p": lambda *_, **__: missing}, 1, quick=True, say=said.append) == 0
    assert "power cut: not run: strace is not installed" in "\n".join(said)
    assert said[-1] == "2 faults of 1 kinds; lost 0, duplicated 0; not run: power cut"
    assert run({"p": lambda *_, **__: missing}, 1, quick=True, say=said.append) == 1


def test_torture_goes_on_with_the_other_kinds_when_one_breaks_off() -> None:
    """An exception is a bad row, not the end of the table."""

    def breaks_off(*_: object, **__: object) -> Row:
        raise RuntimeError("the disk was taken away")

    said: list[str] = []
    assert run({"b": breaks_off, "good": lambda *_, **__: GOOD}, 1, quick=True, say=said.append) == 1
    assert "the disk was taken away" in "\n".join(said)
    assert "good: one 2" in "\n".join(said)
