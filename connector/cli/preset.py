"""`connector preset`: which CRMs are described, what they ask for, what is wrong in a file, and whether one works."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from connector.cli import exits
from connector.cli.options import config_option
from connector.cli.text import clean, table
from connector.config.load import find, load
from connector.config.model import Config
from connector.crm.port import Write
from connector.crm.presets.load import examine_preset, list_presets, load_preset, text_of
from connector.crm.presets.model import OAuth2, Object, Preset
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import MatchKey, Verb
from connector.domain.clock import SECOND
from connector.domain.outcome import Outcome, OutcomeKind
from connector.files.problem import Problem, ProblemsError, Severity


@click.group("preset")
def preset() -> None:
    """Show the CRM presets, find mistakes in one, try one."""


def _folder(config_file: Path | None) -> Path | None:
    """Return the folder with the user's own presets, if there is a configuration that names one."""
    if config_file is None and not find(None, os.environ).exists():
        return None
    return load(config_file, os.environ).presets


@preset.command("list")
@config_option
def list_(config_file: Path | None) -> int:
    """List the presets that a destination can name."""
    folder = _folder(config_file)
    rows = []
    for shipped in list_presets(folder):
        try:
            told = load_preset(shipped.name, folder)
        except ProblemsError:
            rows.append((shipped.name, "your own", "", f"has mistakes: connector preset check {shipped.name}"))
            continue
        verified = f"{told.verified.how}, {told.verified.on}"
        rows.append((shipped.name, "your own" if shipped.own else "shipped", verified, told.about))
    click.echo("\n".join(table(("NAME", "FROM", "VERIFIED", "WHAT"), rows)))
    return exits.DONE


@preset.command("show")
@click.argument("name", metavar="NAME|FILE")
@click.option("--file", "as_file", is_flag=True, help="Print the file itself: a start for one of your own.")
@config_option
def show(name: str, as_file: bool, config_file: Path | None) -> int:
    """Tell what a preset asks for and what it can do."""
    folder = _folder(config_file)
    if as_file:
        click.echo(text_of(name, folder), nl=False)
        return exits.DONE
    for line in _described(load_preset(name, folder)):
        click.echo(line)
    return exits.DONE


def _described(told: Preset) -> Iterator[str]:
    yield told.about
    yield f"verified: {told.verified.how}, on {told.verified.on}. {told.verified.notes}".rstrip()
    base = told.connection.base_url
    if base is None:
        auth = told.connection.auth
        in_answer = isinstance(auth, OAuth2) and auth.base_url_from is not None
        base = "named by the token answer" if in_answer else "given by you, as base_url"
    yield f"address: {base}; authentication: {told.connection.auth.type}"
    if told.settings or told.secrets:
        yield "it asks for:"
    for key, asked in told.settings.items():
        default = "" if asked.default is None else f" (default: {asked.default})"
        yield f"  settings.{key}: {asked.about}{default}"
    for key, wanted in told.secrets.items():
        yield f"  secrets.{key}: {wanted.about}{' (may be left out)' if wanted.optional else ''}"
    limits = told.limits
    rates = [f"{rate.cost} in {rate.seconds:g} s" for rate in limits.rates] or ["no rate"]
    day = f", {limits.per_day} a day" if limits.per_day else ""
    yield f"limits: {', '.join(rates)}{day}, {limits.concurrency} at the same time"
    for name, object_ in told.objects.items():
        yield f"{name}: {object_.about}".rstrip(": ")
        yield from (f"  {line}" for line in _abilities(object_))


def _abilities(object_: Object) -> Iterator[str]:
    keys = list(dict.fromkeys(key for find_ in object_.find for key in find_.keys))
    if object_.find:
        any_key = any(not find_.keys for find_ in object_.find)
        yield f"found by {'any field' if any_key else ', '.join(keys)}"
    if object_.upsert:
        yield f"created or updated in one request by {', '.join(object_.upsert.keys) or 'any field'}"
    verbs = ("update", "create", "erase", "archive", "anonymise")
    yield f"can: {', '.join(verb for verb in verbs if getattr(object_, verb)) or 'nothing'}"
    if object_.links:
        yield f"linked with: {', '.join(f'{name} ({link.object})' for name, link in object_.links.items())}"
    batches = [
        f"{kind} {getattr(object_.batch, kind).max}"
        for kind in ("update", "upsert", "erase")
        if getattr(object_.batch, kind)
    ]
    if batches:
        yield f"together: {', '.join(batches)}"
    required = [name for name, facts in object_.fields.items() if facts.required]
    if required:
        yield f"a new one has to have: {', '.join(required)}"


@preset.command("check")
@click.argument("names", metavar="NAME|FILE…", nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@config_option
def check(names: Sequence[str], strict: bool, config_file: Path | None) -> int:
    """Say everything that is wrong in presets, each mistake at its place."""
    folder = _folder(config_file)
    problems: list[Problem] = []
    for name in names:
        problems += examine_preset(name, folder)[1]
    for problem in problems:
        click.echo(str(problem), err=True)
    if any(strict or problem.severity is Severity.ERROR for problem in problems):
        return exits.CONFIGURATION
    click.echo("All is well." if not problems else "It can be used; see the warnings.")
    return exits.DONE


class _Always:
    def may_send(self, cost: int) -> bool:
        return cost >= 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not FIELD=VALUE")
    return name, value


@preset.command("test")
@click.argument("destination")
@click.option("--object", "object_name", required=True, help="The preset's object, such as contact.")
@click.option("--match", required=True, metavar="FIELD=VALUE", help="The match key of a record that is not there yet.")
@click.option("--set", "fields", multiple=True, metavar="FIELD=VALUE", help="A field to write; more than once.")
@click.option("--yes", is_flag=True, help="Do not ask: a record is made in the CRM, changed, and deleted again.")
@config_option
def test(
    destination: str, object_name: str, match: str, fields: Sequence[str], yes: bool, config_file: Path | None
) -> int:
    """Make a record in a configured CRM, find it, change it, and delete it again; tell what came of each.

    Nothing goes through the outbox. The first step only looks: a record that is there already is not touched.
    """
    config = load(config_file, os.environ)
    if destination not in config.destinations:
        known = ", ".join(config.destinations) or "none is configured"
        raise click.BadParameter(f"there is no destination {destination!r}; known: {known}")
    if not yes:
        click.confirm(f"Make, change and delete a {object_name} in {destination}?", abort=True, err=True)
    key, value = _pair(match)
    values = {key: value, **dict(_pair(each) for each in fields)}
    crm = _crm(config, destination)
    try:
        return _life(crm, object_name, MatchKey(key, value), values)
    finally:
        crm.close()


def _crm(config: Config, destination: str) -> RestCrm:
    # Late: only this command and `doctor` need the HTTP client.
    from connector.compose.secrets import secret_reader  # noqa: PLC0415
    from connector.crm.build import build_crm  # noqa: PLC0415
    from connector.process.clock import SystemClock  # noqa: PLC0415

    section = config.destinations[destination]
    reader = secret_reader(os.environ)
    return build_crm(
        destination, section, reader, config.state_folder, SystemClock(), presets=config.presets, config=config
    )


def _life(crm: RestCrm, object_name: str, key: MatchKey, values: dict[str, str]) -> int:
    def send(says: str, verb: Verb, crm_id: str | None, *expected: OutcomeKind) -> Outcome | None:
        fields = {} if verb is Verb.UPDATE else values  # nothing to write: it only looks
        write = Write(
            id="test", object=object_name, verb=verb, crm_id=crm_id, match=(key,), changed=fields, full=fields
        )
        (outcome,) = crm.send([write], _Always())
        ok = outcome.kind in expected
        ids = f" (ID {outcome.crm_id})" if outcome.crm_id else ""
        reason = f": {outcome.reason}" if outcome.reason else ""
        click.echo(clean(f"{'ok ' if ok else 'NO '} {says}: {outcome.kind}{ids}{reason}"))
        return outcome if ok else None

    if send("it is not there", Verb.UPDATE, None, OutcomeKind.ABSENT) is None:
        return exits.NOT_SO
    made = send("create", Verb.UPSERT, None, OutcomeKind.CREATED)
    if made is None:
        return exits.NOT_SO
    lag = crm.visible_after(object_name) / SECOND
    if lag:
        click.echo(f"    waiting {lag:g} s, as the preset says, until a search shows it")
        time.sleep(lag)
    steps = [
        send("find it again", Verb.UPDATE, None, OutcomeKind.UPDATED),
        send("update it by its ID", Verb.UPSERT, made.crm_id, OutcomeKind.UPDATED),
        send("delete it", Verb.ERASE, made.crm_id, OutcomeKind.ERASED),
        send("delete it once more", Verb.ERASE, made.crm_id, OutcomeKind.ERASED),
        send("it is gone", Verb.UPSERT, made.crm_id, OutcomeKind.GONE),
    ]
    found = steps[0]
    if found is not None and found.crm_id != made.crm_id:
        click.echo(clean(f"NO  the search found {found.crm_id}, and {made.crm_id} was made"))
        return exits.NOT_SO
    return exits.DONE if all(steps) else exits.NOT_SO
