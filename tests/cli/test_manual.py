"""docs/cli.md says what the commands say."""

import pytest

from connector.cli import exits
from connector.cli.commands import COMMANDS
from connector.cli.main import cli
from connector.cli.options import STATES

from .manual import PAGE, by_command, help_of


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_page_has_the_help_of_every_command_as_it_is(name):
    """A changed option is in the documentation, or this fails: `python -m tests.cli.manual` writes it."""
    command = cli.get_command(None, name)
    said = by_command(PAGE.read_text(encoding="utf-8")).get(name)
    assert said == help_of(command, f"connector {name}").rstrip()


def test_the_page_has_no_command_that_is_gone():
    """Nobody reads about what does not exist."""
    assert {name.split()[0] for name in by_command(PAGE.read_text(encoding="utf-8"))} == set(COMMANDS)


def test_the_page_has_every_exit_status_and_state():
    """Scripts are written against them."""
    page = PAGE.read_text(encoding="utf-8")
    for name, code in vars(exits).items():
        if name.isupper():
            assert f"| {code} |" in page
    for state in STATES:
        assert f"`{state}`" in page
