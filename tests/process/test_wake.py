"""Waking: a hint that never costs anything."""

from pathlib import Path

from connector.process.wake import Sleeper, Waker, wake_path


def test_a_wake_ends_the_wait_and_many_count_as_one(tmp_path: Path) -> None:
    """Ten calls while the deliverer works wake it once."""
    path = wake_path(tmp_path / "outbox.db")
    sleeper, waker = Sleeper(path), Waker(path)
    for _ in range(10):
        waker.wake()
    assert sleeper.wait(20)
    assert not sleeper.wait(0)
    waker.close()
    sleeper.close()
    assert not path.exists()


def test_waking_nobody_or_somebody_who_never_looks_does_nothing(tmp_path: Path) -> None:
    """It neither waits nor fails: a full queue means that the other side has enough to do."""
    path = wake_path(tmp_path / "outbox.db")
    waker = Waker(path)
    waker.wake()
    sleeper = Sleeper(path)
    for _ in range(10_000):
        waker.wake()
    assert sleeper.wait(0)
    assert not sleeper.wait(0)
    sleeper.close()
    waker.close()


def test_a_new_deliverer_takes_over_and_the_old_one_leaves_it_alone(tmp_path: Path) -> None:
    """Also after a kill -9, which leaves the file behind."""
    path = wake_path(tmp_path / "outbox.db")
    old = Sleeper(path)
    new = Sleeper(path)
    old.close()
    waker = Waker(path)
    waker.wake()
    assert new.wait(20)
    waker.close()
    new.close()


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    """The system allows 108 bytes for such an address; folders can be deeper."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    path = wake_path(deep / "outbox.db")
    sleeper, waker = Sleeper(path), Waker(path)
    waker.wake()
    assert sleeper.wait(20)
    waker.close()
    sleeper.close()
