"""The units: accepted by systemd, and tight. Where systemd-analyze exists."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
SERVICES = ("connector-receive.service", "connector-deliver.service")
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, timeout=120, check=False)


def unit(name: str) -> dict[str, list[str]]:
    """Return a unit's settings; one may stand there several times."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@needs_systemd
@pytest.mark.parametrize("name", [*SERVICES, "connector-receive.socket"])
def test_systemd_has_nothing_to_say_against_the_units(name: str) -> None:
    """`systemd-analyze verify` is silent."""
    done = analyze("verify", str(FOLDER / name))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_a_services_exposure_is_at_most_one_and_a_half(name: str) -> None:
    """`systemd-analyze security`, offline."""
    done = analyze("security", "--offline=true", "--no-pager", str(FOLDER / name))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= 1.5


@pytest.mark.parametrize("name", SERVICES)
def test_a_wrong_configuration_is_not_tried_again_and_again(name: str) -> None:
    """78 stops the restarts; everything else is tried again without end."""
    settings = unit(name)
    assert settings["RestartPreventExitStatus"] == ["78"]
    assert settings["Restart"] == ["on-failure"]
    assert settings["StartLimitIntervalSec"] == ["0"]
    assert settings["Type"] == ["notify"]
    assert int(settings["WatchdogSec"][0]) >= 60


def test_the_stop_is_longer_than_what_it_waits_for() -> None:
    """The receiver gives calls 20 s, the deliverer 20 s by default: systemd waits longer than that."""
    assert all(int(unit(name)["TimeoutStopSec"][0]) >= 30 for name in SERVICES)


def test_the_socket_has_the_address_of_the_default_configuration() -> None:
    """Otherwise the proxy of the documentation would call nobody."""
    from connector.config.model import Receiver

    assert unit("connector-receive.socket")["ListenStream"] == [Receiver().listen]


def test_units_are_files_that_other_tools_can_read() -> None:
    """No duplicate sections, no stray text."""
    for path in FOLDER.glob("*.service"):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(path.read_text())
        assert set(parser.sections()) == {"Unit", "Service", "Install"}
