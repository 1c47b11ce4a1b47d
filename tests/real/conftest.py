"""A server and an installation of the connector that delivers to it, for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import servers
from tests.real.servers import Running
from tests.support.installation import Installation

HERE = Path(__file__).parent

DESTINATION = """\
[destinations.{name}]
preset = "{name}"
mode = "live"
base_url = "{url}"
{more}
[delivery.schedule]
first = 0.2
"""


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with servers.tryton(tmp_path_factory.mktemp("tryton")) as running:
        yield running


@pytest.fixture(scope="module")
def kinto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with servers.kinto(tmp_path_factory.mktemp("kinto")) as running:
        yield running


def _installation(
    folder: Path, name: str, server: Running, secret: str, value: str, settings: str, more: str = ""
) -> Installation:
    house = Installation(folder)
    house.secret(secret, value)
    more = f'secrets.{secret} = {{ file = "{secret}" }}\nsettings = {{ {settings} }}\n{more}'
    house.lay_out(DESTINATION.format(name=name, url=server.url, more=more), HERE / "mappings" / name, HERE / "presets")
    house.open()
    return house


@pytest.fixture
def to_tryton(tryton: Running, tmp_path: Path) -> Iterator[Installation]:
    # Tryton's own time for a request is ours to choose here: half a second instead of half a minute
    override = "override.objects.party.visible_after = 0.5"
    settings = f"company = {tryton.facts['company']}, currency = {tryton.facts['currency']}"
    house = _installation(tmp_path, "tryton", tryton, "token", tryton.facts["key"], settings, override)
    yield house
    house.close()


@pytest.fixture
def to_kinto(kinto: Running, tmp_path: Path) -> Iterator[Installation]:
    house = _installation(tmp_path, "kinto", kinto, "password", "secret", 'user = "crm"')
    yield house
    house.close()
