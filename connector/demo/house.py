"""A test installation in a temporary folder: a key, a configuration, mapping files, and the three programs."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from connector.domain.dkim import key_record
from connector.process.parent import with_parent

HOST = "hooks.example.com"
PATH = "/copernica/shop"
ACCOUNT = 1234
KEY_ID = "one._domainkey.copernica.com"
_PATIENCE = 20.0  # seconds for a program to start
_STOP = 5.0  # seconds for it to end

CONFIGURATION = """\
# A test installation: the sender's key comes from a file instead of DNS.

[receiver]
listen = "127.0.0.1:{port}"
public_url = "https://{host}/copernica"
trusted_proxies = ["127.0.0.1/32"]  # the demonstration plays the proxy, too

[outbox]
path = "outbox.db"
free_bytes = 0

[sources.shop]
account = "account-{account}"
proof = "key-file"
key_file = "key.txt"

[destinations.crm]
preset = "sample"
base_url = "{crm}"
mode = "live"
secrets.token = {{ file = "token" }}

[delivery.schedule]
first = 0.5

[log]
format = "json"
"""


class StartError(Exception):
    """A program of the demonstration did not start. The message holds what it said."""


@dataclass(slots=True)
class Program:
    """A running program and the file that its log goes to."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path


@dataclass(slots=True)
class House:
    """Everything the demonstration starts; `close` ends it, and so does the kernel if we are killed."""

    folder: Path
    crm_options: Sequence[str] = ()
    port: int = 0  # of the receiver; 0 takes a free one
    key: RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    programs: list[Program] = field(default_factory=list)
    crm: str = ""
    receiver: str = ""

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    def build(self, *, deliverer: bool = True) -> None:
        """Write the files and start the programs. Raises StartError."""
        (self.folder / "mappings").mkdir()
        with resources.as_file(resources.files("connector.demo") / "mappings") as samples:
            shutil.copytree(samples, self.folder / "mappings", dirs_exist_ok=True)
        token = self.folder / "token"
        token.touch(0o600)
        token.write_text(self.token + "\n", encoding="ascii")
        (self.folder / "key.txt").write_text(key_record(self.key.public_key()) + "\n", encoding="ascii")
        ready = self.folder / "crm.ready"
        self._start("sample-crm", "--token-file", str(token), "--ready-file", str(ready), *self.crm_options)
        self.crm = self._wait_for(ready)
        text = CONFIGURATION.format(host=HOST, account=ACCOUNT, crm=self.crm, port=self.port)
        self.config.write_text(text, encoding="utf-8")
        self.start_receiver()
        if deliverer:
            self.start_deliverer()
        self._until(self.is_ready)

    def start_receiver(self) -> Program:
        """Start the receiver; its address is known when this returns."""
        ready = self.folder / "receiver.ready"
        ready.unlink(missing_ok=True)
        program = self._start("serve", "--config", str(self.config), "--ready-file", str(ready))
        self.receiver = self._wait_for(ready)
        return program

    def start_deliverer(self) -> Program:
        """Start the deliverer."""
        return self._start("deliver", "--config", str(self.config))

    def _start(self, *arguments: str) -> Program:
        log = self.folder / f"{arguments[0]}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "connector", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=with_parent(),  # noqa: PLW1509 - one thread, and nothing in it that could be locked
                start_new_session=True,
            )
        program = Program(arguments[0], process, log)
        self.programs.append(program)
        return program

    def _wait_for(self, file: Path) -> str:
        self._until(file.exists)
        return file.read_text("ascii").split()[0]

    def is_ready(self) -> bool:
        """Whether the receiver says that it could store a call."""
        try:
            return requests.get(f"{self._base()}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def _base(self) -> str:
        return self.receiver if self.receiver.startswith("http") else f"http://{self.receiver}"

    @property
    def url(self) -> str:
        """Where the receiver takes calls of the demonstration's source."""
        return self._base() + PATH

    def kill(self, program: Program) -> None:
        """Kill a program and its children, as a power cut would."""
        os.killpg(program.process.pid, signal.SIGKILL)
        program.process.wait()
        self.programs.remove(program)

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise StartError(f"nothing is ready after {_PATIENCE:.0f} s; see the logs in {self.folder}")
            time.sleep(0.02)

    def check(self) -> None:
        """Raise StartError when one of the programs has ended."""
        for program in self.programs:
            code = program.process.poll()
            if code is not None:
                said = program.log.read_text("utf-8", "replace")[-2000:]
                raise StartError(f"connector {program.name} ended with {code}:\n{said}")

    def close(self) -> None:
        """End all programs, the receiver first."""
        order: Sequence[Program] = sorted(self.programs, key=lambda program: program.name, reverse=True)
        for program in order:
            program.process.terminate()
        for program in order:
            try:
                program.process.wait(_STOP)
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()
