"""Logs: a line of JSON per request and per attempt, a readable one at a terminal, always on standard error."""

import json
import logging
import sys
from collections.abc import Callable, Collection, MutableMapping
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog

REDACTED = "[redacted]"
_SHORTEST_SECRET = 6  # a shorter one would blacken half of the log, and is refused by the configuration

Values = MutableMapping[str, Any]


def configure(
    form: Literal["auto", "json", "text"] = "auto",
    level: Literal["debug", "info", "warning", "error"] = "info",
    *,
    secrets: Collection[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Set logging up for this process: structlog's loggers, and the standard ones of libraries.

    `secrets` are blackened wherever they stand in a value. With "auto", text at a terminal and JSON elsewhere.
    """
    out = cast("TextIO", _Enduring(stream or sys.stderr))
    threshold = logging.getLevelNamesMapping()[level.upper()]
    readable = form == "text" or (form == "auto" and out.isatty())
    last: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if readable else structlog.processors.JSONRenderer(_as_json)
    )
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        _Redactor(secrets),
    ]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_tidy, last]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # What libraries tell is for us, not for whoever runs the service; their warnings are.
    root.setLevel(threshold if threshold < logging.INFO else max(threshold, logging.WARNING))


class _Enduring:
    """A stream that takes what it can: a full disk or a reader that has gone costs lines, never a call or a thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


_ENCODER = json.JSONEncoder(default=repr)


def _as_json(values: object, **_: object) -> str:
    # json.dumps with any option makes an encoder for each line.
    return _ENCODER.encode(values)


def _tidy(_logger: Any, _method: str, values: Values) -> Values:
    record: logging.LogRecord = values.pop("_record")
    values.pop("_from_structlog", None)
    values["logger"] = record.name
    return values


class _Redactor:
    """Replaces secrets in every text value, nested ones included."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._secrets = sorted((secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._clean: Callable[[Any], Any] = self._cleaned if self._secrets else lambda value: value

    def __call__(self, _logger: Any, _method: str, values: Values) -> Values:
        for name, value in values.items():
            values[name] = self._clean(value)
        return values

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, REDACTED)
            return value
        if isinstance(value, dict):
            return {key: self._cleaned(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(part) for part in value]
        return value
