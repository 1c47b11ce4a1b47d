"""The help of every command, as docs/cli.md has it. `python -m tests.cli.manual` writes it anew."""

import re
from copy import copy
from pathlib import Path

import click

from connector.cli.commands import COMMANDS, GROUPS
from connector.cli.main import cli

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BEGIN = "<!-- the help of each command; `python -m tests.cli.manual` writes what follows -->\n"
WIDTH = 100


def help_of(command: click.Command, name: str) -> str:
    """Return what `NAME --help` prints in a terminal of that width."""
    # A command makes its help option once, as the first context wants it: a copy has none yet, and so it gets the one
    # that people see, whoever has called the command before.
    command = copy(command)
    command._help_option = None
    context = click.Context(
        command,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=cli.context_settings["help_option_names"],
    )
    return command.get_help(context)


def blocks(command: click.Command, name: str, level: str = "###") -> str:
    shown = help_of(command, name).rstrip()
    text = f"\n{level} {name.removeprefix('connector ')}\n\n```text\n{shown}\n```\n"
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            text += blocks(found, f"{name} {inner}", "####")
    return text


def manual() -> str:
    """Return the part of the page that is written by this."""
    context = click.Context(cli, info_name="connector")
    text = ""
    for title, entries in GROUPS.items():
        text += f"\n## {title}\n"
        for name in entries:
            command = cli.get_command(context, name)
            assert command is not None
            text += blocks(command, f"connector {name}")
    return text


def by_command(page: str) -> dict[str, str]:
    """Return the page's blocks by the command that they are about."""
    found = re.findall(
        r"^#{3,4} ([a-z -]+)\n\n```text\n(.*?)\n```$", page.partition(BEGIN)[2], re.MULTILINE | re.DOTALL
    )
    return dict(found)


def write() -> None:
    before = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    PAGE.write_text(before + BEGIN + manual(), encoding="utf-8")


if __name__ == "__main__":
    assert set(COMMANDS)
    write()
