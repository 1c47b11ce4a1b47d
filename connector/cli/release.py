"""`connector release`: end holds."""

from collections.abc import Iterator

import click

from connector.cli.act import Choices, Deed, acting_options, covers_later, obstacles, perform
from connector.cli.text import count
from connector.config.model import Config
from connector.outbox.port import Desk
from connector.process.clock import SystemClock


@click.command("release")
@acting_options
def release(choices: Choices) -> int:
    """End holds: the newest state of each held record becomes due.

    It also ends what the guard against mass deletes held: look at them first, with `list --state held`.

    Exits 1 when nothing was held, unless it is for a whole record or mapping: its later states are then no longer held.
    """
    now = SystemClock().now()
    deed = Deed(
        name="release",
        question=lambda n: f"Release {count(n, 'delivery', 'deliveries')}?",
        would=lambda n: f"{count(n, 'delivery', 'deliveries')} would be released.",
        did=lambda n: f"{count(n, 'delivery is', 'deliveries are')} released.",
        work=lambda desk, dry_run: desk.release(choices.wanted, now, dry_run=dry_run),
        after=_after,
        stands="Later states are not held any more." if covers_later(choices.wanted) else "",
    )
    return perform(choices, deed)


def _after(desk: Desk, config: Config) -> Iterator[str]:
    yield "Next: the deliverer takes the newest state of each; `connector status` shows what is left."
    yield from obstacles(desk, config)
