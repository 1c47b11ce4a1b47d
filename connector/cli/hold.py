"""`connector hold`: keep deliveries back (S27)."""

from collections.abc import Iterator

import click

from connector.cli.act import Choices, Deed, acting_options, covers_later, perform
from connector.cli.text import count
from connector.config.model import Config
from connector.outbox.port import Desk
from connector.process.clock import SystemClock


@click.command("hold")
@acting_options
def hold(choices: Choices) -> int:
    """Keep pending deliveries back until they are released.

    A hold of a whole record (--record alone) or mapping (--mapping alone) covers later states too: they collapse, and
    `release` sends the newest. To stop a whole destination, `pause` it.

    Exits 1 when nothing was pending and nothing later is covered.
    """
    wanted = choices.wanted
    now = SystemClock().now()
    lasting = covers_later(wanted)

    def after(desk: Desk, config: Config) -> Iterator[str]:
        del desk, config
        if not lasting:
            yield "A newer state of one of these records goes through, and takes the place of what is held."
        yield "Next: `connector release` sends the newest state of each, `connector discard` throws it away."

    deed = Deed(
        name="hold",
        question=lambda n: f"Hold {count(n, 'delivery', 'deliveries')}?",
        would=lambda n: f"{count(n, 'delivery', 'deliveries')} would be held.",
        did=lambda n: f"{count(n, 'delivery is', 'deliveries are')} held.",
        work=lambda desk, dry_run: desk.hold(wanted, now, dry_run=dry_run),
        after=after,
        stands="Later states are held as well." if lasting else "",
        must_exist=wanted.mapping if lasting else None,
    )
    return perform(choices, deed)
