"""Answers made up for requests that never leave: `responses`, put in the place of the wire."""

from typing import Self
from unittest import mock

import requests
import responses
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from connector.crm.rest.answer import Answer, NoAnswer
from connector.crm.rest.wire import Outgoing, Wire


class Answers(responses.RequestsMock):
    """While it is entered, every exchange is answered by it. What the real wire does is tested on real sockets."""

    def __enter__(self) -> Self:
        self._wire = mock.patch.object(Wire, "exchange", _exchange)
        self._wire.start()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)
        finally:
            self._wire.stop()


def _exchange(_: Wire, outgoing: Outgoing, __: float) -> Answer | NoAnswer:
    asked = requests.PreparedRequest()
    asked.method, asked.url, asked.body = outgoing.method, outgoing.url, outgoing.body
    asked.headers = CaseInsensitiveDict(outgoing.headers)
    asked.hooks = {"response": []}
    try:
        answer = HTTPAdapter().send(asked)
    except requests.ReadTimeout:
        return NoAnswer(sent=True, why="no whole answer within the time-out")
    except requests.ConnectionError:
        return NoAnswer(sent=False, why="no connection (ConnectionError)")
    return Answer(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)
