"""Real servers, spoken to by a preset file alone. CONNECTOR_REAL_SERVERS names a virtual environment that has them:

python -m venv servers && servers/bin/pip install kinto trytond trytond-party
"""

import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.crm.port import Association
from connector.crm.rest.adapter import RestCrm
from connector.domain.change import MatchKey, Verb
from connector.domain.outcome import Outcome, OutcomeKind
from tests.crm.helpers import OpenGate, make, upsert

FOLDER = Path(__file__).parent / "presets"
PLACE = os.environ.get("CONNECTOR_REAL_SERVERS")
DEADLINE = 300.0

KINTO = """\
[server:main]
use = egg:waitress
host = 127.0.0.1
port = {port}
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.userid_hmac_secret = for-a-test
multiauth.policies = basicauth
kinto.bucket_create_principals = system.Authenticated
"""

VALIDATE = """\
import sys, warnings
warnings.simplefilter("ignore")
from trytond.config import config
config.update_etc(sys.argv[1])
from trytond.pool import Pool
from trytond.transaction import Transaction
Pool.start()
pool = Pool("crm")
pool.init()
with Transaction().start("crm", 1):
    Application = pool.get("res.user.application")
    Application.write(Application.search([]), {"state": "validated"})
"""


def tool(name: str) -> str:
    path = Path(PLACE or "/nonexistent") / "bin" / name
    if not path.exists():
        pytest.skip(f"not run: CONNECTOR_REAL_SERVERS names no virtual environment with {name}")
    return str(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[bytes]", deadline: float = 60) -> None:
    end, idle = time.monotonic() + deadline, threading.Event()
    while time.monotonic() < end:
        assert process.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            idle.wait(0.1)
        else:
            return
    raise AssertionError("the server does not listen")


def one(crm: RestCrm, name: str, **how: object) -> Outcome:
    return crm.send([upsert(name, **how)], OpenGate())[0]


@pytest.fixture
def kinto(tmp_path: Path) -> Iterator[RestCrm]:
    program, port = tool("kinto"), free_port()
    ini = tmp_path / "kinto.ini"
    ini.write_text(KINTO.format(port=port))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "start", "--ini", str(ini), "--port", str(port)], stdout=log, stderr=log)
    try:
        wait_for(port, process)
        base = f"http://127.0.0.1:{port}/v1"
        for path in ("/buckets/crm", "/buckets/crm/collections/contacts"):
            request = urllib.request.Request(f"{base}{path}", b"{}", method="PUT")
            request.add_header("Authorization", "Basic bWU6cHc=")
            request.add_header("Content-Type", "application/json")
            urllib.request.urlopen(request, timeout=30).close()
        crm = make(
            "kinto", presets=FOLDER, state=tmp_path, secrets={"password": "pw"}, settings={"user": "me"}, base_url=base
        )
        yield crm
        crm.close()
    finally:
        process.terminate()
        process.wait(30)


def test_kinto_with_upserts_by_our_own_id_and_batches(kinto: RestCrm) -> None:
    """PUT by key makes and changes one record; PATCH by ID; batches with a status per item; DELETE twice."""
    key = (MatchKey("id", "p77"),)
    made = one(kinto, "contact", match=key, full={"email": "a@example.com", "address.city": "Ede"})
    assert (made.kind, made.crm_id) == (OutcomeKind.CREATED, "p77")
    assert one(kinto, "contact", match=key, full={"email": "b@example.com"}).kind is OutcomeKind.UPDATED
    assert one(kinto, "contact", crm_id="p77", full={"email": "c@example.com"}).kind is OutcomeKind.UPDATED
    found = one(kinto, "contact", verb=Verb.UPDATE, match=(MatchKey("email", "c@example.com"),), full={"x": 1})
    assert (found.kind, found.crm_id) == (OutcomeKind.UPDATED, "p77")
    together = kinto.send(
        [upsert(match=(MatchKey("id", f"b{number}"),), full={"n": number}) for number in range(60)], OpenGate()
    )
    assert {outcome.kind for outcome in together} == {OutcomeKind.CREATED}
    assert [outcome.crm_id for outcome in together] == [f"b{number}" for number in range(60)]
    mixed = kinto.send([upsert(crm_id=each, full={"n": 9}) for each in ("b1", "gone", "b2")], OpenGate())
    assert [outcome.kind for outcome in mixed] == [OutcomeKind.UPDATED, OutcomeKind.GONE, OutcomeKind.UPDATED]
    for _ in range(2):
        assert one(kinto, "contact", verb=Verb.ERASE, crm_id="p77").kind is OutcomeKind.ERASED


@pytest.fixture
def tryton(tmp_path: Path) -> Iterator[RestCrm]:
    admin, program, python = tool("trytond-admin"), tool("trytond"), tool("python")
    port = free_port()
    conf = tmp_path / "trytond.conf"
    conf.write_text(f"[database]\nuri = sqlite://\npath = {tmp_path}\n[web]\nlisten = 127.0.0.1:{port}\n")
    (tmp_path / "crm.sqlite").touch()
    (tmp_path / "password").write_text("for-a-test-only\n")
    env = {**os.environ, "TRYTONPASSFILE": str(tmp_path / "password")}
    base = [admin, "-c", str(conf), "-d", "crm"]
    for arguments in (["--all", "--email", "me@example.com"], ["-u", "party", "--activate-dependencies"]):
        subprocess.run([*base, *arguments], env=env, check=True, capture_output=True, timeout=DEADLINE)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(conf), "-d", "crm"], stdout=log, stderr=log)
    try:
        wait_for(port, process)
        body = json.dumps({"user": "admin", "application": "rest"}).encode()
        url = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(f"{url}/crm/r/user/application/", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            key = json.load(answer)
        subprocess.run([python, "-c", VALIDATE, str(conf)], check=True, capture_output=True, timeout=DEADLINE)
        crm = make(
            "tryton", presets=FOLDER, state=tmp_path, secrets={"token": key}, settings={"database": "crm"}, base_url=url
        )
        yield crm
        crm.close()
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_tryton_as_a_real_crm(tryton: RestCrm) -> None:
    """Records made, found, changed, linked, erased; its 400 is a duplicate, its 500 for a wrong field is final."""
    code = (MatchKey("code", "C77"),)
    new = {"code": "C77"}  # read-only once it is there: it goes only into new records
    made = one(tryton, "party", match=code, full={"name": "Jan"}, create_only=new)
    assert made.kind is OutcomeKind.CREATED, made
    again = one(tryton, "party", match=code, full={"name": "Piet"}, create_only=new)
    assert (again.kind, again.crm_id) == (OutcomeKind.UPDATED, made.crm_id), again
    link = (Association("party", "party", str(made.crm_id)),)
    value = (MatchKey("value", "jan@example.com"),)
    address = one(tryton, "address", match=value, full={"type": "email", "value": "jan@example.com"}, associations=link)
    assert address.kind is OutcomeKind.CREATED, address
    found = one(tryton, "address", verb=Verb.UPDATE, match=value)
    assert (found.kind, found.crm_id) == (OutcomeKind.UPDATED, address.crm_id)
    clash = one(tryton, "party", match=(MatchKey("name", "Els"),), full={"name": "Els"}, create_only=new)
    assert (clash.kind, clash.status) == (OutcomeKind.RETRY, 400), clash  # a duplicate, that this key cannot find
    assert "must be unique" in clash.reason
    wrong = one(tryton, "party", crm_id=made.crm_id, full={"no_such_field": 1})
    assert (wrong.kind, wrong.status) == (OutcomeKind.PERMANENT, 500)
    for crm_id in (address.crm_id, address.crm_id):
        gone = one(tryton, "address", verb=Verb.ERASE, crm_id=crm_id)
        assert gone.kind is OutcomeKind.ERASED, gone
    assert one(tryton, "party", crm_id="99999", full={"name": "x"}).kind is OutcomeKind.GONE
