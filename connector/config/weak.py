"""The choices in a configuration that make it less secure than it could be: said aloud at every start."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from connector.config import address
from connector.config.model import Config, Destination, Dns, Receiver, Source

_DEFAULT_ZONE: str = Dns.model_fields["zone"].default
_WIDE_V4 = 8
_WIDE_V6 = 16


def warnings(config: Config) -> list[str]:
    """Return a sentence for each such choice."""
    return [
        *_receiver(config.receiver, config.dns),
        *(sentence for name, source in config.sources.items() for sentence in _source(name, source, config.receiver)),
        *(sentence for name, one in config.destinations.items() for sentence in _destination(name, one)),
        *_alert(config.alert.url),
    ]


def _receiver(receiver: Receiver, dns: Dns) -> Iterator[str]:
    if not receiver.require_https:
        yield "receiver.require_https is false: calls may come unencrypted, and everybody on the way can read them."
    if wide := _widest(receiver.trusted_proxies):
        yield f"receiver.trusted_proxies has {wide}: nearly anybody can claim any address, and HTTPS, for a call."
    if dns.zone != _DEFAULT_ZONE:
        yield f"dns.zone is {dns.zone}, not {_DEFAULT_ZONE}: who can publish keys there can sign calls."


def _source(name: str, source: Source, receiver: Receiver) -> Iterator[str]:
    where = f"sources.{name}"
    if source.proof == "key-file":
        yield f"{where}: keys come from a file, not from Copernica's DNS: who has the private key can send anything."
    if source.proof == "secret":
        yield f"{where}: calls are not signed: who learns the secret in the address can send anything."
    if source.proof == "none":
        yield f"{where}: calls are not proven at all: who can call from its addresses can send anything."
    if source.proof in ("secret", "none") and (wide := _widest(source.addresses)):
        yield f"{where}: addresses has {wide}, which keeps nearly nobody out."
    if source.require_https is False and receiver.require_https:
        yield f"{where}: require_https is false: its calls may come unencrypted, open to all on the way."


def _destination(name: str, destination: Destination) -> Iterator[str]:
    if destination.allow_http:
        yield f"destinations.{name}: allow_http is true: personal data and credentials may go unencrypted."


def _alert(url: str | None) -> Iterator[str]:
    if url is not None and address.is_unencrypted(url):
        yield "alert.url begins with http://: alerts go unencrypted."


def _widest(networks: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return the widest network, if it is far wider than any house needs."""
    wide = [one for one in networks if one.prefixlen < (_WIDE_V4 if one.version == 4 else _WIDE_V6)]  # noqa: PLR2004 - IP versions
    return str(min(wide, key=lambda one: one.prefixlen)) if wide else ""
