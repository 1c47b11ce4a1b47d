"""`connector install-units`: puts the systemd units, the user and the folders in place."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

_PLACES = {
    "connector-receive.socket": "etc/systemd/system/connector-receive.socket",
    "connector-receive.service": "etc/systemd/system/connector-receive.service",
    "connector-deliver.service": "etc/systemd/system/connector-deliver.service",
    "connector.sysusers.conf": "etc/sysusers.d/connector.conf",
    "connector.tmpfiles.conf": "etc/tmpfiles.d/connector.conf",
}
_AFTER = (("systemd-sysusers",), ("systemd-tmpfiles", "--create"), ("systemctl", "daemon-reload"))


@dataclass(frozen=True, slots=True)
class _Step:
    source: Path
    target: Path

    @property
    def what(self) -> str:
        """What would happen."""
        if not self.target.exists():
            return "new"
        return "same" if self.target.read_bytes() == self.source.read_bytes() else "replaced"


@click.command("install-units")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/"),
    show_default=True,
    help="Another root folder, of an image for example; then no program is run.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def install_units(root: Path, *, dry_run: bool) -> None:
    """Put the systemd units, the user `connector` and its folders in place.

    Your own changes belong into `systemctl edit`, which this leaves alone. Exits 0 when done, 1 when a file cannot be
    written.
    """
    folder = shared("systemd")
    steps = [_Step(folder / name, root / place) for name, place in _PLACES.items()]
    for step in steps:
        click.echo(f"{step.what:>8}  {step.target}")
    if dry_run:
        return
    try:
        for step in steps:
            step.target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(step.source, step.target)
    except OSError as error:
        click.echo(f"Error: {error.filename}: {error.strerror}.\nTry: sudo connector install-units.", err=True)
        raise SystemExit(1) from None
    if root == Path("/"):
        for command in _AFTER:
            _run(command)
    click.echo("Next: systemctl enable --now connector-receive.socket connector-deliver.service")


def _run(command: tuple[str, ...]) -> None:
    program = shutil.which(command[0])
    if program is None:
        click.echo(f"not run: {' '.join(command)} (not there)", err=True)
        return
    click.echo(f"     run  {' '.join(command)}")
    subprocess.run([program, *command[1:]], check=False, stdin=subprocess.DEVNULL)  # noqa: S603 - our own commands


def shared(name: str) -> Path:
    """Return a folder that comes with the program: from the installed package, or from a checkout."""
    packaged = Path(str(resources.files("connector"))) / "share" / name
    if packaged.is_dir():
        return packaged
    beside = Path(__file__).resolve().parents[2] / name
    if beside.is_dir():
        return beside
    click.echo(f"Error: the folder {name} is missing from this installation; install it again.", err=True)
    sys.exit(1)
