"""Calls signed by code that is not ours verify: by openssl on the command line, and by httpsig from the registry.

The recorded call was made with httpsig 1.3.0 (a draft-cavage signer that nobody maintains any more, so it is no
dependency of the tests) and a key from `openssl genrsa`.
"""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from connector.cli.raw_request import read_raw
from connector.domain.judgement import judge
from connector.domain.keyrecord import Key
from connector.domain.request import Refusal, RefusalReason, UnverifiedRequest, VerifiedRequest
from connector.keys.file import read_key
from tests.support.signing import NOW, SOURCE

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not on the path")


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run([OPENSSL or "", *arguments], input=given, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openssl") / "key.pem"
    path.write_bytes(openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"))
    return path


def public_key(key_file: Path) -> Key:
    der = openssl("pkey", "-in", str(key_file), "-pubout", "-outform", "DER")
    answer = read_key(b"v=DKIM1; k=rsa; p=" + base64.b64encode(der), "openssl")
    assert isinstance(answer, Key)
    return answer


def call(
    key_file: Path, *, hash_: str = "sha256", body: bytes = b"type=update&profile=1&fields[x]=\xc3\xa9"
) -> UnverifiedRequest:
    digest = base64.b64encode(openssl("dgst", "-sha256", "-binary", given=body)).decode()
    text = (
        "(request-target): post /copernica/shop?a=1\nhost: hooks.example.com\ndate: Sat, 31 Jan 2026 12:00:00 GMT\n"
        f"content-length: {len(body)}\ncontent-type: text/plain\nx-copernica-id: environment_1234\n"
        f"digest: SHA-256={digest}\nx-nonce: fsd9f2"
    )
    signature = base64.b64encode(openssl("dgst", f"-{hash_}", "-sign", str(key_file), given=text.encode())).decode()
    parameters = (
        f'keyId="one._domainkey.copernica.com",algorithm="rsa-{hash_}",',
        'headers="(request-target) Host Date Content-length Content-type X-Copernica-ID Digest X-nonce"',
        f'signature="{signature}"',
    )
    headers = (
        ("Host", "hooks.example.com"),
        ("Date", "Sat, 31 Jan 2026 12:00:00 GMT"),
        ("X-Copernica-ID", "environment_1234"),
        ("Digest", f"SHA-256={digest}"),
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),
        ("X-Nonce", "fsd9f2"),
        ("Signature", "\r\n   ".join(parameters)),
    )
    return UnverifiedRequest("shop", "POST", "/copernica/shop?a=1", headers, body, NOW, "192.0.2.1", True)


@needs_openssl
@pytest.mark.parametrize("hash_", ["sha256", "sha384", "sha512"])
def test_a_call_signed_by_openssl_verifies(key_file: Path, hash_: str) -> None:
    """The vendor's example, put together by hand and signed on the command line."""
    key = public_key(key_file)
    assert isinstance(judge(call(key_file, hash_=hash_), SOURCE, lambda _: key, now=NOW), VerifiedRequest)


@needs_openssl
def test_a_short_key_made_by_openssl_is_weak() -> None:
    """512 and 768 bits are refused before any signature is looked at."""
    for bits in (512, 768, 1023):
        private = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
        der = openssl("pkey", "-pubout", "-outform", "DER", given=private)
        answer = read_key(b"p=" + base64.b64encode(der), "short")
        assert type(answer).__name__ == "WeakKey", (bits, answer)


@needs_openssl
def test_a_pss_signature_is_refused(key_file: Path) -> None:
    """What hs2019 would mean for RSA is not what rsa-sha256 means."""
    request = call(key_file)
    text = b"whatever"
    pss = openssl("dgst", "-sha256", "-sign", str(key_file), "-sigopt", "rsa_padding_mode:pss", given=text)
    header = (request.header("signature") or "").rpartition("signature=")[0]
    headers = (*request.headers[:-1], ("Signature", f'{header}signature="{base64.b64encode(pss).decode()}"'))
    changed = UnverifiedRequest(
        request.source, request.method, request.target, headers, request.body, NOW, request.peer, True
    )
    found = judge(changed, SOURCE, lambda _: public_key(key_file), now=NOW)
    assert isinstance(found, Refusal)
    assert found.reason is RefusalReason.SIGNATURE


def test_a_call_signed_by_httpsig_verifies() -> None:
    """As it was recorded, byte by byte; and not with one byte less."""
    folder = Path(__file__).parent / "recorded"
    key = read_key((folder / "httpsig-1.3.0.pem").read_bytes(), "recorded")
    method, target, headers, body = read_raw((folder / "httpsig-1.3.0.http").read_bytes())
    request = UnverifiedRequest("shop", method, target, headers, body, NOW, "192.0.2.1", secure=True)
    assert isinstance(judge(request, SOURCE, lambda _: key, now=NOW), VerifiedRequest)
    shorter = UnverifiedRequest("shop", method, target[:-1], headers, body, NOW, "192.0.2.1", secure=True)
    assert isinstance(judge(shorter, SOURCE, lambda _: key, now=NOW), Refusal)
