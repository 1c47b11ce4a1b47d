"""The tables of docs/expressions.md, made from what the language really has.

python -m connector.mapping.filters.reference docs/expressions.md
"""

import re
import sys
from pathlib import Path

from connector.mapping.filters import FILTERS, Filter
from connector.mapping.scope import RESERVED


def names_table() -> str:
    """Return the reserved names as Markdown."""
    rows = [f"| `{name}` | {kind.value} | {meaning} |" for name, (kind, meaning, _) in RESERVED.items()]
    return "\n".join(["| name | kind | what it is |", "|---|---|---|", *rows])


def filters_tables() -> str:
    """Return all filters as Markdown, a table per section."""
    sections: dict[str, list[Filter]] = {}
    for each in FILTERS.values():
        sections.setdefault(each.section, []).append(each)
    parts = []
    for section in sorted(sections):
        rows = [_row(each) for each in sorted(sections[section], key=lambda each: each.name)]
        parts.append("\n".join([f"### {section}", "", "| filter | takes → gives | |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _row(each: Filter) -> str:
    examples = "<br>".join(f"`{_cell(text)}` → `{_cell(value)}`" for text, value in each.examples)
    doc = " ".join(each.doc.split())
    return f"| `{_cell(each.signature)}` | {each.expected} → {each.gives.value} | {_cell(doc)}<br>{examples} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "\\n")


def render(text: str) -> str:
    """Return the page with its generated parts made anew."""
    for mark, table in (("names", names_table()), ("filters", filters_tables())):
        begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
        made = f"{begin}\n{table}\n{end}"
        text = re.sub(f"{begin}.*?{end}", lambda _, made=made: made, text, flags=re.DOTALL)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(render(page.read_text("utf-8")), "utf-8")
