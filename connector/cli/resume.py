"""`connector resume`: end a pause."""

from pathlib import Path

import click

from connector.cli import exits, forms
from connector.cli.options import config_option, json_option
from connector.cli.outbox import opened
from connector.cli.text import clean


@click.command("resume")
@click.argument("subject", metavar="DESTINATION|DESTINATION/OBJECT|MAPPING")
@json_option
@config_option
def resume(subject: str, as_json: bool, config_file: Path | None) -> int:
    """End a pause, whoever began it: an operator, or the connector because the CRM did not work.

    Exits 1 when it was not paused.
    """
    with opened(config_file, readonly=False) as (config, desk):
        was_paused = desk.resume(subject)
        others = [pause.subject for pause in desk.status().pauses]
    if as_json:
        forms.show_json({"command": "resume", "subject": subject, "was_paused": was_paused, "paused": others})
    elif was_paused:
        click.echo(f"{clean(subject)} is resumed. Next: the deliverer sends the newest state of each record.")
        destination = config.destinations.get(subject)
        if destination is not None and destination.mode == "observe":
            click.echo(f'{clean(subject)} is only observed (mode = "observe"): nothing is sent to it.')
    else:
        paused = ", ".join(others) or "nothing"
        click.echo(f"{clean(subject)} is not paused. Paused: {clean(paused)}.")
    return exits.DONE if was_paused else exits.NOT_SO
