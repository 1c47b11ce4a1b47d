"""What people install is the wheel, not the checkout: everything works from it, in an empty environment."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An empty virtual environment with nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(
        folder / "bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        ROOT / "constraints.txt",
        wheel,
        cwd=folder,
    )
    return folder / "bin"


def run(*command, cwd, code=0):
    """Run a program outside the checkout, and return what it said."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "VIRTUAL"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_presets_units_examples_and_mappings_come_with_the_wheel(wheel):
    """Whatever the documentation speaks of is inside."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "connector/py.typed",
        "connector/crm/presets/hubspot.yaml",
        "connector/crm/presets/sample.yaml",
        "connector/share/config.example.toml",
        "connector/share/mappings/customers.yaml",
        "connector/share/systemd/connector-receive.socket",
        "connector/demo/mappings/customers.yaml",
    } <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_whole_way_works_from_the_wheel(installed, tmp_path):
    """The demonstration, with the installed program and not the checkout."""
    where = run(installed / "python", "-c", "import connector; print(connector.__file__)", cwd=tmp_path)
    assert str(ROOT / "connector") not in where
    assert "agrees with Copernica" in run(installed / "connector", "demo", cwd=tmp_path)


def test_units_presets_and_a_first_configuration_come_from_the_wheel(installed, tmp_path):
    """A newcomer's first commands."""
    assert "hubspot" in run(installed / "connector", "preset", "list", cwd=tmp_path)
    run(installed / "connector", "install-units", "--root", tmp_path / "root", cwd=tmp_path)
    unit = tmp_path / "root/etc/systemd/system/connector-deliver.service"
    assert unit.read_text() == (ROOT / "systemd/connector-deliver.service").read_text()
