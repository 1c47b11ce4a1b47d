"""What is tortured: a receiver, deliverers and a sample CRM, with what is needed to hurt them and to look at them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from connector.demo.house import Program, StartError
from connector.process.parent import with_parent
from connector.sample_crm import Options, SampleCrm
from tests.support.installation import Installation
from tests.torture.load import Count, Load, count

QUIET_FOR = 120.0
"""Seconds in which everything has to come to rest after the last fault; as a rule it takes a few."""

TOKEN = "torture"
OPEN = "SELECT (SELECT count(*) FROM deliveries WHERE state IN (0, 1)) + (SELECT count(*) FROM events WHERE state = 0)"

DESTINATION = """\
[destinations.crm]
preset = "sample"
mode = "live"
base_url = "{url}"
secrets.token = {{ file = "token" }}

[destinations.crm.override.connection.timeouts]
connect = 1
read = {timeout}
total = {timeout}
send = {send}

{override}

[delivery.schedule]
{schedule}
"""

SPREAD = """
[destinations.crm.override.objects.company.batch.update]
max = 2
[destinations.crm.override.objects.company.batch.upsert]
max = 2
"""
"""Changes are spread over as many threads as there are; else a hundred of them may share one."""

SCHEDULE = "first = 0.3\nfactor = 2\nlongest = 2"


@dataclass(slots=True)
class Ground(Installation):
    """`with Ground(folder) as ground`: everything runs, and `ground.load` waits to be started.

    By the name of a command: `env` is what its environment has beside ours, `prefix` what its command line begins with,
    `launch` what stands for `-m connector`.
    """

    seed: int = 0
    env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    prefix: Mapping[str, Sequence[str]] = field(default_factory=dict)
    launch: Mapping[str, Sequence[str]] = field(default_factory=dict)
    timeout: float = 2.0
    send: float = 4.0
    schedule: str = SCHEDULE
    override: str = ""
    latency_ms: int = 20
    unique: bool = True
    deliverers: int = 1
    records: int = 60
    pause: float = 0.01
    address: Callable[[str], str] = lambda url: url
    """Where the deliverers find the CRM, by where it really is."""
    sample: SampleCrm = field(init=False)
    load: Load = field(init=False)

    def __enter__(self) -> Self:
        options = Options(
            token=TOKEN, unique=self.unique, latency_ms=self.latency_ms, journal=1_000_000, seed=self.seed
        )
        self.sample = SampleCrm(options)
        self.load = Load(self, self.seed, records=self.records, pause=self.pause)
        try:
            url = self.address(self.sample.start())
            self.secret("token", TOKEN)
            rest = DESTINATION.format(
                url=url, timeout=self.timeout, send=self.send, schedule=self.schedule, override=self.override
            )
            self.lay_out(rest, Path(__file__).parent / "mappings")
            self.open()
            for _ in range(self.deliverers):
                self.start_deliverer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.load.stop()
        finally:
            self.close()
            self.sample.stop()

    def _start(self, *arguments: str) -> Program:
        name = arguments[0]
        number = sum(program.name.startswith(name) for program in self.programs)
        shown = name if not number else f"{name}-{number + 1}"
        log = self.folder / f"{shown}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*self.prefix.get(name, ()), sys.executable, *self.launch.get(name, ("-m", "connector")), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **self.env.get(name, {})},
                preexec_fn=with_parent(),  # noqa: PLW1509 - it only makes a system call
                start_new_session=True,
            )
        program = Program(shown, process, log)
        self.programs.append(program)
        return program

    def program(self, name: str) -> Program:
        """Return a program by its name: `serve`, `deliver`, `deliver-2`."""
        return next(program for program in self.programs if program.name == name)

    def ended(self) -> list[tuple[str, int]]:
        """Start anew what has ended, as a service manager does; return what it was, with its exit status."""
        found = []
        for program in list(self.programs):
            code = program.process.poll()
            if code is not None:
                self.programs.remove(program)
                found.append((program.name, code))
                if program.name == "serve":
                    self._restart_receiver()
                else:
                    self.start_deliverer()
        return found

    def _restart_receiver(self) -> None:
        """Start it until it stays: what keeps it from starting may be the very fault."""
        deadline = time.monotonic() + QUIET_FOR
        while True:
            try:
                self.start_receiver()
            except StartError:
                self.programs[:] = [one for one in self.programs if one.process.poll() is None]
                assert time.monotonic() < deadline, "the receiver does not start any more"
            else:
                return

    def end(self, program: Program) -> int:
        """Stop a program and all that runs before it on its command line; return its exit status."""
        os.killpg(program.process.pid, signal.SIGTERM)
        code = program.process.wait(30)
        self.programs.remove(program)
        return code

    def wait(
        self,
        condition: Callable[[], object],
        what: str,
        *,
        seconds: float = QUIET_FOR,
        restarted: list[tuple[str, int]] | None = None,
    ) -> None:
        """Wait for something while all programs run. With a list, what ends is started anew, and noted there."""
        deadline = time.monotonic() + seconds
        while not condition():
            if restarted is None:
                self.check()
            else:
                restarted += self.ended()
            assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what} ({self.states()})"
            time.sleep(0.02)

    def open_rows(self) -> int:
        """How much is stored and not yet settled."""
        return int(str(self.query(OPEN)[0][0]))

    def rest(self, restarted: list[tuple[str, int]] | None = None) -> None:
        """Stop the load and wait until nothing is left to be delivered; for the list see `wait`."""
        self.load.stop()
        self.wait(lambda: self.open_rows() == 0, "everything is delivered", restarted=restarted)

    def count(self) -> Count:
        """Compare the CRM with what was answered 2xx."""
        journal = (entry.as_json() for entry in self.sample.journal())
        return count(self.load.ledger, self.sample.records("contacts"), journal)

    def undelivered(self) -> list[str]:
        """Return what did not come to a good end, as problems."""
        bad = {state: n for state, n in self.states().items() if state in ("dead", "held", "discarded") and n}
        return [f"deliveries that ended as {state}: {n}" for state, n in bad.items()]

    def said(self, name: str, event: str) -> int:
        """How many lines of a program's log are about that."""
        log = self.folder / f"{name}.log"
        return log.read_bytes().count(f'"event": "{event}"'.encode()) if log.exists() else 0


def processes(program: Program) -> list[int]:
    """Return a program's process and its children: it leads a group of its own."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if os.getpgid(int(path.name)) == program.process.pid:
                    found.append(int(path.name))
            except ProcessLookupError:
                continue
    return found
