"""What the simulation may excuse, and no more: a process stopped at the gate that dies before it hears the answer (S21)."""

from tests.simulation.calls import Call
from tests.simulation.deliverer import Deliverer
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
