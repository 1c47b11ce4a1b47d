"""Who calls, and was it by HTTPS? A proxy's word counts only when the proxy is one of ours."""

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Headers = Sequence[tuple[str, str]]


def origin(remote: str, headers: Headers, trusted: Collection[Network], *, tls: bool = False) -> tuple[str, bool]:
    """Return the caller's address and whether the call came over HTTPS.

    `remote` is the connection's other side; empty for a Unix socket, which only a proxy on this machine can reach, so
    that it is trusted. `tls`: this connection itself is encrypted. Of X-Forwarded-For the last address that is not
    a trusted proxy counts: what stands before it may be made up.
    """
    if remote and not _is_in(remote, trusted):
        return remote, tls
    secure = tls
    protocols = _list(headers, "x-forwarded-proto")
    if protocols:
        secure = protocols[-1].lower() == "https"
    peer = remote
    for address in reversed(_list(headers, "x-forwarded-for")):
        parsed = _parse(address)
        if parsed is None:
            break
        peer = str(parsed)
        if not _is_in(peer, trusted):
            break
    return peer, secure


def _list(headers: Headers, name: str) -> list[str]:
    values = ",".join(value for key, value in headers if key.lower() == name)
    return [part.strip() for part in values.split(",") if part.strip()]


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_in(text: str, networks: Collection[Network]) -> bool:
    address = _parse(text)
    return address is not None and any(address in network for network in networks)
