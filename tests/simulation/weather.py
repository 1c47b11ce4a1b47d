"""What is different from seed to seed, and what becomes of a request."""

from __future__ import annotations

import random

from connector.domain.retry import Schedule
from connector.outbox.port import Keep
from tests.simulation.crm import Request

_MINUTE = 60_000

REQUEST_FAULTS = (
    ("unreachable", 3),
    ("lost request", 3),
    ("lost reply", 5),
    ("slow commit", 4),
    ("slow reply", 3),
    ("5xx", 3),
    ("5xx, yet done", 2),
    ("throttle", 2),
    ("401", 0.5),
    ("403 for an object", 0.7),
    ("422", 1.5),
)


class Weather:
    """One seed's circumstances."""

    def __init__(self, chance: random.Random) -> None:
        self.deliverers = chance.choice((1, 2, 2))
        self.concurrency = chance.choice((1, 2, 8))
        self.batch = chance.choice((1, 1, 3))
        self.visible_after = chance.choice((5_000, 30_000))
        self.lag = chance.choice((0, 0, self.visible_after // 2))
        self.strict_guard = chance.random() < 0.3
        self.keep = (
            Keep(30 * _MINUTE, 300 * 24 * 60 * _MINUTE, 300 * 24 * 60 * _MINUTE) if chance.random() < 0.2 else None
        )
        self.schedule = Schedule(
            attempts=4, first=2_000, factor=3, longest=_MINUTE, jitter=0.2, give_up_after=2 * _MINUTE
        )
        self.storm = chance.choice((2, 10, 40)) * _MINUTE
        self.request_faults = chance.choice((0.0, 0.05, 0.2, 0.4))
        self.crash = chance.choice((0.0, 0.004, 0.02))
        self.busy = chance.choice((0.0, 0.01))
        self.full = chance.choice((0.0, 0.004))
        self.interleave = chance.choice((0.0, 0.1, 0.3))
        self.stop_at_gate = chance.choice((0.0, 0.02)) if self.deliverers > 1 else 0.0
        if chance.random() < 0.15:  # processes sleep on and on, and wake while others have their leases
            self.deliverers, self.batch, self.stop_at_gate = 2, 1, 0.2
            self.request_faults = 0.4
        self.profiles = chance.randint(2, 7)
        self.subprofiles = chance.choice((0, 2, 4))
        self.shared = chance.random() < 0.4
        self.operations = chance.choice((8, 20, 45))
        self.operator = chance.choice((0, 0, 3, 8))
        self.people = chance.choice((0, 2, 8))
        self.restarts = chance.choice((0, 0, 1, 2, 4))
        self.events = chance.choice((0, 1, 3))  # outages, jumps, kills, stops, reboots, a full disk: how many of each

    def fate(self, chance: random.Random, request: Request, outage: str | None) -> str:
        """What becomes of a request."""
        if outage is not None:
            return outage
        if chance.random() >= self.request_faults:
            return "ok"
        fate = chance.choices([f for f, _ in REQUEST_FAULTS], [w for _, w in REQUEST_FAULTS])[0]
        return "slow reply" if fate == "slow commit" and not request.writes else fate
