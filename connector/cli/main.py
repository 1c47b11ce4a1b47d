"""The `connector` command: finds the subcommand, and turns what goes wrong into words and an exit status."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from connector import __version__
from connector.cli import exits
from connector.cli.commands import COMMANDS, GROUPS


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the same
        """Import a command. None for a name that is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.where.partition(":")
        found = getattr(importlib.import_module(f"connector.cli.{module}"), name)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; one that does not exist is said with its nearest neighbours."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        """List the commands by what they are for, without importing them."""
        for title, entries in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.line) for name, entry in entries.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="connector")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration, for every command; else $CONNECTOR_CONFIG, else /etc/connector/config.toml.",
)
@click.pass_context
def cli(ctx: click.Context, config_file: Path | None) -> None:
    """Keep a CRM in step with Copernica.

    Exit status: 0 done; 1 what was asked about is not so, or work remains; 2 wrong usage; 69 unreachable; 75 try
    later; 78 the configuration, a mapping or the outbox needs a person.
    """
    if config_file is not None:
        # Every command has --config of its own: what stands before the command is its default.
        ctx.default_map = {name: {"config_file": str(config_file)} for name in COMMANDS}


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line, and exit."""
    try:
        result = cli.main(arguments, prog_name="connector", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read has seen enough; click ends so as well. Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(exits.NOT_SO)
    except Exception as error:
        code = _told(error)
        if code is None:
            raise
        sys.exit(code)
    sys.exit(result if isinstance(result, int) else exits.DONE)


def _told(error: Exception) -> int | None:
    """Tell a mistake of the user, or the state of the outbox, in words; None for a mistake of our own."""
    # Late: only who has failed needs them.
    from connector.files.problem import ProblemsError  # noqa: PLC0415
    from connector.outbox.port import OutboxError  # noqa: PLC0415

    if isinstance(error, ProblemsError):
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return exits.CONFIGURATION
    if isinstance(error, OutboxError):
        text = str(error).strip().rstrip(".")
        code, advice = _advice(error)
        click.echo(f"Error: {text[:1].upper()}{text[1:]}.", err=True)
        click.echo(f"Try: {advice}", err=True)
        return code
    return None


def _advice(error: Any) -> tuple[int, str]:
    from connector.outbox import port  # noqa: PLC0415

    match error:
        case port.OutboxBusyError():
            return exits.TRY_LATER, "the same command in a moment; nothing was changed."
        case port.OutboxFullError():
            return exits.TRY_LATER, "make room on the disk, or raise the limits under [outbox]; nothing was changed."
        case port.OutboxBrokenError():
            return exits.CONFIGURATION, "see that [outbox] path names the outbox; if it does, restore a backup of it."
        case port.OutboxVersionError():
            return exits.CONFIGURATION, "run the newer connector, the one that wrote the file."
        case _:
            return exits.CONFIGURATION, "see [outbox] path in the configuration, and who may read and write there."
