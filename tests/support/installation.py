"""A whole installation in a folder: configuration, mappings, a receiver that takes signed calls, a deliverer process."""

import itertools
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import requests

from connector.demo.house import ACCOUNT, HOST, KEY_ID, PATH, House
from connector.domain.delivery import DeliveryState
from connector.domain.dkim import key_record
from connector.domain.signing import sign

DATABASE, COLLECTION = 7616, 22

CONFIGURATION = """\
{top}
[receiver]
listen = "127.0.0.1:0"
public_url = "https://{host}/copernica"
trusted_proxies = ["127.0.0.1/32"]

[outbox]
path = "outbox.db"
free_bytes = 0

[sources.shop]
account = "account-{account}"
proof = "key-file"
key_file = "key.txt"

{rest}

[log]
format = "json"
"""


@dataclass(slots=True)
class Installation(House):
    """`lay_out`, then `send` calls and `drain`, or start a deliverer that stays."""

    _session: requests.Session = field(default_factory=requests.Session)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _said_at: int = field(default_factory=lambda: int(time.time()) - 3600)

    def lay_out(self, rest: str, mappings: Path, presets: Path | None = None) -> None:
        """Write the files; `rest` is the configuration's destinations and delivery."""
        folders = {"mappings": mappings} if presets is None else {"mappings": mappings, "presets": presets}
        top = "".join(f'{name} = "{folder.resolve()}"\n' for name, folder in folders.items())
        (self.folder / "key.txt").write_text(key_record(self.key.public_key()) + "\n", encoding="ascii")
        text = CONFIGURATION.format(host=HOST, account=ACCOUNT, top=top, rest=rest)
        self.config.write_text(text, encoding="utf-8")

    def secret(self, name: str, value: str) -> None:
        """Write a secret into a file beside the configuration."""
        path = self.folder / name
        path.touch(0o600)
        path.write_text(value + "\n", encoding="ascii")

    def open(self) -> None:
        """Start the receiver, and wait until it is ready."""
        self.start_receiver()
        self._until(self.is_ready)

    def send(self, pairs: Mapping[str, object]) -> None:
        """Call as Copernica does: signed, each a second later than the one before."""
        self._session.trust_env = False
        number = next(self._numbers)
        body = urlencode({**pairs, "time": self._said_at + number}).encode()
        headers = dict(
            sign(
                "POST",
                PATH,
                [("Content-Type", "application/x-www-form-urlencoded")],
                body,
                key=self.key,
                key_id=KEY_ID,
                date=time.time_ns() // 1_000_000,
                account=ACCOUNT,
                nonce=f"n{number}",
                host=HOST,
            )
        )
        answer = self._session.post(self.url, data=body, headers={**headers, "X-Forwarded-Proto": "https"}, timeout=20)
        assert answer.status_code == 200, answer.text

    def profile(self, kind: str, profile: int, *, database: int = DATABASE, **fields: object) -> None:
        """A call about a profile."""
        named = {f"fields[{name}]": value for name, value in fields.items()}
        self.send({"type": kind, "profile": profile, "database": database, **named})

    def subprofile(self, kind: str, subprofile: int, profile: int, **fields: object) -> None:
        """A call about a subprofile."""
        named = {f"fields[{name}]": value for name, value in fields.items()}
        self.send({"type": kind, "subprofile": subprofile, "profile": profile, "collection": COLLECTION, **named})

    def drain(self, *, seconds: float = 60) -> None:
        """Run deliverers until nothing is left to be done; fails when that takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            done = subprocess.run(
                [sys.executable, "-m", "connector", "deliver", "--drain", "--config", str(self.config)],
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
            assert done.returncode in (0, 1), done.stderr
            if done.returncode == 0:
                return
            assert time.monotonic() < deadline, f"work remains after {seconds} s:\n{done.stderr[-3000:]}"
            time.sleep(0.1)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Ask the outbox."""
        conn = sqlite3.connect(f"{(self.folder / 'outbox.db').as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            return conn.execute(sql).fetchall()
        finally:
            conn.close()

    def states(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        rows = self.query("SELECT state, count(*) FROM deliveries GROUP BY state")
        return {DeliveryState(int(str(state))).word: int(str(count)) for state, count in rows}

    def reasons(self, state: DeliveryState) -> Sequence[str]:
        """Why deliveries are in that state."""
        return [
            str(row[0]) for row in self.query(f"SELECT reason FROM deliveries WHERE state = {int(state)} ORDER BY id")
        ]

    def links(self) -> dict[str, str]:
        """Return the CRM's ID by Copernica record."""
        rows = self.query(
            "SELECT r.key, l.crm_id FROM links l JOIN records r ON r.id = l.record WHERE l.crm_id IS NOT NULL"
        )
        return {str(record): str(crm_id) for record, crm_id in rows}
