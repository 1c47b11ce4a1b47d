"""The table of what went wrong for others names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_row_names_tests_of_the_suite():
    """Rows 1 to 29, each with at least one test that is there."""
    tests = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
    }
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", (ROOT / "docs/pains.md").read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 30))
    missing = {number: name for number, names in rows for name in re.findall(r"`(\w+)`", names) if name not in tests}
    assert missing == {}
    assert all("`test_" in names for _, names in rows)
