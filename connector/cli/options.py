"""Options that several commands share: the configuration, and which events are meant."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from connector.cli.moments import parse_moment
from connector.domain.clock import Instant
from connector.domain.delivery import DeliveryState
from connector.outbox.port import EventState, Filter
from connector.process.clock import SystemClock

F = TypeVar("F", bound=Callable[..., Any])

STATES = [state.word for state in DeliveryState] + [state.name.lower().replace("_", "-") for state in EventState]
"""What `--state` takes: the states of a delivery, and of an event that has none."""


def _config(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:  # noqa: ARG001 - click's
    """What stands before the command counts for the commands below a group, too."""
    found: Path | None = value or ctx.find_root().params.get("config_file")
    return found


config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_config,
    help="The configuration; else $CONNECTOR_CONFIG, else /etc/connector/config.toml.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; docs/cli.md says what is in it.")


class Moment(click.ParamType[Instant]):
    """A moment: an ISO date-time with a zone, or how long ago."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Instant:
        """Read it, or fail with what would be right."""
        if isinstance(value, int):
            return value
        try:
            return parse_moment(value, SystemClock().now())
        except ValueError as error:
            self.fail(str(error), param, ctx)


_FILTERS = (
    click.argument("ids", nargs=-1, type=click.IntRange(1), metavar="[ID]..."),
    click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="In that state; more than once."),
    click.option("--source", metavar="NAME", help="Came in by that source."),
    click.option("--mapping", metavar="NAME", help="Delivered by that mapping."),
    click.option(
        "--record", metavar="RECORD", help="About that record: profile/DATABASE/ID, subprofile/COLLECTION/ID …"
    ),
    click.option("--since", type=Moment(), help="Received at or after: 2h, 3d (ago), or 2026-01-31T12:00:00Z."),
    click.option("--until", type=Moment(), help="Received before; in the same forms."),
    click.option("--text", metavar="WORDS", help="With these words in the reason."),
)


def filter_options(command: F) -> F:
    """Add the IDs and options that say which events are meant; the command gets them as `wanted`, a Filter."""

    @wraps(command)
    def with_filter(
        ids: tuple[int, ...],
        states: tuple[str, ...],
        source: str | None,
        mapping: str | None,
        record: str | None,
        since: Instant | None,
        until: Instant | None,
        text: str | None,
        **rest: Any,
    ) -> Any:
        wanted = Filter(
            ids=ids,
            states=states,
            source=source,
            mapping=mapping,
            record=record,
            since=since,
            until=until,
            text=text,
        )
        return command(wanted=wanted, **rest)

    decorated: Any = with_filter
    for option in reversed(_FILTERS):
        decorated = option(decorated)
    result: F = decorated
    return result
