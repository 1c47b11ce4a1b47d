"""Erasing and looking while the real receiver and deliverer are at work (S28)."""

import json

import requests

from connector.demo.house import House
from tests.operations.test_backup import Sender, connector, contacts
from tests.support.until import until


def test_s28_a_person_is_erased_while_receiver_and_deliverer_run(tmp_path):
    """The CRM's record goes, no file holds the address any more, and everybody else's calls go on."""
    house = House(tmp_path)
    try:
        house.build()
        sender = Sender(house)
        for record in range(1, 6):
            sender.send(record, 1)
        until(lambda: len(contacts(house)) == 5, "all five are in the CRM")
        result = connector(house.config, "erase", "--email", "p3@example.com", "--crm", "erase", "--yes", "--json")
        assert result.returncode == 0, result.stderr + result.stdout
        receipt = json.loads(result.stdout)
        assert receipt["records"] == ["profile/7616/3"]
        assert len(receipt["erasing"]) == 1
        until(lambda: [record for record, _ in contacts(house)] == [1, 2, 4, 5], "the CRM's record is gone")
        sender.send(3, 2)  # older than the erasure: it comes late
        sender.send(4, 2)
        until(lambda: (4, "v2") in contacts(house), "the others go on")

        def refused():
            status = json.loads(connector(house.config, "status", "--json").stdout)
            return status["counters"].get("erased.refused") == 1

        until(refused, "the late call was refused")
        assert [record for record, _ in contacts(house)] == [1, 2, 4, 5]
        for path in house.folder.glob("outbox.db*"):
            if path.is_file():
                content = path.read_bytes().lower()
                assert b"p3@example.com" not in content
                assert b"p3%40example.com" not in content
        requests.get(f"{house._base()}/readyz", timeout=10).raise_for_status()
        house.check()
    finally:
        house.close()
