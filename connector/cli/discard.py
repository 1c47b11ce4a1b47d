"""`connector discard`: throw deliveries away."""

from collections.abc import Iterator

import click

from connector.cli.act import Choices, Deed, acting_options, perform
from connector.cli.text import count
from connector.config.model import Config
from connector.outbox.port import Desk
from connector.process.clock import SystemClock


@click.command("discard")
@acting_options
def discard(choices: Choices) -> int:
    """Throw away deliveries that are pending, held or dead: they are not sent.

    The events stay until their retention is over, so `replay` can bring them back. A later change of the same record is
    delivered as ever.

    Exits 1 when there was nothing to throw away.
    """
    now = SystemClock().now()
    deed = Deed(
        name="discard",
        question=lambda n: f"Throw away {count(n, 'delivery', 'deliveries')}?",
        would=lambda n: f"{count(n, 'delivery', 'deliveries')} would be thrown away.",
        did=lambda n: f"{count(n, 'delivery is', 'deliveries are')} thrown away.",
        work=lambda desk, dry_run: desk.discard(choices.wanted, now, dry_run=dry_run),
        after=_after,
    )
    return perform(choices, deed)


def _after(desk: Desk, config: Config) -> Iterator[str]:
    del desk, config
    yield "Next: nothing. `connector replay ID` brings one back while its event is kept."
