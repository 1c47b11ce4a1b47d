"""How a request shows who we are, when that needs no token address."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from connector.crm.presets.model import Basic, Bearer, HeaderAuth, NoAuth
from connector.domain.clock import Instant
from connector.files.problem import ProblemsError


@dataclass(frozen=True, slots=True)
class Authorised:
    """What goes with a request. `base_url` is there when the token answer named it."""

    headers: Mapping[str, str]
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class NoToken:
    """There is no token to be had now. `refused`: a person has to do something; else it may pass.

    `base_url` and `retry_at` as in an answer; `reason` says what to do.
    """

    refused: bool
    reason: str
    retry_at: Instant | None = None


class Credentials(Protocol):
    """Gives what goes with a request."""

    def authorise(self) -> Authorised | NoToken:
        """Return what goes with the next request. May take a request to the token address."""
        ...

    def renew(self, used: Authorised) -> Authorised | NoToken | None:
        """After a 401 with `used`: return what to try in its place, or why there is nothing; None: nothing to add."""
        ...

    def private(self) -> Sequence[str]:
        """Every secret that must not be repeated anywhere."""
        ...


class Fixed:
    """A secret that goes with each request as it is. Read again after a 401: somebody may have replaced it."""

    def __init__(self, auth: Bearer | HeaderAuth | Basic | NoAuth, username: str, secret: Callable[[], str]) -> None:
        self._auth = auth
        self._username = username
        self._secret = secret
        self._now = self._made()

    def _made(self) -> Authorised:
        auth = self._auth
        if isinstance(auth, NoAuth):
            return Authorised({})
        if isinstance(auth, Bearer):
            return Authorised({"Authorization": f"Bearer {self._secret()}"})
        if isinstance(auth, HeaderAuth):
            return Authorised({auth.name: auth.prefix + self._secret()})
        pair = f"{self._secret()}:" if auth.secret_as_username else f"{self._username}:{self._secret()}"
        return Authorised({"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()})

    def authorise(self) -> Authorised:
        """Return the header."""
        return self._now

    def renew(self, used: Authorised) -> Authorised | NoToken | None:
        """Read the secret again; it is worth a try if it is another one."""
        try:
            self._now = self._made()
        except ProblemsError:  # it cannot be read now: what we have stays
            return None
        return self._now if self._now != used else None

    def private(self) -> Sequence[str]:
        """Return the header's value, and what stands behind its prefix."""
        values = list(self._now.headers.values())
        return [*values, *(value.rpartition(" ")[2] for value in values)]
