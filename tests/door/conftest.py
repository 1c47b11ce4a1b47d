"""What the tests of the door share. RSA keys are made once per process."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.clock import ManualClock
from tests.support.dns import DnsServer
from tests.support.signing import signing_key


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return signing_key()


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
