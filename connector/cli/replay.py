"""`connector replay`: deliver again, through the mappings as they are now (S26)."""

from collections.abc import Iterator

import click

from connector.cli.act import Choices, Deed, acting_options, obstacles, perform
from connector.cli.text import count
from connector.config.model import Config
from connector.outbox.port import Desk
from connector.process.clock import SystemClock


@click.command("replay")
@acting_options
@click.option("--exact", is_flag=True, help="Send these very events, even if newer states are known.")
@click.option(
    "--again", is_flag=True, help="Also events, of a mapping that delivers each, that were delivered already."
)
def replay(choices: Choices, exact: bool, again: bool) -> int:
    """Deliver again: the newest stored state of each record goes through its mapping as it is now.

    After a mapping was mended, `replay --state dead --mapping NAME` is what is needed. The history stays. What was
    selected and is older than the newest state is not sent again. Replays go after live traffic.

    Exits 1 when nothing was to be done.
    """
    if exact:
        click.echo(
            "Warning: --exact sends these very events. Where a newer state is known, the CRM is taken back to an older "
            "one, until the next change.",
            err=True,
        )
    now = SystemClock().now()
    deed = Deed(
        name="replay",
        question=lambda n: f"Replay {count(n, 'event')}?",
        would=lambda n: f"{count(n, 'event')} would be delivered again.",
        did=lambda n: f"{count(n, 'event')} will be delivered again, through the mappings as they are now.",
        work=lambda desk, dry_run: desk.replay(choices.wanted, now, exact=exact, again=again, dry_run=dry_run),
        after=_after,
    )
    return perform(choices, deed)


def _after(desk: Desk, config: Config) -> Iterator[str]:
    yield "Next: the deliverer takes them after live traffic; `connector status` shows what is left."
    yield from obstacles(desk, config)
