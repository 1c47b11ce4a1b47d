"""`connector own-url`: the file by which Copernica sees that a webhook's address is ours."""

import os
import sys
from pathlib import Path

import click

from connector.cli import exits
from connector.cli.options import config_option
from connector.config.load import load


@click.command("own-url")
@config_option
@click.option("--remove", is_flag=True, help="Take the file away again: it may go once the address is verified.")
@click.argument("file", type=click.Path(path_type=Path))
def own_url(config_file: Path | None, remove: bool, file: Path) -> None:
    """Serve a verification file (smtpeter-xxxxx.txt) that Copernica's dashboard gave you.

    The receiver serves it at once, at the server's root and in the folder of every source's address. With --remove,
    FILE is only a name.

    Exits 0 when it is done, 1 when there is no such file to remove, 2 when the file is none of that kind.
    """
    # Late, so that `connector --help` need not load a web server's modules.
    from connector.compose.receiving import ownership_folder  # noqa: PLC0415
    from connector.http.ownership import LARGEST, NAME  # noqa: PLC0415

    folder = ownership_folder(load(config_file, os.environ))
    if not NAME.fullmatch(file.name):
        raise click.UsageError(f"{file.name} is not the name of a verification file: smtpeter-xxxxx.txt, for example.")
    target = folder / file.name
    if remove:
        _remove(target)
        return
    try:
        content = file.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise click.UsageError(f"{file} is too large for a verification file ({len(content)} bytes).")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        new.write_bytes(content)
        new.chmod(0o644)  # the receiver may run as somebody else; the world may read it anyway
        new.replace(target)
    except OSError as error:
        click.echo(
            f"Error: {error.filename}: {error.strerror}; [receiver] ownership_folder names the folder.", err=True
        )
        sys.exit(exits.CONFIGURATION)
    click.echo(
        f"{target.name} is served now. Next: let Copernica check the address, then `connector own-url --remove "
        f"{target.name}`."
    )


def _remove(target: Path) -> None:
    try:
        target.unlink()
    except FileNotFoundError:
        click.echo(f"There is no {target.name} in {target.parent}.", err=True)
        sys.exit(exits.NOT_SO)
    click.echo(f"{target.name} is not served any more.")
