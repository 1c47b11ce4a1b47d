"""Bare loops of HTTP clients: THREADS threads, each takes the next body and sends it. Nothing is stored or decided.

bare_client.py ours|requests|together URL FILE THREADS: FILE has a body a line, `requests` means `requests.post` for each,
`together` one thread that makes as many requests at a time.
"""

import itertools
import sys
import threading
from pathlib import Path

import requests

from connector.crm.overlap import Overlap
from connector.crm.presets.model import Timeouts
from connector.crm.rest.answer import Answer
from connector.crm.rest.wire import Outgoing, Tls, Wire

HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer not-a-secret-at-all"}


def main() -> None:
    kind, url, file, threads = sys.argv[1:]
    bodies = Path(file).read_bytes().splitlines()
    next_one = itertools.count().__next__
    wire = Wire(Timeouts(), Tls(), None, 1 << 20, int(threads))

    def work() -> None:
        while (number := next_one()) < len(bodies):
            to = f"{url}/contacts/by/copernica_id/{number}"
            if kind == "requests":
                requests.post(to, data=bodies[number], headers=HEADERS, timeout=10).json()
            else:
                answer = wire.exchange(Outgoing("PUT", to, HEADERS, bodies[number]), 10)
                assert isinstance(answer, Answer), answer

    if kind == "together":
        others = [work] * (int(threads) - 1)
        Overlap().run(work, lambda: others.pop() if others else None)
        return
    running = [threading.Thread(target=work) for _ in range(int(threads))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


if __name__ == "__main__":
    main()
