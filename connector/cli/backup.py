"""`connector backup`: a copy of the outbox, while it is in use."""

import os
from pathlib import Path

import click

from connector.cli import exits, forms
from connector.cli.options import config_option, json_option
from connector.cli.text import size
from connector.config.load import load
from connector.outbox.port import OutboxError


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
@config_option
def backup(file: Path, force: bool, as_json: bool, config_file: Path | None) -> int:
    """Copy the outbox to FILE, whole and consistent, while receiver and deliverer run.

    The copy is made beside FILE, checked, synced to disk and put in its place by renaming. It holds personal data, and
    only its owner can read it. docs/operations.md says how to restore one, and what that means.
    """
    config = load(config_file, os.environ)
    if not config.outbox.path.exists():
        raise OutboxError(f"there is no outbox at {config.outbox.path}; the receiver makes it when it starts")
    if not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}", param_hint="FILE")
    outbox = config.outbox.path
    if file.resolve() in {outbox.with_name(outbox.name + end).resolve() for end in ("", "-wal", "-shm", "-journal")}:
        raise click.BadParameter("that is the outbox itself, or a file of it", param_hint="FILE")
    if file.exists() and not force:
        raise click.BadParameter(f"{file} is there already; --force replaces it", param_hint="FILE")
    from connector.compose.outbox_health import copy_outbox  # noqa: PLC0415 - a wrong word needs no database

    written = copy_outbox(config, file)
    if as_json:
        forms.show_json({"command": "backup", "file": str(file), "bytes": written})
    else:
        click.echo(f"{file}: {size(written)}, checked and on disk.")
        click.echo("It holds personal data. Restoring it: docs/operations.md.")
    return exits.DONE
