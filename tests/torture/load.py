"""Calls about a few records, again and again, and the memory of which of them were answered 2xx."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from connector.demo.house import ACCOUNT, HOST, KEY_ID, PATH, House
from connector.domain.signing import sign

DATABASE = 7616


@dataclass
class Ledger:
    """What Copernica said, and what was answered 2xx: the version of each record, counted up.

    `statuses` counts answers by status; 0 stands for none.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    said: dict[int, int] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    in_flight: int = 0

    @property
    def calls(self) -> int:
        """How many were answered 2xx."""
        with self.lock:
            return sum(count for status, count in self.statuses.items() if 200 <= status < 300)

    @property
    def refusals(self) -> int:
        """How many were answered 503."""
        with self.lock:
            return self.statuses[503]


class Sender(threading.Thread):
    """Sends changes of its own records, one at a time, for as long as it is let."""

    def __init__(self, house: House, ledger: Ledger, records: list[int], seed: str, pause: float) -> None:
        super().__init__(daemon=True)
        self.house, self.ledger, self.records, self.pause = house, ledger, records, pause
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
            status = self._call(session, record, version, f"{self.name}-{count}")
            with self.ledger.lock:
                self.ledger.in_flight -= 1
                self.ledger.statuses[status] += 1
                if status == 200:
                    self.ledger.answered[record] = max(self.ledger.answered.get(record, 0), version)
            self.stop.wait(self.pause if status == 200 else 0.05)

    def _call(self, session: requests.Session, record: int, version: int, nonce: str) -> int:
        body = urlencode(
            {
                "type": "create" if version == 1 else "update",
                "profile": record,
                "database": DATABASE,
                "time": self.began + version,
                "fields[email]": f"p{record}@example.com",
                "fields[version]": f"v{version}",
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
                nonce=nonce,
                host=HOST,
            )
        )
        try:
            answer = session.post(
                self.house.url, data=body, headers={**headers, "X-Forwarded-Proto": "https"}, timeout=15
            )
        except requests.RequestException:
            return 0
        return answer.status_code


class Load:
    """Some senders, with records of their own each."""

    def __init__(self, house: House, seed: int, *, records: int = 60, senders: int = 4, pause: float = 0.0) -> None:
        self.ledger = Ledger()
        self._senders = [
            Sender(house, self.ledger, list(range(1 + part, records + 1, senders)), f"{seed}-{part}", pause)
            for part in range(senders)
        ]

    def start(self) -> None:
        """Begin."""
        for sender in self._senders:
            sender.start()

    def stop(self) -> None:
        """Let end what is under way."""
        for sender in self._senders:
            sender.stop.set()
        for sender in self._senders:
            if sender.ident is not None:
                sender.join(40)
                assert not sender.is_alive(), "a call has no answer after 40 s"


@dataclass(frozen=True, slots=True)
class Count:
    """What the CRM shows in the end, against what was answered 2xx."""

    answered: int
    lost: int
    duplicated: int
    taken_back: int

    def __str__(self) -> str:
        return (
            f"calls answered 2xx {self.answered}, lost {self.lost}, regressions {self.taken_back},"
            f" duplicates {self.duplicated}"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.duplicated or self.taken_back)


def count(ledger: Ledger, contacts: Iterable[Mapping[str, Any]], journal: Iterable[Mapping[str, Any]]) -> Count:
    """Compare the CRM's contacts, and its journal of requests, with what was answered 2xx."""
    final: dict[int, int] = {}
    duplicates = 0
    for contact in contacts:
        record = int(contact["copernica_id"])
        duplicates += record in final
        final[record] = max(final.get(record, 0), _version(contact["firstname"]))
    lost = sum(final.get(record, 0) < version for record, version in ledger.answered.items())
    return Count(ledger.calls, lost, duplicates, _taken_back(journal))


def _taken_back(journal: Iterable[Mapping[str, Any]]) -> int:
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
    assert name[:1] == "v", name
    return int(name[1:])
