"""The tables. Each migration runs once, under the write lock, in a transaction of its own.

Small on purpose: names, records and field lists are stored once and referred to by number; a settled delivery stands in
one index only.
"""

from sqlite3 import Connection

from sqlite_utils import Database, Migrations

migrations = Migrations("connector")


def apply(conn: Connection) -> None:
    """Bring the tables up to date."""
    migrations.apply(Database(conn))


@migrations()
def m001_outbox(db: Database) -> None:
    """The first schema; it carries all rules of order, links and doubt from the start."""
    for statement in _M001:
        db.conn.execute(statement)


_M001 = (
    # Facts about the outbox itself: the hash key, the boot that leases belong to.
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID",
    # Sources, mappings, destinations, objects, mapping versions, outcomes, lists of field paths.
    "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    # Record keys; an address stands here as its keyed hash.
    "CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE) STRICT",
    # Calls that were proven genuine. `call` holds method, target, headers and body, compressed together.
    """CREATE TABLE events (
         id INTEGER PRIMARY KEY, source INTEGER NOT NULL, record INTEGER, type INTEGER, rank INTEGER,
         state INTEGER NOT NULL, received_at INTEGER NOT NULL, size INTEGER NOT NULL, note TEXT, call BLOB NOT NULL
       ) STRICT""",
    "CREATE INDEX events_new ON events (id) WHERE state = 0",
    "CREATE INDEX events_record ON events (record, rank) WHERE record IS NOT NULL",
    # What calls of a kind have in common, learnt from the first of them: see `codec.learn`.
    "CREATE TABLE dictionaries (id INTEGER PRIMARY KEY, kind TEXT NOT NULL UNIQUE, data BLOB NOT NULL) STRICT",
    # Which calls are known: outlives them by the time in which they can be sent again.
    "CREATE TABLE proofs (proof BLOB PRIMARY KEY, event INTEGER NOT NULL, until INTEGER NOT NULL) STRICT",
    # Calls that wait for DNS. `id` is their place among the events.
    """CREATE TABLE unproven (
         id INTEGER PRIMARY KEY, source INTEGER NOT NULL, key_id TEXT NOT NULL, signed_at INTEGER NOT NULL,
         proof BLOB NOT NULL, proof_until INTEGER NOT NULL, received_at INTEGER NOT NULL, tried INTEGER NOT NULL DEFAULT 0,
         size INTEGER NOT NULL, call BLOB NOT NULL
       ) STRICT""",
    # An event times a mapping. `due_at` is NULL while an earlier one of its line has to go first.
    """CREATE TABLE deliveries (
         id INTEGER PRIMARY KEY, event INTEGER NOT NULL, mapping INTEGER NOT NULL, record INTEGER NOT NULL,
         rank INTEGER NOT NULL, flags INTEGER NOT NULL, state INTEGER NOT NULL, priority INTEGER NOT NULL DEFAULT 0,
         due_at INTEGER, attempts INTEGER NOT NULL DEFAULT 0, counted_ms INTEGER NOT NULL DEFAULT 0,
         lease INTEGER, lease_until INTEGER, changed_at INTEGER NOT NULL, reason TEXT
       ) STRICT""",
    "CREATE UNIQUE INDEX deliveries_event ON deliveries (event, mapping)",
    "CREATE INDEX deliveries_due ON deliveries (mapping, priority, due_at) WHERE state = 0 AND due_at IS NOT NULL",
    "CREATE INDEX deliveries_open ON deliveries (record, mapping, state) WHERE state IN (0, 1, 6, 7)",
    "CREATE INDEX deliveries_stuck ON deliveries (state, mapping) WHERE state IN (6, 7)",
    "CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state = 1",
    # A line's memory: the newest state it knows. Outlives its events.
    """CREATE TABLE lines (
         record INTEGER NOT NULL, mapping INTEGER NOT NULL, rank INTEGER NOT NULL, event INTEGER NOT NULL,
         created_here INTEGER NOT NULL, PRIMARY KEY (record, mapping)
       ) STRICT, WITHOUT ROWID""",
    # What `each` lines have seen: the same happening in two calls is one event.
    "CREATE TABLE seen (identity BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX seen_at ON seen (at)",
    # Copernica record ↔ CRM record, and what is in doubt about it.
    """CREATE TABLE links (
         id INTEGER PRIMARY KEY, destination INTEGER NOT NULL, object INTEGER NOT NULL, record INTEGER NOT NULL,
         crm_id TEXT, version INTEGER NOT NULL DEFAULT 1, doubt_at INTEGER, doubt_events TEXT,
         gone_at INTEGER
       ) STRICT""",
    "CREATE UNIQUE INDEX links_record ON links (record, destination, object)",
    "CREATE INDEX links_crm ON links (crm_id, destination, object) WHERE crm_id IS NOT NULL",
    # What the CRM last accepted, per link and mapping: keyed hashes, in the order of `shape`'s field paths.
    """CREATE TABLE accepted (
         link INTEGER NOT NULL, mapping INTEGER NOT NULL, known INTEGER NOT NULL, shape INTEGER NOT NULL,
         hashes BLOB NOT NULL, PRIMARY KEY (link, mapping)
       ) STRICT, WITHOUT ROWID""",
    # Whose link with a parent was made, and with which of its CRM IDs (`tried`), or could not be made yet (NULL).
    """CREATE TABLE children (
         destination INTEGER NOT NULL, object INTEGER NOT NULL, parent INTEGER NOT NULL,
         record INTEGER NOT NULL, mapping INTEGER NOT NULL, tried TEXT, PRIMARY KEY (parent, destination, object, record, mapping)
       ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX children_record ON children (record)",
    # Locks that go with a lease (`delivery`): the link, match keys, the CRM record. A match key's may last for `lasts`
    # beyond it: `until` then keeps other records than `record` away.
    """CREATE TABLE locks (
         key BLOB PRIMARY KEY, delivery INTEGER, record INTEGER NOT NULL, lasts INTEGER NOT NULL,
         until INTEGER NOT NULL DEFAULT 0
       ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX locks_until ON locks (until) WHERE delivery IS NULL",
    "CREATE INDEX locks_delivery ON locks (delivery)",
    # The history of deliveries.
    """CREATE TABLE attempts (
         id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL, at INTEGER NOT NULL, outcome INTEGER NOT NULL,
         status INTEGER, requests INTEGER NOT NULL, took INTEGER NOT NULL, version INTEGER NOT NULL, reason TEXT
       ) STRICT""",
    "CREATE INDEX attempts_delivery ON attempts (delivery)",
    # What was sent to be removed lately: the mass-delete guard counts it.
    "CREATE TABLE removals (mapping INTEGER NOT NULL, at INTEGER NOT NULL, delivery INTEGER NOT NULL) STRICT",
    "CREATE INDEX removals_at ON removals (mapping, at)",
    # Operators' holds: of a record, a mapping or a destination.
    "CREATE TABLE holds (kind TEXT NOT NULL, subject TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (kind, subject)) STRICT, WITHOUT ROWID",
    """CREATE TABLE pauses (
         subject TEXT PRIMARY KEY, by TEXT NOT NULL, reason TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER,
         probes INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID""",
    # What was spent in the running window of each budget.
    "CREATE TABLE budgets (name TEXT PRIMARY KEY, window INTEGER NOT NULL, spent INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # Erased people: what refuses their older calls.
    "CREATE TABLE tombstones (key TEXT PRIMARY KEY, erased_at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # How many rows are in each state, so that `status` counts nothing.
    "CREATE TABLE tally (mapping INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (mapping, state)) STRICT, WITHOUT ROWID",
    "CREATE TABLE event_tally (state INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT",
    """CREATE TRIGGER deliveries_in AFTER INSERT ON deliveries BEGIN
         INSERT INTO tally VALUES (new.mapping, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1; END""",
    """CREATE TRIGGER deliveries_on AFTER UPDATE OF state ON deliveries WHEN old.state <> new.state BEGIN
         UPDATE tally SET n = n - 1 WHERE mapping = old.mapping AND state = old.state;
         INSERT INTO tally VALUES (new.mapping, new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1; END""",
    """CREATE TRIGGER deliveries_out AFTER DELETE ON deliveries BEGIN
         UPDATE tally SET n = n - 1 WHERE mapping = old.mapping AND state = old.state; END""",
    """CREATE TRIGGER events_in AFTER INSERT ON events BEGIN
         INSERT INTO event_tally VALUES (new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1; END""",
    """CREATE TRIGGER events_on AFTER UPDATE OF state ON events WHEN old.state <> new.state BEGIN
         UPDATE event_tally SET n = n - 1 WHERE state = old.state;
         INSERT INTO event_tally VALUES (new.state, 1) ON CONFLICT DO UPDATE SET n = n + 1; END""",
    """CREATE TRIGGER events_out AFTER DELETE ON events BEGIN
         UPDATE event_tally SET n = n - 1 WHERE state = old.state; END""",
    "INSERT INTO counters VALUES ('event', 0, 0)",
)
