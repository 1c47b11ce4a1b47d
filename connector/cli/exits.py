"""What a command's exit status means; docs/cli.md says the same."""

DONE = 0
NOT_SO = 1
"""The thing asked about is not so, or work remains."""
USAGE = 2
UNREACHABLE = 69
TRY_LATER = 75
CONFIGURATION = 78
INTERRUPTED = 130
