"""`connector verify`: the first step that fails, and both values that differ."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connector.cli.raw_request import read_raw
from connector.cli.verify import verify
from connector.domain.clock import SECOND
from connector.domain.request import UnverifiedRequest
from tests.support.dns import DnsServer
from tests.support.signing import KEY_ID, NOW, dkim_text, public_pem, raw_http, signed_request, signing_key, with_header

AT = "2026-01-31T12:00:00Z"
URL = "https://hooks.example.com/copernica/shop"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(public_pem(signing_key()))
    return path


def run(request: UnverifiedRequest | bytes, *options: object) -> Result:
    raw = request if isinstance(request, bytes) else raw_http(request)
    result = CliRunner().invoke(verify, list(map(str, options)), input=raw)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def checked(request: UnverifiedRequest | bytes, key_file: Path, *options: object) -> Result:
    return run(request, "--key", key_file, "--account", "account-1234", "--public-url", URL, "--at", AT, *options)


def test_a_genuine_call_is_shown_step_by_step_and_exits_0(key_file: Path) -> None:
    """Every step has its mark, and the signing string is there to compare."""
    result = checked(signed_request(), key_file)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    steps = [line.split("  ")[0] for line in lines if line[0] in "✓✗?"]
    assert steps == [
        "✓ signature header", "✓ algorithm", "✓ coverage", "✓ key ID", "✓ account", "✓ host", "✓ path", "✓ digest",
        "✓ content-length", "✓ date", "✓ key", "✓ signing string", "✓ signature",
    ]  # fmt: skip
    assert "    | (request-target): post /copernica/shop" in lines
    assert "    | x-nonce: fsd9f2" in lines
    assert lines[-1] == "The call is genuine."


@pytest.mark.parametrize(
    ("request_", "step", "expected", "found"),
    [
        (signed_request(account=99), "account", "account-1234", "account-99"),
        (signed_request(host="other.example.com"), "host", "hooks.example.com", "other.example.com"),
        (signed_request(target="/shop"), "path", "/copernica/shop", "/shop"),
        (
            replace(signed_request(b"ab"), body=b"ba"),
            "digest",
            f"SHA-256={base64.b64encode(hashlib.sha256(b'ba').digest()).decode()}",
            f"SHA-256={base64.b64encode(hashlib.sha256(b'ab').digest()).decode()}",
        ),
        (signed_request(date=NOW - 90 * SECOND), "date", "at most 60 s behind, 60 s ahead", "-90 s"),
        (signed_request(covered="date"), "coverage", "(request-target) host date x-copernica-id digest", "date"),
    ],
)
def test_the_first_step_that_fails_is_named_with_both_values(
    key_file: Path, request_: UnverifiedRequest, step: str, expected: str, found: str
) -> None:
    """And the exit code is 1."""
    result = checked(request_, key_file)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("✗"))
    assert lines[at].startswith(f"✗ {step}")
    assert lines[at + 1] == f"    expected  {expected}"
    assert lines[at + 2] == f"    found     {found}"
    assert any(line.startswith("The call is refused: ") for line in lines)


def test_a_changed_header_shows_the_signing_string_and_both_hashes(key_file: Path) -> None:
    """What was signed is known by its hash only, so our string is shown in full."""
    result = checked(with_header(signed_request(), "content-type", "text/plain"), key_file)
    assert result.exit_code == 1
    assert "    | content-type: text/plain" in result.output
    assert "✗ signature" in result.output
    assert result.output.count("SHA256 ") == 2


def test_a_clock_that_is_off_is_told_apart(key_file: Path) -> None:
    """Genuine but for its Date: by how much the clocks differ."""
    result = checked(signed_request(date=NOW - 90 * SECOND), key_file)
    assert "genuine but for its Date: the clocks differ by 90 s" in result.output


def test_without_account_and_url_the_rest_is_checked_and_said(key_file: Path) -> None:
    """What nobody said is not compared, and that is told."""
    result = run(signed_request(), "--key", key_file, "--at", AT)
    assert result.exit_code == 0
    assert "the account is not compared" in result.output
    assert "host and path are not compared" in result.output


def test_json_says_the_same(key_file: Path) -> None:
    """One object, with the steps."""
    good = json.loads(checked(signed_request(), key_file, "--json").output)
    assert good["verdict"] == "genuine"
    assert len(bytes.fromhex(good["proof"])) == 32
    assert all(step["ok"] for step in good["steps"])
    bad = json.loads(checked(signed_request(date=NOW - 90 * SECOND), key_file, "--json").output)
    assert (bad["verdict"], bad["reason"], bad["clock_off_by"]) == ("refused", "date", 90)
    assert [step["name"] for step in bad["steps"] if not step["ok"]] == ["date"]


def test_the_key_comes_from_dns(dns: DnsServer) -> None:
    """Genuine 0, no such name 1, no answer 69."""
    options = ("--at", AT, "--public-url", URL, "--account", "1234", "--resolver", dns.address)
    dns.txt(KEY_ID, dkim_text(signing_key()))
    assert run(signed_request(), *options).exit_code == 0
    dns.missing(KEY_ID)
    assert run(signed_request(), *options).exit_code == 1
    dns.fails(KEY_ID)
    silent = run(signed_request(), *options)
    assert silent.exit_code == 69
    assert "? key" in silent.output


def test_a_source_of_the_configuration_says_what_is_expected(tmp_path: Path, key_file: Path) -> None:
    """Host, path, account and key of the source are those that the receiver uses."""
    config = tmp_path / "config.toml"
    config.write_text(
        '[receiver]\npublic_url = "https://hooks.example.com/copernica"\n'
        f'[sources.shop]\naccount = "account-1234"\nproof = "key-file"\nkey_file = "{key_file}"\n'
    )
    options = ("--source", "shop", "--config", config, "--at", AT)
    assert run(signed_request(), *options).exit_code == 0
    assert run(signed_request(account=99), *options).exit_code == 1
    unknown = run(signed_request(), "--source", "nope", "--config", config)
    assert unknown.exit_code == 2
    assert "there are: shop" in unknown.output


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_request_is_read_with_either_line_end(end: bytes, key_file: Path) -> None:
    """As captured, or as an editor saved it; a newline after the body is not the body's."""
    head, body = raw_http(signed_request()).split(b"\r\n\r\n")
    raw = head.replace(b"\r\n", end) + end * 2 + body + end
    assert checked(raw, key_file).exit_code == 0


def test_a_raw_request_is_read_as_it_stands() -> None:
    """Folds are a space, as for the receiver; bytes stay bytes, spaces at the end stay."""
    raw = b"POST /x?y HTTP/1.1\r\nA:  b \r\nSignature: c\r\n   d\r\nE: \xe9\r\n\r\nbody"
    assert read_raw(raw) == ("POST", "/x?y", (("A", "b "), ("Signature", "c d"), ("E", "é")), b"body")
    assert read_raw(b"GET / HTTP/1.0\nContent-Length: 9\n\nab") == ("GET", "/", (("Content-Length", "9"),), b"ab")
    assert read_raw(b"GET / HTTP/1.0\nA: b\n") == ("GET", "/", (("A", "b"),), b"")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "nothing on standard input"),
        (b"hello", "line 1"),
        (b"POST / HTTP/1.1\r\nnocolon\r\n\r\n", "line 2"),
        (b"POST / HTTP/1.1\r\n folded first\r\n\r\n", "line 2"),
        (b"POST / HTTP/1.1\r\nA : b\r\n\r\n", "line 2"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked"),
    ],
)
def test_what_is_no_request_is_said_and_exits_2(raw: bytes, words: str) -> None:
    """A user's mistake has one sentence, and no traceback."""
    result = run(raw)
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--at", "yesterday"),
        ("--at", "2026-01-31T12:00:00"),
        ("--account", "shop"),
        ("--public-url", "hooks.example.com"),
        ("--resolver", "localhost"),
        ("--config", "x.toml"),
        ("--key", "/nonexistent"),
    ],
)
def test_a_wrong_option_exits_2(options: tuple[str, str]) -> None:
    """And names itself."""
    result = run(signed_request(), *options)
    assert result.exit_code == 2
    assert options[0] in result.output


def test_a_key_file_without_a_key_exits_2(tmp_path: Path) -> None:
    """That is a mistake in the command, and says nothing about the call."""
    file = tmp_path / "key"
    file.write_text("nonsense")
    assert run(signed_request(), "--key", file).exit_code == 2


def test_what_a_call_holds_cannot_steer_the_terminal(key_file: Path) -> None:
    """Escape sequences are shown, not sent."""
    result = checked(with_header(signed_request(), "x-copernica-id", "\x1b[2Jaccount-1\x9b"), key_file)
    assert "\x1b" not in result.output
    assert "\x9b" not in result.output
    assert "\\x1b[2J" in result.output
