"""A CRM that commits and dies at random places of every step: no duplicate, no lost update, every link right.

`make commits` runs this. The sample CRM has no unique values, its search lags, it cuts connections before and after it
commits, commits and answers when nobody waits any more, throttles, breaks down and is not there; the connector's own
programs bring it the histories of a thousand records. What became of them is counted in its journal and in its state.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connector.sample_crm import Options, SampleCrm
from connector.sample_crm.journal import Entry
from tests.support.installation import Installation
from tests.torture.history import Call, Said, histories

SEARCH_LAG_MS = 600
LATE_MS = 900
"""How long after we gave up a commit or an answer may come."""
AHEAD = 60
"""So much may wait to be delivered before more is said: else nearly all of it would collapse into the newest state."""

DESTINATION = """\
[destinations.crm]
preset = "sample"
mode = "live"
base_url = "{url}"
secrets.token = {{ file = "token" }}

[destinations.crm.override.connection.timeouts]
connect = 1
read = 0.35
total = 0.35
send = 20

# More than the search's lag and the CRM's longest late commit together, counted from when we gave up.
[destinations.crm.override.objects.company]
visible_after = 2.0

[delivery]
concurrency = 16

[delivery.schedule]
first = 0.2
factor = 2
longest = 2
"""

SHARES: dict[str, float] = {
    "cut-before": 0.04,
    "cut-after": 0.06,
    "slow-commit": 0.04,
    "slow-answer": 0.04,
    "stall": 0.02,
}
STATUSES: dict[int, float] = {500: 0.02, 503: 0.02, 429: 0.004}
SEARCHES = 0.3
"""The share of these shares that searches get: what they break is only a wait."""


@dataclass
class Result:
    """The figures. `open` are deliveries that did not come to a good end."""

    records: int
    calls: int
    requests: int
    faults: int
    duplicates: int
    lost: int
    links: int
    open: int

    def __str__(self) -> str:
        return (
            f"records {self.records}, calls {self.calls}, requests {self.requests}, of them with a fault {self.faults};"
            f" duplicates {self.duplicates}, lost updates {self.lost}, wrong or missing links {self.links},"
            f" not delivered {self.open}"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.duplicates or self.lost or self.links or self.open)


class Sender(threading.Thread):
    """Says everything, in order; what is said is what has to be there in the end."""

    def __init__(self, house: Installation, calls: list[Call]) -> None:
        super().__init__(daemon=True)
        self.house, self.calls, self.said = house, calls, Said()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            for number, call in enumerate(self.calls):
                while number % 10 == 0 and _waiting(self.house) > AHEAD:
                    time.sleep(0.02)
                if call.parent is None:
                    self.house.profile(call.kind, call.number, **call.fields)
                else:
                    self.house.subprofile(call.kind, call.number, call.parent, **call.fields)
                self.said.hear(call)
        except BaseException as error:
            self.failed = error


def torture(records: int, seed: int, *, patience: float = 900, say: Any = print) -> Result:
    """Send it all while the CRM breaks at random, wait for rest, and count."""
    chance = random.Random(seed)
    calls = histories(records, seed)
    with tempfile.TemporaryDirectory(prefix="connector-commits-") as name:
        options = Options(token="torture", unique=False, search_lag_ms=SEARCH_LAG_MS, journal=1_000_000, seed=seed)
        with SampleCrm(options) as crm:
            for method, part in (("GET", SEARCHES), ("POST", 1), ("PATCH", 1), ("PUT", 1), ("DELETE", 1)):
                _break(crm, method, part)
            house = Installation(Path(name))
            try:
                house.secret("token", "torture")
                house.lay_out(DESTINATION.format(url=crm.url), Path(__file__).parent / "mappings")
                house.open()
                house.start_deliverer()
                sender = Sender(house, calls)
                sender.start()
                _until_rest(house, crm, sender, chance, patience, say)
                result = _count(house, crm, sender.said, records, len(calls), say)
            finally:
                house.close()
    return result


def _break(crm: SampleCrm, method: str, part: float) -> None:
    for kind, share in SHARES.items():
        late = LATE_MS if kind in ("slow-commit", "slow-answer", "stall") else 0
        crm.fail(kind, method=method, share=share * part, delay_ms=late)
    for status, share in STATUSES.items():
        wait = 1 if status == 429 else None
        crm.fail("status", method=method, share=share * part, status=status, retry_after=wait)


def _until_rest(
    house: Installation, crm: SampleCrm, sender: Sender, chance: random.Random, patience: float, say: Any
) -> None:
    """Let the CRM die now and then, until everything said is delivered; the faults stay in force to the end."""
    deadline = time.monotonic() + patience
    shown = time.monotonic()
    while sender.is_alive() or _waiting(house):
        house.check()
        if sender.failed is not None:
            raise sender.failed
        assert time.monotonic() < deadline, f"not at rest after {patience} s: {house.states()}"
        time.sleep(chance.uniform(0.5, 3.0))  # the moment of its death: this is the torture's own chance
        crm.down()
        time.sleep(chance.uniform(0.0, 0.2))
        crm.up()
        if time.monotonic() > shown + 10:
            shown = time.monotonic()
            say(f"{len(crm.journal())} requests, {house.states()}")
    if sender.failed is not None:
        raise sender.failed
    while any(entry.fault == "slow-commit" and entry.status is None for entry in crm.journal()):
        assert time.monotonic() < deadline, "a late commit never came"
        time.sleep(0.05)


def _waiting(house: Installation) -> int:
    """How much is stored and not yet settled."""
    rows = "(SELECT count(*) FROM deliveries WHERE state IN (0, 1)), (SELECT count(*) FROM events WHERE state = 0)"
    ((deliveries, events),) = house.query(f"SELECT {rows}")
    return int(str(deliveries)) + int(str(events))


def _count(house: Installation, crm: SampleCrm, said: Said, records: int, calls: int, say: Any) -> Result:
    journal = crm.journal()
    for step, kinds in sorted(_hits(journal).items()):
        say(f"  {step:24} " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())))
    lost = links = 0
    contacts, deals = _by_record(crm, "contacts"), _by_record(crm, "deals")
    for number in said.contacts.keys() | contacts.keys():
        wanted = said.contacts.get(number)
        shown = {"email": wanted["email"], "firstname": wanted["version"]} if wanted else None
        lost += _differs(say, "contact", number, shown, contacts.get(number, []))
    for number in said.deals.keys() | deals.keys():
        wanted = said.deals.get(number)
        lost += _differs(say, "deal", number, {"title": wanted["version"]} if wanted else None, deals.get(number, []))
        for deal in deals.get(number, []):
            theirs = {str(one["id"]) for one in contacts.get(said.contact_of[number], [])}
            there = set(crm.links("deals", deal["id"]).get("contacts", []))
            if theirs != there:
                say(f"deal {number} is linked with {there}, and not with {theirs}")
                links += 1
    for contact in crm.records("contacts"):
        for deal_id in crm.links("contacts", contact["id"]).get("deals", []):
            owner = next((n for n, rows in deals.items() for row in rows if row["id"] == deal_id), None)
            if owner is None or said.contact_of.get(owner) != int(contact["copernica_id"]):
                links += 1
    states = house.states()
    left = {state: count for state, count in states.items() if state not in ("delivered", "unchanged", "superseded")}
    skipped = left.pop("skipped", 0)
    say(f"  deliveries: {states}")
    if skipped:
        reasons = Counter(row[0] for row in house.query("SELECT reason FROM deliveries WHERE state = 5"))
        say(f"  skipped: {dict(reasons)}")
    return Result(
        records=records,
        calls=calls,
        requests=len(journal),
        faults=sum(entry.fault is not None for entry in journal),
        duplicates=_duplicates(journal, say),
        lost=lost,
        links=links,
        open=sum(left.values()),
    )


def _by_record(crm: SampleCrm, kind: str) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in crm.records(kind):
        found[int(row["copernica_id"])].append(row)
    return found


def _differs(say: Any, kind: str, number: int, wanted: dict[str, str] | None, rows: list[dict[str, Any]]) -> int:
    """Return 1 when none, or not all, of the rows are as was said last."""
    if wanted is None:
        fine = not rows
    else:
        fine = bool(rows) and all(row.get(name) == value for row in rows for name, value in wanted.items())
    if not fine:
        say(f"{kind} {number} has to be {wanted}, and is {rows}")
    return int(not fine)


def _made(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield (copernica_id, CRM ID) of records that a request may have made, by what it carried."""
    body = entry.as_json()["body"]
    items = body.get("inputs", [body]) if isinstance(body, dict) else []
    for record, item in zip(entry.records or (entry.record,), items, strict=False):
        if record is not None and "copernica_id" in item:
            yield item["copernica_id"], record


def _duplicates(journal: list[Entry], say: Any) -> int:
    """How often, in the order of commits, a record was made while another one of the same Copernica record was there."""
    there: dict[tuple[str, str], set[str]] = defaultdict(set)
    known: set[str] = set()
    found = 0
    for entry in sorted((entry for entry in journal if entry.commits), key=lambda entry: entry.commits[0]):
        kind = entry.path.split("?")[0].strip("/").split("/")[0]
        if entry.method == "DELETE":
            for holders in there.values():
                holders.discard(str(entry.record))
        elif entry.method == "POST":
            for owner, record in _made(entry):
                if record in known:
                    continue
                known.add(record)
                if there[kind, owner]:
                    say(f"{kind} {record} was made while {there[kind, owner]} was there for {owner}")
                    found += 1
                there[kind, owner].add(record)
    return found


def _hits(journal: list[Entry]) -> dict[str, Counter[str]]:
    """How often which step was hit by which fault."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in journal:
        parts = ["ID" if part.isdigit() else part for part in entry.path.split("?")[0].split("/")]
        found[f"{entry.method} {'/'.join(parts)}"][entry.fault or "none"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    began = time.monotonic()
    result = torture(given.records, given.seed, say=lambda text: print(text, flush=True))
    print(f"{result} ({time.monotonic() - began:.0f} s)")
    sys.exit(0 if result.is_clean else 1)


if __name__ == "__main__":
    main()
