"""Public keys from a file."""
