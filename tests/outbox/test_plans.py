"""What is asked of a large outbox is answered by an index."""

import re
from pathlib import Path

from bench import seed
from connector.domain.accepted import Accepted
from connector.domain.clock import MINUTE
from connector.domain.delivery import DeliveryState
from connector.outbox.port import Keep, LinkChange, Settlement, Take
from connector.outbox.sqlite.queue import SqliteQueue

SCANS = re.compile(r"SCAN (\w+)\b(?! USING)")
FIRST_ROWS = {"proofs", "tombstones", "holds"}  # looked at from their beginning, and not far
SMALL = {"names", "pauses", "budgets", "meta", "tally", "json_each"}


def test_no_step_of_a_delivery_looks_through_a_whole_table(tmp_path: Path) -> None:
    """Routing, claiming, settling, pruning: each statement finds its rows by an index, however many others there are."""
    outbox = tmp_path / "outbox.db"
    seed.fill(outbox, [seed.call(person, change) for change in (0, 1) for person in (1, 2, 3)])
    database, _ = seed.open_inbox(outbox)
    asked: set[str] = set()
    database.conn.set_trace_callback(asked.add)
    seed.route(SqliteQueue(database))
    queue = SqliteQueue(database)
    now = seed.now() + MINUTE
    dues = queue.due(now, "people", "crm", "contact", 10)
    assert len(dues) == 3
    takes = [
        Take(
            delivery_id=due.delivery_id,
            event_id=due.call.event_id,
            destination="crm",
            object="contact",
            link_version=due.link.version,
            keys=(due.delivery_id.to_bytes(16, "big"),),
            lease=queue.lease(),
            lease_until=now,
            during=Accepted(known=False),
            in_doubt_until=now,
        )
        for due in dues
    ]
    granted, _ = queue.take(takes, [], now)
    assert granted == [True, True, True]
    link = LinkChange(crm_id="1", certain=True, accepted=Accepted(known=True))
    queue.settle(
        [
            Settlement(
                delivery_id=take.delivery_id,
                destination="crm",
                object="contact",
                state=state,
                lease=take.lease,
                due_at=now,
                outcome="x",
                version="1",
                link=link,
            )
            for take, state in zip(
                takes, (DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.DEAD), strict=True
            )
        ],
        now,
    )
    queue.recover(now, now + MINUTE, "boot", queue.gone())
    queue.next_due(["people"])
    queue.prune(now + MINUTE, Keep(settled=0, dead=0, unwanted=0), 10)
    database.conn.set_trace_callback(None)
    scanned = {}
    for statement in asked:
        if statement.lstrip().split(" ")[0] in ("SELECT", "UPDATE", "DELETE", "INSERT"):
            plan = [row[3] for row in database.conn.execute(f"EXPLAIN QUERY PLAN {statement}")]
            tables = {found[1] for line in plan if (found := SCANS.match(line))} - SMALL - FIRST_ROWS
            if tables:
                scanned[statement] = plan
    queue.close()
    database.close()
    assert scanned == {}
