"""What is wrong with a destination is said at its place in the configuration."""

import pytest

from connector.config.load import from_document
from connector.crm.build import build_crm
from connector.files.document import parse
from connector.files.problem import ProblemsError
from tests.crm.helpers import FixedClock

HEAD = '[destinations.crm]\npreset = "sample"\nbase_url = "https://crm.example.com/"\n\n'
TOKEN = '[destinations.crm.secrets]\ntoken = { env = "X" }\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + TOKEN + "[destinations.crm.settings]\nextra = 1\n",
            "config.toml:8:9: destinations.crm.settings.extra: the preset asks for no `extra`",
        ),
        (
            HEAD + TOKEN + 'tokn = { env = "X" }\n',
            "config.toml:7:8: destinations.crm.secrets.tokn: the preset asks for no `tokn`",
        ),
        (HEAD, "config.toml:1:15: destinations.crm.secrets: `token` is missing"),
    ],
)
def test_a_problem_of_a_destination_points_into_the_configuration(tmp_path, text, said):
    """File, line and column, and the key."""
    config = from_document(parse(text, file="config.toml"), tmp_path)
    with pytest.raises(ProblemsError) as caught:
        build_crm("crm", config.destinations["crm"], lambda _: "x", tmp_path, FixedClock(), config=config)
    assert str(caught.value).startswith(said)
