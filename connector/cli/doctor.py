"""`connector doctor`: calls each configured CRM, harmlessly, and looks at the outbox."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from connector.cli import exits
from connector.cli.options import config_option, json_option
from connector.cli.text import clean
from connector.config.load import load
from connector.config.model import Config
from connector.crm.port import Finding
from connector.files.problem import ProblemsError


@click.command("doctor")
@click.argument("destinations", nargs=-1, metavar="[DESTINATION…]")
@json_option
@config_option
def doctor(destinations: Sequence[str], as_json: bool, config_file: Path | None) -> int:
    """Say of each CRM in one line each: reachable, authenticated, allowed what the mappings need, limits left.

    Nothing is written anywhere. Exits 0 when all is well, 1 when something is not.
    """
    config = load(config_file, os.environ)
    for name in destinations:
        if name not in config.destinations:
            known = ", ".join(config.destinations) or "none is configured"
            raise click.BadParameter(f"there is no destination {name!r}; known: {known}")
    objects = _objects(config)
    found: dict[str, list[Finding]] = {"outbox": list(_outbox(config))}
    for name in destinations or config.destinations:
        found[name] = list(_destination(config, name, objects.get(name, ())))
    well = all(finding.ok for findings in found.values() for finding in findings)
    if as_json:
        shown = {
            name: [{"about": each.about, "ok": each.ok, "what": each.what} for each in findings]
            for name, findings in found.items()
        }
        click.echo(json.dumps({"ok": well, "found": shown}, indent=2, ensure_ascii=False))
    else:
        for name, findings in found.items():
            for each in findings:
                click.echo(clean(f"{'ok ' if each.ok else 'NO '} {name}: {each.about}: {each.what}"))
    return exits.DONE if well else exits.NOT_SO


def _objects(config: Config) -> dict[str, tuple[str, ...]]:
    """Return the objects that the mappings write, by destination."""
    from connector.mapping.load import load_mappings  # noqa: PLC0415 - loads the expression language

    try:
        mappings = load_mappings(config.mappings).mappings.values()
    except ProblemsError:
        click.echo("The mappings have mistakes (`connector check`): each CRM is asked about all its objects.", err=True)
        return _all_objects(config)
    found: dict[str, dict[str, None]] = {}
    for mapping in mappings:
        found.setdefault(mapping.destination, {})[mapping.object] = None
    return {name: tuple(objects) for name, objects in found.items()}


def _all_objects(config: Config) -> dict[str, tuple[str, ...]]:
    from connector.crm.presets.load import load_preset  # noqa: PLC0415 - only then

    return {
        name: tuple(load_preset(section.preset, config.presets, section.override).objects)
        for name, section in config.destinations.items()
    }


def _destination(config: Config, name: str, objects: Sequence[str]) -> Iterator[Finding]:
    from connector.compose.secrets import secret_reader  # noqa: PLC0415 - with the HTTP client
    from connector.config.secrets import SecretError  # noqa: PLC0415
    from connector.crm.build import build_crm  # noqa: PLC0415
    from connector.process.clock import SystemClock  # noqa: PLC0415

    section = config.destinations[name]
    reader = secret_reader(os.environ)
    try:
        crm = build_crm(
            name, section, reader, config.state_folder, SystemClock(), presets=config.presets, config=config
        )
    except ProblemsError as error:
        for problem in error.problems:
            yield Finding("configuration", ok=False, what=str(problem))
        return
    except SecretError as error:
        yield Finding("secrets", ok=False, what=str(error))
        return
    try:
        if not objects:
            yield Finding("mappings", ok=True, what="none writes to it")
        yield from crm.examine(objects)
    finally:
        crm.close()
    if section.mode == "observe":
        yield Finding("mode", ok=True, what='observe: nothing is sent until mode = "live"')


def _outbox(config: Config) -> Iterator[Finding]:
    from connector.compose.outbox_health import examine_outbox  # noqa: PLC0415 - loads the database's modules

    yield from examine_outbox(config)
