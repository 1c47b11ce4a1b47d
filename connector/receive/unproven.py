"""Calls that came while DNS was silent are judged when it speaks again (S32)."""

import fcntl
import os
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import structlog

from connector.domain.clock import SECOND, Clock, Millis
from connector.domain.judgement import judge
from connector.domain.request import Refusal, UnprovenRequest
from connector.keys.port import Keys
from connector.outbox.port import NewCall, OutboxError, StoredUnproven
from connector.receive.committer import Committer
from connector.receive.door import Door

GIVEN_UP = "given-up"
NO_SOURCE = "no-source"
_BATCH = 20  # bodies can be megabytes
_FIRST_PAUSE: Millis = 5 * SECOND
_LONGEST_PAUSE: Millis = 60 * SECOND

log = structlog.get_logger()


class Prover:
    """Looks through the unproven calls, one process at a time, until each is an event or refused for good."""

    def __init__(
        self,
        committer: Committer,
        door: Door,
        keys: Mapping[str, Keys],
        clock: Clock,
        *,
        zone: str,
        keep: Millis,
        lock: Path,
    ) -> None:
        self._committer = committer
        self._door = door
        self._keys = keys
        self._clock = clock
        self._zone = zone
        self._keep = keep
        self._lock = lock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start looking, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="prover", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the call that is being judged."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        pause = _FIRST_PAUSE
        try:
            while not self._stop.wait(pause / SECOND):
                pause = _FIRST_PAUSE
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # another receiving process does it
                try:
                    if not self.round():
                        pause = min(pause * 2, _LONGEST_PAUSE)
                except OutboxError as error:
                    log.warning("unproven calls cannot be judged now", why=str(error))
                    pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            os.close(handle)  # this also gives the lock back

    def round(self) -> bool:
        """Judge what can be judged. Returns whether any call's verdict was reached, or none waits.

        A key that stays silent is asked for once in a round: one dead resolver must not cost a time-out per call.
        """
        silent: set[str] = set()
        progress = False
        while not self._stop.is_set():
            batch = self._committer.ask(lambda inbox: inbox.unproven(_BATCH))
            fresh = [call for call in batch if call.request.key_id not in silent]
            if not fresh:
                return progress or not batch
            judged = [self._judge(call, silent) for call in fresh if not self._stop.is_set()]
            progress = progress or any(judged)
            if not any(judged):
                return progress
        return progress

    def _judge(self, call: StoredUnproven, silent: set[str]) -> bool:
        if call.request.key_id in silent:
            return self._settle(call, self._given_up(call))
        verdict = self._verdict(call)
        if verdict is None:
            silent.add(call.request.key_id)
            verdict = self._given_up(call)
        return self._settle(call, verdict)

    def _given_up(self, call: StoredUnproven) -> str | None:
        waited = self._clock.now() - call.request.request.received_at
        return GIVEN_UP if waited > self._keep else None

    def _verdict(self, call: StoredUnproven) -> NewCall | str | None:
        request = call.request.request
        source = self._door.sources.get(request.source)
        if source is None:
            return NO_SOURCE
        find_key = partial(self._keys[source.name].find, again=True)
        verdict = judge(request, source, find_key, now=request.received_at, zone=self._zone)
        if isinstance(verdict, UnprovenRequest):
            return None
        if isinstance(verdict, Refusal):
            return str(verdict.reason)
        if self._door.declines(verdict, source):
            return "declined"
        return self._door.new_call(verdict, source)

    def _settle(self, call: StoredUnproven, verdict: NewCall | str | None) -> bool:
        self._committer.ask(lambda inbox: inbox.judge(call.event_id, verdict, self._clock.now()))
        if isinstance(verdict, NewCall):
            self._committer.committed()
            log.info("call proven", source=call.request.request.source, id=call.event_id, outcome="stored")
        elif verdict is not None:
            log.warning(
                "call refused", source=call.request.request.source, id=call.event_id, outcome="refused", reason=verdict
            )
        return verdict is not None
