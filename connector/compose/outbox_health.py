"""Is the outbox sound? Asked at the start of a deliverer and by `connector doctor`; and copying it."""

from collections.abc import Sequence
from pathlib import Path

from connector.compose.outbox import open_outbox
from connector.config.model import Config
from connector.crm.port import Finding
from connector.outbox.port import OutboxError
from connector.outbox.sqlite.backup import backup, check


def damage(config: Config) -> str:
    """Return what is wrong with the outbox file; empty when it is sound, or is not there yet.

    Reads the whole file. Raises OutboxError when it cannot be read.
    """
    return check(config.outbox.path) if config.outbox.path.exists() else ""


def examine_outbox(config: Config) -> Sequence[Finding]:
    """Return the outbox's lines of `connector doctor`. Changes nothing, and never raises."""
    path = config.outbox.path
    if not path.exists():
        return [Finding("file", ok=True, what=f"{path} is not there yet: `serve` makes it")]
    findings = []
    try:
        problem = damage(config)
        if problem:
            what = f"{path} is damaged ({problem}): stop everything and restore a backup, see docs/operations.md"
            findings.append(Finding("file", ok=False, what=what))
        else:
            findings.append(Finding("file", ok=True, what=f"{path} is sound"))
        database = open_outbox(config, readonly=True)
        try:
            findings += _room(config, database.size(), database.free())
        finally:
            database.close()
    except OutboxError as error:
        findings.append(Finding("file", ok=False, what=str(error)))
    return findings


def _room(config: Config, size: int, free: int) -> Sequence[Finding]:
    outbox = config.outbox
    return [
        Finding(
            "size",
            ok=size <= outbox.max_bytes,
            what=f"{size} of {outbox.max_bytes} bytes"
            + ("" if size <= outbox.max_bytes else ": calls are answered 503; raise [outbox] max_bytes"),
        ),
        Finding(
            "disk",
            ok=free >= outbox.free_bytes,
            what=f"{free} bytes free, the floor is {outbox.free_bytes}"
            + ("" if free >= outbox.free_bytes else ": calls are answered 503; make room"),
        ),
    ]


def copy_outbox(config: Config, target: Path) -> int:
    """Copy the outbox to a file while it is in use; return the copy's bytes. Raises OutboxError and its kinds."""
    database = open_outbox(config, readonly=True)
    try:
        return backup(database, target)
    finally:
        database.close()
