"""Whose word counts for the caller's address and for HTTPS."""

from ipaddress import ip_network

import pytest

from connector.http.origin import origin

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("remote", "headers", "wanted"),
    [
        ("192.0.2.1", (), ("192.0.2.1", False)),
        # a stranger can claim what he likes
        ("192.0.2.1", (("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https")), ("192.0.2.1", False)),
        # our proxy says who called
        ("10.0.0.1", (("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https")), ("198.51.100.7", True)),
        ("10.0.0.1", (("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", "http")), ("198.51.100.7", False)),
        ("10.0.0.1", (), ("10.0.0.1", False)),
        # what the caller put there himself stands before what the proxy adds
        ("10.0.0.1", (("X-Forwarded-For", "10.9.9.9, 198.51.100.7"),), ("198.51.100.7", False)),
        ("10.0.0.1", (("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "198.51.100.7")), ("198.51.100.7", False)),
        ("10.0.0.1", (("X-Forwarded-Proto", "https, http"),), ("10.0.0.1", False)),
        # two proxies of ours
        ("10.0.0.1", (("X-Forwarded-For", "198.51.100.7, 10.0.0.2"),), ("198.51.100.7", False)),
        ("10.0.0.1", (("X-Forwarded-For", "nonsense, 10.0.0.2"),), ("10.0.0.2", False)),
        ("2001:db8::1", (("X-Forwarded-For", "::ffff:198.51.100.7"),), ("198.51.100.7", False)),
        # a Unix socket is reached by a proxy only
        ("", (("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https")), ("198.51.100.7", True)),
    ],
)
def test_a_proxys_word_counts_only_when_it_is_ours(
    remote: str, headers: tuple[tuple[str, str], ...], wanted: tuple[str, bool]
) -> None:
    """The last address that is not a trusted proxy is the caller's; the last protocol is the proxy's word."""
    assert origin(remote, headers, TRUSTED) == wanted
