import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from connector.sample_crm import Options, SampleCrm

TOKEN = "a-test-token"


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Return what the condition gives once it gives something; fail after a deadline."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError("it never became so")


@dataclass
class Client:
    url: str
    session: requests.Session

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, json=body, **{"timeout": 20, **more})

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self(method, path, body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def crm() -> Iterator[SampleCrm]:
    with SampleCrm(Options(token=TOKEN)) as started:
        yield started


@pytest.fixture
def call(crm: SampleCrm) -> Iterator[Client]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield Client(crm.url, session)
