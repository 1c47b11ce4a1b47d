"""A network between deliverer and CRM that resets, stalls and cuts, in front of a CRM without unique values,
then in front of one with them, in batches.

What makes it hard are answers that were lost after the CRM had made a record: it must not be made again.
"""

import tempfile
from pathlib import Path

from tests.torture.ground import SPREAD, Ground
from tests.torture.load import Count
from tests.torture.proxy import Proxy
from tests.torture.row import Row, Say

TIMEOUT = 0.5


def row(seed: int, *, quick: bool, say: Say) -> Row:
    """Break about every twelfth request; quick: only against a CRM that takes everything twice."""
    counts: list[Count] = []
    hits: dict[str, int] = {}
    requests = unanswered = 0
    problems: list[str] = []
    rounds = [(False, 200, 400)] if quick else [(False, 600, 2500), (True, 60, 400)]
    for unique, records, least in rounds:
        with Proxy(seed + unique) as proxy:
            counts.append(_round(seed, proxy, problems, unique=unique, records=records, requests=least))
            hits = {kind: hits.get(kind, 0) + count for kind, count in proxy.hits.items()}
            requests += proxy.requests
            unanswered += proxy.unanswered_creates
            say(f"unique {unique}: {proxy.requests} requests, {proxy.hits.total()} broken, {counts[-1]}")
    taken_back = sum(count.taken_back for count in counts)
    if taken_back:
        problems.append(f"taken back to an older state: {taken_back}")
    if not unanswered:
        problems.append("no answer to a request that makes a record was lost: a duplicate was never tempted")
    return Row(
        kind="network",
        faults=hits,
        survived=sum(hits.values()),
        lost=sum(count.lost for count in counts),
        duplicated=sum(count.duplicated for count in counts),
        notes=[
            f"of {requests} requests",
            f"{unanswered} lost answers to requests that make records",
            f"{sum(count.answered for count in counts)} calls answered 2xx",
        ],
        problems=problems,
    )


def _round(seed: int, proxy: Proxy, problems: list[str], *, unique: bool, records: int, requests: int) -> Count:
    with (
        tempfile.TemporaryDirectory(prefix="connector-network-") as name,
        Ground(
            Path(name),
            seed=seed,
            unique=unique,
            override="" if unique else SPREAD,
            timeout=TIMEOUT,
            records=records,
            pause=0.02,
            latency_ms=5,
            address=proxy.before,
        ) as ground,
    ):
        ground.load.start()
        ground.wait(
            lambda: (
                proxy.requests >= requests and ground.load.ledger.calls >= requests and min(proxy.hits.values()) > 0
            ),
            "all was broken",
        )
        proxy.is_breaking = False
        ground.rest()
        problems += ground.undelivered()
        return ground.count()
