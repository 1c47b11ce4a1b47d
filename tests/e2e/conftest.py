"""A whole installation per test: real processes, real sockets, real files."""

import pytest

from connector.demo.house import House
from tests.e2e.site import Site


@pytest.fixture
def site(tmp_path):
    """The receiver and a sample CRM; a test starts the deliverer when it wants it."""
    site = Site(House(tmp_path))
    try:
        site.house.build(deliverer=False)
        yield site
    finally:
        site.house.close()
