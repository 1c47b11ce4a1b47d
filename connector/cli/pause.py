"""`connector pause`: send nothing to a destination, or for a mapping."""

from pathlib import Path
from typing import Any

import click

from connector.cli import exits, forms
from connector.cli.moments import both, parse_span
from connector.cli.names import subjects
from connector.cli.options import config_option, json_option
from connector.cli.outbox import opened
from connector.cli.text import clean
from connector.domain.clock import Millis
from connector.outbox.port import Pause
from connector.process.clock import SystemClock


class Span(click.ParamType[Millis]):
    """A span of time."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Millis:
        """Read it, or fail with what would be right."""
        span = value if isinstance(value, int) else parse_span(str(value))
        if span is None:
            self.fail(f"{value!r} is no span of time: say 30m, 2h or 3d", param, ctx)
        return span


@click.command("pause")
@click.argument("subject", metavar="DESTINATION|DESTINATION/OBJECT|MAPPING")
@click.option("--reason", default="", metavar="WORDS", help="Why; `status` shows it.")
@click.option(
    "--for", "length", type=Span(), help="End by itself after that time: 30m, 2h, 3d. Default: `resume` ends it."
)
@json_option
@config_option
def pause(subject: str, reason: str, length: Millis | None, as_json: bool, config_file: Path | None) -> int:
    """Send nothing to a destination, to one object of it, or for a mapping.

    Calls are taken and stored as ever; newer states take the place of older ones. What is in flight is finished.
    """
    now = SystemClock().now()
    with opened(config_file, readonly=False) as (config, desk):
        known = subjects(config)
        if known is not None and subject.partition("/")[0] not in known:
            names = ", ".join(sorted(known)) or "none is configured"
            raise click.BadParameter(f"there is no destination or mapping {subject!r}; known: {names}")
        wanted = Pause(subject, "operator", reason, now, None if length is None else now + length)
        desk.pause(wanted)
    if as_json:
        forms.show_json({"command": "pause", "pause": forms.pause(wanted)})
        return exits.DONE
    end = "until it is resumed" if wanted.until is None else f"until {both(wanted.until, now)}"
    click.echo(f"{clean(subject)} is paused {end}. What comes in is stored.")
    click.echo(f"Next: `connector resume {clean(subject)}` sends the newest state of each record.")
    return exits.DONE
