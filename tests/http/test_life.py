"""Starting, stopping, failing and coming back: through real processes."""

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from tests.http.receiver import COMMAND, Receiver, children, genuine, read_answer, wait_for


class Manager:
    """A service manager's notify socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)

    def until(self, wanted: str) -> None:
        """Read messages until one has this line."""
        while wanted not in self.socket.recv(4096).decode().splitlines():
            pass

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def manager(tmp_path: Path):
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def start_to_fail(folder: Path, **parts: object) -> tuple[int, str]:
    """Start a receiver that cannot run; return its exit code and what it said."""
    with Receiver(folder, wait=False, **parts) as receiver:  # type: ignore[arg-type]
        assert receiver.process is not None
        return receiver.process.wait(30), receiver.log


# ── starting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_says_ready_when_it_can_store_and_feeds_the_watchdog(tmp_path: Path, manager: Manager) -> None:
    """READY=1 comes after a write has proven it, WATCHDOG=1 as long as the loop goes round, STOPPING=1 at the end."""
    env = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "10000000"}
    with Receiver(tmp_path, env=env) as receiver:
        manager.until("READY=1")
        manager.until("WATCHDOG=1")
        manager.until("WATCHDOG=1")
        assert receiver.process is not None
        receiver.process.terminate()
        manager.until("STOPPING=1")
        assert receiver.process.wait(30) == 0


def test_it_is_not_ready_while_nothing_can_be_stored(tmp_path: Path, manager: Manager) -> None:
    """With no room on the disk: no READY=1, 503 for calls, /readyz says why; with room it is ready."""
    env = {"NOTIFY_SOCKET": str(manager.path)}
    with Receiver(tmp_path, env=env, outbox="max_bytes = 1048576", wait=False) as receiver:
        manager.until("READY=1")
    with sqlite3.connect(tmp_path / "outbox.db") as conn:
        conn.execute("CREATE TABLE filler (x)")
        conn.execute("INSERT INTO filler VALUES (zeroblob(3000000))")
    conn.close()
    with Receiver(tmp_path, env=env, outbox="max_bytes = 1048576", wait=False) as receiver:
        wait_for(lambda: receiver.lines("not ready"), "it says that it is not")
        assert receiver.get("/readyz").status == 503
        assert receiver.get("/healthz").status == 200
        assert receiver.post().status == 503
        receiver.configure(outbox="max_bytes = 100000000")
        assert receiver.process is not None
        receiver.process.send_signal(signal.SIGHUP)
        manager.until("READY=1")
        assert receiver.post().status == 200


def test_a_socket_from_systemd_is_used_and_left_open(tmp_path: Path) -> None:
    """Socket activation: while the receiver is away, callers wait in the socket's queue and are answered later."""
    listener = socket.create_server(("127.0.0.1", 0))
    handle = 3
    # What systemd does between fork and exec, with the process ID that only then is known.
    script = (
        'import os, sys; os.environ["LISTEN_PID"] = str(os.getpid()); os.environ["LISTEN_FDS"] = "1"; '
        f"os.dup2({listener.fileno()}, {handle}); os.set_inheritable({handle}, True); os.execv(sys.executable, [sys.executable, *{COMMAND[1:]!r}, *sys.argv[1:]])"
    )
    command = [COMMAND[0], "-c", script]
    waiting = socket.create_connection(listener.getsockname(), 30)
    waiting.sendall(genuine(b"type=update&profile=1&database=1"))
    with Receiver(tmp_path, command=command, handles=(listener.fileno(),)) as receiver:
        assert receiver.address == listener.getsockname()
        assert read_answer(waiting).status == 200
        waiting.close()
    later = socket.create_connection(listener.getsockname(), 30)
    later.sendall(genuine(b"type=update&profile=2&database=1"))
    with Receiver(tmp_path, command=command, handles=(listener.fileno(),)) as receiver:
        assert read_answer(later).status == 200
        later.close()
        assert receiver.stored() == 2
    listener.close()


def test_a_unix_socket_is_listened_on_and_removed_after(tmp_path: Path) -> None:
    """unix:/path, for a proxy on the same machine; its word on HTTPS and addresses is believed."""
    path = tmp_path / "in.sock"
    with Receiver(tmp_path, listen=f"unix:{path}") as receiver:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(genuine(b"type=update&profile=1&database=1"))
            assert read_answer(sock).status == 200
        code, said = start_to_fail_on_the_same(receiver)
        assert (code, "another process has it" in said) == (69, True)
    assert not path.exists()


def start_to_fail_on_the_same(receiver: Receiver) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, "--config", str(receiver.config)], env=receiver._env, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


def test_a_port_that_is_taken_is_exit_69_at_once(tmp_path: Path) -> None:
    """No retries, no traceback: who has it, and what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = start_to_fail(tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}")
    assert code == 69
    assert "another process has it" in said
    assert "Traceback" not in said


def test_an_address_that_is_not_ours_is_exit_78(tmp_path: Path) -> None:
    """No restart will help: the configuration is wrong."""
    code, said = start_to_fail(tmp_path, listen="192.0.2.1:8750")
    assert (code, "[receiver] listen" in said) == (78, True)


def test_a_wrong_configuration_is_exit_78(tmp_path: Path) -> None:
    """With the place of each mistake."""
    code, said = start_to_fail(tmp_path, options="treads = 4")
    assert code == 78
    assert "config.toml:" in said
    assert "threads" in said


def test_an_outbox_of_a_newer_version_is_exit_78(tmp_path: Path) -> None:
    """It is neither opened nor touched."""
    with Receiver(tmp_path):
        pass
    conn = sqlite3.connect(tmp_path / "outbox.db")
    conn.execute("PRAGMA user_version = 999999")
    conn.close()
    code, said = start_to_fail(tmp_path)
    assert (code, "newer version" in said) == (78, True)


def test_a_file_that_is_no_outbox_is_exit_78(tmp_path: Path) -> None:
    """Somebody else's file is not ours to write to."""
    (tmp_path / "outbox.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    code, said = start_to_fail(tmp_path)
    assert (code, "outbox" in said) == (78, True)
    assert "Traceback" not in said


def test_an_outbox_that_is_locked_for_too_long_is_exit_75(tmp_path: Path) -> None:
    """Try later."""
    with Receiver(tmp_path):
        pass
    conn = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
    conn.execute("BEGIN EXCLUSIVE")
    try:
        code, _ = start_to_fail(tmp_path, outbox="busy_timeout = 0.2")
    finally:
        conn.close()
    assert code == 75


def test_an_outbox_that_cannot_be_opened_is_exit_78(tmp_path: Path) -> None:
    """Says which file, and what to look at."""
    (tmp_path / "outbox.db").mkdir()
    code, said = start_to_fail(tmp_path)
    assert (code, "outbox.db" in said) == (78, True)
    assert "Traceback" not in said


def test_other_ways_in_than_a_signature_are_said_at_each_start(tmp_path: Path) -> None:
    """A visible choice per source."""
    with Receiver(tmp_path) as receiver:
        lines = receiver.lines("a choice that weakens security")
        paths = {line["source"]: line["path"] for line in receiver.lines("source")}
    assert any("sources.private" in line["what"] and line["level"] == "warning" for line in lines)
    assert paths == {"shop": "/in/shop", "private": "/in/private"}


# ── the disk ────────────────────────────────────────────────────────────────────────────────────────────────────────


def limited(size: int):
    """Return what makes every file of a process end at `size` bytes: a disk that is full."""

    def apply() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return apply


def test_a_full_disk_is_answered_503_and_when_there_is_room_calls_are_stored(tmp_path: Path) -> None:
    """Never a 2xx for what is not on disk; what was answered 2xx before is there."""
    body = b"type=update&profile=1&database=1&fields%5Bx%5D=" + os.urandom(100_000).hex().encode()
    with Receiver(tmp_path, before=limited(2_000_000)) as receiver:
        answers = [receiver.post(body) for _ in range(40)]
        good = sum(answer.status == 200 for answer in answers)
        assert 0 < good < 40
        last = answers[-1]
        assert (last.status, last.headers["retry-after"]) == (503, "30")
        assert receiver.lines("call")[-1]["outcome"] == "not stored"
        assert receiver.stored() == good
        for pid in [receiver.process.pid, *receiver.workers()]:  # type: ignore[union-attr]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for(lambda: receiver.post(body).status == 200, "calls are stored again")
        wait_for(lambda: receiver.get("/readyz").status == 200, "it says so")


def test_an_outbox_that_is_locked_is_answered_503_and_nothing_is_lost(tmp_path: Path) -> None:
    """Another process holds it for too long: come again; then it is stored."""
    with Receiver(tmp_path, options="store_timeout = 0.5", outbox="busy_timeout = 0.3") as receiver:
        conn = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
        conn.execute("BEGIN IMMEDIATE")
        answer = receiver.post()
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        wait_for(lambda: receiver.get("/readyz").status == 503, "it says that it cannot store")
        conn.execute("ROLLBACK")
        conn.close()
        assert receiver.post().status == 200


# ── stopping, dying, coming back ────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_answers_the_calls_that_are_half_here(tmp_path: Path) -> None:
    """SIGTERM in the middle of a call: it is finished, and the exit code is 0."""
    call = genuine(b"type=update&profile=1&database=1")
    with Receiver(tmp_path) as receiver, receiver.connect() as sock:
        sock.sendall(call[:100])
        wait_for(lambda: receiver.get("/healthz").status == 200, "it has seen them")
        assert receiver.process is not None
        receiver.process.terminate()
        wait_for(lambda: refused(receiver), "it listens no more")
        sock.sendall(call[100:])
        assert read_answer(sock).status == 200
        assert receiver.process.wait(30) == 0
        assert not receiver.ready_file.exists()


def refused(receiver: Receiver) -> bool:
    try:
        with socket.create_connection(receiver_address(receiver), 5):
            return False
    except OSError:
        return True


def receiver_address(receiver: Receiver) -> tuple[str, int]:
    line = receiver.lines("listening")[-1]["address"]
    host, _, port = line.rpartition(":")
    return host, int(port)


def test_what_was_answered_before_a_kill_is_on_disk(tmp_path: Path) -> None:
    """kill -9 of all processes under load, and a new start: every call that got its 2xx is there, once."""
    stored: list[int] = []

    def load(receiver: Receiver) -> None:
        try:
            while True:
                answer = receiver.post()
                if answer.status == 200:
                    stored.append(int(answer.body.split()[1]))
        except (AssertionError, OSError):
            return

    with Receiver(tmp_path) as receiver:
        threads = [threading.Thread(target=load, args=(receiver,)) for _ in range(4)]
        receiver.post()
        for thread in threads:
            thread.start()
        wait_for(lambda: len(stored) > 50, "some calls are stored")
        assert receiver.process is not None
        os.killpg(receiver.process.pid, signal.SIGKILL)
        receiver.process.wait()
        for thread in threads:
            thread.join()
    with Receiver(tmp_path) as receiver:
        there = {row[0] for row in receiver.rows("SELECT id FROM events")}
    assert set(stored) <= there
    assert len(set(stored)) == len(stored)


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """The master starts another one, and calls go on."""
    with Receiver(tmp_path) as receiver:
        [worker] = receiver.workers()
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: receiver.workers() not in ([], [worker]), "another worker")
        assert receiver.post().status == 200


def test_workers_do_not_outlive_their_master(tmp_path: Path) -> None:
    """kill -9 of the master alone: the worker goes too."""
    with Receiver(tmp_path) as receiver:
        [worker] = receiver.workers()
        assert receiver.process is not None
        receiver.process.kill()
        receiver.process.wait()
        wait_for(lambda: not is_running(worker), "the worker is gone")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_sighup_takes_new_sources_and_refuses_nobody(tmp_path: Path) -> None:
    """While calls come in, the configuration is read anew: each of them is answered 200."""
    with Receiver(tmp_path) as receiver:
        statuses: list[int] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                statuses.append(receiver.post().status)

        thread = threading.Thread(target=load)
        thread.start()
        assert receiver.send(b"GET /in/more HTTP/1.1\r\nHost: h\r\n\r\n").status == 404
        receiver.configure(sources='[sources.more]\naccount = "account-9"')
        assert receiver.process is not None
        receiver.process.send_signal(signal.SIGHUP)
        wait_for(lambda: receiver.send(b"GET /in/more HTTP/1.1\r\nHost: h\r\n\r\n").status == 405, "a new source")
        wait_for(lambda: len(receiver.workers()) == 1, "the old worker is gone")
        stop.set()
        thread.join()
        assert set(statuses) == {200}


def test_sighup_with_a_wrong_configuration_changes_nothing(tmp_path: Path) -> None:
    """It is reported, and the old one stays in force."""
    with Receiver(tmp_path) as receiver:
        receiver.configure(sources="[sources.broken]\nproof = 5")
        assert receiver.process is not None
        receiver.process.send_signal(signal.SIGHUP)
        told = "the configuration is wrong, the old one stays in force"
        [line] = wait_for(lambda: receiver.lines(told), "it is reported")
        assert "sources.broken" in line["problems"]
        assert receiver.post().status == 200


def test_several_workers_store_to_one_outbox(tmp_path: Path) -> None:
    """Calls that are spread over processes are stored, each once; a proof is recognised by all."""
    with Receiver(tmp_path, options="workers = 3") as receiver:
        wait_for(lambda: len(receiver.lines("ready")) == 3, "all are ready")
        call = genuine(b"type=update&profile=1&database=1", nonce="same")
        answers = [receiver.send(call) for _ in range(12)]
        assert {answer.status for answer in answers} == {200}
        assert receiver.stored() == 1
        assert all(receiver.post().status == 200 for _ in range(20))
        assert receiver.stored() == 21


def test_a_call_wakes_the_deliverer(tmp_path: Path) -> None:
    """After the commit, at once."""
    from connector.process.wake import Sleeper, wake_path

    with Receiver(tmp_path) as receiver:
        sleeper = Sleeper(wake_path(receiver.outbox))
        try:
            assert receiver.post().status == 200
            assert sleeper.wait(20)
            assert not sleeper.wait(0)
        finally:
            sleeper.close()


def test_no_handle_of_the_outbox_is_inherited_by_a_worker(tmp_path: Path) -> None:
    """The master has none open: a connection that two processes share would destroy the file."""
    with Receiver(tmp_path) as receiver:
        assert receiver.process is not None
        master = [os.readlink(path) for path in Path(f"/proc/{receiver.process.pid}/fd").iterdir()]
        assert not [path for path in master if "outbox.db" in path]
        assert children(receiver.process.pid)


def no_writable_code() -> None:
    """Do to a process what MemoryDenyWriteExecute=yes does."""
    import ctypes

    ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE; an older kernel says no, and nothing changes


def test_it_runs_without_memory_that_is_both_writable_and_executable(tmp_path: Path) -> None:
    """As its unit has it: neither the libraries nor we need such memory."""
    with Receiver(tmp_path, before=no_writable_code) as receiver:
        assert receiver.post().status == 200
