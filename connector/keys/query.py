"""One DNS question for TXT records, and what can come of it. Truncated answers are asked again over TCP."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import dns.exception
import dns.inet
import dns.message
import dns.name
import dns.nameserver
import dns.resolver

PORT = 53

MAX_PORT = 65_535

_IPV6_AND_PORT = re.compile(r"\[([^\]]+)\](?::([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Texts:
    """The TXT records of a name, character strings joined, and for how many seconds they hold."""

    records: tuple[bytes, ...]
    ttl: int


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such name, or it has no TXT record; that holds for `ttl` seconds."""

    detail: str
    ttl: int


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nobody says. `everywhere`: it is not about this name (no server answered at all)."""

    detail: str
    everywhere: bool


Reply: TypeAlias = Texts | Absent | NoAnswer


class TxtQuery:
    """Asks the resolvers of the configuration, or those of the system, read anew each time: they may change."""

    def __init__(self, servers: Sequence[str], timeout: float) -> None:
        """Take resolvers as ADDRESS or ADDRESS:PORT; `timeout` is in seconds, all tries together.

        Raises ValueError for a server that is no address.
        """
        self._servers = tuple(map(_nameserver, servers))
        self._timeout = timeout

    def __call__(self, name: str) -> Reply:
        """Ask. Never raises for what the network does."""
        try:
            resolver = dns.resolver.Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers = self._servers
            resolver.timeout = max(self._timeout / 3, 0.05)
            answer = resolver.resolve(name, "TXT", lifetime=self._timeout, raise_on_no_answer=False, search=False)
            ttl = answer.chaining_result.minimum_ttl
            if answer.rrset is None:
                return Absent(f"{name} has no TXT record", ttl)
            return Texts(tuple(b"".join(data.strings) for data in answer.rrset), ttl)
        except dns.resolver.NXDOMAIN as error:
            return Absent(f"{name} does not exist", _negative_ttl(error))
        except dns.resolver.NoNameservers as error:
            unheard = all(response is None for *_, response in error.kwargs["errors"])
            return NoAnswer(f"no resolver could answer for {name} (failure or refusal)", everywhere=unheard)
        except (dns.exception.Timeout, dns.resolver.NoResolverConfiguration, OSError) as error:
            return NoAnswer(f"no resolver answered for {name} ({type(error).__name__})", everywhere=True)
        except dns.exception.DNSException as error:
            return NoAnswer(f"the answer for {name} cannot be used ({type(error).__name__})", everywhere=False)


def _nameserver(server: str) -> dns.nameserver.Nameserver:
    bracketed = _IPV6_AND_PORT.fullmatch(server)
    if bracketed:
        address, port = bracketed[1], bracketed[2]
    elif server.count(":") == 1:
        address, _, port = server.partition(":")
    else:
        address, port = server, None
    if not dns.inet.is_address(address) or (port is not None and not (port.isdigit() and 0 < int(port) <= MAX_PORT)):
        raise ValueError(f"{server!r} is not ADDRESS or ADDRESS:PORT of a resolver")
    return dns.nameserver.Do53Nameserver(address, int(port or PORT))


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> int:
    """Return for how long the name's absence holds, as the SOA record beside the answer says."""
    responses: dict[dns.name.Name, dns.message.QueryMessage] = error.kwargs["responses"]
    try:
        return min(int(response.resolve_chaining().minimum_ttl) for response in responses.values())
    except (dns.exception.DNSException, ValueError):
        return 0
