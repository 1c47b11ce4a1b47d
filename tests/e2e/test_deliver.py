"""The deliverer as a process: how it starts, stops, reloads, and what it leaves."""

import os
import signal
import socket
import subprocess
import sys

from tests.support.until import until


def test_a_stop_finishes_what_is_in_flight_and_costs_no_attempt(site):
    """SIGTERM in the middle of a call: the answer is waited for and settled, and the process ends with 0."""
    site.crm("PATCH", "/_admin/settings", {"latency_ms": 400})
    deliverer = site.house.start_deliverer()
    site.call(1, type="create", email="a@example.com", voornaam="A")
    until(lambda: site.status().deliveries["leased"], "the call is under way")
    deliverer.process.terminate()
    assert deliverer.process.wait(30) == 0
    site.house.programs.remove(deliverer)
    status = site.status()
    if status.deliveries["pending"]:
        # It had to be handed back between two steps: no attempt was counted, and it is due at once.
        assert "pending" in site.connector("list", "--state", "pending")
        site.crm("PATCH", "/_admin/settings", {"latency_ms": 0})
        site.connector("deliver", "--drain")
    assert site.contacts()["1"]["firstname"] == "A"
    assert len([entry for entry in site.writes() if entry["method"] == "POST"]) == 1


def test_drain_delivers_what_is_due_and_ends(site):
    """Exit 0 when nothing is left."""
    for i in range(20):
        site.call(i + 1, type="create", email=f"p{i}@example.com", voornaam="A")
    site.connector("deliver", "--drain")
    assert len(site.contacts()) == 20


def test_drain_says_with_1_that_work_remains(site):
    """The CRM is down: nothing is lost, and the exit status says so."""
    site.crm("POST", "/_admin/down", {"for_ms": 60_000})
    site.call(1, type="create", email="a@example.com", voornaam="A")
    site.connector("deliver", "--drain", code=1)
    assert site.status().deliveries["pending"] == 1


def test_reload_takes_good_mappings_and_keeps_the_old_ones_when_one_is_wrong(site):
    """SIGHUP: all of them, or none, and the log says why."""
    deliverer = site.house.start_deliverer()
    site.call(1, type="create", email="a@example.com", voornaam="Anna")
    site.rest()
    file = site.house.folder / "mappings/customers.yaml"
    good = file.read_text()
    file.write_text(good.replace("firstname: voornaam", "firstname: voornaam | nosuchfilter"))
    deliverer.process.send_signal(signal.SIGHUP)
    until(lambda: site.said("deliver", "the mappings are wrong, the old ones stay in force"), "the mistake is said")
    problem = site.said("deliver", "the mappings are wrong, the old ones stay in force")[0]["problems"]
    assert "customers.yaml:" in problem
    site.call(1, at=1, email="a@example.com", voornaam="Bea")
    site.rest()
    assert site.contacts()["1"]["firstname"] == "Bea"
    file.write_text(good.replace("firstname: voornaam", "firstname: voornaam | upper"))
    deliverer.process.send_signal(signal.SIGHUP)
    until(lambda: site.said("deliver", "mappings read anew"), "the new mappings are in force")
    site.call(1, at=2, email="a@example.com", voornaam="Cor")
    site.rest()
    assert site.contacts()["1"]["firstname"] == "COR"


def test_a_wrong_configuration_or_mapping_is_exit_78_with_its_place(site):
    """So that systemd does not try again and again."""
    file = site.house.folder / "mappings/customers.yaml"
    good = file.read_text()
    file.write_text(good.replace("on_delete: erase", ""))
    assert "customers.yaml:" in site.connector("deliver", code=78)
    file.write_text(good)
    config = site.house.config.read_text()
    site.house.config.write_text(config + "\n[delivery]\nconcurency = 3\n")
    assert "config.toml:" in site.connector("deliver", code=78)
    site.house.config.write_text(config)
    (site.house.folder / "token").unlink()
    assert "token" in site.connector("deliver", code=78)


def test_two_deliverers_on_one_outbox_send_nothing_twice(site):
    """Each record is created once; no update is done by both."""
    for i in range(60):
        site.call(i + 1, type="create", email=f"p{i}@example.com", voornaam="A")
        site.call(i + 1, at=1, email=f"p{i}@example.com", voornaam="B")
    site.house.start_deliverer()
    site.house.start_deliverer()
    site.rest()
    assert {row["firstname"] for row in site.contacts().values()} == {"B"}
    creates = [entry for entry in site.writes() if entry["method"] == "POST"]
    assert len(creates) == 60


def test_an_operator_beside_the_daemon_disturbs_nothing(site):
    """Hold, release, replay and pause while calls come in."""
    site.house.start_deliverer()
    site.call(1, type="create", email="a@example.com", voornaam="A")
    site.rest()
    site.connector("pause", "crm")
    site.call(1, at=1, email="a@example.com", voornaam="B")
    site.connector("hold", "--record", "profile/7616/1", "--yes")
    site.connector("resume", "crm")
    site.call(2, type="create", email="b@example.com", voornaam="Z")
    until(lambda: "2" in site.contacts(), "others go on")
    assert site.contacts()["1"]["firstname"] == "A"
    site.connector("release", "--record", "profile/7616/1", "--yes")
    until(lambda: site.contacts()["1"]["firstname"] == "B", "the newest state goes")
    site.crm("PATCH", f"/contacts/{site.contacts()['1']['id']}", {"firstname": "edited"})
    site.connector("replay", "--record", "profile/7616/1", "--yes")
    until(lambda: site.contacts()["1"]["firstname"] == "B", "the replay is sent, unchanged or not")


def test_the_service_manager_hears_ready_watchdog_and_stopping(site, tmp_path):
    """On a real notify socket; the watchdog is fed from the loop itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        process = subprocess.Popen(
            [sys.executable, "-m", "connector", "deliver", "--config", str(site.house.config)],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"},
            stderr=subprocess.DEVNULL,
        )
        heard = []
        try:
            while sum("WATCHDOG=1" in text for text in heard) < 3:
                heard.append(manager.recv(4096).decode())
            process.terminate()
            while "STOPPING=1" not in heard[-1]:
                heard.append(manager.recv(4096).decode())
        finally:
            process.kill()
            process.wait()
    assert heard[0].startswith("READY=1")


def test_the_log_has_a_line_per_attempt_with_an_id_that_show_takes_and_no_personal_data(site):
    """And the receiver's log one per call."""
    site.house.start_deliverer()
    event = site.call(1, type="create", email="secret.person@example.com", voornaam="Geheim")
    site.rest()
    until(lambda: site.said("deliver", "attempt"), "the attempt is logged")
    attempt = site.said("deliver", "attempt")[0]
    assert (attempt["id"], attempt["outcome"], attempt["mapping"]) == (event, "created", "customers")
    assert str(event) in site.connector("show", str(event))
    for name in ("deliver", "serve"):
        text = (site.house.folder / f"{name}.log").read_text()
        assert "secret.person" not in text
        assert "Geheim" not in text
        assert site.house.token not in text


def test_observe_shows_what_would_be_sent_and_sends_nothing(site):
    """Nobody lets a new tool write to a live CRM unseen; going live delivers the newest state."""
    config = site.house.config.read_text()
    site.house.config.write_text(config.replace('mode = "live"', 'mode = "observe"'))
    site.call(1, type="create", email="a@example.com", voornaam="A")
    site.call(1, at=1, email="a@example.com", voornaam="B")
    site.connector("deliver", "--drain")
    assert site.contacts() == {}
    assert "observe: would upsert contact" in site.connector("list", "--state", "held")
    site.house.config.write_text(config)
    site.connector("deliver", "--drain")
    assert site.contacts()["1"]["firstname"] == "B"
