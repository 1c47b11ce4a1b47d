"""What cannot be proven or understood now is delivered later: through real processes and a real DNS server."""

from cryptography.hazmat.primitives.asymmetric import rsa

from connector.demo.house import KEY_ID
from connector.domain.dkim import key_record
from tests.support.dns import DnsServer
from tests.support.until import until

LIVE = """
[sources.live]
account = "account-1234"

[dns]
servers = ["{dns}"]
timeout = 1
"""


def test_calls_that_dns_could_not_prove_are_delivered_in_their_place(site, tmp_path):
    """202 and visible while DNS fails; then a forgery among them is refused, and the record ends in its newest state."""
    house = site.house
    with DnsServer() as dns:
        dns.fails(KEY_ID)
        house.config.write_text(house.config.read_text() + LIVE.format(dns=dns.address))
        restart_receiver(house)
        house.start_deliverer()
        live = "/copernica/live"
        first = site.call(5, path=live, status=202, type="create", email="a@example.com", voornaam="Old")
        site.call(5, path=live, status=202, at=1, email="a@example.com", voornaam="New")
        forged = rsa.generate_private_key(65537, 2048)
        site.call(5, path=live, status=202, at=2, key=forged, email="a@example.com", voornaam="Forged")
        site.call(6, type="create", email="b@example.com", voornaam="Meanwhile")
        site.rest()
        assert list(site.contacts()) == ["6"]
        said = site.connector("status")
        assert "unproven" in said
        assert "3 wait until DNS gives their key" in said
        dns.txt(KEY_ID, key_record(house.key.public_key()))
        until(lambda: site.status().unproven == 0, "they are judged", seconds=90)
        site.rest()
    contacts = site.contacts()
    assert contacts["5"]["firstname"] == "New"
    names = [
        entry["body"].get("firstname")
        for entry in site.writes()
        if (entry["body"] or {}).get("firstname") in ("Old", "New")
    ]
    assert names in (["New"], ["Old", "New"])
    until(lambda: site.status().counters.get("refused.live.signature") == 1, "the forgery is counted")
    assert str(first) in site.connector("list", "--source", "live")


def test_a_type_of_tomorrow_is_kept_shown_and_delivered_after_an_upgrade(site, tmp_path, monkeypatch):
    """An older version does not know the type: 2xx, `not-understood`; after the upgrade `replay` delivers it."""
    older = tmp_path / "older"
    older.mkdir()
    (older / "sitecustomize.py").write_text("from connector.domain import decode\ndecode._TYPES.pop('create')\n")
    house = site.house
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(older))
        restart_receiver(house)
        house.start_deliverer()
    event = site.call(7, type="create", email="c@example.com", voornaam="Tomorrow")
    until(lambda: site.status().events.get("not-understood") == 1, "it is looked at")
    shown = site.connector("list", "--state", "not-understood")
    assert str(event) in shown
    assert "the type 'create' is not known to this version" in site.connector("show", str(event))
    assert "not-understood" in site.connector("status")
    stop(house, "deliver")
    restart_receiver(house)
    house.start_deliverer()
    site.connector("replay", "--state", "not-understood")
    until(lambda: "7" in site.contacts(), "it is delivered")
    assert site.contacts()["7"]["firstname"] == "Tomorrow"
    site.rest()
    assert site.status().events["not-understood"] == 0


def restart_receiver(house):
    """Stop the receiver, and start it with the configuration and environment of now."""
    stop(house, "serve")
    house.start_receiver()
    until(house.is_ready, "the receiver is ready again")


def stop(house, name):
    """End a program as systemd does."""
    [old] = [one for one in house.programs if one.name == name]
    old.process.terminate()
    old.process.wait(30)
    house.programs.remove(old)
