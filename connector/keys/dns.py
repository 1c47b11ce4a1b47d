"""Public keys from DNS, as DKIM TXT records.

A key is kept as long as its TTL says, and past it for a stated time while DNS is silent. What is not a usable key is
kept for minutes only. A name without a key gets **one second look**, when the time is over for which DNS said so:
whoever asked for a new key's name too early (or any resolver between) has a "does not exist" that outlives its truth.
Until the second look the name's calls are answered Silent, which keeps them. A stranger can name what does not exist,
so both the names and the calls that wait in this way have a small budget of their own; what is above it is refused.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connector.domain.clock import DAY, HOUR, MINUTE, SECOND, Clock, Millis
from connector.domain.dkim import parse_records
from connector.domain.keyrecord import Key, KeyAnswer, NoKey, Silent
from connector.keys.query import Absent, NoAnswer, Reply, TxtQuery

MAX_NAMES = 512
"""Names remembered. Copernica uses a new one each month; all others are strangers' inventions."""
KEY_FRESH = (30 * SECOND, DAY)
"""The bounds of a key's TTL."""
OTHER_FRESH = (5 * SECOND, 5 * MINUTE)
"""The bounds of the TTL of what is not a usable key."""
SECOND_LOOK = (5 * SECOND, 3 * HOUR)
"""The bounds of the wait for the second look. Resolvers keep a negative answer for three hours at most (RFC 2308)."""
WAITING_NAMES = 8
"""Names without a key that get a second look, per hour."""
WAITING_CALLS = 200
"""Calls that are kept for a second look, per hour, all names together."""
FIRST_BACKOFF = SECOND
LONGEST_BACKOFF = 30 * SECOND
GRACE = 5.0
"""Seconds that a thread waits for another's look-up beyond the look-up's own time-out."""


@dataclass(slots=True)
class _Entry:
    """What is known of a name. All times are on the clock that counts suspension.

    `second_look` is when a name without a key has its second look; None when it had it. `funded`: the budget of names
    lets new calls wait for it. Calls that were kept already wait in any case: their keeping was paid for.
    """

    answer: KeyAnswer
    fresh_until: Millis
    second_look: Millis | None = None
    funded: bool = False


@dataclass(slots=True)
class _Silence:
    """How long nobody is asked again, doubled with each try in vain."""

    until: Millis = 0
    wait: Millis = 0
    detail: str = ""

    def begin(self, now: Millis, detail: str) -> None:
        self.wait = min(max(self.wait * 2, FIRST_BACKOFF), LONGEST_BACKOFF)
        self.until = now + self.wait
        self.detail = detail


@dataclass(slots=True)
class _Budget:
    """So many per hour."""

    limit: int
    hour: Millis = -1
    spent: int = 0

    def take(self, now: Millis) -> bool:
        if now // HOUR != self.hour:
            self.hour, self.spent = now // HOUR, 0
        if self.spent >= self.limit:
            return False
        self.spent += 1
        return True


@dataclass(slots=True)
class _LookUp:
    """One question under way, and the threads that wait for it."""

    done: threading.Event = field(default_factory=threading.Event)


class DnsKeys:
    """The keys of senders, from DNS, remembered."""

    def __init__(
        self,
        clock: Clock,
        *,
        servers: Sequence[str] = (),
        timeout: float = 3.0,
        stale: float = 86_400.0,
        ask: Callable[[str], Reply] | None = None,
    ) -> None:
        """Use these resolvers (ADDRESS or ADDRESS:PORT; default: the system's); times are in seconds.

        `ask` replaces the network. Raises ValueError for a server that is no address.
        """
        self._clock = clock
        self._ask = ask or TxtQuery(servers, timeout)
        self._patience = timeout + GRACE
        self._stale = round(stale * SECOND)
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._looking: dict[str, _LookUp] = {}
        self._silences: OrderedDict[str, _Silence] = OrderedDict()
        self._silent_everywhere = _Silence()
        self._names = _Budget(WAITING_NAMES)
        self._calls = _Budget(WAITING_CALLS)

    def find(self, key_id: str, *, again: bool = False) -> KeyAnswer:
        """Return the key of that name, or why there is none; see the port."""
        name = key_id.lower().removesuffix(".")
        while True:
            with self._lock:
                known = self._known(name, again=again)
                if known is not None:
                    return known
                look_up = self._looking.get(name)
                if look_up is None:
                    look_up = self._looking[name] = _LookUp()
                    break
            if not look_up.done.wait(self._patience):
                return Silent(f"the look-up of {name} takes too long")
        try:
            reply = self._ask(name)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a look-up, no call may be lost by it
            reply = NoAnswer(f"the look-up of {name} failed ({type(error).__name__})", everywhere=False)
        with self._lock:
            try:
                self._learn(name, reply)
                return self._known(name, again=again) or Silent(f"nothing is known of {name}")
            finally:
                del self._looking[name]
                look_up.done.set()

    def known(self, key_id: str, *, again: bool = False) -> KeyAnswer | None:
        """Return what can be said of that name at once; None when it has to be looked up: then `find` does."""
        with self._lock:
            return self._known(key_id.lower().removesuffix("."), again=again)

    def _known(self, name: str, *, again: bool) -> KeyAnswer | None:
        """Return what can be said without asking, or None when it is time to ask."""
        now = self._clock.elapsed()
        entry = self._entries.get(name)
        if entry is not None:
            if entry.second_look is not None and now < entry.second_look:
                if again or (entry.funded and self._calls.take(now)):
                    return Silent(f"{_detail(entry.answer)}; asked again later")
                if entry.funded or now < entry.fresh_until:
                    return entry.answer
            elif entry.second_look is None and now < entry.fresh_until:
                return entry.answer
        silence = max(self._silent_everywhere, self._silences.get(name, _Silence()), key=lambda one: one.until)
        if now >= silence.until:
            return None
        if entry is not None and isinstance(entry.answer, Key) and now < entry.fresh_until + self._stale:
            return entry.answer
        return Silent(silence.detail)

    def _learn(self, name: str, reply: Reply) -> None:
        now = self._clock.elapsed()
        if isinstance(reply, NoAnswer):
            silence = self._silent_everywhere
            if not reply.everywhere:
                silence = self._silences.setdefault(name, _Silence())
                while len(self._silences) > MAX_NAMES:
                    self._silences.popitem(last=False)
            silence.begin(now, reply.detail)
            return
        self._silent_everywhere = _Silence()
        self._silences.pop(name, None)
        answer = as_answer(reply, name)
        ttl = reply.ttl * SECOND
        before = self._entries.pop(name, None)
        entry = _Entry(answer, now + _within(ttl, KEY_FRESH if isinstance(answer, Key) else OTHER_FRESH))
        if isinstance(answer, NoKey):
            if before is None or not isinstance(before.answer, NoKey):
                entry.second_look = now + _within(ttl + SECOND, SECOND_LOOK)
            elif before.second_look is not None and now < before.second_look:
                entry.second_look = before.second_look
            if entry.second_look is not None:
                entry.funded = self._names.take(now)
        self._entries[name] = entry
        self._forget()

    def _forget(self) -> None:
        """Keep the number of names bounded: what is no key, and is oldest, goes first."""
        while len(self._entries) > MAX_NAMES:
            others = (name for name, entry in self._entries.items() if not isinstance(entry.answer, Key))
            del self._entries[next(others, next(iter(self._entries)))]


def as_answer(reply: Reply, name: str) -> KeyAnswer:
    """Return what one reply means by itself, without memory and without a second look."""
    if isinstance(reply, NoAnswer):
        return Silent(reply.detail)
    return NoKey(reply.detail) if isinstance(reply, Absent) else parse_records(reply.records, name)


def _detail(answer: KeyAnswer) -> str:
    return "" if isinstance(answer, Key) else answer.detail


def _within(value: Millis, bounds: tuple[Millis, Millis]) -> Millis:
    low, high = bounds
    return min(max(value, low), high)
