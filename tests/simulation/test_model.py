"""What the simulation may excuse, and no more: a process stopped at the gate that dies before it hears the answer (S21)."""

import pytest

from tests.simulation.calls import Call
from tests.simulation.deliverer import Deliverer
from tests.simulation.kernel import DivergenceError
from tests.simulation.model import Model
from tests.simulation.world import World

_LONG = 600_000  # longer than any lease
_NEVER = 10**9


class Stage:
    """A world without faults, and two deliverers that start when they are told to."""

    def __init__(self) -> None:
        self.world = World(1)
        self.world.deliverers = [Deliverer(self.world, "first"), Deliverer(self.world, "second")]
        self.first, self.second = self.world.deliverers

    def call(self, second: int, **fields: str) -> None:
        """A deal is saved at Copernica."""
        self.world.receive(Call("update", "subprofile", "100", second, f"n{second}", fields, parent="9"))

    def run(self, milliseconds: int) -> None:
        self.world._run_until(self.world.kernel.clock.true + milliseconds)

    def stop_at_gate(self, kind: str) -> None:
        """The next request of that kind leaves after its lease."""
        leave = self.world.leave

        def stop(process, run, request):
            if request.kind != kind:
                leave(process, run, request)
                return
            self.world.leave = leave
            generation = process.generation
            process.suspend(_LONG)
            process.when_awake(lambda: self.world._travel(process, generation, run, request))

        self.world.leave = stop

    def kill_at_wake(self, process: Deliverer) -> None:
        """It sends what it was stopped with, and hears nothing."""
        process.when_awake(lambda: process.die("kill -9", restart=_NEVER))

    def deals(self):
        return self.world.store.live("deals")


def test_a_record_that_was_made_too_late_is_known_once_an_answer_has_named_it():
    """The one that found it was stopped as well, and its answer counted all the same: from then on the record counts."""
    stage = Stage()
    stage.first.start()
    stage.stop_at_gate("create")
    stage.call(1, code="d1", title="Anna")
    stage.run(1_000)
    stage.kill_at_wake(stage.first)
    stage.run(_LONG)
    assert [deal.late for deal in stage.deals()] == [True]
    stage.stop_at_gate("update")
    stage.second.start()
    stage.run(100_000)
    stage.second.stop_gracefully()
    stage.run(_LONG)
    assert [deal.late for deal in stage.deals()] == [False]
    Model(stage.world).check()


def stopped_at_gate_while_another_is_faster(stage):
    """B is about to leave when its deliverer is stopped; the other one brings C; then B leaves."""
    stage.first.start()
    stage.call(1, code="d1", title="A")
    stage.run(1_000)
    stage.stop_at_gate("update")
    stage.call(2, code="d1", title="B")
    stage.run(200_000)
    stage.second.start()
    stage.call(3, code="d1", title="C")
    stage.run(200_000)
    assert [deal.fields["title"] for deal in stage.deals()] == ["C"]


def test_an_update_that_left_too_late_is_mended_once_its_answer_was_heard():
    """Whoever wakes sends B after C: it hears the answer, and C goes again."""
    stage = Stage()
    stopped_at_gate_while_another_is_faster(stage)
    stage.run(_LONG)
    assert [deal.fields["title"] for deal in stage.deals()] == ["C"]
    assert stage.world.kernel.faults["request left after its lease"] == 1
    Model(stage.world).check()


def test_an_update_that_left_too_late_stays_if_its_deliverer_dies_before_it_heard_the_answer():
    """Nobody knows of it, as the page of promises says. A later change mends it, or a replay."""
    stage = Stage()
    stopped_at_gate_while_another_is_faster(stage)
    stage.kill_at_wake(stage.first)
    stage.run(_LONG)
    assert [deal.fields["title"] for deal in stage.deals()] == ["B"]
    Model(stage.world).check()
    (deal,) = stage.deals()
    stage.world.store.put(deal, {"title": "B"}, stage.world.kernel.clock.true, "us")
    with pytest.raises(DivergenceError, match="should have 'C'"):
        Model(stage.world).check()
