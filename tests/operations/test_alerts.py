"""Alerts: on a change of state, not per event; by a command and by an address; never twice, never in the way."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connector.deliver.alerts import Alerts, ChannelError, Kind, Thresholds, conditions
from connector.domain.clock import HOUR, MINUTE
from connector.domain.outcome import OutcomeKind
from connector.outbox.port import Filter, Pause
from connector.process.alerting import CommandChannel, UrlChannel
from tests.support.world import SimpleMapping, World, answer

PLENTY = Thresholds(1 << 50, 0)
FAILS = answer(OutcomeKind.PERMANENT, reason="jan@voorbeeld.nl is not accepted")


class Notebook:
    name = "notebook"

    def __init__(self):
        self.told = []
        self.fails = False

    def tell(self, form):
        if self.fails:
            raise ChannelError("nobody there")
        self.told.append(form)

    def heard(self):
        told, self.told = self.told, []
        return [(form["state"], form["kind"], form["about"]) for form in told]


def alerts(world, *channels, limits=PLENTY):
    said = []
    made = Alerts(channels, world.desk.status, world.inbox.note, limits, world.clock, lambda *line: said.append(line))
    made.said = said
    return made


def test_the_first_dead_of_a_mapping_is_told_once_and_again_when_none_is_left():
    """A hundred dead ones are one alert; the end is told as well."""
    world, notebook = World(), Notebook()
    watch = alerts(world, notebook)
    assert watch.round() == 0
    world.crm.faults = [FAILS] * 5
    for i in range(5):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
        world.settle()
        watch.round()
    assert notebook.heard() == [("began", "dead", "customers")]
    world.desk.replay(Filter(states=("dead",)), world.clock.now(), exact=False, again=False, dry_run=False)
    world.settle()
    watch.round()
    assert notebook.heard() == [("ended", "dead", "customers")]


def test_an_alert_holds_no_personal_data():
    """The reason of a CRM may name an address: it is not in there."""
    world, notebook = World(), Notebook()
    world.crm.faults = [FAILS]
    world.call("create", 1, email="jan@voorbeeld.nl", name="Jan")
    world.settle()
    alerts(world, notebook).round()
    assert "jan" not in json.dumps(notebook.told).lower()


def test_a_restart_does_not_tell_again_what_was_told(tmp_path):
    """What was told is kept in the outbox."""
    world, notebook = World(path=tmp_path / "o.db"), Notebook()
    world.crm.faults = [FAILS]
    world.call("create", 1, email="a@x.nl", name="A")
    world.settle()
    assert alerts(world, notebook).round() == 1
    assert alerts(world, notebook).round() == 0
    world.db.close()


def test_what_could_not_be_told_is_told_later_ever_more_slowly():
    """A hook that is down loses nothing, and is not hammered."""
    world, notebook = World(), Notebook()
    watch = alerts(world, notebook)
    world.crm.faults = [FAILS]
    world.call("create", 1, email="a@x.nl", name="A")
    world.settle()
    notebook.fails = True
    for _ in range(100):
        watch.round()
        world.clock.pass_(2_000)
    assert 3 <= len(watch.said) <= 6
    notebook.fails = False
    world.clock.pass_(10 * MINUTE)
    watch.round()
    assert notebook.heard() == [("began", "dead", "customers")]


def test_one_channel_that_is_down_does_not_keep_the_other_from_telling():
    """Each is remembered for itself."""
    world, up, down = World(), Notebook(), Notebook()
    down.name, down.fails = "other", True
    watch = alerts(world, down, up)
    world.desk.pause(Pause("crm", "unauthorised", "401", world.clock.now(), None))
    watch.round()
    watch.round()
    assert up.heard() == [("began", "paused", "crm")]
    down.fails = False
    world.clock.pass_(HOUR)
    watch.round()
    assert down.heard() == [("began", "paused", "crm")]
    assert up.heard() == []


@pytest.mark.parametrize(
    ("by", "length", "alarming"),
    [
        ("unreachable", 1_000, True),
        ("failing", 1_000, True),
        ("unauthorised", None, True),
        ("budget", HOUR, True),
        ("throttled", 30_000, False),
        ("throttled", HOUR, True),
        ("operator", None, False),
    ],
)
def test_s23_a_paused_destination_is_told_but_not_everyday_throttling(by, length, alarming):
    """Nor what an operator did with open eyes."""
    world = World()
    now = world.clock.now()
    world.desk.pause(Pause("crm", by, "why", now, None if length is None else now + length))
    found = conditions(world.desk.status(), PLENTY, now)
    assert bool(found) == alarming
    world.desk.resume("crm")
    assert not conditions(world.desk.status(), PLENTY, now)


def test_s20_a_mass_delete_that_is_held_is_told_and_its_end_too():
    """Until somebody releases or discards it."""
    world, notebook = World(SimpleMapping(guard=(2, 0.0))), Notebook()
    watch = alerts(world, notebook)
    for i in range(5):
        world.call("create", i + 1, email=f"p{i}@x.nl", name="A")
    world.settle()
    for i in range(5):
        world.call("delete", i + 1, at=5)
    world.settle()
    watch.round()
    assert notebook.heard() == [("began", "mass-delete", "customers")]
    world.desk.discard(Filter(states=("held",)), world.clock.now(), dry_run=False)
    watch.round()
    assert notebook.heard() == [("ended", "mass-delete", "customers")]


def test_room_damage_and_clocks_are_told():
    """What the receiver and the check at the start have noted, and the figures of the disk."""
    world = World()
    world.inbox.note("damage", "page 7", world.clock.now())
    world.inbox.note("clock.shop", "3600 s", world.clock.now())
    found = conditions(world.desk.status(), Thresholds(1, 0), world.clock.now())
    assert {one.kind for one in found} == {Kind.ROOM, Kind.DAMAGE, Kind.CLOCK}


# ── a real command, and a real address ──


def test_a_command_gets_the_alert_as_json_on_its_standard_input(tmp_path):
    """One line; and how it ends is looked at."""
    target = tmp_path / "told"
    code = f"import sys; open({str(target)!r}, 'a').write(sys.stdin.read())"
    channel = CommandChannel([sys.executable, "-c", code])
    channel.tell({"kind": "dead", "about": "é"})
    assert json.loads(target.read_text()) == {"kind": "dead", "about": "é"}
    with pytest.raises(ChannelError, match="ended with 3"):
        CommandChannel([sys.executable, "-c", "raise SystemExit(3)"]).tell({})
    with pytest.raises(ChannelError, match="cannot be run"):
        CommandChannel([str(tmp_path / "nothing")]).tell({})


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path):
    """After its time-out; it holds up nobody for ever."""
    started = tmp_path / "started"
    code = f"import pathlib, subprocess; pathlib.Path({str(started)!r}).touch(); subprocess.run(['sleep', '1000'])"
    with pytest.raises(ChannelError, match="did not end"):
        CommandChannel([sys.executable, "-c", code], timeout=1.0).tell({})


@pytest.fixture
def server():
    """A web server that answers as `answers` says, and keeps what it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, json.loads(body)))
            if self.path == "/hang":
                stop.wait(20)
            self.send_response({"/ok": 204, "/moved": 302, "/no": 500}.get(self.path, 200))
            self.send_header("Location", "/ok")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    stop = threading.Event()
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{web.server_port}", got
    stop.set()
    web.shutdown()
    web.server_close()
    thread.join()


def test_an_address_gets_the_alert_by_post_and_only_2xx_counts(server):
    """No redirect is followed, and a time-out bounds it."""
    base, got = server
    UrlChannel(f"{base}/ok").tell({"kind": "dead"})
    assert got == [("/ok", {"kind": "dead"})]
    for path, what in (("/moved", "302"), ("/no", "500")):
        with pytest.raises(ChannelError, match=what):
            UrlChannel(base + path).tell({})
    assert [path for path, _ in got] == ["/ok", "/moved", "/no"]
    with pytest.raises(ChannelError, match="Timeout"):
        UrlChannel(f"{base}/hang", answer=0.3).tell({})
    with pytest.raises(ChannelError, match="does not answer"):
        UrlChannel("http://127.0.0.1:1/").tell({})
