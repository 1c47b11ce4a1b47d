"""Keys from DNS, through the real receiver and a real DNS server on loopback."""

from pathlib import Path

from tests.http.receiver import Receiver, other_source, wait_for
from tests.support.dns import DnsServer
from tests.support.signing import KEY_ID, dkim_text, signing_key

LIVE = other_source(name="live", path="/in/live")
SOURCES = '[sources.live]\naccount = "account-1234"'


def test_a_call_that_dns_cannot_prove_now_is_stored_when_dns_is_back(tmp_path: Path) -> None:
    """202 while the name server fails; then it is an event, in its place before the one that came after."""
    with DnsServer() as dns:
        dns.fails(KEY_ID)
        rest = f'[dns]\nservers = ["{dns.address}"]\ntimeout = 1'
        with Receiver(tmp_path, sources=SOURCES, rest=rest) as receiver:
            kept = receiver.post(source=LIVE)
            assert kept.status == 202
            assert receiver.stored() == 0
            dns.txt(KEY_ID, dkim_text(signing_key()))
            wait_for(lambda: receiver.lines("call proven"), "it is judged again", 60)
            assert receiver.rows("SELECT id FROM events") == [(int(kept.body.split()[1]),)]
            assert receiver.post(source=LIVE).status == 200
            assert receiver.post(source=LIVE, key=signing_key(which=1)).status == 401
