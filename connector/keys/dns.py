"""Public keys from DNS, as DKIM TXT records."""
