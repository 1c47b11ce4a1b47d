"""What tests do to an installation."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import requests

from connector.compose import open_desk
from connector.config.load import load
from connector.demo.house import ACCOUNT, HOST, KEY_ID, PATH, House
from connector.domain.signing import sign
from connector.outbox.port import Status
from tests.support.until import until


class Site:
    """An installation, with Copernica and the operator played by the test."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.nonce = 0
        self.session = requests.Session()
        self.session.trust_env = False

    def call(
        self,
        profile: int,
        *,
        type: str = "update",
        at: int = 0,
        path: str = PATH,
        status: int = 200,
        key: Any = None,
        **fields: str,
    ) -> int:
        """Send a genuine call; return the event's ID. `path`, `status` and `key` are for other sources and outcomes."""
        self.nonce += 1
        pairs: dict[str, object] = {
            "type": type,
            "profile": profile,
            "database": 7616,
            "time": int(time.time()) - 600 + at,
        }
        pairs |= {f"fields[{name}]": value for name, value in fields.items()}
        body = urlencode(pairs).encode()
        headers = dict(
            sign(
                "POST",
                path,
                [("Content-Type", "application/x-www-form-urlencoded")],
                body,
                key=key or self.house.key,
                key_id=KEY_ID,
                date=time.time_ns() // 1_000_000,
                account=ACCOUNT,
                nonce=str(self.nonce),
                host=HOST,
            )
        )
        url = self.house.url.removesuffix(PATH) + path
        answer = self.session.post(url, data=body, headers={**headers, "X-Forwarded-Proto": "https"}, timeout=20)
        assert answer.status_code == status, answer.text
        return int(answer.text.split()[-1])

    def crm(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the CRM, or tell it to break."""
        headers = {"Authorization": f"Bearer {self.house.token}"}
        answer = self.session.request(method, self.house.crm + path, json=body, headers=headers, timeout=20)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def contacts(self) -> dict[str, Mapping[str, Any]]:
        """The CRM's contacts, by Copernica's profile ID; two of one ID are a failure."""
        rows = self.crm("GET", "/contacts")["results"]
        found = {row["copernica_id"]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def writes(self) -> list[Mapping[str, Any]]:
        """The requests that changed something, from the CRM's own journal."""
        return [entry for entry in self.crm("GET", "/_admin/journal")["entries"] if entry["commits"]]

    def status(self) -> Status:
        """How the outbox stands."""
        with open_desk(load(self.house.config, {}), readonly=True) as desk:
            return desk.status()

    def rest(self) -> None:
        """Wait until everything is delivered."""

        def quiet() -> bool:
            status = self.status()
            return not (status.deliveries["pending"] or status.deliveries["leased"] or status.events["new"])

        until(quiet, "everything is delivered", seconds=40)

    def connector(self, *arguments: str, code: int | None = 0, env: Mapping[str, str] | None = None) -> str:
        """Run a command on this installation; return what it said on standard output and error."""
        done = subprocess.run(
            [sys.executable, "-m", "connector", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "CONNECTOR_CONFIG": str(self.house.config), **(env or {})},
            stdin=subprocess.DEVNULL,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{said}"
        return said

    def log(self, name: str) -> list[dict[str, Any]]:
        """The lines of a program's log."""
        text = (self.house.folder / f"{name}.log").read_text("utf-8")
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, name: str, event: str) -> list[dict[str, Any]]:
        """The lines of a log that say this."""
        return [line for line in self.log(name) if line.get("event") == event]
