"""`connector run`: receiver and deliverer together."""

import os
import sys
from pathlib import Path

import click

from connector.cli.options import config_option
from connector.config.load import load

_SPARE = 10.0


@click.command("run")
@config_option
def run(config_file: Path | None) -> None:
    """Receive and deliver, on a laptop or in a container.

    Two processes that live and die together: when one goes down, so does the other, and the log says which and why.
    For a server there is a unit for each under systemd.

    Exits 0 when stopped (SIGTERM or Ctrl+C), else with the code of the process that went down.
    """
    from connector.process.logging import configure  # noqa: PLC0415
    from connector.process.supervise import Program, run_together, this_program  # noqa: PLC0415

    config = load(config_file, os.environ)
    configure(config.log.format, config.log.level)
    chosen = ["--config", str(config_file)] if config_file is not None else []
    programs = [
        Program("receiver", this_program("serve", *chosen)),
        Program("deliverer", this_program("deliver", *chosen)),
    ]
    sys.exit(run_together(programs, patience=config.delivery.shutdown + _SPARE))
