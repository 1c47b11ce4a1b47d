"""What the mapping commands work with: the configuration, the presets, stored calls and a CRM to plan requests."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import click

from connector.cli import exits
from connector.config.load import find, load
from connector.config.model import Config
from connector.crm.port import PlannedRequest, Write
from connector.crm.presets.facts import facts_of
from connector.domain.decode import decode
from connector.domain.event import Event, NotUnderstood
from connector.domain.record import RecordKind
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Dialect, Source
from connector.files.problem import Problem, ProblemsError
from connector.mapping.facts import CrmObjects, nothing_known
from connector.mapping.translate import Origin

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration; else $CONNECTOR_CONFIG, else /etc/connector/config.toml.",
)


def give_up(problems: Sequence[Problem]) -> NoReturn:
    """Say what is wrong in files, and end."""
    for problem in problems:
        click.echo(str(problem), err=True)
    raise SystemExit(exits.CONFIGURATION)


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event to preview: where it comes from, what it says, and the CRM IDs that its record is linked to."""

    label: str
    source: str
    event: Event | NotUnderstood
    links: tuple[tuple[str, str | None], ...] = ()


class Workbench:
    """Everything is looked up when it is first asked for: a body in a file needs no configuration."""

    def __init__(self, config_file: Path | None = None) -> None:
        self.config_file = config_file

    @cached_property
    def has_config(self) -> bool:
        """Whether there is a configuration, or somebody says so."""
        return self.config_file is not None or find(None, os.environ).exists()

    @cached_property
    def config(self) -> Config:
        """The configuration. Raises ProblemsError."""
        return load(self.config_file, os.environ)

    @cached_property
    def crm_objects(self) -> CrmObjects:
        """What the presets of the configuration know. Without a configuration nothing is checked."""
        return facts_of(self.config) if self.has_config else nothing_known

    def stored(self, event_id: int) -> Arrived | None:
        """Return an event of the outbox. Raises OutboxError, ProblemsError."""
        from connector.compose.desk import open_desk  # noqa: PLC0415 - loads the database's modules

        with open_desk(self.config, readonly=True) as desk:
            detail = desk.show(event_id)
        if detail is None:
            return None
        source = self._source(detail.request.source)
        event: Event | NotUnderstood = decode(VerifiedRequest(detail.request, None, None), source)
        return Arrived(f"event {event_id}", source.name, event, detail.links)

    def newest(self, limit: int) -> Iterator[Arrived]:
        """Return the newest events of the outbox, newest first. Raises OutboxError, ProblemsError."""
        from connector.compose.desk import open_desk  # noqa: PLC0415
        from connector.outbox.port import Filter  # noqa: PLC0415

        with open_desk(self.config, readonly=True) as desk:
            ids = [row.id for row in desk.list(Filter(), limit)]
        for event_id in ids:
            if arrived := self.stored(event_id):
                yield arrived

    def read(self, body: bytes, origin: Origin | None, source: str | None, content_type: str | None) -> Arrived:
        """Return what a body says: as that source would read it, or as the mapping expects it. Raises ProblemsError."""
        sender = self._source(source) if source else _guessed(body, origin)
        headers = (("Content-Type", content_type or _content_type(body)),)
        request = UnverifiedRequest(sender.name, "POST", "/", headers, body, time.time_ns() // 1_000_000, "", True)
        return Arrived("the body", sender.name, decode(VerifiedRequest(request, None, None), sender))

    def plan(self, destination: str, write: Write) -> Sequence[PlannedRequest]:
        """Return the requests that a write would begin with; nothing is sent, and no secret is read."""
        from connector.crm.build import build_crm  # noqa: PLC0415 - loads the HTTP client's modules
        from connector.process.clock import SystemClock  # noqa: PLC0415

        config = self.config
        crm = build_crm(
            destination,
            config.destinations[destination],
            lambda _: "hidden",
            config.state_folder,
            SystemClock(),
            presets=config.presets,
            config=config,
        )
        try:
            return crm.plan(write)
        finally:
            crm.close()

    def _source(self, name: str) -> Source:
        from connector.config.sources import sources  # noqa: PLC0415

        found = sources(self.config, lambda _: "hidden-" * 4).get(name)
        if found is None:
            known = ", ".join(self.config.sources) or "none is configured"
            raise ProblemsError([self.config.problem(("sources",), f"there is no source {name!r}", known)])
        return found


def _guessed(body: bytes, origin: Origin | None) -> Source:
    """Without a source, a document is a callback's, about such records as the mapping takes."""
    is_document = body.lstrip()[:1] in (b"{", b"<")
    kind = origin.kind if origin else None
    return Source(
        name=(origin.source if origin else None) or "preview",
        path="/",
        host="localhost",
        dialect=Dialect.CALLBACK if is_document and kind is not RecordKind.RECIPIENT else Dialect.WEBHOOK,
        kind=(kind or RecordKind.PROFILE) if is_document else None,
        scope=(origin.scope if origin else None) or "1",
    )


def _content_type(body: bytes) -> str:
    first = body.lstrip()[:1]
    return {b"{": "application/json", b"<": "application/xml"}.get(first, "application/x-www-form-urlencoded")


def new_workbench(ctx: click.Context, config_file: Path | None) -> Workbench:
    """Return the workbench that the caller put into the context, or a new one."""
    return ctx.find_object(Workbench) or Workbench(config_file)
