"""Plays the script: sends the calls as Copernica does, and compares what is in the CRM with what has to be there."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from connector.demo.house import ACCOUNT, HOST, KEY_ID, PATH, House
from connector.demo.script import CONTACTS, DEALS, STEPS, Kind, Step
from connector.domain.signing import sign

DOWN_MS = 1500
_PATIENCE = 12.0  # seconds until everything has to be delivered
_OWN = ("id", "archived", "copernica_id", "created_at", "updated_at")
"""Fields that the CRM keeps for itself, and the key by which the tables are put side by side."""

Say = Callable[[str, str], None]
"""Shows a line: who says it (`copernica`, `connector`, `crm`, `bad`), and what."""


@dataclass(slots=True)
class Play:
    """One performance."""

    house: House
    say: Say
    forger: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    _session: requests.Session = field(default_factory=requests.Session)
    _last: tuple[bytes, Mapping[str, str]] | None = None
    _nonce: int = 0
    _read: int = 0
    wrong: list[str] = field(default_factory=list)

    def perform(self) -> None:
        """Send everything, and wait until it is delivered."""
        self._session.trust_env = False
        began = int(time.time()) - 60
        for number, step in enumerate(STEPS):
            self.house.check()
            self._step(step, began + number - step.late)
            self._listen()
        self._wait(lambda: self._is_quiet() and not self.differences())

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and not condition():
            self.house.check()
            self._listen()
            time.sleep(0.05)
        self._listen()

    def _step(self, step: Step, moment: int) -> None:
        if step.kind is Kind.CRM_DOWN:
            self._admin("POST", "down", {"for_ms": DOWN_MS})
            self.say("bad", f"{step.what} for {DOWN_MS / 1000} s")
            return
        if step.kind is Kind.WAIT:
            self._wait(self._is_quiet)
            return
        if step.kind is Kind.AGAIN:
            assert self._last is not None
            body, headers = self._last
        else:
            body = urlencode([*step.pairs, ("time", str(moment))]).encode()
            headers = self._signed(body, forged=step.kind is Kind.FORGED)
            self._last = (body, headers)
        answer = self._session.post(
            self.house.url, data=body, headers={**headers, "X-Forwarded-Proto": "https"}, timeout=10
        )
        text = answer.text.strip()
        self.say("bad" if step.kind is Kind.FORGED else "copernica", f"{step.what} → {answer.status_code} {text}")
        if answer.status_code != step.status:
            self.wrong.append(f"{step.what}: answered {answer.status_code}, not {step.status}")

    def _signed(self, body: bytes, *, forged: bool) -> dict[str, str]:
        self._nonce += 1
        return dict(
            sign(
                "POST",
                PATH,
                [("Content-Type", "application/x-www-form-urlencoded"), ("User-Agent", "Copernica")],
                body,
                key=self.forger if forged else self.house.key,
                key_id=KEY_ID,
                date=time.time_ns() // 1_000_000,
                account=ACCOUNT,
                nonce=f"demo{self._nonce}",
                host=HOST,
            )
        )

    def _listen(self) -> None:
        """Show what the deliverer has logged since the last time."""
        for line in _lines(self.house.folder / "deliver.log", self._read):
            self._read += 1
            event = line.get("event")
            if event == "attempt" and line.get("state") != "pending":
                self.say("crm", f"event {line['id']} by {line['mapping']}: {line['outcome']} ({line['state']})")
            elif event == "attempt":
                self.say(
                    "connector",
                    f"event {line['id']} by {line['mapping']}: {line['outcome']}, again in {line['again_in']} ms",
                )
            elif event == "settled":
                self.say(
                    "connector", f"event {line['id']} by {line['mapping']}: {line['state']} {line.get('reason', '')}"
                )
            elif event in ("paused", "resumed"):
                self.say("connector", f"{event}: {line['subject']} {line.get('by', '')}")

    def _is_quiet(self) -> bool:
        from connector.compose import open_desk  # noqa: PLC0415 - only when it is needed, it is a database
        from connector.config.load import load  # noqa: PLC0415

        with open_desk(load(self.house.config, {}), readonly=True) as desk:
            status = desk.status()
        return not (status.deliveries["pending"] or status.deliveries["leased"] or status.events["new"])

    # ── comparing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return (object, Copernica ID, what must be there, what is there), for everything on either side."""
        contacts, deals = self._found("contacts"), self._found("deals")
        by_id = {row["id"]: key for key, row in contacts.items()}
        shown = {key: _shown(row) for key, row in contacts.items()}
        shown_deals = {
            key: _shown({**row, "contact": self._contact_of(row["id"], by_id)}) for key, row in deals.items()
        }
        return [
            *_beside("contact", CONTACTS, shown),
            *_beside("deal", DEALS, shown_deals),
        ]

    def differences(self) -> list[str]:
        """Return what does not agree; everything that was answered wrongly included."""
        wrong = [f"{kind} {key}: {there}, and not {must}" for kind, key, must, there in self.rows() if must != there]
        if "mallory" in json.dumps(self._admin("GET", "journal")).lower():
            wrong.append("the forged call reached the CRM")
        return self.wrong + wrong

    def _found(self, kind: str) -> dict[str, dict[str, Any]]:
        """Read all rows over HTTP; two of one Copernica ID are shown as such."""
        found: dict[str, dict[str, Any]] = {}
        for row in self._crm("GET", f"/{kind}")["results"]:
            key = str(row.get("copernica_id"))
            while key in found:
                key += "+"
            found[key] = row
        return found

    def _contact_of(self, deal: str, by_id: Mapping[str, str]) -> str:
        links = self._crm("GET", f"/deals/{deal}/associations")
        return ", ".join(by_id.get(one, one) for one in sorted(_ids(links, "contacts")))

    def _crm(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._session.request(
            method,
            self.house.crm + path,
            json=body,
            headers={"Authorization": f"Bearer {self.house.token}"},
            timeout=10,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _admin(self, method: str, what: str, body: Any = None) -> Any:
        return self._crm(method, f"/_admin/{what}", body)


def _ids(links: Any, kind: str) -> Iterator[str]:
    """Return the IDs of that kind in a list of associations."""
    for one in links.get(kind, ()):
        yield str(one["id"]) if isinstance(one, dict) else str(one)


def _shown(row: Mapping[str, Any]) -> str:
    return _text({name: value for name, value in row.items() if name not in _OWN})


def _text(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {_value(row[name])}" for name in sorted(row))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_value(one)}" for name, one in sorted(value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + " ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _beside(
    kind: str, must: Mapping[str, Mapping[str, Any]], there: Mapping[str, str]
) -> Iterator[tuple[str, str, str, str]]:
    for key in sorted(must.keys() | there.keys()):
        yield kind, key, _text(must[key]) if key in must else "(nothing)", there.get(key, "(nothing)")


def _lines(log: Path, skip: int) -> Iterator[dict[str, Any]]:
    try:
        text = log.read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    whole = text[: text.rfind("\n") + 1].splitlines()
    for line in whole[skip:]:
        try:
            value = json.loads(line)
        except ValueError:
            value = {}
        yield value if isinstance(value, dict) else {}
