"""How a command that changes something goes: what is meant, a question at a terminal, the deed, the report."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from connector.cli import exits, forms
from connector.cli.names import subjects
from connector.cli.options import config_option, filter_options, json_option
from connector.cli.outbox import opened
from connector.cli.text import clean
from connector.config.model import Config
from connector.outbox.port import Desk, Done, Filter

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Choices:
    """What every such command is told."""

    wanted: Filter
    dry_run: bool
    yes: bool
    as_json: bool
    config_file: Path | None


@dataclass(frozen=True, slots=True)
class Deed:
    """A command's own part. `would` and `did` are sentences over a number; `after` says what comes next.

    `stands` is a sentence when the command takes effect for what comes later, even if nothing is there now;
    `must_exist` is the mapping that it then names.
    """

    name: str
    question: Callable[[int], str]
    would: Callable[[int], str]
    did: Callable[[int], str]
    work: Callable[[Desk, bool], Done]
    after: Callable[[Desk, Config], Iterator[str]]
    stands: str = ""
    must_exist: str | None = None


def acting_options(command: F) -> F:
    """Add the filter, --all, --dry-run, --yes, --json and --config; the command gets them as `choices`."""

    @filter_options
    @click.option("--all", "everything", is_flag=True, help="Everything: needed when nothing else says what is meant.")
    @click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
    @click.option("--yes", is_flag=True, help="Do not ask. Asked is only at a terminal.")
    @json_option
    @config_option
    @wraps(command)
    def with_choices(
        wanted: Filter,
        everything: bool,
        dry_run: bool,
        yes: bool,
        as_json: bool,
        config_file: Path | None,
        **rest: Any,
    ) -> Any:
        if wanted.is_empty and not everything:
            raise click.UsageError("Say what is meant: IDs, or options such as --state or --mapping; or --all.")
        if everything and not wanted.is_empty:
            raise click.UsageError("--all means everything: it cannot go with IDs or with options that narrow it.")
        return command(choices=Choices(wanted, dry_run, yes, as_json, config_file), **rest)

    result: Any = with_choices
    return result  # type: ignore[no-any-return]  # the options are added, the rest stays


def perform(choices: Choices, deed: Deed) -> int:
    """Do it, say what was done and what comes next; return the exit status: 1 when there was nothing to do."""
    with opened(choices.config_file, readonly=False) as (config, desk):
        if deed.must_exist is not None:
            _refuse_unknown(deed.must_exist, config)
        if not (choices.dry_run or choices.yes) and sys.stdin.isatty():
            expected = deed.work(desk, True)
            if (expected.done or deed.stands) and not click.confirm(deed.question(expected.done), err=True):
                click.echo("Nothing was changed.", err=True)
                return exits.NOT_SO
        result = deed.work(desk, choices.dry_run)
        if choices.as_json:
            forms.show_json(forms.done(deed.name, result, dry_run=choices.dry_run))
        else:
            _tell(result, deed, dry_run=choices.dry_run)
            if (result.done or deed.stands) and not choices.dry_run:
                for line in deed.after(desk, config):
                    click.echo(line)
    return exits.DONE if result.done or deed.stands else exits.NOT_SO


def covers_later(wanted: Filter) -> bool:
    """Tell whether a hold is of a whole record or mapping, so that it covers later states too (S27)."""
    narrower = wanted.ids or wanted.states or wanted.source or wanted.since or wanted.until or wanted.text
    return not narrower and (wanted.record is not None or wanted.mapping is not None)


def _refuse_unknown(mapping: str, config: Config) -> None:
    """A hold for a mistyped name would hold nothing, and say that it does."""
    known = subjects(config)
    if known is not None and mapping not in known - set(config.destinations):
        names = ", ".join(sorted(known - set(config.destinations))) or "none is there"
        raise click.BadParameter(f"there is no mapping {mapping!r}; known: {names}", param_hint="--mapping")


def _tell(result: Done, deed: Deed, *, dry_run: bool) -> None:
    if result.done or deed.stands:
        click.echo((deed.would if dry_run else deed.did)(result.done))
        if deed.stands and not dry_run:
            click.echo(deed.stands)
    elif result.left:
        click.echo(f"Nothing to {deed.name}.")
    else:
        click.echo(f"Nothing to {deed.name}: nothing is like that. `connector list` shows what there is.")
    for reason, number in sorted(result.left.items()):
        click.echo(f"  {number:,} left as they are: {clean(reason)}")
    if dry_run:
        click.echo("Nothing was changed (--dry-run).")


def obstacles(desk: Desk, config: Config) -> Iterator[str]:
    """Say what keeps deliveries from going now."""
    for pause in desk.status().pauses:
        yield f"{pause.subject} is paused ({clean(pause.reason) or pause.by}): nothing goes there before it is resumed."
    for name, destination in sorted(config.destinations.items()):
        if destination.mode == "observe":
            yield f'{name} is only observed (mode = "observe"): nothing is sent to it.'
