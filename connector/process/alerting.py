"""The ways to tell somebody: a command with JSON on its standard input, an address that gets it by POST."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import requests

from connector.deliver.alerts import ChannelError

_CONNECT: Final = 5.0
_ANSWER: Final = 10.0
_COMMAND: Final = 30.0


class CommandChannel:
    """Runs a command, without a shell; what it prints is not looked at."""

    name = "command"

    def __init__(self, command: Sequence[str], *, timeout: float = _COMMAND) -> None:
        self._command = tuple(command)
        self._timeout = timeout

    def tell(self, form: Mapping[str, object]) -> None:
        """Run it, with one line of JSON. Raises ChannelError when it does not end well in time."""
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own command
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # so that its children can be ended with it
            )
        except OSError as error:
            raise ChannelError(f"{self._command[0]} cannot be run: {error.strerror}") from error
        try:
            process.communicate((json.dumps(form, ensure_ascii=False) + "\n").encode(), self._timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise ChannelError(f"{self._command[0]} did not end within {self._timeout:.0f} s") from None
        if process.returncode:
            raise ChannelError(f"{self._command[0]} ended with {process.returncode}")


class UrlChannel:
    """Posts to an address. Follows no redirect, takes nothing from the environment, reads no answer's body."""

    name = "url"

    def __init__(self, url: str, *, connect: float = _CONNECT, answer: float = _ANSWER) -> None:
        self._url = url
        self._timeout = (connect, answer)

    def tell(self, form: Mapping[str, object]) -> None:
        """Post it. Raises ChannelError unless the answer is 2xx."""
        with requests.Session() as session:
            session.trust_env = False
            try:
                with session.post(
                    self._url, json=form, timeout=self._timeout, allow_redirects=False, stream=True
                ) as answer:
                    status = answer.status_code
            except requests.RequestException as error:
                raise ChannelError(f"the alert's address does not answer: {type(error).__name__}") from None
        if not 200 <= status < 300:  # noqa: PLR2004 - success, and nothing else
            raise ChannelError(f"the alert's address answered {status}")
