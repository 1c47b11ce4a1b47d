"""`connector init`: a configuration and a first mapping, from a few answers."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from connector.cli import exits
from connector.cli.check import examine_beside
from connector.cli.workbench import give_up
from connector.config.load import load
from connector.crm.presets.facts import facts_of, object_facts
from connector.crm.presets.load import list_presets, load_preset
from connector.crm.presets.model import Preset
from connector.files.problem import ProblemsError
from connector.mapping.proposal import records

_FIELDS = ["email", "voornaam", "achternaam"]
_PEOPLE = ("contact", "contacts", "person", "persons", "people", "res.partner")
_WHAT_DELETES_DO = ["ignore", "archive", "anonymise", "erase"]


@click.command("init")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=".", help="Where it is written.")
@click.option("--account", prompt="Copernica account number", type=click.IntRange(1), help="account-1234: 1234.")
@click.option(
    "--public-url",
    prompt="Address that Copernica calls",
    default="https://connector.example.com/",
    show_default=True,
    help="As it will stand in the webhook, without the source's name.",
)
@click.option("--database", prompt="Number of the database", type=click.IntRange(1), help="Whose profiles are mapped.")
@click.option("--preset", default="sample", show_default=True, help="Which CRM: `connector preset list` names them.")
@click.option("--object", "object_name", help="The kind of record there; default: the preset's first.")
@click.option(
    "--on-delete",
    type=click.Choice(_WHAT_DELETES_DO),
    prompt="When a profile is deleted in Copernica, the CRM's record",
    default="ignore",
    show_default=True,
    help="What a delete does.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
def init(
    folder: Path,
    account: int,
    public_url: str,
    database: int,
    preset: str,
    object_name: str | None,
    on_delete: str,
    *,
    force: bool,
) -> None:
    """Write a configuration and a first mapping that pass `connector check`.

    The destination is in mode "observe": it shows what it would send, and sends nothing.

    Exits 0, 1 when a file is there already, 78 when the answers do not make a good configuration.
    """
    try:
        told = load_preset(preset)
    except ProblemsError:
        known = ", ".join(shipped.name for shipped in list_presets(None))
        raise click.UsageError(f"there is no preset {preset!r}; try {known}") from None
    target = object_name or next((name for name in told.objects if name.lower() in _PEOPLE), next(iter(told.objects)))
    if target not in told.objects:
        raise click.UsageError(f"the preset {preset} has no object {target!r}; try {', '.join(told.objects)}")
    facts = object_facts(told.objects[target])
    removals = ["ignore", *sorted(facts.removals or ())]
    if on_delete not in removals:
        raise click.UsageError(f"the preset {preset} cannot {on_delete} a {target}; try {', '.join(removals)}")
    config_file, mapping_file = folder / "config.toml", folder / "mappings" / f"database-{database}.yaml"
    files = {
        config_file: _config(account, public_url, preset, told),
        mapping_file: records(
            "database",
            str(database),
            _FIELDS,
            name=f"database-{database}",
            crm="crm",
            object_name=target,
            on_delete=on_delete,
            known=told.objects[target].fields,
            required=sorted(facts.required),
            matched=facts.match,
        ),
    }
    there = [file for file in files if file.exists()]
    if there and not force:
        click.echo(f"{there[0]} is there already; --force writes over it.", err=True)
        raise SystemExit(exits.NOT_SO)
    _write(files)
    try:
        config = load(config_file, {})
    except ProblemsError as error:
        give_up(error.problems)
    examined = examine_beside(mapping_file.parent, [mapping_file], facts_of(config))
    if examined.errors:
        give_up(examined.errors)
    for file in files:
        click.echo(f"wrote {file}")
    for name in told.secrets:
        click.echo(f"Put the CRM's {name} into /etc/connector/credentials/{_credential(name)}, for root alone to read.")
    click.echo(f"Then: connector check --config {shlex.quote(str(config_file))}")


def _write(files: Mapping[Path, str]) -> None:
    try:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        click.echo(f"Error: {error.filename} cannot be written: {error.strerror}.", err=True)
        click.echo("Try: --folder with a folder that is yours.", err=True)
        raise SystemExit(exits.NOT_SO) from None


def _credential(secret: str) -> str:
    return f"crm-{secret.replace('_', '-')}"


def _config(account: int, public_url: str, preset: str, told: Preset) -> str:
    settings = {name: one for name, one in told.settings.items() if one.default is None}
    lines = [
        "# Written by `connector init`. Every option, with its default, is in config.example.toml.",
        "",
        'mappings = "mappings"',
        "",
        "[receiver]",
        f"public_url = {json.dumps(public_url)}",
        "",
        "# Copernica calls the address above with this name after it.",
        "[sources.copernica]",
        f'account = "account-{account}"',
        "",
        "[destinations.crm]",
        f"preset = {json.dumps(preset)}",
        '# observe: show what would be sent, send nothing. "live" sends.',
        'mode = "observe"',
        *(['base_url = "https://crm.example.com"  # yours'] if told.connection.base_url is None else []),
        *(["", "[destinations.crm.settings]"] if settings else []),
        *(f'{name} = "CHANGE ME"  # {one.about}' for name, one in settings.items()),
        *(
            [
                "",
                "# A secret never stands in here, but where it is: { credential = … }, { file = … } or { env = … }.",
                "# The credential connector_NAME is the file /etc/connector/credentials/NAME: the units hand it over.",
            ]
            if told.secrets
            else []
        ),
        *(["[destinations.crm.secrets]"] if told.secrets else []),
        *(
            f'{name} = {{ credential = "connector_{_credential(name)}" }}  # {one.about}'
            for name, one in told.secrets.items()
        ),
        "",
    ]
    return "\n".join(lines)
