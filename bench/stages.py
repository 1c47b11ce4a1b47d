"""Where a delivery's processor time goes: `make stages`, a CRM that answers at once.

The deliverer runs in this process. The functions below are timed by the processor time of the engine's thread, each
without those that it calls; sending is what the process used beside that thread. Timing costs some µs for each of them.
"""

import contextlib
import importlib
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import seed
from bench.calls import Calls
from bench.house import CACHE, House, build_tools

COUNT = 3000
STAGES = {
    "unpacking the call": "connector.outbox.sqlite.stored:unpack_call",
    "reading its form": "connector.domain.reading:decode_form",
    "understanding it": "connector.compose.reading:decode",
    "routing": "connector.outbox.sqlite.queue:SqliteQueue.route",
    "finding what is due": "connector.outbox.sqlite.queue:SqliteQueue.due",
    "mapping": "connector.mapping.translate:CompiledMapping.translate",
    "comparing": "connector.deliver.plan:compare",
    "other deciding": "connector.deliver.engine:decide",
    "leasing": "connector.outbox.sqlite.queue:SqliteQueue.take",
    "what an answer means": "connector.deliver.engine:conclude",
    "settling": "connector.outbox.sqlite.queue:SqliteQueue.settle",
    "the line in the log": "connector.deliver.engine:Engine._say",
    "the rest of a turn": "connector.deliver.engine:Engine.turn",
}


class Stopwatch:
    """Counts each moment for the innermost function that runs."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0.0)
        self._running: list[str] = []
        self._since = 0.0

    def _charge(self) -> None:
        now = time.thread_time()
        if self._running:
            self.spent[self._running[-1]] += now - self._since
        self._since = now

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **named: Any) -> Any:
            self._charge()
            self._running.append(stage)
            try:
                return function(*args, **named)
            finally:
                self._charge()
                self._running.pop()

        return run

    def watch(self) -> None:
        for stage, place in STAGES.items():
            module, _, name = place.partition(":")
            owner: Any = importlib.import_module(module)
            *above, last = name.split(".")
            for part in above:
                owner = getattr(owner, part)
            setattr(owner, last, self.timed(stage, getattr(owner, last)))


def main(count: int) -> None:
    """Print the table."""
    build_tools()
    from connector.cli.main import main as connector

    folder = Path(tempfile.mkdtemp(prefix="bench-stages-", dir=os.environ.get("BENCH_DIR")))
    watch = Stopwatch()
    with House(folder / "house", Calls(CACHE / "calls")) as house:
        house.sink()
        seed.fill(house.outbox, (seed.call(person) for person in range(1, count + 1)))
        watch.watch()
        sys.argv = ["connector", "deliver", "--config", str(house.folder / "config.toml"), "--drain"]
        whole, mine = time.process_time(), time.thread_time()
        with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
            connector()
        whole, mine = time.process_time() - whole, time.thread_time() - mine
    shutil.rmtree(folder)
    engine = sum(watch.spent.values())
    rows = {**watch.spent, "sending, in other threads": whole - mine}
    for stage, spent in rows.items():
        print(f"{stage:28}{spent / count * 1e6:7.0f} µs")
    print(f"{'in all':28}{(engine + whole - mine) / count * 1e6:7.0f} µs for a delivery, of {count}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
