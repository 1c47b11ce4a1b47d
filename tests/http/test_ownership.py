"""Verification files: served where Copernica looks, and nothing else with them."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from connector.cli.own_url import own_url
from connector.domain.source import Source
from connector.http.ownership import Ownership
from tests.http.receiver import Receiver

SOURCES = [Source(name="shop", path="/copernica/shop", host="h"), Source(name="top", path="/top", host="h")]
NAME = "smtpeter-a1B2c3.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "ownership"
    made.mkdir()
    (made / NAME).write_text("the proof")
    return made


@pytest.mark.parametrize("place", ["/", "/copernica/", "/copernica/shop/", "/top/"])
def test_a_file_is_served_at_the_root_and_in_the_folder_of_every_address(folder: Path, place: str) -> None:
    """Both places that Copernica may look in, with and without a slash at the address's end."""
    assert Ownership(folder, SOURCES).find(place + NAME) == b"the proof"


@pytest.mark.parametrize("place", ["/elsewhere/", "/copernica/shop/deeper/", "//", "/copernica//", "", "/../"])
def test_it_is_served_nowhere_else(folder: Path, place: str) -> None:
    """An address that nobody calls has no file."""
    assert Ownership(folder, SOURCES).find(place + NAME) is None


@pytest.mark.parametrize(
    "name",
    [
        "config.toml",
        ".txt",
        "smtpeter.txt",
        "smtpeter-.txt",
        "SMTPETER-abc.txt",
        "smtpeter-abc.txt.bak",
        "smtpeter-abc.html",
        "smtpeter-../../key.txt",
        "..%2f..%2fkey-abc.txt",
        "smtpeter-abc.txt\x00.pem",
        "smtpeter-abc.txt\n",
        "-abc.txt",
    ],
)
def test_only_names_of_that_pattern_are_served(folder: Path, name: str) -> None:
    """Whatever else may lie in the folder."""
    try:
        (folder / name).write_text("secret")
    except (ValueError, OSError):
        pass
    assert Ownership(folder, SOURCES).find(f"/{name}") is None


def test_links_pipes_folders_and_large_files_are_not_served(folder: Path) -> None:
    """A link could lead to any file, and a pipe would never end."""
    (folder.parent / "secret").write_text("secret")
    (folder / "smtpeter-link.txt").symlink_to(folder.parent / "secret")
    os.mkfifo(folder / "smtpeter-pipe.txt")
    (folder / "smtpeter-folder.txt").mkdir()
    (folder / "smtpeter-large.txt").write_bytes(b"x" * 70_000)
    for name in ("link", "pipe", "folder", "large"):
        assert Ownership(folder, SOURCES).find(f"/smtpeter-{name}.txt") is None, name


def test_own_url_puts_a_file_in_and_takes_it_away_while_the_receiver_runs(receiver: Receiver, tmp_path: Path) -> None:
    """No restart: served at once, 404 or 405 after."""
    file = tmp_path / NAME
    file.write_text("the proof\n")
    runner, config = CliRunner(), ["--config", str(receiver.config)]
    assert receiver.get(f"/{NAME}").status == 404
    done = runner.invoke(own_url, [*config, str(file)])
    assert (done.exit_code, "is served now" in done.output) == (0, True)
    for place in ("/", "/in/", "/in/shop/"):
        answer = receiver.get(place + NAME)
        assert (answer.status, answer.body) == (200, "the proof\n"), place
        assert answer.headers["content-type"].startswith("text/plain")
    assert runner.invoke(own_url, [*config, "--remove", NAME]).exit_code == 0
    assert receiver.get(f"/{NAME}").status == 404
    assert receiver.get(f"/in/shop/{NAME}").status == 405
    assert runner.invoke(own_url, [*config, "--remove", NAME]).exit_code == 1


def test_own_url_refuses_what_is_no_verification_file(receiver: Receiver, tmp_path: Path) -> None:
    """Exit 2, and a word on what is expected; nothing is copied."""
    config = ["--config", str(receiver.config)]
    for name, content in (("key.pem", b"x"), ("smtpeter-large.txt", b"x" * 70_000)):
        (tmp_path / name).write_bytes(content)
        assert CliRunner().invoke(own_url, [*config, str(tmp_path / name)]).exit_code == 2
    assert CliRunner().invoke(own_url, [*config, str(tmp_path / "smtpeter-missing.txt")]).exit_code == 2
