"""Every answer of the receiver, over a real connection to a real process."""

import time
from urllib.parse import quote

from tests.http.receiver import SECRET, Receiver, genuine, other_source, read_answer, wait_for
from tests.support.signing import signed_request, signing_key

FORM = "application/x-www-form-urlencoded"


def plain(path: str, body: bytes, content_type: str = FORM, method: str = "POST", extra: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Type: {content_type}\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def last_call(receiver: Receiver) -> dict[str, object]:
    return receiver.lines("call")[-1]


def test_a_genuine_call_is_stored_and_its_event_named(receiver: Receiver) -> None:
    """200, with the event's ID, which the log has too."""
    before = receiver.stored()
    answer = receiver.post()
    assert answer.status == 200
    assert answer.body.startswith("stored ")
    assert receiver.stored() == before + 1
    line = last_call(receiver)
    assert line["id"] == int(answer.body.split()[1])
    assert line["outcome"] == "stored"
    assert line["source"] == "shop"


def test_the_same_proof_twice_is_stored_once(receiver: Receiver) -> None:
    """A second call with the same proof is answered 2xx, and names the first one's event."""
    now = time.time_ns() // 1_000_000
    call = genuine(b"type=update&profile=77&database=1", now=now, nonce="same")
    first, before = receiver.send(call), receiver.stored()
    second = receiver.send(call)
    assert (first.status, second.status) == (200, 200)
    assert second.body == f"duplicate {first.body.split()[1]}\n"
    assert receiver.stored() == before


def test_equal_bodies_with_their_own_signatures_are_two_events(receiver: Receiver) -> None:
    """The proof tells calls apart, not the body."""
    before = receiver.stored()
    assert receiver.post().body != receiver.post().body
    assert receiver.stored() == before + 2


def test_a_forged_call_is_answered_401_and_is_nowhere(receiver: Receiver) -> None:
    """Signed by another key: refused, with a body that helps nobody, a line that says why, and a count."""
    before = receiver.stored()
    answer = receiver.post(key=signing_key(which=1))
    assert (answer.status, answer.body) == (401, "unauthorised\n")
    assert receiver.stored() == before
    line = last_call(receiver)
    assert (line["outcome"], line["reason"], line["peer"]) == ("refused", "signature", "127.0.0.1")
    wait_for(lambda: receiver.counts().get("refused.shop.signature"), "the refusal is counted")


def test_an_unsigned_call_is_answered_401(receiver: Receiver) -> None:
    """No signature, no entry."""
    assert receiver.send(plain("/in/shop", b"type=update")).status == 401
    assert last_call(receiver)["reason"] == "signature-missing"


def test_two_headers_that_contradict_each_other_are_no_proof(receiver: Receiver) -> None:
    """A repeated signed header is seen as repeated: joining them would let a forger choose."""
    call = genuine(b"type=update&profile=1&database=1")
    doubled = call.replace(b"X-Nonce:", b"X-Copernica-ID: account-1234\r\nX-Nonce:", 1)
    assert receiver.send(doubled).status == 401
    assert last_call(receiver)["reason"] == "coverage"


def test_a_header_with_underscores_is_not_taken_for_one_with_dashes(receiver: Receiver) -> None:
    """X_Copernica_ID is not X-Copernica-ID: the genuine call stays genuine."""
    call = genuine(b"type=update&profile=1&database=1")
    assert receiver.send(call.replace(b"X-Nonce:", b"X_Copernica_ID: account-9\r\nX-Nonce:", 1)).status == 200


def test_a_folded_signature_header_is_understood(receiver: Receiver) -> None:
    """The vendor's own example folds the header's value over lines."""
    call = genuine(b"type=update&profile=1&database=1").replace(b'",headers=', b'",\r\n   headers=', 1)
    assert receiver.send(call).status == 200


def test_an_unknown_path_is_answered_404(receiver: Receiver) -> None:
    """No such source; the log has the beginning of the path only."""
    answer = receiver.send(plain("/nobody/secret-secret", b""))
    assert (answer.status, answer.body) == (404, "not found\n")
    assert last_call(receiver)["reason"] == "source"
    assert "secret-secret" not in receiver.log


def test_other_methods_are_answered_405(receiver: Receiver) -> None:
    """Calls are POSTs; everything else is told so."""
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
        answer = receiver.send(plain("/in/shop", b"", method=method))
        assert (answer.status, answer.headers["allow"]) == (405, "POST"), method


def test_a_body_announced_too_large_is_answered_413_before_it_is_sent(receiver: Receiver) -> None:
    """The answer comes without a byte of the body having been read."""
    with receiver.connect() as sock:
        sock.sendall(b"POST /in/shop HTTP/1.1\r\nHost: h\r\nContent-Length: 2097153\r\n\r\n")
        assert read_answer(sock).status == 413
    assert last_call(receiver)["reason"] == "too-large"
    absurd = b"POST /in/shop HTTP/1.1\r\nHost: h\r\nContent-Length: %s\r\n\r\n" % (b"9" * 5000)
    assert receiver.send(absurd).status == 413


def test_a_chunked_body_that_grows_too_large_is_answered_413(receiver: Receiver) -> None:
    """Counted as it comes, for nobody has said how large it is."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = b"POST /in/shop HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert receiver.send(head + chunk * 33 + b"0\r\n\r\n").status == 413


def test_a_chunked_body_is_read_whole(receiver: Receiver) -> None:
    """A secret source's body in chunks, sent in pieces that respect no boundary."""
    body = b"type=update&profile=5&database=1&fields%5Bname%5D=" + b"x" * 5000
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:4000], body[4000:]))
    call = (
        (
            f"POST /in/private/{SECRET} HTTP/1.1\r\nHost: h\r\nContent-Type: {FORM}\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        ).encode()
        + chunks
        + b"0\r\nX-Trailer: 1\r\n\r\n"
    )
    with receiver.connect() as sock:
        for at in range(0, len(call), 501):
            sock.sendall(call[at : at + 501])
        answer = read_answer(sock)
    assert answer.status == 200
    line = last_call(receiver)
    assert line["bytes"] == len(body)


def test_broken_http_is_answered_400(receiver: Receiver) -> None:
    """Whatever is not HTTP is refused, in few words, with a line in the log."""
    broken = [
        b"nonsense\r\n\r\n",
        b"POST /in/shop\r\n\r\n",
        b"POST /in/shop HTTP/1.1\nHost: h\n\n",
        b"POST /in/shop HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        b"POST /in/shop HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /in/shop HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /in/shop HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /in/shop HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST /in/shop HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        b"POST /in/shop HTTP/1.1\r\nbad header: x\r\n\r\n",
        b"POST /in/shop HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ]
    for call in broken:
        before = len(receiver.lines("call"))
        answer = receiver.send(call)
        assert (answer.status, answer.headers["connection"]) == (400, "close"), call
        assert "broken" in str(last_call(receiver)["reason"]), call
        assert len(receiver.lines("call")) == before + 1, call


def test_too_many_or_too_large_headers_are_answered_431(receiver: Receiver) -> None:
    """Both the number and the bytes are limited."""
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(100))
    assert receiver.send(b"POST /in/shop HTTP/1.1\r\n" + many + b"\r\n").status == 431
    assert receiver.send(b"POST /in/shop HTTP/1.1\r\nX: " + b"x" * 50_000 + b"\r\n\r\n").status == 431
    assert receiver.send(b"POST /in/shop HTTP/1.1\r\nX: " + b"x" * 50_000).status == 431


def test_a_request_line_that_is_too_long_is_answered_414(receiver: Receiver) -> None:
    """A path of nine thousand characters is nobody's."""
    assert receiver.send(b"POST /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n").status == 414


def test_the_secret_opens_its_source_and_is_in_no_log(receiver: Receiver) -> None:
    """A shared secret as the path's last segment: right is 200, wrong is 401, and neither is ever shown."""
    body = b"type=update&profile=8&database=1"
    assert receiver.send(plain(f"/in/private/{SECRET}", body)).status == 200
    assert receiver.send(plain("/in/private/not-the-right-secret", body)).status == 401
    assert receiver.send(plain("/in/private", body)).status == 401
    assert SECRET not in receiver.log
    assert "not-the-right-secret" not in receiver.log


def test_only_sources_without_signature_are_refused_for_their_content(receiver: Receiver) -> None:
    """415 and 400 for the unsigned; what is proven genuine is stored whatever it holds."""
    assert receiver.send(plain("/in/callback", b"x", "image/png")).status == 415
    assert receiver.send(plain("/in/callback", b"{", "application/json")).status == 400
    assert receiver.post(b"x", content_type="image/png").status == 200
    assert receiver.post(b"\xff\x00%%%", content_type="application/json").status == 200
    assert receiver.post(b"", content_type=None).status == 200


def test_a_callback_is_taken_from_its_addresses_only(receiver: Receiver) -> None:
    """Without a signature the address decides."""
    body = b'{"id": 5, "action": "update", "fields": {"name": "x"}}'
    assert receiver.send(plain("/in/callback", body, "application/json")).status == 200
    assert receiver.send(plain("/in/elsewhere", body, "application/json")).status == 401
    assert last_call(receiver)["reason"] == "address"


def test_a_forwarded_header_from_a_stranger_is_not_believed(receiver: Receiver) -> None:
    """Nobody is a trusted proxy here: neither the address nor HTTPS can be claimed."""
    extra = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
    assert receiver.send(plain("/in/elsewhere", b"{}", "application/json", extra=extra)).status == 401
    claimed = genuine(b"a=b", source=other_source(name="https", path="/in/https")).replace(
        b"X-Nonce:", b"X-Forwarded-Proto: https\r\nX-Nonce:", 1
    )
    assert receiver.send(claimed).status == 401
    assert last_call(receiver)["reason"] == "insecure"


def test_a_declined_type_is_answered_2xx_counted_and_not_kept(receiver: Receiver) -> None:
    """S34: proven, counted durably per type, no row."""
    before, source = receiver.stored(), other_source(name="opens", path="/in/opens")
    body = b"type=open&id=9&recipient=a%40example.com&timestamp=2026-01-31+13%3A00%3A00"
    assert receiver.post(body, source=source).status == 200
    assert receiver.post(body, source=source, key=signing_key(which=1)).status == 401
    assert receiver.stored() == before
    wait_for(lambda: receiver.counts().get("declined.opens.open") == 1, "it is counted")


def test_an_unknown_type_is_stored_as_not_understood_and_noted_as_a_test(receiver: Receiver) -> None:
    """Copernica's test webhook, and every type of tomorrow, gets its 2xx; status can show that it came."""
    assert receiver.post(b"type=test&something=else").status == 200
    receiver.route()
    assert receiver.rows("SELECT value FROM notes WHERE name = 'last_test.shop'")


def test_five_thousand_fields_and_a_megabyte_arrive_whole(receiver: Receiver) -> None:
    """What was sent is what is stored, byte for byte."""
    many = b"type=update&profile=1&database=1&" + b"&".join(b"fields%%5Bf%d%%5D=v%d" % (n, n) for n in range(5000))
    large = b"type=update&profile=2&database=1&fields%5Bx%5D=" + quote("é" * 175_000).encode()
    assert len(large) > 1_000_000
    for body in (many, large):
        answer = receiver.post(body)
        assert answer.status == 200
        assert receiver.call(answer).body == body


def test_query_and_encoding_of_the_path_are_judged_as_sent(receiver: Receiver) -> None:
    """The signature is over the raw target: a query belongs to it, and %73 is not s."""
    assert receiver.post(target="/in/shop?a=%2F&b=//").status == 200
    assert receiver.post(target="/in/%73hop").status == 404
    assert receiver.post(target="//in/shop").status == 404


def test_an_absolute_target_is_judged_by_its_path(receiver: Receiver) -> None:
    """HTTP asks servers to take the form that proxies use."""
    call = genuine(b"type=update&profile=1&database=1")
    assert receiver.send(call.replace(b"POST /in/shop", b"POST http://hooks.example.com/in/shop", 1)).status == 200


def test_a_connection_serves_many_calls_also_sent_at_once(receiver: Receiver) -> None:
    """Keep-alive and pipelining: each call its own answer, in order."""
    with receiver.connect() as sock:
        for _ in range(3):
            sock.sendall(genuine(b"type=update&profile=1&database=1"))
            assert read_answer(sock).status == 200
        sock.sendall(genuine(b"type=update&profile=1&database=1") + plain("/nobody", b"") + genuine(b"a=b"))
        got = b""
        while got.count(b"HTTP/1.1 ") < 3:
            got += sock.recv(65536)
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


def test_a_sender_that_waits_for_100_continue_gets_it(receiver: Receiver) -> None:
    """curl asks before it sends a large body."""
    call = genuine(b"type=update&profile=1&database=1", extra=(("Expect", "100-continue"),))
    head, _, body = call.partition(b"\r\n\r\n")
    with receiver.connect() as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_answer(sock).status == 200


def test_a_date_off_by_an_hour_is_refused_and_from_the_third_on_said_loudly(receiver: Receiver) -> None:
    """S33: genuine but for its Date; /readyz says that the clocks differ, and by how much; a good call ends it."""
    late = time.time_ns() // 1_000_000 - 3_600_000
    for _ in range(2):
        assert receiver.post(now=late).status == 401
    assert "clocks differ" not in receiver.get("/readyz").body
    assert receiver.post(now=late).status == 401
    assert "clocks differ: genuine calls of shop are refused, their Date is off by +36" in receiver.get("/readyz").body
    wait_for(lambda: receiver.rows("SELECT value FROM notes WHERE name = 'clock.shop' AND value != ''"), "it is noted")
    assert receiver.post().status == 200
    assert receiver.get("/readyz").body == "ready\n"
    wait_for(lambda: receiver.rows("SELECT value FROM notes WHERE name = 'clock.shop' AND value = ''"), "it is over")


def test_healthz_and_readyz_say_how_it_is(receiver: Receiver) -> None:
    """Alive is one thing, able to store another."""
    assert (receiver.get("/healthz").status, receiver.get("/healthz").body) == (200, "alive\n")
    assert (receiver.get("/readyz").status, receiver.get("/readyz").body) == (200, "ready\n")


def test_a_log_line_has_no_personal_data(receiver: Receiver) -> None:
    """Neither fields nor recipients are in it."""
    receiver.post(b"type=update&profile=1&database=1&fields%5Bmail%5D=somebody%40example.org")
    receiver.post(b"type=click&id=1&recipient=somebody%40example.org&ip=192.0.2.44&timestamp=2026-01-31+13%3A00%3A00")
    assert "somebody" not in receiver.log
    assert "192.0.2.44" not in receiver.log


def test_signed_calls_of_another_account_host_or_path_are_refused(receiver: Receiver) -> None:
    """A genuine call for somebody else is none for us."""
    assert receiver.post(account=9).status == 401
    assert last_call(receiver)["reason"] == "account"
    assert receiver.post(host="other.example.com").status == 401
    assert last_call(receiver)["reason"] == "host"
    assert receiver.post(target="/in/shop/").status == 401
    assert last_call(receiver)["reason"] == "path"
    request = signed_request(b"x", source=other_source(), date=time.time_ns() // 1_000_000)
    assert request.target == "/in/shop"
