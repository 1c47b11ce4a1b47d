"""Logs: a line of JSON each, without secrets; readable at a terminal."""

import errno
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from connector.process.logging import configure


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_each_event_is_one_line_of_json_with_level_and_time() -> None:
    """Elsewhere than at a terminal."""
    out = io.StringIO()
    configure(stream=out)
    structlog.get_logger().info("call", id=7, text="two\nlines")
    [line] = out.getvalue().splitlines()
    value = json.loads(line)
    assert (value["event"], value["id"], value["level"], value["text"]) == ("call", 7, "info", "two\nlines")
    assert value["at"].endswith("Z")


def test_at_a_terminal_it_is_readable() -> None:
    """auto: text at a terminal."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    configure(stream=out)
    structlog.get_logger().info("call", outcome="stored")
    assert not out.getvalue().startswith("{")
    assert "stored" in out.getvalue()


def test_secrets_are_blackened_wherever_they_stand() -> None:
    """In values, nested ones, exceptions' texts, and what libraries say."""
    out = io.StringIO()
    configure("json", stream=out, secrets=["a-secret-value", "short"])
    log = structlog.get_logger()
    log.warning("x", path="/in/a-secret-value", nested={"a": ["b a-secret-value"]})
    logging.getLogger("library").warning("calling %s", "http://h/a-secret-value")
    try:
        raise ValueError("bad a-secret-value")
    except ValueError:
        log.exception("failed")
    assert "a-secret-value" not in out.getvalue()
    assert out.getvalue().count("[redacted]") >= 4
    assert len(out.getvalue().splitlines()) == 3


def test_the_level_decides_what_is_shown() -> None:
    """Of libraries, only warnings."""
    out = io.StringIO()
    configure("json", "info", stream=out)
    structlog.get_logger().debug("hidden")
    logging.getLogger("library").info("hidden too")
    logging.getLogger("library").warning("shown")
    [line] = out.getvalue().splitlines()
    assert json.loads(line)["event"] == "shown"


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """A full disk or a closed pipe at standard error: lines are lost, and nobody who logs has to know."""

    class Full(io.StringIO):
        is_full = True

        def write(self, text: str) -> int:
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(text)

    out = Full()
    configure(stream=out)
    structlog.get_logger().error("lost")
    logging.getLogger("library").error("lost")
    out.is_full = False
    structlog.get_logger().info("kept")
    assert json.loads(out.getvalue())["event"] == "kept"
