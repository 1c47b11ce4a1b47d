"""`connector status`: how it stands, at a glance, for people and for monitoring."""

from pathlib import Path

import click

from connector.cli import exits, forms
from connector.cli.health import problems
from connector.cli.options import config_option, json_option
from connector.cli.outbox import opened
from connector.cli.overview import form, lines, sections
from connector.cli.text import is_terminal
from connector.process.clock import SystemClock


@click.command("status")
@json_option
@config_option
def status(as_json: bool, config_file: Path | None) -> int:
    """Say how it stands: what is due, delivered, dead, held and paused, and what needs a person.

    Exits 1 when something is over a threshold under [alert], when the outbox has no room, or when the clocks of
    Copernica and of this machine differ.
    """
    with opened(config_file, readonly=True) as (config, desk):
        found = desk.status()
    now = SystemClock().now()
    wrong = problems(found, config, now)
    if as_json:
        forms.show_json(form(found, wrong, now))
    elif is_terminal():
        # Late: only a person at a terminal waits for it.
        from connector.cli.overview_rich import show  # noqa: PLC0415

        show(sections(found, config, now), wrong)
    else:
        click.echo("\n".join(lines(sections(found, config, now), wrong)))
    return exits.NOT_SO if wrong else exits.DONE
