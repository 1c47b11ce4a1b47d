"""The README says what is so."""

import re
from pathlib import Path

import pytest

from connector.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    """To a file or a folder of the repository."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    inside = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_shown_exists(page):
    """`connector …` in a block of commands or between back quotes."""
    text = page.read_text("utf-8")
    shown = set(re.findall(r"(?:^    |^\$ |`)connector ([a-z][a-z-]+)", text, re.MULTILINE))
    assert shown - set(COMMANDS) == set()


def test_the_make_targets_that_are_shown_exist():
    """In the README and in the documentation."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        shown = set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
        assert shown - targets == set(), page
