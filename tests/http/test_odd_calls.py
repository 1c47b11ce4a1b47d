"""Calls that are not what they seem, each with its verdict and reason, over a real connection to a real process."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from connector.domain.dkim import key_record
from tests.http.receiver import SECRET, Receiver, genuine, other_source, wait_for
from tests.http.test_statuses import last_call, plain
from tests.support.dns import DnsServer
from tests.support.signing import dkim_text, signing_key

BODY = b"type=update&profile=1&database=1&fields%5Bname%5D=Johny"
LENGTHLESS = "(request-target) Host Date X-Copernica-ID Digest X-Nonce"
Change = Callable[[bytes], bytes]


def swap(old: bytes, new: bytes) -> Change:
    def changed(call: bytes) -> bytes:
        assert old in call
        return call.replace(old, new, 1)

    return changed


def swap_re(pattern: bytes, new: bytes) -> Change:
    def changed(call: bytes) -> bytes:
        result, count = re.subn(pattern, new, call, count=1)
        assert count == 1
        return result

    return changed


def chunked(call: bytes) -> bytes:
    head, _, body = call.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\nContent-Length: [0-9]+", b"\r\nTransfer-Encoding: chunked", head)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:6], body[6:]))
    return head + b"\r\n\r\n" + chunks + b"0\r\n\r\n"


def in_capitals(call: bytes) -> bytes:
    head, _, body = call.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^[A-Za-z-]+(?=: )", lambda name: name[0].upper(), head) + b"\r\n\r\n" + body


REFUSED: dict[str, tuple[Change, str]] = {
    "a fold within a signed value": (swap(b"account-", b"account-\r\n "), "account"),
    "a fold within a signed value, that nothing but the signature shows": (swap_re(rb"(X-Nonce: ...)", rb"\1\r\n "), "signature"),
    "a fold that hides a second header": (swap(b"X-Nonce: ", b"X-Nonce: a\r\n Host: other\r\nX-Nonce: "), "coverage"),
    "Date twice, the same": (swap_re(rb"(Date: [^\r]+\r\n)", rb"\1\1"), "coverage"),
    "Digest twice, another": (swap(b"Digest: ", b"Digest: SHA-256=AAAA\r\nDigest: "), "coverage"),
    "the account twice, in another case": (swap(b"X-Nonce", b"x-copernica-id: account-9\r\nX-Nonce"), "coverage"),
    "two Signature headers": (swap_re(rb"(Signature: [^\r]+\r\n)", rb"\1\1"), "signature-malformed"),
    "a signed Content-Length gone, the body chunked": (chunked, "coverage"),
    "algorithm hmac, with the public key for its secret": (swap(b'"rsa-sha256"', b'"hmac-sha256"'), "algorithm"),
    "algorithm hs2019": (swap(b'"rsa-sha256"', b'"hs2019"'), "algorithm"),
    "algorithm missing": (swap(b'algorithm="rsa-sha256",', b""), "algorithm"),
    "algorithm rsa-sha1": (swap(b'"rsa-sha256"', b'"rsa-sha1"'), "algorithm"),
    "an algorithm that lies": (swap(b'"rsa-sha256"', b'"rsa-sha512"'), "signature"),
    "a parameter twice": (swap(b"keyId=", b'keyId="x",keyId='), "signature-malformed"),
    "the list of headers twice": (swap(b"headers=", b'headers="date",headers='), "signature-malformed"),
    "a header named twice": (swap(b" X-nonce", b" X-nonce x-nonce"), "signature-malformed"),
    "another list of headers": (swap(b" X-nonce", b""), "signature"),
    "a signed header less": (swap_re(rb"X-Nonce: [^\r]+\r\n", b""), "coverage"),
    "another byte in the body": (swap(b"Johny", b"Johnz"), "digest"),
    "another query": (swap(b"/in/shop ", b"/in/shop?a=b "), "signature"),
    "another type of content": (swap(b"x-www-form-urlencoded", b"x-www-form-urlencodee"), "signature"),
    "HTTP methods exchanged": (swap(b"(request-target) ", b""), "coverage"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_changed_on_the_way_is_refused_for_its_reason(receiver: Receiver, name: str) -> None:
    """401, a body that says nothing, nothing stored, and the log says why."""
    change, reason = REFUSED[name]
    before = receiver.stored()
    answer = receiver.send(change(genuine(BODY)))
    assert (answer.status, answer.body) == (401, "unauthorised\n")
    assert last_call(receiver)["reason"] == reason
    assert receiver.stored() == before


GENUINE: dict[str, tuple[Change, str | None]] = {
    "header names in capitals": (in_capitals, None),
    "white space around a value": (swap(b"X-Nonce: ", b"X-Nonce: \t "), None),
    "a chunked body, its length not signed": (chunked, LENGTHLESS),
    "headers that nobody signed": (swap(b"X-Nonce", b"Via: 1.1 proxy\r\nX-Nonce"), None),
    "a fold where a space was signed": (swap(b" GMT", b"\r\n\tGMT"), None),
    "no commas in the Signature header": (
        swap_re(rb'",algorithm="([^"]+)",headers', rb'" algorithm="\1" headers'),
        None,
    ),
}


@pytest.mark.parametrize("name", GENUINE)
def test_what_means_the_same_is_stored_byte_for_byte(receiver: Receiver, name: str) -> None:
    """The proof is over what was signed; how it is laid out on the wire is free where HTTP leaves it free."""
    change, covered = GENUINE[name]
    answer = receiver.send(change(genuine(BODY, covered=covered)))
    assert answer.status == 200, last_call(receiver)
    assert receiver.call(answer).body == BODY


def test_a_content_length_that_says_more_is_never_a_call(receiver: Receiver) -> None:
    """What comes after is not waited for without end, and what is there is not taken for the whole."""
    before = receiver.stored()
    with receiver.connect() as sock:
        sock.sendall(swap_re(rb"Content-Length: [0-9]+", b"Content-Length: 500")(genuine(BODY)))
    wait_for(lambda: last_call(receiver).get("reason") == "closed before the call was whole", "it has its line")
    assert receiver.stored() == before


def test_a_content_length_that_says_less_is_a_body_that_was_not_signed(receiver: Receiver) -> None:
    """Refused for its digest; what is left over is no call, and has its own line."""
    before = receiver.stored()
    assert receiver.send(swap_re(rb"Content-Length: [0-9]+", b"Content-Length: 20")(genuine(BODY))).status == 401
    wait_for(lambda: last_call(receiver).get("reason") == "closed before the call was whole", "the rest has its line")
    assert receiver.lines("call")[-2]["reason"] == "digest"
    assert receiver.stored() == before


def test_a_second_call_smuggled_into_the_body_is_judged_by_itself(receiver: Receiver) -> None:
    """What a shorter Content-Length leaves over is a request of its own, and no genuine one."""
    before = receiver.stored()
    inner = b"POST /in/shop HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: 3\r\n\r\na=b"
    with receiver.connect() as sock:
        sock.sendall(genuine(BODY) + inner)
        got = b""
        while got.count(b"HTTP/1.1 ") < 2:
            got += sock.recv(65536)
    assert re.findall(rb"HTTP/1\.1 ([0-9]+)", got) == [b"200", b"401"]
    assert receiver.stored() == before + 1


def test_https_and_the_callers_address_are_believed_from_a_trusted_proxy_only(tmp_path: Path) -> None:
    """Behind a proxy that we trust, what it says of the caller counts; without its word for HTTPS a call is refused."""
    sources = """
        [sources.https]
        account = "account-1234"
        proof = "key-file"
        key_file = "key.pem"
        require_https = true
        addresses = ["203.0.113.0/24"]
    """
    source = other_source(name="https", path="/in/https")
    with Receiver(tmp_path, options='trusted_proxies = ["127.0.0.1/32"]', sources=sources) as receiver:

        def through(address: str, scheme: str | None) -> int:
            extra = [("X-Forwarded-For", address), *([("X-Forwarded-Proto", scheme)] if scheme else [])]
            return receiver.post(BODY, source=source, extra=tuple(extra)).status

        assert through("203.0.113.9", "https") == 200
        assert through("203.0.113.9", "http") == 401
        assert last_call(receiver)["reason"] == "insecure"
        assert through("203.0.113.9", None) == 401
        assert through("198.51.100.1", "https") == 401
        assert (last_call(receiver)["reason"], last_call(receiver)["peer"]) == ("address", "198.51.100.1")
        # what the caller put there himself does not count: the proxy adds what it saw at the end
        assert through("203.0.113.9, 198.51.100.1", "https") == 401
        assert through("198.51.100.1, 203.0.113.9", "https") == 200


def test_names_that_dns_denies_get_their_second_look_and_bad_keys_do_not(tmp_path: Path) -> None:
    """NXDOMAIN: kept for one more look, then stored or refused for good; revoked and weak keys are refused at once."""
    live = other_source(name="live", path="/in/live")
    with DnsServer() as dns:
        for name in ("late", "never"):
            dns.missing(f"{name}.copernica.com", ttl=1)
        dns.txt("revoked.copernica.com", "v=DKIM1; p=")
        dns.txt("weak.copernica.com", key_record(rsa.RSAPublicNumbers(65537, (1 << 700) + 1).public_key()))
        dns.txt("good.copernica.com", "v=spf1 -all", dkim_text(signing_key()), truncated=True)
        rest = f'[dns]\nservers = ["{dns.address}"]\ntimeout = 1'
        with Receiver(tmp_path, sources='[sources.live]\naccount = "account-1234"', rest=rest) as receiver:

            def answered(name: str) -> int:
                return receiver.post(BODY, source=live, key_id=f"{name}.copernica.com").status

            late, never = answered("late"), answered("never")
            assert (late, never) == (202, 202)
            dns.txt("late.copernica.com", dkim_text(signing_key()))
            for name in ("revoked", "weak"):
                assert answered(name) == 401
                assert last_call(receiver)["reason"] == f"key-{name}"
            assert answered("good") == 200
            assert receiver.post(BODY, source=live, key_id="one.evilcopernica.com").status == 401
            assert last_call(receiver)["reason"] == "key-id"
            wait_for(lambda: receiver.lines("call proven"), "the late key is found", 60)
            wait_for(lambda: receiver.counts().get("refused.live.key-unknown") == 1, "the other is refused", 60)
            assert [line["reason"] for line in receiver.lines("call refused")] == ["key-unknown"]
            assert receiver.stored() == 2
            assert answered("never") == 401
        assert dns.over_tcp["good.copernica.com"]
        assert not dns.asked["one.evilcopernica.com"]


def test_status_shows_test_calls_declined_types_odd_calls_and_clocks_that_differ(tmp_path: Path) -> None:
    """What came through the door is on the operator's page, as the command prints it."""
    import subprocess
    import sys

    sources = '[sources.opens]\naccount = "account-1234"\nproof = "key-file"\nkey_file = "key.pem"\ndecline = ["open"]'
    opens = other_source(name="opens", path="/in/opens")
    with Receiver(tmp_path, sources=sources) as receiver:

        def status() -> "subprocess.CompletedProcess[str]":
            command = [sys.executable, "-m", "connector", "status", "--config", str(receiver.config)]
            return subprocess.run(command, capture_output=True, text=True)

        assert receiver.post(b"", content_type=None).status == 200
        assert receiver.post(b"type=open&id=9&recipient=a%40example.com&time=1714550400", source=opens).status == 200
        for _ in range(2):
            odd = b"type=update&profile=1&database=1&time=1714550400&timestamp=2024-05-01+12:00:00"
            assert receiver.post(odd, content_type="application/x-www-form-urlencoded; charset=x-martian").status == 200
        assert receiver.send(b"nonsense\r\n\r\n").status == 400
        late = time.time_ns() // 1_000_000 - 3_600_000
        for _ in range(3):
            assert receiver.post(now=late).status == 401
        wait_for(lambda: receiver.counts().get("refused.shop.date") == 3, "it is written")
        wait_for(lambda: receiver.rows("SELECT 1 FROM notes WHERE name = 'clock.shop' AND value != ''"), "it is noted")
        receiver.route()
        done = status()
        assert done.returncode == 1
        assert re.search(r"Genuine calls of shop are refused for their Date, which is \+360[0-9] s off", done.stdout)
        assert re.search(r"Test calls\n  shop +the last one came .* ago", done.stdout)
        for line in (r"declined, open +1 \(opens\)", r"odd, charset +2 \(shop\)", r"odd, zone +2 \(shop\)", r"refused, date +3 \(shop\)",
                     r"refused, broken-http +1 \(unknown source\)"):  # fmt: skip
            assert re.search(line, done.stdout), (line, done.stdout)
        assert receiver.post().status == 200
        wait_for(lambda: status().returncode == 0, "a good call ends the alarm")


def test_nothing_but_verification_files_is_ever_served(receiver: Receiver) -> None:
    """However the path is written; what lies in the folder beside them, and the rest of the disk, stay where they are."""
    folder = receiver.folder / "ownership"
    folder.mkdir(exist_ok=True)
    (folder / "notes.txt").write_text("a secret")
    (folder / "smtpeter-link.txt").symlink_to(receiver.config)
    (folder / "smtpeter-there.txt").write_text("the proof")
    paths = [
        "/../config.toml", "/ownership/../config.toml", "/%2e%2e/config.toml", "/..%2fconfig.toml", "/....//config.toml", "/in/../../key.pem",
        "/smtpeter-../key.pem", "/smtpeter-x%2f..%2f..%2fkey.txt", "/smtpeter-x\\..\\key.txt", "/smtpeter-x.txt%00", "//etc/passwd", "/notes.txt",
        "/smtpeter-link.txt", "/ownership/smtpeter-there.txt", "/in/shop/../smtpeter-there.txt", "/%73mtpeter-there.txt", "/SMTPETER-there.txt",
        "file:///etc/passwd", "http://x/../key.pem", "*",
    ]  # fmt: skip
    for path in paths:
        answer = receiver.get(path)
        assert answer.status in (400, 404, 405), path
        assert len(answer.body) < 30, path
    assert receiver.get("/smtpeter-there.txt?from=copernica").body == "the proof"
    assert receiver.send(b"GET /in/smtpeter-there.txt HTTP/1.0\r\n\r\n").status == 200


def test_each_limit_of_a_body_has_its_option_and_is_named(tmp_path: Path) -> None:
    """Genuine calls over a limit are stored as not understood, and what is shown names the limit; the unsigned get 400."""
    options = "max_keys = 100\nmax_key_bytes = 64\nmax_depth = 4"
    over = {
        "form: more than 100 pairs": b"&".join(b"a%d=1" % number for number in range(101)),
        "form: a key longer than 64 bytes": b"type=update&" + b"a" * 65 + b"=1",
        "form: brackets nested deeper than 4": b"type=update&a[1][2][3][4][5]=1",
    }
    with Receiver(tmp_path, options=options) as receiver:
        for detail, body in over.items():
            assert receiver.post(body).status == 200
            receiver.route()
            [(newest,)] = receiver.rows("SELECT note FROM events WHERE state = 3 ORDER BY id DESC LIMIT 1")
            assert newest == detail
            assert receiver.send(plain(f"/in/private/{SECRET}", body)).status == 400
            assert (last_call(receiver)["reason"], last_call(receiver)["detail"]) == ("content", detail)
        assert (
            receiver.post(
                b"type=update&profile=1&database=1&" + b"&".join(b"a%d=1" % number for number in range(90))
            ).status
            == 200
        )
        receiver.route()
        assert receiver.rows("SELECT note FROM events ORDER BY id DESC LIMIT 1") == [(None,)]
