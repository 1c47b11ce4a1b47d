"""Backup and restore, through real processes; and a damaged file, which is never papered over."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from connector.compose.outbox_health import damage, examine_outbox
from connector.config.load import load
from connector.demo.house import ACCOUNT, HOST, KEY_ID, PATH, House
from connector.domain.signing import sign
from connector.outbox.port import Filter, OutboxBrokenError
from connector.outbox.sqlite.backup import backup, check
from connector.outbox.sqlite.database import Database
from connector.outbox.sqlite.desk import SqliteDesk
from tests.support.until import until
from tests.support.world import World


def connector(config, *arguments):
    command = [sys.executable, "-m", "connector", "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class Sender:
    """Signed calls of profile records, each change with the next version."""

    def __init__(self, house):
        self.house = house
        self.session = requests.Session()
        self.session.trust_env = False
        self.count = 0
        self.began = int(time.time()) - 3600

    def send(self, record, version):
        self.count += 1
        values = {
            "type": "create" if version == 1 else "update", "profile": record, "database": 7616,
            "time": self.began + version, "fields[email]": f"p{record}@example.com", "fields[voornaam]": f"v{version}",
        }  # fmt: skip
        body = urlencode(values).encode()
        headers = [("Content-Type", "application/x-www-form-urlencoded")]
        now = time.time_ns() // 1_000_000
        signed = sign("POST", PATH, headers, body, key=self.house.key, key_id=KEY_ID, date=now, account=ACCOUNT,
                      nonce=f"n{self.count}", host=HOST)  # fmt: skip
        answer = self.session.post(
            self.house.url, data=body, headers={**dict(signed), "X-Forwarded-Proto": "https"}, timeout=15
        )
        assert answer.status_code == 200


def contacts(house):
    headers = {"Authorization": f"Bearer {house.token}"}
    state = requests.get(f"{house.crm}/_admin/state", headers=headers, timeout=30).json()
    return sorted((int(c["copernica_id"]), c["firstname"]) for c in state["records"].get("contacts", []))


def test_a_backup_that_was_taken_in_full_swing_is_restored_and_the_crm_ends_where_copernica_is(tmp_path):
    """Stop, put the file in place, take -wal and -shm away, start: nothing is created twice, nothing older wins."""
    house = House(tmp_path / "house")
    house.folder.mkdir()
    copy = tmp_path / "copy.db"
    try:
        house.build()
        sender = Sender(house)
        for record in range(1, 11):
            sender.send(record, 1)
        stop = threading.Event()

        def go_on():
            busy, version = Sender(house), 1
            while not stop.is_set():
                version += 1
                busy.send(99, version)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            result = connector(house.config, "backup", str(copy), "--json")
        finally:
            stop.set()
            thread.join()
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["bytes"] == copy.stat().st_size
        assert copy.stat().st_mode & 0o077 == 0
        assert check(copy) == ""
        for record in range(1, 16):
            sender.send(record, 5)
        until(lambda: sum(name == "v5" for _, name in contacts(house)) == 15, "all of it is in the CRM")

        for program in house.programs[1:]:
            program.process.terminate()
            program.process.wait(20)
        del house.programs[1:]
        outbox = house.folder / "outbox.db"
        outbox.write_bytes(copy.read_bytes())
        for end in ("-wal", "-shm"):
            Path(f"{outbox}{end}").unlink(missing_ok=True)
        house.start_receiver()
        house.start_deliverer()
        until(house.is_ready, "the receiver takes calls again")

        after = Sender(house)
        after.count = 10_000
        for record in range(1, 16):
            after.send(record, 9)
        until(lambda: sum(name == "v9" for _, name in contacts(house)) == 15, "the newest state is there again")
        assert [record for record, _ in contacts(house)] == [*range(1, 16), 99]
    finally:
        house.close()


@pytest.fixture
def place(tmp_path):
    """A configuration with an outbox that holds a few hundred calls."""
    (tmp_path / "config.toml").write_text(
        '[outbox]\npath = "outbox.db"\nfree_bytes = 0\n[sources.shop]\naccount = "account-1234"\n'
    )
    (tmp_path / "mappings").mkdir()
    world = World(path=tmp_path / "outbox.db")
    for i in range(300):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A" * 300)
    world.settle()
    world.db.truncate(patience=1)
    world.db.close()
    return tmp_path


def harm(path):
    """Overwrite pages in the middle, as a failing disk does; the first pages stay readable."""
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2 // 4096 * 4096)
        stream.write(os.urandom(4096 * 12))


def test_a_backup_does_not_replace_a_file_unless_told_to(place):
    """And never the outbox itself, or a file of it."""
    config, copy = place / "config.toml", place / "copy.db"
    assert connector(config, "backup", str(copy)).returncode == 0
    again = connector(config, "backup", str(copy))
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert connector(config, "backup", str(copy), "--force").returncode == 0
    for name in ("outbox.db", "outbox.db-wal"):
        assert connector(config, "backup", str(place / name), "--force").returncode == 2
    assert sorted(p.name for p in place.iterdir() if ".part" in p.name) == []
    restored = Database(copy)
    assert len(SqliteDesk(restored).list(Filter(), 1000)) == 300
    restored.close()


def test_a_damaged_outbox_gives_no_backup_and_leaves_the_old_one(place):
    """A copy that is not sound never takes the place of one that is."""
    copy = place / "copy.db"
    assert connector(place / "config.toml", "backup", str(copy)).returncode == 0
    good = copy.read_bytes()
    harm(place / "outbox.db")
    result = connector(place / "config.toml", "backup", str(copy), "--force")
    assert result.returncode == 78
    assert "Traceback" not in result.stderr
    assert copy.read_bytes() == good
    database = Database(copy)
    with pytest.raises(OutboxBrokenError):
        backup(Database(place / "outbox.db", readonly=True), place / "other.db")
    database.close()
    assert not list(place.glob("*.part")) + list(place.glob(".*.part"))


def test_damage_is_found_by_the_check_and_said_by_doctor(place):
    """A sound file is called sound; a damaged one says what to do."""
    config = load(place / "config.toml", {})
    assert damage(config) == ""
    assert all(finding.ok for finding in examine_outbox(config))
    harm(place / "outbox.db")
    assert damage(config) != ""
    wrong = [finding for finding in examine_outbox(config) if not finding.ok]
    assert "restore a backup" in wrong[0].what


def test_a_deliverer_that_starts_on_a_damaged_file_says_so_and_status_does_too(place):
    """In its log, in `status` with exit 1, and by the alert; whether or not it happens upon the damage itself."""
    told = place / "told"
    code = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read())"
    with (place / "config.toml").open("a") as file:
        file.write(f"[alert]\ncommand = {json.dumps([sys.executable, '-c', code])}\n")
    conn = sqlite3.connect(place / "outbox.db")
    root = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'attempts'").fetchone()[0]
    conn.close()
    with (place / "outbox.db").open("r+b") as stream:  # a table that the loop does not read
        stream.seek((root - 1) * 4096)
        stream.write(os.urandom(4096))
    log = place / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "connector", "--config", str(place / "config.toml"), "deliver"],
            stdout=out,
            stderr=out,
        )
        try:
            until(lambda: "the outbox is damaged" in log.read_text(), "the log says it")
            until(lambda: told.exists() and "damage" in told.read_text(), "the alert came")
            status = connector(place / "config.toml", "status")
        finally:
            process.terminate()
            process.wait(20)
    assert status.returncode == 1
    assert "damaged" in status.stdout
    assert "Traceback" not in log.read_text()
    (form,) = [json.loads(line) for line in told.read_text().splitlines()]
    assert (form["state"], form["kind"]) == ("began", "damage")


def test_a_deliverer_that_happens_upon_damage_ends_with_78_and_says_what_to_do(place):
    """So that systemd does not start it again and again; the alert is told before it ends."""
    told = place / "told"
    code = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read())"
    with (place / "config.toml").open("a") as file:
        file.write(f"[alert]\ncommand = {json.dumps([sys.executable, '-c', code])}\n")
    conn = sqlite3.connect(place / "outbox.db")
    conn.execute("UPDATE events SET state = 0")
    conn.commit()
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    harm(place / "outbox.db")
    result = connector(place / "config.toml", "deliver")
    assert result.returncode == 78, result.stderr
    assert "restore a backup" in result.stderr
    assert "Traceback" not in result.stderr
    assert "damage" in told.read_text()
