"""The command line as a whole: finding commands, and how it fails."""

import importlib
import json
import os
import subprocess
import sys

import click
import pytest

from connector.cli import main as main_module
from connector.cli.commands import COMMANDS
from connector.outbox import port

from .conftest import environment


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_that_is_listed_is_there_under_its_name(name):
    """`connector --help` promises nothing that does not exist."""
    module, _, attribute = COMMANDS[name].where.partition(":")
    command = getattr(importlib.import_module(f"connector.cli.{module}"), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(run, name):
    """`connector COMMAND --help` works without a configuration, and exits 0."""
    result = run(name, "--help", configured=False)
    assert result.code == 0
    assert result.out.startswith(f"Usage: connector {name}")


def test_help_and_version_need_nothing(run):
    """Both exit 0; every command is in the help."""
    result = run("--help", configured=False)
    assert result.code == 0
    assert all(f"  {name} " in result.out for name in COMMANDS)
    assert run("--version", configured=False).out.startswith("connector, version ")


@pytest.mark.parametrize("arguments", [["--help"], ["status"]])
def test_only_what_is_needed_is_loaded(installation, arguments):
    """Help and status start fast: no web server, no HTTP client, no cryptography, no terminal library in a pipe."""
    code = (
        "import sys; from connector.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sorted(m for m in sys.modules if '.' not in m), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--config", str(installation.config), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert not loaded & {"flask", "gunicorn", "requests", "rich", "jinja2", "phonenumbers", "structlog", "dns"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stauts"], "Did you mean"),
        (["list", "--stat", "dead"], "--state"),
        (["list", "--state", "failed"], "dead"),
        (["show"], "Missing argument"),
        (["show", "x"], "x"),
        (["show", "0"], "0"),
        (["list", "--since", "2026-01-31T12:00:00"], "has no time zone"),
        (["replay"], "Say what is meant"),
        (["replay", "--all", "--state", "dead"], "--all means everything"),
        (["hold", "--dry-run"], "Say what is meant"),
        (["pause", "crm", "--for", "soon"], "30m, 2h or 3d"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_right(installation, run, arguments, words):
    """A mistyped command or option never does something else."""
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert words in result.err


def test_no_command_at_all_shows_the_help(run):
    """And is no success: a script that lost its argument is told."""
    result = run(configured=False)
    assert result.code == 2
    assert "Commands" in result.out + result.err or "Set up:" in result.out + result.err


@pytest.mark.parametrize("command", [["status"], ["list"], ["show", "1"], ["replay", "--all"], ["pause", "crm"]])
def test_a_wrong_configuration_exits_78_with_every_mistake_at_its_place(installation, run, command):
    """No traceback, the file and line of each, and nothing else is done."""
    installation.configure('[outbox]\npaht = "x"\n[alert]\ndead = "many"\n')
    result = run(*command)
    assert (result.code, result.out) == (78, "")
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert "config.toml:2:1: " in lines[0]
    assert "paht" in lines[0]
    assert "config.toml:4:" in lines[1]


def test_a_missing_configuration_exits_78(run, tmp_path):
    """And names the file that was looked for."""
    result = run("status")
    assert result.code == 78
    assert str(tmp_path / "config.toml") in result.err


def test_config_may_stand_before_or_behind_the_command_or_in_the_environment(installation):
    """Before is for all commands, behind goes first, the environment last."""
    name = str(installation.config)
    base = [sys.executable, "-m", "connector"]
    for arguments, env in (
        (["--config", name, "status", "--json"], environment()),
        (["--config", "/nowhere", "status", "--json", "--config", name], environment()),
        (["status", "--json"], environment(CONNECTOR_CONFIG=name)),
    ):
        done = subprocess.run([*base, *arguments], capture_output=True, text=True, timeout=120, check=False, env=env)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["ok"] is True


def test_a_missing_outbox_exits_78_and_is_not_made(installation, run, tmp_path):
    """A wrong path would look like an empty outbox, to an operator and to monitoring."""
    installation.configure('[outbox]\npath = "other/outbox.db"\n')
    for command in (["status"], ["list"], ["replay", "--all"], ["pause", "crm"], ["release", "--all"]):
        result = run(*command)
        assert (result.code, result.out) == (78, "")
        assert result.err.startswith("Error: There is no outbox at ")
        assert "\nTry: " in result.err
    assert not (tmp_path / "other").exists()


def test_an_outbox_that_cannot_be_opened_exits_78(installation, run):
    """Here because its folder is a file."""
    installation.configure('[outbox]\npath = "config.toml/outbox.db"\n')
    result = run("status")
    assert (result.code, result.out) == (78, "")
    assert "cannot be opened: Not a directory" in result.err


def test_a_file_that_is_no_outbox_exits_78(installation, run, tmp_path):
    """With what to do, and the file is left alone."""
    installation.configure('[outbox]\npath = "config.toml"\n')
    before = installation.config.read_bytes()
    for command in (["status"], ["discard", "--all"]):
        result = run(*command)
        assert result.code == 78
        assert result.err.startswith("Error: ")
        assert "\nTry: " in result.err
    assert installation.config.read_bytes() == before


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (port.OutboxBusyError("locked"), 75),
        (port.OutboxFullError("full"), 75),
        (port.OutboxBrokenError("damaged"), 78),
        (port.OutboxVersionError("newer"), 78),
        (port.OutboxError("something"), 78),
    ],
)
def test_what_the_outbox_says_becomes_words_and_a_status(run, monkeypatch, error, code):
    """75 for what passes by itself, 78 for what needs a person; each with what to try."""

    @click.command("status")
    def failing() -> None:
        raise error

    monkeypatch.setattr("connector.cli.status.status", failing)
    result = run("status", configured=False)
    assert result.code == code
    first, second = result.err.splitlines()
    assert first.lower() == f"error: {error}."
    assert second.startswith("Try: ")


def test_an_outbox_that_is_locked_too_long_exits_75(installation, run):
    """Really locked, by another process's write."""
    installation.configure(installation.config.read_text().replace("free_bytes = 0", "busy_timeout = 0.05"))
    with installation.world.db.write():
        result = run("replay", "--all")
    assert result.code == 75
    assert "nothing was changed" in result.err


def test_a_mistake_of_our_own_is_not_hidden(run, monkeypatch):
    """A defect shows its traceback: it has to be reported."""

    @click.command("status")
    def failing() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("connector.cli.status.status", failing)
    with pytest.raises(ZeroDivisionError):
        main_module.main(["status"])


def test_ctrl_c_exits_130_without_a_traceback(run, monkeypatch):
    """Whoever interrupts knows why."""

    @click.command("status")
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("connector.cli.status.status", interrupted)
    result = run("status", configured=False)
    assert (result.code, result.err.strip()) == (130, "Interrupted.")


def test_a_reader_that_went_away_is_no_error_text(installation):
    """`connector list | head -1` ends silently."""
    for profile in range(200):
        installation.world.call("create", profile, email=f"p{profile}@example.com")
    read_end, write_end = os.pipe()
    command = [sys.executable, "-m", "connector", "--config", str(installation.config), "list", "--limit", "200"]
    os.close(read_end)
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, "")
