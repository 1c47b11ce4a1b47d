"""Who calls, and was it by HTTPS? A proxy's word counts only when the proxy is one of ours."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Headers = Sequence[tuple[str, str]]
_LONG = 200  # characters; what is longer is not remembered


def origin(remote: str, headers: Headers, trusted: Collection[Network], *, tls: bool = False) -> tuple[str, bool]:
    """Return the caller's address and whether the call came over HTTPS.

    `remote` is the connection's other side; empty for a Unix socket, which only a proxy on this machine can reach, so
    that it is trusted. `tls`: this connection itself is encrypted. Of X-Forwarded-For the last address that is not
    a trusted proxy counts: what stands before it may be made up.
    """
    trusted = frozenset(trusted)
    if remote and not _is_in(remote, trusted):
        return remote, tls
    protocols = _values(headers, "x-forwarded-proto")
    addresses = _values(headers, "x-forwarded-for")
    said = _said if len(protocols) + len(addresses) < _LONG else _said.__wrapped__
    return said(remote, protocols, addresses, trusted, tls)


def _values(headers: Headers, wanted: str) -> str:
    length = len(wanted)
    return ",".join([value for name, value in headers if len(name) == length and name.lower() == wanted])


@lru_cache(1024)  # few proxies, and few callers behind them
def _said(
    remote: str, said_protocols: str, said_addresses: str, trusted: frozenset[Network], tls: bool
) -> tuple[str, bool]:
    secure = tls
    protocols = _list(said_protocols)
    if protocols:
        secure = protocols[-1].lower() == "https"
    peer = remote
    for address in reversed(_list(said_addresses)):
        parsed = _parse(address)
        if parsed is None:
            break
        peer = str(parsed)
        if not _is_in(peer, trusted):
            break
    return peer, secure


def _list(values: str) -> list[str]:
    return [part.strip() for part in values.split(",") if part.strip()]


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(1024)
def _is_in(text: str, networks: frozenset[Network]) -> bool:
    address = _parse(text)
    return address is not None and any(address in network for network in networks)
