"""DKIM TXT records as the world writes them, and the names that lead to them."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from connector.domain.dkim import MAX_RECORDS, parse_records
from connector.domain.keyname import is_below_zone
from connector.domain.keyrecord import Key, KeyAnswer, NoKey, RevokedKey, WeakKey
from tests.support.signing import dkim_text, public_base64, signing_key

P = public_base64(signing_key())


def parse(*records: str) -> KeyAnswer:
    return parse_records([record.encode("latin-1") for record in records], "test")


def der(public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, format_: serialization.PublicFormat) -> str:
    return base64.b64encode(public.public_bytes(serialization.Encoding.DER, format_)).decode()


@pytest.mark.parametrize(
    "record",
    [
        f"v=DKIM1; k=rsa; p={P}",
        f"v=DKIM1;k=rsa;p={P};",
        f"p={P}",
        f"k=rsa; p={P}; v=DKIM1",
        f"  v = DKIM1 ;\tk =  rsa ; p\t= {P} ; ",
        f"v=DKIM1; h=sha256; s=*; t=s; n=a note; g=*; p={P}",
        f"v=DKIM1; k=RSA; p={P}",
        f"v=DKIM1; p={P[:64]} {P[64:128]}\r\n\t{P[128:]}",
        f"v=DKIM1; unknown=x=y=z; p={P}",
        f";; v=DKIM1; p={P};;",
    ],
)
def test_tags_come_in_any_order_and_spacing(record: str) -> None:
    """v= and k= may be missing, p= may be folded, other tags are ignored."""
    answer = parse(record)
    assert isinstance(answer, Key)
    assert answer.public.public_numbers() == signing_key().public_key().public_numbers()


@pytest.mark.parametrize(
    "beside",
    [
        "v=spf1 include:_spf.example.com -all",
        "google-site-verification=abc",
        "",
        "hello world",
        "v=DMARC1; p=none",
        "p",
        "=x",
        "\xff\xfe;p=;",
        f"v=DKIM2; p={P}",
    ],
)
def test_other_records_beside_it_are_ignored(beside: str) -> None:
    """In front and behind."""
    assert isinstance(parse(beside, dkim_text(signing_key())), Key)
    assert isinstance(parse(dkim_text(signing_key()), beside), Key)
    assert isinstance(parse(beside), NoKey)


def test_a_record_that_is_there_twice_counts_once() -> None:
    """Equal but for spacing is equal."""
    assert isinstance(parse(f"v=DKIM1; p={P}", f"p={P[:9]} {P[9:]}"), Key)


def test_two_different_keys_under_one_name_are_refused() -> None:
    """Nobody says which one counts; a revocation beside a key is two as well."""
    other = dkim_text(signing_key(which=1))
    assert isinstance(parse(dkim_text(signing_key()), other), NoKey)
    assert isinstance(parse(dkim_text(signing_key()), "v=DKIM1; p="), NoKey)


@pytest.mark.parametrize("record", ["v=DKIM1; p=", "v=DKIM1; k=rsa; p= ;", "p=", "v=DKIM1; p=; k=ed25519"])
def test_an_empty_p_means_revoked(record: str) -> None:
    assert isinstance(parse(record), RevokedKey)


@pytest.mark.parametrize(
    "record",
    [
        "p=!!!!",
        "p=MAMCAQA=",
        f"p={P[:-3]}",
        f"p={P[:40]}",
        "p=AAAA",
        f"p={P}; p={P}",
        f"v=DKIM1; P={P}",
        f"v=DKIM1; p={P}" + "x" * 20_000,
        "v=DKIM1",
        f"v=dkim1; p={P}",
        f"p={P}; garbage",
    ],
)
def test_what_is_no_key_is_no_key(record: str) -> None:
    """Not base64, cut off, tags twice, too long."""
    assert isinstance(parse(record), NoKey)


def test_no_record_at_all_is_no_key() -> None:
    """And neither are more records than anybody needs."""
    assert isinstance(parse(), NoKey)
    assert isinstance(parse(*["x"] * MAX_RECORDS, dkim_text(signing_key())), NoKey)


def test_only_rsa_of_a_sound_size_is_trusted() -> None:
    """Elliptic curves, Ed25519 and oversized keys are refused; PKCS#1 form is taken like the usual one."""
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    assert isinstance(parse(f"k=rsa; p={der(curve, spki)}"), WeakKey)
    assert isinstance(parse("k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), WeakKey)
    huge = rsa.RSAPublicNumbers(65537, (1 << 9000) + 1).public_key()
    assert isinstance(parse(f"p={der(huge, spki)}"), WeakKey)
    assert isinstance(parse(f"p={der(signing_key().public_key(), serialization.PublicFormat.PKCS1)}"), Key)


def test_keys_under_1024_bits_are_weak_and_1024_is_the_least() -> None:
    """1024 bits are accepted because that is what senders publish."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    for bits in (512, 768, 1023):
        short = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 1).public_key()
        answer = parse(f"p={der(short, spki)}")
        assert isinstance(answer, WeakKey)
        assert str(bits) in answer.detail
    assert isinstance(parse(dkim_text(signing_key(1024))), Key)


@pytest.mark.parametrize(
    ("name", "zone", "expected"),
    [
        ("one._domainkey.copernica.com", "copernica.com", True),
        ("ONE.COPERNICA.COM.", "copernica.com", True),
        ("one.copernica.com", ".Copernica.com.", True),
        ("a-b.copernica.com", "copernica.com", True),
        ("copernica.com", "copernica.com", False),
        ("copernica.com.", "copernica.com", False),
        (".copernica.com", "copernica.com", False),
        ("evilcopernica.com", "copernica.com", False),
        ("copernica.com.evil.example", "copernica.com", False),
        ("one..copernica.com", "copernica.com", False),
        ("one.copernica.com..", "copernica.com", False),
        ("a-.copernica.com", "copernica.com", False),
        ("a b.copernica.com", "copernica.com", False),
        ("a\n.copernica.com", "copernica.com", False),
        ("a.copernica.com\n", "copernica.com", False),
        ("a.copernica.com", "", False),
        ("x.test", "test", True),
    ],
)
def test_a_name_is_below_a_zone_or_it_is_not(name: str, zone: str, *, expected: bool) -> None:
    """A true subdomain, made of proper labels."""
    assert is_below_zone(name, zone) is expected
