"""`connector preset` and `connector doctor`, against the sample CRM."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connector.cli.main import main
from connector.sample_crm.server import Options, SampleCrm
from tests.crm.helpers import OpenGate, email, make, upsert

Run = Callable[..., tuple[int, str, str]]

CONFIG = """
mappings = "mappings"

[outbox]
path = "outbox.db"

[sources.shop]
account = "account-1234"

[destinations.crm]
preset = "sample"
mode = "live"
base_url = "{url}"
secrets.token.env = "SAMPLE_TOKEN"
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SAMPLE_TOKEN", "t")
    monkeypatch.delenv("CONNECTOR_CONFIG", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def sample() -> Iterator[SampleCrm]:
    with SampleCrm(Options(token="t")) as made:
        yield made


@pytest.fixture
def config(tmp_path: Path, sample: SampleCrm) -> Path:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "people.yaml").write_text(
        """\
name: people
from: {database: 4711}
to: {crm: crm, object: contact}
match: [email: "email"]
set: {email: email}
on_delete: ignore
"""
    )
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.format(url=sample.url))
    return file


def test_presets_are_listed_with_how_they_were_verified(run: Run) -> None:
    """Everybody can see what is only from documents."""
    code, out, _ = run("preset", "list")
    assert code == 0
    for name in ("hubspot", "salesforce", "pipedrive", "odoo", "teamleader", "generic-rest", "sample"):
        assert name in out
    assert "documents only" in out


def test_a_preset_with_mistakes_does_not_hide_the_others(run: Run, tmp_path: Path) -> None:
    """It is listed as what it is."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "ours.yaml").write_text("abuot: x\n")
    (tmp_path / "config.toml").write_text('presets = "own"\n')
    code, out, _ = run("preset", "list", "--config", str(tmp_path / "config.toml"))
    assert code == 0
    assert "has mistakes: connector preset check ours" in out
    assert "hubspot" in out


@pytest.mark.parametrize("name", ["hubspot", "salesforce", "pipedrive", "odoo", "teamleader", "generic-rest", "sample"])
def test_a_preset_is_shown_and_its_file_is_a_start(run: Run, tmp_path: Path, name: str) -> None:
    """`show --file` prints what can be saved, changed and checked."""
    code, out, _ = run("preset", "show", name)
    assert code == 0
    assert "it asks for" in out
    code, out, _ = run("preset", "show", name, "--file")
    assert code == 0
    copy = tmp_path / "mine.yaml"
    copy.write_text(out)
    code, out, err = run("preset", "check", str(copy), "--strict")
    assert (code, out, err) == (0, "All is well.\n", "")


def test_mistakes_in_a_preset_come_with_their_places(run: Run, tmp_path: Path) -> None:
    """78, and a line for each."""
    file = tmp_path / "wrong.yaml"
    file.write_text(
        """\
about: x
verified: {how: not verified, on: 2026-11-21}
connection: {auth: {type: bearer, secret: token}}
objects:
  contact:
    update: {path: "/c/{idd}", body: "{fields}"}
    create: {path: /c, body: "{fields}"}
"""
    )
    code, _, err = run("preset", "check", str(file))
    assert code == 78
    assert f"{file}:6:20: objects.contact.update[1].path: there is no {{idd}} here" in err
    assert "try {id}" in err
    assert "captures `id`" in err
    assert "the secret 'token' is not described" in err


def test_a_configured_crm_is_tried_out(
    run: Run, config: Path, sample: SampleCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is made, found, changed and deleted; nothing is left behind."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    arguments = ("--object", "contact", "--match", "email=probe@example.com", "--set", "firstname=Probe", "--yes")
    code, out, _ = run("preset", "test", "crm", *arguments, "--config", str(config))
    assert code == 0, out
    assert out.count("ok ") == 7
    assert sample.records("contacts") == []


def test_trying_out_never_touches_a_record_that_is_there(run: Run, config: Path, sample: SampleCrm) -> None:
    """The first step only looks, and ends it all when it finds something."""
    crm = make("sample", state=config.parent, secrets={"token": "t"}, base_url=sample.url)
    crm.send([upsert(match=email("real@example.com"), full={"email": "real@example.com"})], OpenGate())
    crm.close()
    arguments = ("--object", "contact", "--match", "email=real@example.com", "--set", "firstname=Probe", "--yes")
    code, out, _ = run("preset", "test", "crm", *arguments, "--config", str(config))
    assert code == 1
    assert "NO  it is not there" in out
    (row,) = sample.records("contacts")
    assert "firstname" not in row


def test_an_unknown_destination_is_said(run: Run, config: Path) -> None:
    """With those that there are."""
    code, _, err = run(
        "preset", "test", "nowhere", "--object", "contact", "--match", "a=b", "--yes", "--config", str(config)
    )
    assert code == 2
    assert "crm" in err


def test_the_doctor_says_what_is_well(run: Run, config: Path) -> None:
    """Reachable, authenticated, allowed to read and write what the mappings need."""
    code, out, _ = run("doctor", "--config", str(config))
    assert code == 0, out
    assert "ok  crm: may read contacts: yes" in out
    assert "ok  crm: may write contacts: yes" in out
    assert "deals" not in out


def test_the_doctor_says_what_is_wrong(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong token: one line that says what to do, and status 1."""
    monkeypatch.setenv("SAMPLE_TOKEN", "wrong-token")
    code, out, _ = run("doctor", "--config", str(config), "--json")
    told = json.loads(out)
    assert (code, told["ok"]) == (1, False)
    (finding,) = [each for each in told["found"]["crm"] if not each["ok"]]
    assert "credentials" in finding["what"]
    assert "wrong-token" not in out


def test_the_doctor_writes_nothing(run: Run, config: Path, sample: SampleCrm) -> None:
    """Its questions are harmless."""
    run("doctor", "--config", str(config))
    assert sample.records("contacts") == []
    assert all(not entry.commits for entry in sample.journal())
