"""`connector draft-mapping`: proposes a mapping file from a call that arrived."""

import sys
from pathlib import Path
from typing import BinaryIO

import click

from connector.cli import exits
from connector.cli.preview import LARGEST
from connector.cli.workbench import config_option, give_up, new_workbench
from connector.domain.event import NotUnderstood
from connector.files.problem import ProblemsError
from connector.mapping.proposal import propose
from connector.outbox.port import OutboxError


@click.command("draft-mapping")
@config_option
@click.option("--from-event", "event_id", type=int, help="An event in the outbox, by its ID.")
@click.option("--body", type=click.File("rb"), help="A call's body in a file; - is standard input.")
@click.option("--source", help="Read the body as a call of this source of the configuration.")
@click.option("--name", help="The mapping's name; else made of what it takes.")
@click.option("--crm", default="crm", show_default=True, help="The destination's name in the configuration.")
@click.option("--object", "object_name", default="contact", show_default=True, help="The kind of record there.")
@click.pass_context
def draft_mapping(
    ctx: click.Context,
    config_file: Path | None,
    event_id: int | None,
    body: BinaryIO | None,
    source: str | None,
    name: str | None,
    crm: str,
    object_name: str,
) -> None:
    """Write a proposal for a mapping file to standard output: every field of a call, with a CRM field for it.

    The values of the call are not written. Read it, mend it, and let `connector check` see it.
    """
    if (event_id is None) == (body is None):
        raise click.UsageError("say which call: --from-event ID, or --body FILE.")
    bench = new_workbench(ctx, config_file)
    try:
        arrived = bench.stored(event_id) if event_id is not None else None
        if body is not None:
            arrived = bench.read(body.read(LARGEST), None, source, None)
    except ProblemsError as error:
        give_up(error.problems)
    except OutboxError as error:
        click.echo(str(error), err=True)
        sys.exit(exits.NOT_SO)
    if arrived is None:
        click.echo("There is no such event in the outbox.", err=True)
        sys.exit(exits.NOT_SO)
    if isinstance(arrived.event, NotUnderstood):
        click.echo(f"The call is not understood: {arrived.event.reason}", err=True)
        sys.exit(exits.NOT_SO)
    click.echo(propose(arrived.event, name=name, crm=crm, object_name=object_name), nl=False)
