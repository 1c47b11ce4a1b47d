"""Where the deliverer says what it does."""

from typing import Protocol


class Log(Protocol):
    """Takes one line: what happened, and its particulars."""

    def __call__(self, event: str, /, **particulars: object) -> None:
        """Write it."""
        ...
