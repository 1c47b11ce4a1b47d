"""The outbox in one SQLite file: WAL, a synced commit for every answer, one writer at a time."""
