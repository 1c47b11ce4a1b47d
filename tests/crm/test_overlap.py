"""Several requests of one thread, on real sockets."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from connector.crm.overlap import Overlap, alone, rest, wait_beside_others
from connector.crm.presets.model import Timeouts
from connector.crm.rest.answer import Answer, NoAnswer
from connector.crm.rest.wire import Outgoing, Tls, Wire
from tests.crm import authority
from tests.crm.raw import RawServer, read_request, reply, says
from tests.support.until import until

MANY = 8


def wire(timeouts: Timeouts | None = None, ca: Path | None = None) -> Wire:
    return Wire(timeouts or Timeouts(connect=5, read=20, total=30), Tls(ca_file=ca), None, 100_000, MANY)


def ask(made: Wire, url: str, answers: list[Answer | NoAnswer]) -> Callable[[], None]:
    return lambda: answers.append(made.exchange(Outgoing("POST", f"{url}/x", {}, b"{}"), 60))


def together(works: Iterable[Callable[[], None]]) -> None:
    first, *others = works
    Overlap().run(first, lambda: others.pop(0) if others else None)


def test_requests_of_one_thread_wait_for_their_answers_together() -> None:
    """A CRM that answers only when all requests are there answers all of them."""
    all_here = threading.Barrier(MANY)
    answers: list[Answer | NoAnswer] = []

    def answer(connection: socket.socket, _: bytes) -> None:
        all_here.wait(20)
        connection.sendall(reply("200 OK"))

    with RawServer(answer) as server:
        made = wire()
        together([ask(made, server.url, answers)] * MANY)
        made.close()
    assert [one.status for one in answers if isinstance(one, Answer)] == [200] * MANY


def test_encrypted_requests_wait_together_too(tmp_path: Path) -> None:
    """The same over TLS."""
    certificate = authority.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    listener = socket.create_server(("127.0.0.1", 0))
    all_here = threading.Barrier(MANY)
    answers: list[Answer | NoAnswer] = []

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            for _ in range(2):
                read_request(secure)
                all_here.wait(20)
                secure.sendall(reply("200 OK"))

    def accept() -> None:
        for thread in [threading.Thread(target=serve, args=(listener.accept()[0],)) for _ in range(MANY)]:
            thread.start()
            threads.append(thread)

    threads: list[threading.Thread] = []
    accepting = threading.Thread(target=accept)
    accepting.start()
    made = wire(ca=certificate.ca)
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with listener:
        warm_up = [threading.Thread(target=ask(made, url, answers)) for _ in range(MANY)]
        for thread in warm_up:
            thread.start()
        for thread in warm_up:
            thread.join()
        together([ask(made, url, answers)] * MANY)  # on the connections that are there
        made.close()
    for thread in [accepting, *threads]:
        thread.join(20)
    assert [one.status for one in answers if isinstance(one, Answer)] == [200] * 2 * MANY


def test_who_has_an_answer_goes_on_while_another_still_waits() -> None:
    """A search and a create are two requests: both can be made while another answer is missing."""
    second = threading.Event()
    held: list[Answer | NoAnswer] = []
    others: list[Answer | NoAnswer] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        if b"/held" in request:
            assert second.wait(20)
        connection.sendall(reply("200 OK"))

    with RawServer(answer) as server:
        made = wire()

        def twice() -> None:
            for _ in range(2):
                ask(made, server.url, others)()
            second.set()

        together([ask(made, f"{server.url}/held", held), twice])
        made.close()
    assert [len(held), len(others)] == [1, 2]
    assert all(isinstance(one, Answer) for one in held + others)


def test_who_has_no_answer_in_time_is_told_so_and_holds_up_nobody() -> None:
    """The time-out of one request is its own."""
    missing: list[Answer | NoAnswer] = []
    others: list[Answer | NoAnswer] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        if b"/missing" not in request:
            connection.sendall(reply("200 OK"))

    with RawServer(answer) as server:
        made = wire(Timeouts(connect=5, read=0.3, total=20))
        together([ask(made, f"{server.url}/missing", missing), ask(made, server.url, others)])
        made.close()
    assert missing == [NoAnswer(sent=True, why="no whole answer within the time-out")]
    assert isinstance(others[0], Answer)


def test_an_answer_that_is_here_counts_however_long_others_held_the_thread_up() -> None:
    """What came in time is no unknown outcome only because nobody looked."""
    answers: list[Answer | NoAnswer] = []
    with RawServer(says(reply("200 OK"))) as server:
        made = wire(Timeouts(connect=5, read=0.2, total=0.2))
        late = time.monotonic() + 0.3

        def hold_up() -> None:
            until(lambda: server.requests and time.monotonic() > late, "more time passes than an answer may take")

        together([ask(made, server.url, answers), hold_up])
        made.close()
    assert isinstance(answers[0], Answer)


def test_others_go_on_while_one_lets_time_pass() -> None:
    """A limit of requests per second holds up who waits for its turn, and nobody's answer."""
    ended: list[str] = []

    def wait_for_other() -> None:
        deadline = time.monotonic() + 20
        while not ended and time.monotonic() < deadline:
            rest(0.005)
        ended.append("first")

    together([wait_for_other, lambda: ended.append("other")])
    assert ended == ["other", "first"]


def test_nothing_else_goes_on_while_one_is_alone() -> None:
    """Who holds a lock cannot be overtaken by somebody who wants it."""
    ended: list[str] = []
    mine, theirs = socket.socketpair()

    def keep_to_oneself() -> None:
        with alone():
            assert wait_beside_others(mine, time.monotonic() + 20) is None
            rest(0.001)
            ended.append("first")

    with mine, theirs:
        together([keep_to_oneself, lambda: ended.append("other")])
    assert ended == ["first", "other"]


@pytest.mark.parametrize("wait", [lambda sock: wait_beside_others(sock, 0.0), lambda _: rest(0)])
def test_outside_there_is_nobody_to_wait_beside(wait: Callable[[socket.socket], object]) -> None:
    """A command that makes one request reads its answer as it always did."""
    mine, theirs = socket.socketpair()
    with mine, theirs, alone():
        assert wait(mine) is None
