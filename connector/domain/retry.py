"""When to try again, and when to give up. Tenacity's strategies, fed from what is on disk."""

from dataclasses import dataclass
from typing import Any, cast

from tenacity import RetryCallState, stop_after_attempt, stop_after_delay, wait_exponential

from connector.domain.clock import Millis


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits grow from `first` by `factor` up to `longest`; each is shortened by up to the share `jitter`.

    Given up is what has had `attempts` tries *and* was tried for `give_up_after`; both count only while the destination
    is proven healthy (S23). All spans are in milliseconds.
    """

    attempts: int = 12
    first: Millis = 2_000
    factor: float = 3.0
    longest: Millis = 6 * 3_600_000
    jitter: float = 0.2
    give_up_after: Millis = 2 * 86_400_000

    def wait(self, attempt: int, chance: float) -> Millis:
        """Return the wait after that attempt (the first is 1). `chance` is a random number from 0 to 1."""
        strategy = wait_exponential(multiplier=self.first / 1000, exp_base=self.factor, max=self.longest / 1000)
        seconds = strategy(_state(max(1, attempt), 0))
        return round(seconds * 1000 * (1 - self.jitter * chance))

    def is_over(self, attempts: int, counted: Millis) -> bool:
        """Whether both limits have been passed."""
        state = _state(attempts, counted)
        return bool(stop_after_attempt(self.attempts)(state) and stop_after_delay(self.give_up_after / 1000)(state))

    def waits(self) -> list[Millis]:
        """Return the unshortened waits up to the last attempt, for `check` to print."""
        return [self.wait(attempt, 0) for attempt in range(1, self.attempts)]


def _state(attempts: int, counted: Millis) -> RetryCallState:
    """What tenacity wants to know of a call, of a delivery whose past is on disk."""
    state = RetryCallState(retry_object=cast("Any", None), fn=None, args=(), kwargs={})
    state.attempt_number = attempts
    state.start_time = 0.0
    state.outcome_timestamp = counted / 1000
    return state
