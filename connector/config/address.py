"""Addresses, names and numbers that stand in the configuration: what they mean, and what is wrong with them."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic_core import PydanticCustomError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ACCOUNT = re.compile(r"(?:(?:account|environment)[-_])?([1-9][0-9]{0,17})")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_URL = re.compile(r"[!-~]+")
_LAST_PORT = 65535
_LONGEST_NAME = 64
OWN_PATHS = ("healthz", "readyz")
"""What the receiver answers itself; no source can be called so below a public URL without a prefix."""


def _wrong(what: str, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("connector", "{what}", {"what": what, "hint": hint})


def name(text: str) -> str:
    """Return the name of a source or destination: it stands in paths, logs and commands."""
    if len(text) > _LONGEST_NAME or not _NAME.fullmatch(text):
        near = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:_LONGEST_NAME]
        what = "a name is made of small letters, digits, `-` and `_`, begins with a letter or digit"
        raise _wrong(f"{what}, and has at most {_LONGEST_NAME} characters", f"`{near}`" if near else "")
    return text


def host_and_port(text: str) -> tuple[str, int | None]:
    """Split `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` or a bare IPv6 address. Raises ValueError."""
    if text.count(":") > 1 and not text.startswith("["):
        return str(ip_address(text)), None
    host, colon, port = text.rpartition(":") if re.search(r":[^\]]*\Z", text) else (text, "", "")
    if colon and not (re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= _LAST_PORT):
        raise ValueError("the port has to be a number up to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = str(ip_address(host[1:-1]))
    elif not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("the host is not possible")
    return host, int(port) if colon else None


def listen(text: str) -> tuple[str, int] | Path:
    """Return host and port, or the path of a Unix socket. Raises ValueError."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise ValueError("a Unix socket needs its full path")
        return path
    host, port = host_and_port(text)
    if port is None:
        raise ValueError("the port is missing")
    return host, port


def checked_listen(text: str) -> str:
    """Return the text if something can listen there."""
    try:
        listen(text)
    except ValueError:
        hint = {True: f"`127.0.0.1{text}`", False: "`127.0.0.1:8750`"}[bool(re.fullmatch(r":[0-9]{1,5}", text))]
        if text.startswith("unix:"):
            hint = "`unix:/run/connector/receive.sock`"
        what = f"`{text}` is no address to listen on (ADDRESS:PORT, [IPV6]:PORT or unix:/path)"
        raise _wrong(what, hint) from None
    return text


def web(text: str) -> str:
    """Return a web address that has a host, nothing after the path, and no password in it."""
    try:
        parts = urlsplit(text)
        if not (_URL.fullmatch(text) and parts.scheme in ("http", "https")):
            raise _wrong("expected an address that begins with https:// (or http://)")
        if parts.username is not None or parts.password is not None:
            raise _wrong("a user or password cannot stand in an address: nothing secret stands in this file")
        if not parts.hostname:
            raise _wrong("the host is missing in this address")
        host_and_port(parts.netloc)
    except PydanticCustomError:
        raise
    except ValueError:
        raise _wrong("the host or the port in this address is not possible") from None
    if "?" in text or "#" in text:
        raise _wrong("nothing can follow the path of this address (no `?`, no `#`)")
    return text


def split(url: str) -> SplitResult:
    """Split a web address that was checked."""
    return urlsplit(url)


def is_loopback(url: str) -> bool:
    """Tell whether a web address stays on this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_unencrypted(url: str) -> bool:
    """Tell whether it goes over a network without TLS."""
    return urlsplit(url).scheme == "http" and not is_loopback(url)


def network(value: Any) -> IPv4Network | IPv6Network:
    """Return an address or network."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    what = "an address or a network such as 10.0.0.0/8"
    if not isinstance(value, str):
        raise _wrong(f"expected {what}, in quotes")
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        near = str(ip_network(value, strict=False))
    except ValueError:
        raise _wrong(f"`{value}` is not {what}") from None
    raise _wrong(f"`{value}` names one address and a network at once", f"`{near}`, or the address without `/…`")


def dns_server(text: str) -> str:
    """Return the address of a resolver, with or without a port."""
    try:
        host, _ = host_and_port(text)
        ip_address(host)
    except ValueError:
        raise _wrong(f"`{text}` is not the IP address of a resolver (ADDRESS or ADDRESS:PORT)") from None
    return text


def zone(text: str) -> str:
    """Return a DNS name in lower case, without the last dot."""
    plain = text.lower().removesuffix(".")
    if len(plain) > 253 or not all(_LABEL.fullmatch(label) for label in plain.split(".")):  # noqa: PLR2004 - RFC 1035
        raise _wrong(f"`{text}` is not a DNS name", "`copernica.com`")
    return plain


def account_text(value: Any) -> Any:
    """Return a bare number as text: it is a natural way to write an account."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def account(text: str) -> int:
    """Return the number in `account-1234`, `environment_1234` or `1234`. Raises ValueError."""
    found = _ACCOUNT.fullmatch(text)
    if not found:
        raise ValueError(f"`{text}` does not name an account")
    return int(found[1])


def checked_account(text: str) -> str:
    """Return the text if it names an account."""
    try:
        account(text)
    except ValueError as error:
        raise _wrong(str(error), "`account-1234`, with the number that Copernica shows") from None
    return text


def below(text: str) -> str:
    """Return a path below the public URL, without slashes at its ends."""
    path = text.strip("/")
    segments = path.split("/")
    if not all(_SEGMENT.fullmatch(segment) and segment not in (".", "..") for segment in segments):
        raise _wrong("a path is made of letters, digits, `-`, `.`, `_`, `~` and `/`")
    return path
