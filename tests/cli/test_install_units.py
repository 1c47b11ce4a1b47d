"""`connector install-units`: the units come into place, and are as they are in the repository."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from connector.cli.install_units import install_units

UNITS = Path(__file__).resolve().parents[2] / "systemd"


def test_units_user_and_folders_are_put_below_the_root_that_is_named(tmp_path):
    """Byte for byte; a second run says that nothing changes."""
    first = CliRunner().invoke(install_units, ["--root", str(tmp_path)])
    assert first.exit_code == 0
    placed = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert placed["connector-receive.socket"] == (UNITS / "connector-receive.socket").read_bytes()
    assert len(placed) == 4, "two of the five are called connector.conf"
    assert first.output.count("new") == 5
    assert CliRunner().invoke(install_units, ["--root", str(tmp_path)]).output.count("same") == 5


def test_a_dry_run_writes_nothing(tmp_path):
    """It says what would be done."""
    result = CliRunner().invoke(install_units, ["--root", str(tmp_path), "--dry-run"])
    assert "connector-deliver.service" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_exits_1_with_a_way_out(tmp_path):
    """No traceback."""
    (tmp_path / "etc").write_text("in the way")
    result = CliRunner().invoke(install_units, ["--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "Error:" in result.output
    assert "Try:" in result.output


@pytest.mark.parametrize("name", ["systemd", "mappings"])
def test_shared_folders_are_found_in_a_checkout(name):
    """As they are in an installed package."""
    from connector.cli.install_units import shared

    assert shared(name).is_dir()
