"""`connector demo`: the whole way, on this machine."""

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

_STYLES = {"copernica": "cyan", "connector": "yellow", "crm": "green", "bad": "red"}
_WHO = {"copernica": "Copernica", "connector": "connector", "crm": "CRM", "bad": "!"}


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave it running afterwards, and say which commands to try.")
def demo(*, keep: bool) -> None:
    """Show the whole way on this machine: signed calls in, CRM records out.

    Starts the receiver, the deliverer and a sample CRM on loopback, in a temporary folder; sends genuine calls, a
    duplicate and a forged one, and lets the CRM be down for a moment. Exits 0 only if the CRM ends up with what
    Copernica said last, and the forged call is nowhere; else 1.
    """
    from rich.console import Console  # noqa: PLC0415 - late: other commands do without
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from connector.demo.house import House, StartError  # noqa: PLC0415
    from connector.demo.play import Play  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 200)
    began = time.monotonic()

    def say(who: str, what: str) -> None:
        at = time.monotonic() - began
        console.print(f"[dim]{at:6.2f} s[/dim]  [{_STYLES[who]}]{_WHO[who]:>9}[/]  {escape(what)}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="connector-demo-") as folder:
        house = House(Path(folder))
        try:
            say("connector", f"starts the receiver, the deliverer and a sample CRM in {folder}")
            house.build()
            say("connector", f"takes calls at {house.url}")
            play = Play(house, say)
            play.perform()
            table = Table("", "Copernica ID", "must be in the CRM", "is in the CRM", "", title="Both sides")
            for kind, key, must, there in play.rows():
                same = must == there
                table.add_row(kind, key, escape(must), escape(there), "[green]✓[/]" if same else "[red]✗[/]")
            console.print(table)
            wrong = play.differences()
            for line in wrong:
                say("bad", line)
            if not wrong:
                say("crm", "agrees with Copernica; the forged call is nowhere")
            if keep:
                _stay(console.print, house.config, house.url)
        except StartError as error:
            console.print(escape(str(error)), style="red")
            sys.exit(1)
        finally:
            house.close()
    sys.exit(1 if wrong else 0)


def _stay(show: Callable[[str], None], config: Path, url: str) -> None:
    """Leave it running until Ctrl+C."""
    show(
        f"\nIt goes on running. In another terminal:\n\n"
        f"  export CONNECTOR_CONFIG={config}\n"
        f"  {sys.executable} -m connector status\n"
        f"  {sys.executable} -m connector list\n"
        f"  {sys.executable} -m connector show 1\n"
        f"  {sys.executable} -m connector replay 1\n\n"
        f"The receiver is at {url}. Ctrl+C ends everything."
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        return
