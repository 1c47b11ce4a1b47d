"""What holds for every test: one profile for properties, and a line at the end for each real server."""

import os

import pytest
from hypothesis import settings

from tests.real.install import PACKAGES
from tests.real.servers import why_not

_LONGEST = ("tests/wheel/", "tests/torture/", "tests/real/", "tests/simulation/")

# No property has a time limit: machines differ. Where a failure would stop others (CI), examples are the same each time.
settings.register_profile("connector", deadline=None, derandomize=os.environ.get("CI", "").lower() in ("1", "true"))
settings.load_profile("connector")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nobody waits for it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of each real server: run, or not run and why."""
    for name in PACKAGES:
        where = f"tests/real/test_{name}.py"
        counts = {
            outcome: sum(str(getattr(report, "nodeid", "")).startswith(where) for report in reports)
            for outcome, reports in terminalreporter.stats.items()
            if outcome in ("passed", "failed", "error", "skipped")
        }
        if not any(counts.values()):
            continue  # nobody asked for them
        ran = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        why = why_not(name)
        terminalreporter.write_line(f"real server {name}: {f'run ({ran})' if why is None else f'not run: {why}'}")
