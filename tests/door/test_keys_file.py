"""Keys from a file: for tests and private senders."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from connector.domain.keyrecord import Key, RevokedKey, Silent, WeakKey
from connector.keys.file import FileKeys
from tests.support.signing import dkim_text, private_pem, public_pem, signing_key


def numbers(answer: object) -> rsa.RSAPublicNumbers:
    assert isinstance(answer, Key), answer
    return answer.public.public_numbers()


def test_a_pem_file_and_the_text_of_a_dkim_record_are_keys(tmp_path: Path) -> None:
    """As openssl writes it, as DNS has it, as a zone file quotes it."""
    file = tmp_path / "key"
    dkim = dkim_text(signing_key())
    quoted = f'( "{dkim[:100]}"\n  "{dkim[100:300]}" "{dkim[300:]}" )'
    for text in (public_pem(signing_key()), dkim.encode(), f"\n{dkim}\n".encode(), quoted.encode()):
        file.write_bytes(text)
        assert numbers(FileKeys(file).find("any")) == signing_key().public_key().public_numbers()


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    """A new key needs no restart, also when the file is replaced."""
    file = tmp_path / "key"
    file.write_bytes(public_pem(signing_key()))
    keys = FileKeys(file)
    assert numbers(keys.find("any")) == signing_key().public_key().public_numbers()
    new = tmp_path / "new"
    new.write_bytes(public_pem(signing_key(which=1)))
    new.replace(file)
    assert numbers(keys.find("any")) == signing_key(which=1).public_key().public_numbers()


def test_a_file_that_is_not_right_keeps_calls_waiting_until_it_is(tmp_path: Path) -> None:
    """Missing, unreadable, empty, a private key: the operator's mistake loses no call, and is named."""
    file = tmp_path / "key"
    keys = FileKeys(file)
    missing = keys.find("any")
    assert isinstance(missing, Silent)
    assert str(file) in missing.detail
    for text in (b"", b"nonsense", private_pem(signing_key()), b"-----BEGIN PUBLIC KEY-----\n", b"x" * 100_000):
        file.write_bytes(text)
        assert isinstance(keys.find("any"), Silent)
    file.unlink()
    file.mkdir()
    assert isinstance(keys.find("any"), Silent)
    file.rmdir()
    file.write_bytes(public_pem(signing_key()))
    assert isinstance(keys.find("any"), Key)


def test_a_revoked_or_weak_key_in_a_file_is_refused(tmp_path: Path) -> None:
    """These are answers, not mistakes."""
    file = tmp_path / "key"
    file.write_text("v=DKIM1; p=")
    assert isinstance(FileKeys(file).find("any"), RevokedKey)
    file.write_text("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert isinstance(FileKeys(file).find("any"), WeakKey)
