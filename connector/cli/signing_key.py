"""A key of one's own to sign sample calls with, and how a test installation is told to believe it."""

import base64
import os
from pathlib import Path

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BITS = 2048


def make(path: Path) -> Path:
    """Write a new private key, for its owner only, and beside it its DKIM record; return the latter's path.

    Raises click.UsageError when something is there already, or cannot be written.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    record = path.with_name(path.name + ".dkim.txt")
    try:
        for file, content, mode in ((path, private, 0o600), (record, dkim_record(key).encode() + b"\n", 0o644)):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
                opened.write(content)
    except FileExistsError as error:
        raise click.UsageError(f"{error.filename} is there already: name another file, or use it with --key.") from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return record


def load(path: Path) -> rsa.RSAPrivateKey:
    """Return the private key in a PEM file. Raises click.UsageError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}. `--new-key {path}` makes one.") from None
    except TypeError:
        raise click.UsageError(f"{path} is protected by a password; a test key may not be.") from None
    except ValueError:
        raise click.UsageError(f"{path} is no private key in PEM form. `--new-key FILE` makes one.") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise click.UsageError(f"{path} is no RSA key, and Copernica signs with RSA. `--new-key FILE` makes one.")
    return key


def dkim_record(key: rsa.RSAPrivateKey) -> str:
    """Return the text of the DNS record that publishes the key's public half."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def how_to_use(path: Path, record: Path, key_id: str, account: str) -> str:
    """Return what a person does with a new key."""
    return f"""\
Made {path} (private: keep it) and {record}, its public half.

It is believed by a source of a test installation that says so; in its configuration:

    [sources.test]
    account = "{account}"
    proof = "key-file"
    key_file = "{record.absolute()}"

Or publish it, as the TXT record of {key_id}:

    {record.read_text(encoding="ascii").strip()}

Then: connector simulate --source test --key {path}"""
