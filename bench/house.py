"""What is measured: the connector's programs, the sink and the load generator, in a folder of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.calls import ACCOUNT, HOST, Calls

HERE = Path(__file__).parent
ROOT = HERE.parent
CACHE = HERE / ".cache"
TOOLS = CACHE / "tools"

CONFIG = """\
mappings = "{mappings}"
presets = "{presets}"
[receiver]
listen = "127.0.0.1:0"
public_url = "https://{host}/copernica"
trusted_proxies = ["127.0.0.1/32"]
workers = {workers}
threads = {threads}
date_past = 3600
date_future = 3600
[sources.shop]
account = "account-{account}"
proof = "key-file"
key_file = "{key}"
[outbox]
path = "outbox.db"
free_bytes = 0
keep_settled = {keep}
[destinations.crm]
preset = "{preset}"
base_url = "{crm}"
mode = "live"
secrets.token = {{ file = "{token}" }}
[delivery]
concurrency = {concurrency}
[log]
format = "json"
"""


def build_tools() -> None:
    """Compile the load generator, the sink and the slower sync, if they are not there or older than their source."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    for name, options in (("load", []), ("sink", []), ("slowsync.so", ["-shared", "-fPIC"])):
        source, made = HERE / "native" / f"{name.removesuffix('.so')}.c", TOOLS / name
        if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", *options, "-o", made, source, "-ldl"], check=True)


def run_load(
    requests: Path, port: int, count: int, *, first: int = 0, connections: int = 64, rate: float = 0
) -> dict[str, Any]:
    """Send `count` calls and return the figures. `lines`: when each began, what it took (ns), its status."""
    out = requests.with_name(f"load-{os.getpid()}.out")
    command = [TOOLS / "load", requests, str(port), str(connections), str(first), str(count), str(rate), out]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    found["lines"] = [tuple(map(int, line.split())) for line in out.read_text().splitlines()]
    out.unlink()
    if found["good"] != count:
        statuses = sorted({status for _, _, status in found["lines"]})
        raise RuntimeError(f"{count - found['good']} of {count} calls were not answered 200: {statuses}")
    return found


@dataclass
class Program:
    """A program that runs."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int = 0

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def pids(self) -> list[int]:
        """Return the program and all below it."""
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        return found

    def pss(self) -> int:
        """Return the memory of all its processes, bytes; shared pages count in part."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def cpu(self) -> float:
        """Return the processor seconds that its processes have used."""
        ticks = 0
        for pid in self.pids():
            parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(parts[11]) + int(parts[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class House:
    """A folder with configuration and outbox. As a context manager it ends what it started."""

    folder: Path
    calls: Calls
    workers: int = 1
    threads: int = 16
    concurrency: int = 16
    preset: str = "bench"
    mappings: str = str(HERE / "mappings" / "plain")
    keep: int = 30 * 86400
    crm: str = "http://127.0.0.1:9"
    programs: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "key.txt").write_text(self.calls.record() + "\n")
        (self.folder / "token").write_text("not-a-secret-at-all\n")
        (self.folder / "token").chmod(0o600)
        self.configure()

    def configure(self) -> None:
        """Write the configuration."""
        (self.folder / "config.toml").write_text(
            CONFIG.format(
                mappings=self.mappings, presets=HERE / "presets", host=HOST, account=ACCOUNT, key=self.folder / "key.txt",
                workers=self.workers, threads=self.threads, keep=self.keep, preset=self.preset, crm=self.crm,
                token=self.folder / "token", concurrency=self.concurrency,
            )
        )  # fmt: skip

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox.db"

    def __enter__(self) -> "House":
        return self

    def __exit__(self, *_: object) -> None:
        for program in reversed(self.programs):
            program.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None, ready: Path | None = None
    ) -> Program:
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            )  # fmt: skip
        program = Program(process, log)
        self.programs.append(program)
        if ready is not None:
            wait_for(ready.exists, program)
            program.port = int(ready.read_text().split()[0].rpartition(":")[2])
            ready.unlink()
        return program

    def serve(
        self,
        env: Mapping[str, str] | None = None,
        module: Sequence[str] = ("connector", "serve"),
        prefix: Sequence[str] = (),
    ) -> Program:
        """Start the receiver; it is ready when this returns."""
        ready = self.folder / "serve.ready"
        command = [
            *prefix,
            sys.executable,
            "-m",
            *module,
            "--config",
            self.folder / "config.toml",
            "--ready-file",
            ready,
        ]
        program = self.start("serve", command, env, ready)
        until_ready(program)
        return program

    def deliver(self, *options: str, env: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Program:
        """Start the deliverer."""
        return self.start(
            "deliver",
            [*prefix, sys.executable, "-m", "connector", "deliver", "--config", self.folder / "config.toml", *options],
            env,
        )

    def connector(self, *words: str) -> None:
        """Run a command that ends by itself. Raises RuntimeError when it fails."""
        command = [sys.executable, "-m", "connector", *words, "--config", str(self.folder / "config.toml")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"connector {' '.join(words)}: {done.stderr[-1000:]}")

    def sink(self, latency: float = 0) -> "Sink":
        """Start a sink that answers after `latency` milliseconds, and point the configuration at it."""
        name = f"sink-{len(self.programs)}"
        ready, log = self.folder / f"{name}.ready", self.folder / f"{name}.data"
        program = self.start(name, [TOOLS / "sink", str(latency), log, ready], ready=ready)
        self.crm = f"http://127.0.0.1:{program.port}"
        self.configure()
        return Sink(program, self.crm, log)


@dataclass
class Sink:
    """The CRM's side, and what it was sent."""

    program: Program
    url: str
    log: Path

    def count(self) -> tuple[int, int]:
        """Return how many requests there were, and when the last one came (monotonic, ns)."""
        with urllib.request.urlopen(f"{self.url}/_count", timeout=10) as answer:
            said = json.load(answer)
        return said["requests"], said["last"]

    def wait(self, requests: int, program: Program, seconds: float = 120) -> int:
        """Wait until it has had that many; return when the last one came."""
        wait_for(lambda: self.count()[0] >= requests, program, seconds, every=0.05)
        return self.count()[1]

    def end(self) -> list[tuple[int, str, bytes]]:
        """Stop it and return all requests: when (ns), request line, body."""
        self.program.stop()
        data, at, found = self.log.read_bytes(), 0, []
        while at < len(data):
            when = int.from_bytes(data[at : at + 8], "little")
            line, body = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (8, 12))
            at += 16 + line + body
            found.append((when, data[at - line - body : at - body].decode(), data[at - body : at]))
        return found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until_ready(program: Program) -> None:
    """Wait until it says that it could take a call."""
    wait_for(lambda: _is_ok(f"http://127.0.0.1:{program.port}/readyz"), program)


def until_said(program: Program, words: str) -> None:
    """Wait until its log holds these words."""
    wait_for(lambda: words in program.log.read_text("utf-8", "replace"), program)


def _is_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], program: Program, seconds: float = 30, every: float = 0.01) -> None:
    """Wait until the condition holds; raises RuntimeError when the program ends or the time is over."""
    until = time.monotonic() + seconds
    while not condition():
        if program.process.poll() is not None and program.process.returncode:
            raise RuntimeError(
                f"a program ended with {program.process.returncode}: {program.log.read_text('utf-8', 'replace')[-3000:]}"
            )
        if time.monotonic() > until:
            raise RuntimeError(f"not within {seconds} s: {program.log.read_text('utf-8', 'replace')[-2000:]}")
        time.sleep(every)
