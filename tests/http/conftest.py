"""One receiver for all tests that leave it as it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.receiver import Receiver


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver that tests may call, but not stop or slow down."""
    folder: Path = tmp_path_factory.mktemp("receiver")
    with Receiver(folder, options="max_body = 2097152\nbody_timeout = 20", sources=_MORE) as running:
        yield running


_MORE = """
[sources.callback]
proof = "none"
addresses = ["127.0.0.0/8"]
dialect = "callback"
database = 7
[sources.elsewhere]
proof = "none"
addresses = ["203.0.113.0/24"]
[sources.opens]
account = "account-1234"
proof = "key-file"
key_file = "key.pem"
decline = ["open"]
[sources.https]
account = "account-1234"
proof = "key-file"
key_file = "key.pem"
require_https = true
"""
