"""Draws bench/results.json: docs/speed-targets.svg and docs/speed-rates.svg. Run by `make plots`, after `make bench`."""

import json
import math
import sys
from collections.abc import Sequence
from html import escape
from typing import Any

from bench.house import HERE, ROOT
from bench.run import FIGURES

DOCS = ROOT / "docs"
WIDTH, ROW, LEFT, RIGHT = 900, 22, 330, 150
OURS, OTHERS, MISSED, LINE = "#2b6cb0", "#a0aec0", "#c05621", "#4a5568"
MOST = 8.0  # times better or worse than the target: what is further away ends here


class Drawing:
    """An SVG picture that grows downwards."""

    def __init__(self, title: str) -> None:
        self.parts: list[str] = []
        self.y = 34
        self.text(12, 22, title, size=15, weight="bold")

    def text(
        self, x: float, y: float, said: str, *, anchor: str = "start", size: int = 12, weight: str = "normal"
    ) -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">{escape(said)}</text>'
        )

    def bar(self, x: float, to: float, colour: str) -> None:
        """Draw a bar in the current row; a dot if it has no length."""
        left, width = min(x, to), abs(to - x)
        if width < 1:  # exactly there
            self.parts.append(f'<circle cx="{x:.1f}" cy="{self.y + ROW / 2}" r="4" fill="{colour}"/>')
            return
        self.parts.append(
            f'<rect x="{left:.1f}" y="{self.y + 4}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>'
        )

    def spread(self, x: float, to: float) -> None:
        """Draw from the least to the greatest, over the bar of the current row."""
        middle = self.y + ROW / 2
        self.parts.append(
            f'<path d="M{x:.1f} {middle - 4}v8M{x:.1f} {middle}H{to:.1f}M{to:.1f} {middle - 4}v8" stroke="#1a202c" fill="none"/>'
        )

    def upright(self, x: float, top: float, bottom: float, colour: str = "#e2e8f0") -> None:
        """Draw a line from top to bottom, below what is drawn already."""
        self.parts.insert(0, f'<path d="M{x:.1f} {top}V{bottom}" stroke="{colour}" fill="none"/>')

    def __str__(self) -> str:
        height = self.y + 12
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
            f' font-family="sans-serif" fill="#1a202c">\n<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def targets(results: dict[str, Any]) -> Drawing:
    """Draw how far each value is from its target."""
    drawing = Drawing("How far from the target: it holds to the right, and fails to the left")
    scale = (WIDTH - LEFT - RIGHT) / 2 / math.log(MOST)

    def place(better: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) / 2 + scale * math.log(min(max(better, 1 / MOST), MOST))

    drawing.y += 20
    top = drawing.y
    for name in FIGURES:
        drawing.text(12, drawing.y + ROW / 2 + 4, name, weight="bold")
        for part in results[name]["parts"]:
            sign, limit = part["target"].split()
            better = [_better(value, float(limit), sign) for value in (part["value"], *part["rounds"])]
            drawing.bar(place(1), place(better[0]), OURS if part["holds"] else MISSED)
            if len(better) > 2 and min(better[1:]) < max(better[1:]):
                drawing.spread(place(min(better[1:])), place(max(better[1:])))
            middle = drawing.y + ROW / 2 + 4
            drawing.text(46, middle, part["what"].replace("`", ""))
            drawing.text(WIDTH - RIGHT + 12, middle, f"{part['value']:.3g}  (target {part['target']})")
            drawing.y += ROW
    for better, said in (
        (1 / 4, "4 times worse"),
        (1 / 2, "2 times"),
        (1, "the target"),
        (2, "2 times"),
        (4, "4 times better"),
    ):
        drawing.upright(place(better), top, drawing.y, LINE if better == 1 else "#e2e8f0")
        drawing.text(place(better), top - 6, said, anchor="middle", size=11)
    return drawing


def _better(value: float, limit: float, sign: str) -> float:
    """Return how many times better than its limit a value is; 1 is just good enough."""
    if value == limit:
        return 1
    if not value or not limit:
        return MOST if (value < limit) == (sign == "≤") else 1 / MOST
    return limit / value if sign == "≤" else value / limit


def rates(results: dict[str, Any]) -> Drawing:
    """Draw what was done in a second, by us and by what we are compared with."""
    drawing = Drawing("In a second: the connector (blue), and what it is compared with")
    for name in FIGURES:
        for group, of in results[name]["rates"].items():
            drawing.y += 8
            drawing.text(12, drawing.y + 14, f"{name}: {group}", weight="bold")
            drawing.y += ROW
            most = max(max(rounds) for rounds in of.values())
            for number, (who, rounds) in enumerate(of.items()):
                _rate(drawing, who, sorted(rounds), most, OTHERS if number else OURS)
    return drawing


def _rate(drawing: Drawing, who: str, rounds: Sequence[float], most: float, colour: str) -> None:
    def place(rate: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * rate / most

    middle = rounds[len(rounds) // 2]
    drawing.bar(LEFT, place(middle), colour)
    drawing.spread(place(rounds[0]), place(rounds[-1]))
    drawing.text(LEFT - 10, drawing.y + ROW / 2 + 4, who, anchor="end")
    drawing.text(WIDTH - RIGHT + 12, drawing.y + ROW / 2 + 4, f"{middle:,.0f}")
    drawing.y += ROW


def main() -> int:
    """Draw both. Returns 1 if there is not a whole run to be drawn."""
    file = HERE / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    wanting = [name for name in FIGURES if results.get(name, {}).get("quick", True)]
    if wanting:
        print(
            f"{file.relative_to(ROOT)} has no full figures for {', '.join(wanting)}: run `make bench` first",
            file=sys.stderr,
        )
        return 1
    for name, drawing in (("targets", targets(results)), ("rates", rates(results))):
        picture = DOCS / f"speed-{name}.svg"
        picture.write_text(str(drawing), "utf-8")
        print(picture.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
