"""What a receiving worker is made of: the outbox, the keys, the door, the application."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from connector.compose.outbox import open_outbox
from connector.config.model import Config
from connector.domain.clock import SECOND, Clock
from connector.domain.keyrecord import KeyAnswer
from connector.domain.source import Proof, Source
from connector.http.app import Edge, make_app
from connector.http.ownership import Ownership
from connector.http.server import Parts
from connector.http.switchboard import Switchboard
from connector.keys.dns import DnsKeys
from connector.keys.file import FileKeys
from connector.keys.port import Keys
from connector.outbox.port import Inbox
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.process.wake import Waker, wake_path
from connector.receive.committer import Committer
from connector.receive.door import Door, Timing
from connector.receive.readiness import Readiness
from connector.receive.service import Receiving
from connector.receive.unproven import Prover

_LOOK_UPS = 16  # at the same time


@contextmanager
def open_inbox(config: Config) -> Iterator[Inbox]:
    """Open the receiver's side of the outbox. Raises OutboxError and its kinds."""
    database = open_outbox(config)
    try:
        yield SqliteInbox(database)
    finally:
        database.close()


def parts(config: Config, sources: Mapping[str, Source], clock: Clock, board: Switchboard) -> Parts:
    """Build a worker's parts; nothing is opened before they are started."""
    keys = _keys(config, sources, clock, board)
    waker = Waker(wake_path(config.outbox.path))
    committer = Committer(
        lambda: open_inbox(config),
        clock,
        timeout=config.receiver.store_timeout,
        committed=waker.wake,
        loop=board,
    )
    keep = round(config.receiver.unproven_keep * SECOND)
    door = Door(sources.values(), keys, committer, clock, zone=config.dns.zone, timing=Timing(keep))
    prover = None
    if any(source.is_signed for source in sources.values()):
        lock = config.outbox.path.with_name(f"{config.outbox.path.name}.prover")
        prover = Prover(committer, door, keys, clock, zone=config.dns.zone, keep=keep, lock=lock)
    receiving = Receiving(door, committer, Readiness(committer, clock), prover)
    ownership = Ownership(ownership_folder(config), sources.values())
    edge = Edge(config.receiver.max_body, config.receiver.trusted_proxies)
    return Parts(receiving, make_app(receiving, ownership, edge, clock))


def ownership_folder(config: Config) -> Path:
    """Return where verification files are."""
    return config.receiver.ownership_folder or config.outbox.path.parent / "ownership"


def _keys(config: Config, sources: Mapping[str, Source], clock: Clock, board: Switchboard) -> dict[str, Keys]:
    dns = DnsKeys(clock, servers=config.dns.servers, timeout=config.dns.timeout, stale=config.dns.stale)
    found: dict[str, Keys] = dict.fromkeys(sources, _Aside(dns, board))
    for name, source in sources.items():
        file = config.sources[name].key_file
        if source.proof is Proof.KEY_FILE and file is not None:
            found[name] = FileKeys(file)
    return found


class _Aside:
    """Keys from DNS: what is remembered is said at once, a look-up does not hold up the other calls."""

    def __init__(self, keys: DnsKeys, board: Switchboard) -> None:
        self._keys = keys
        self._board = board
        self._threads = ThreadPoolExecutor(_LOOK_UPS, "dns")

    def find(self, key_id: str, *, again: bool = False) -> KeyAnswer:
        known = self._keys.known(key_id, again=again)
        if known is not None:
            return known
        return self._board.aside(self._threads, lambda: self._keys.find(key_id, again=again))
