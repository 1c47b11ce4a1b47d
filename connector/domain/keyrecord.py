"""What a look-up of a sender's public key can come to."""

from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


@dataclass(frozen=True, slots=True)
class Key:
    """A usable public key, with where it came from (a DNS name, or a file)."""

    public: RSAPublicKey
    origin: str


@dataclass(frozen=True, slots=True)
class NoKey:
    """There is no such key: a refusal."""

    detail: str


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """The key was withdrawn (an empty `p=`): a refusal."""

    detail: str


@dataclass(frozen=True, slots=True)
class WeakKey:
    """The key is not one to trust (too short, too large, or not RSA): a refusal."""

    detail: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Nobody knows at the moment: DNS does not answer, or has to be asked again. Not a refusal (S32)."""

    detail: str


KeyAnswer: TypeAlias = Key | NoKey | RevokedKey | WeakKey | Silent
