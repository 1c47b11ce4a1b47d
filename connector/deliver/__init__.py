"""claim → map → send → settle: from the outbox to the CRMs. Knows ports only."""
