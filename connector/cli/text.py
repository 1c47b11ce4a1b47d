"""Output for people, safe to show: what came from outside cannot steer a terminal."""

import re
import shutil
import sys
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NARROWEST = 20


def clean(text: str) -> str:
    """Return the text in one line, with what could steer a terminal written out, as a backslash, x and digits."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else "?", text)  # noqa: PLR2004


def clean_lines(text: str) -> str:
    """Return the text with its lines, each of them clean."""
    return "\n".join(clean(line) for line in text.splitlines())


def is_terminal() -> bool:
    """Tell whether a person reads what is printed."""
    return sys.stdout.isatty()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with columns of equal width; at a terminal the last column is cut to what fits."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head) - 1)]
    room = None
    if is_terminal():
        room = max(_NARROWEST, shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths))
    lines = []
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        last = row[-1] if room is None or len(row[-1]) <= room else row[-1][: room - 1] + "…"
        lines.append("  ".join([*cells, last]).rstrip())
    return lines


def count(number: int, one: str, many: str | None = None) -> str:
    """Return `1 event`, `2 events`, `12,345 events`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: int) -> str:
    """Return bytes as people read them."""
    value = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":  # noqa: PLR2004
            break
        value /= 1024
    return f"{number:,} bytes" if unit == "bytes" else f"{value:,.1f} {unit}"
