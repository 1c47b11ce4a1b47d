"""Values and decisions. Nothing in here does I/O, sleeps, or asks what time it is."""
