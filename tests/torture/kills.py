"""kill -9 of the receiver under load and of the deliverer in the middle of a call, again and again.

`make kills` runs this. It counts what the CRM's own journal of requests shows: nothing that was answered 2xx is lost, no
record goes back to an older state, no record is there twice.
"""

from __future__ import annotations

import argparse
import random
import re
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import requests

from connector.demo.house import ACCOUNT, HOST, KEY_ID, PATH, House, Program
from connector.domain.signing import sign

RECORDS = 60
SENDERS = 4
QUIET_FOR = 120.0


@dataclass
class Ledger:
    """What Copernica said, and what was answered 2xx: the version of each record, counted up."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    said: dict[int, int] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=dict)
    calls: int = 0
    in_flight: int = 0


class Sender(threading.Thread):
    """Sends changes of its own records, one at a time, for as long as it is let."""

    def __init__(self, house: House, ledger: Ledger, records: list[int], seed: str) -> None:
        super().__init__(daemon=True)
        self.house, self.ledger, self.records = house, ledger, records
        self.random = random.Random(seed)
        self.stop = threading.Event()
        self.began = int(time.time()) - 3600

    def run(self) -> None:
        session = requests.Session()
        session.trust_env = False
        count = 0
        while not self.stop.is_set():
            count += 1
            record = self.random.choice(self.records)
            with self.ledger.lock:
                version = self.ledger.said.get(record, 0) + 1
                self.ledger.said[record] = version
                self.ledger.in_flight += 1
            body = urlencode(
                {
                    "type": "create" if version == 1 else "update",
                    "profile": record,
                    "database": 7616,
                    "time": self.began + version,
                    "fields[email]": f"p{record}@example.com",
                    "fields[voornaam]": f"v{version}",
                }
            ).encode()
            headers = dict(
                sign(
                    "POST",
                    PATH,
                    [("Content-Type", "application/x-www-form-urlencoded")],
                    body,
                    key=self.house.key,
                    key_id=KEY_ID,
                    date=time.time_ns() // 1_000_000,
                    account=ACCOUNT,
                    nonce=f"{self.name}-{count}",
                    host=HOST,
                )
            )
            try:
                answer = session.post(
                    self.house.url, data=body, headers={**headers, "X-Forwarded-Proto": "https"}, timeout=15
                )
                ok = answer.status_code == 200
            except requests.RequestException:
                ok = False
            with self.ledger.lock:
                self.ledger.in_flight -= 1
                if ok:
                    self.ledger.calls += 1
                    self.ledger.answered[record] = max(self.ledger.answered.get(record, 0), version)
            self.stop.wait(0.0 if ok else 0.05)


@dataclass
class Result:
    """The figures."""

    kills: int
    in_flight: int
    answered: int
    lost: int
    regressions: int
    duplicates: int

    def __str__(self) -> str:
        return (
            f"kills {self.kills}, with a call or a lease in flight {self.in_flight}, calls answered 2xx {self.answered},"
            f" lost {self.lost}, regressions {self.regressions}, duplicates {self.duplicates}"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.regressions or self.duplicates)


def torture(kills: int, seed: int, *, say=print) -> Result:
    """Kill at random moments; then let everything come to rest, and read the CRM's journal."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="connector-kills-") as name:
        house = House(Path(name), crm_options=("--latency", "20"), port=_free_port())
        ledger = Ledger()
        senders = [
            Sender(house, ledger, list(range(1 + part, RECORDS + 1, SENDERS)), f"{seed}-{part}")
            for part in range(SENDERS)
        ]
        try:
            house.build()
            receiver, deliverer = house.programs[1], house.programs[2]
            for sender in senders:
                sender.start()
            in_flight = 0
            for number in range(kills):
                time.sleep(chance.uniform(0.0, 0.5))  # the moment of the kill: this is the test's own chance
                if chance.random() < 0.5:
                    in_flight += ledger.in_flight > 0
                    house.kill(receiver)
                    receiver = house.start_receiver()
                else:
                    house.kill(deliverer)
                    in_flight += _leased(house) > 0
                    deliverer = house.start_deliverer()
                if (number + 1) % 10 == 0:
                    say(f"{number + 1} kills, {in_flight} with something in flight, {ledger.calls} calls answered")
            for sender in senders:
                sender.stop.set()
            for sender in senders:
                sender.join(20)
            _come_to_rest(house)
            return _count(house, ledger, kills, in_flight)
        finally:
            house.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _query(house: House, sql: str) -> int:
    conn = sqlite3.connect(f"{(house.folder / 'outbox.db').as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        return conn.execute(sql).fetchone()[0]
    finally:
        conn.close()


def _leased(house: House) -> int:
    return _query(house, "SELECT count(*) FROM deliveries WHERE state = 1")


def _come_to_rest(house: House) -> None:
    deadline = time.monotonic() + QUIET_FOR
    open_rows = (
        "SELECT (SELECT count(*) FROM deliveries WHERE state IN (0, 1)) + (SELECT count(*) FROM events WHERE state = 0)"
    )
    while time.monotonic() < deadline:
        house.check()
        if _query(house, open_rows) == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"not at rest after {QUIET_FOR} s: {_query(house, open_rows)} rows are open")


def _count(house: House, ledger: Ledger, kills: int, in_flight: int) -> Result:
    headers = {"Authorization": f"Bearer {house.token}"}
    journal: list[Mapping] = []
    after = 0
    while True:
        page = requests.get(f"{house.crm}/_admin/journal?after={after}&limit=10000", headers=headers, timeout=30).json()
        assert page["dropped"] == 0
        journal += page["entries"]
        if not page["entries"]:
            break
        after = page["next"]
    state = requests.get(f"{house.crm}/_admin/state", headers=headers, timeout=30).json()
    contacts = state["records"]["contacts"]
    final: dict[int, int] = {}
    duplicates = 0
    for contact in contacts:
        record = int(contact["copernica_id"])
        duplicates += record in final
        final[record] = max(final.get(record, 0), _version(contact["firstname"]))
    lost = sum(max(0, version - final.get(record, 0)) for record, version in ledger.answered.items())
    return Result(kills, in_flight, ledger.calls, lost, _regressions(journal), duplicates)


def _regressions(journal: list[Mapping]) -> int:
    """How often the CRM took an older version of a contact after a newer one, in the order of its commits."""
    newest: dict[str, int] = {}
    found = 0
    writes = [entry for entry in journal if entry["commits"] and isinstance(entry["body"], dict)]
    for entry in sorted(writes, key=lambda entry: entry["commits"][0]):
        items = entry["body"].get("inputs", [entry["body"]])
        for record, item in zip(entry["records"] or [entry["record"]], items, strict=True):
            if "firstname" in item:
                version = _version(item["firstname"])
                found += version < newest.get(record, 0)
                newest[record] = max(version, newest.get(record, 0))
    return found


def _version(name: str) -> int:
    found = re.fullmatch(r"v(\d+)", name)
    assert found, name
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    began = time.monotonic()
    result = torture(given.kills, given.seed, say=lambda text: print(text, flush=True))
    print(f"{result} ({time.monotonic() - began:.0f} s)")
    sys.exit(0 if result.is_clean and result.in_flight * 2 >= result.kills else 1)


__all__ = ["Program", "torture"]

if __name__ == "__main__":
    main()
