import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector.cli.main import main
from connector.process.clock import SystemClock
from tests.support.world import T0, World

CONFIG = """\
[outbox]
path = "outbox.db"
free_bytes = 0

[sources.shop]
account = "account-1234"

[destinations.crm]
preset = "sample-crm"
mode = "live"
base_url = "http://127.0.0.1:1"
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Installation:
    """A configuration and a real outbox, filled by the real engine."""

    folder: Path
    world: World

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def configure(self, text: str) -> None:
        self.config.write_text(text)

    def process(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a real process."""
        command = [sys.executable, "-m", "connector", "--config", str(self.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "mappings").mkdir()
    world = World(path=tmp_path / "outbox.db")
    yield Installation(tmp_path, world)
    world.db.close()


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, exactly as the installed program does."""
    monkeypatch.delenv("CONNECTOR_CONFIG", raising=False)
    monkeypatch.setattr(SystemClock, "now", lambda _: T0 + 120_000)  # two minutes after the world began

    def run(*arguments: str, answer: str | None = None, configured: bool = True) -> Result:
        monkeypatch.setattr(sys, "stdin", io.StringIO("") if answer is None else Terminal(answer))
        before = ["--config", str(tmp_path / "config.toml")] if configured else []
        with pytest.raises(SystemExit) as ended:
            main([*before, *arguments])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, said.out, said.err)

    return run


def environment(**more: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != "CONNECTOR_CONFIG"}, **more}
