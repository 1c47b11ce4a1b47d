"""`status` at a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from connector.cli.overview import Section, Tone

_STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.WATCH: "yellow", Tone.BAD: "bold red"}


def show(found: Sequence[Section], wrong: Sequence[str], console: Console | None = None) -> None:
    """Print the sections, what is wrong first."""
    screen = console or Console(highlight=False)
    if wrong:
        screen.print(Text("● Needs a person", "bold red"))
        for problem in wrong:
            screen.print(Text(f"  {problem}", "red"))
    else:
        screen.print(Text("● All is well", "bold green"))
    for section in found:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column()
        for line in section.lines:
            grid.add_row(
                Text(f"  {line.label}", "dim" if line.tone is Tone.PLAIN else ""), Text(line.value, _STYLES[line.tone])
            )
        screen.print()
        screen.print(Text(section.title, "bold"))
        screen.print(grid)
