"""`connector preview`: what a mapping makes of a call, and which requests that would become. Nothing is sent."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import click

from connector.cli import exits
from connector.cli.check import examine_beside
from connector.cli.workbench import Arrived, Workbench, config_option, give_up, new_workbench
from connector.crm.port import Write
from connector.domain.change import Change, JsonValue, Verb
from connector.domain.event import Event, NotUnderstood
from connector.files.problem import ProblemsError
from connector.mapping.examples import describe
from connector.mapping.expression import MISSING, Step
from connector.mapping.scope import Scope
from connector.mapping.translate import CompiledMapping
from connector.mapping.value import Setter
from connector.outbox.port import OutboxError

LARGEST = 4 * 1024 * 1024
LOOKED_AT = 1_000
"""Events that `--last` looks at, for some that the mapping takes."""


@click.command("preview")
@config_option
@click.option("--body", type=click.File("rb"), help="A call's body in a file; - is standard input.")
@click.option("--event", "event_id", type=int, help="An event in the outbox, by its ID.")
@click.option("--last", type=click.IntRange(1, 100), help="The newest N events in the outbox that the mapping takes.")
@click.option("--source", help="Read the body as a call of this source of the configuration.")
@click.option("--content-type", help="The body's content type, if it cannot be seen from its first character.")
@click.option("--linked", is_flag=True, help="As if the record had its CRM record already.")
@click.option("--explain", is_flag=True, help="Show how each value came about.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def preview(
    ctx: click.Context,
    config_file: Path | None,
    body: BinaryIO | None,
    event_id: int | None,
    last: int | None,
    source: str | None,
    content_type: str | None,
    linked: bool,
    explain: bool,
    file: Path,
) -> None:
    """Show what the mapping in FILE makes of a call, and the requests that it would become.

    The call is a body (--body, or standard input when nothing else is said), an event of the outbox (--event), or the
    newest ones (--last). Nothing is sent, nothing is stored, no secret is read. What is shown can be personal data.

    Exits 0, 1 when there is no such event or the call cannot be read, 78 when a file is wrong.
    """
    if sum(option is not None for option in (body, event_id, last)) > 1:
        raise click.UsageError("--body, --event and --last are three ways to say which call: take one.")
    bench = new_workbench(ctx, config_file)
    examined = examine_beside(file.parent, [file])
    if examined.mappings is None:
        give_up(examined.errors)
    name = next(group.mapping for group in examined.examples if group.file == str(file))
    mapping = examined.mappings.mappings[name]
    try:
        if event_id is not None:
            arrived = [found] if (found := bench.stored(event_id)) else []
        elif last is not None:
            taken = (one for one in bench.newest(LOOKED_AT) if _takes(mapping, one))
            arrived = list(islice(taken, last))
        else:
            stream: BinaryIO = sys.stdin.buffer if body is None else body
            content = stream.read(LARGEST)
            arrived = [bench.read(content, mapping.origin, source, content_type)]
        if not arrived:
            click.echo("There is no such event in the outbox." if event_id else "No event for this mapping.", err=True)
            sys.exit(exits.NOT_SO)
        understood = [_show(bench, mapping, one, linked=linked, explain=explain) for one in arrived]
    except ProblemsError as error:
        give_up(error.problems)
    except OutboxError as error:
        click.echo(str(error), err=True)
        sys.exit(exits.NOT_SO)
    sys.exit(0 if all(understood) else exits.NOT_SO)


def _takes(mapping: CompiledMapping, arrived: Arrived) -> bool:
    return isinstance(arrived.event, Event) and mapping.takes(arrived.event, arrived.source)


def _show(bench: Workbench, mapping: CompiledMapping, arrived: Arrived, *, linked: bool, explain: bool) -> bool:
    event = arrived.event
    if isinstance(event, NotUnderstood):
        click.echo(f"{arrived.label}: not understood: {event.reason}")
        return False
    click.echo(f"{arrived.label}: {event.type} of {event.record}")
    if not mapping.takes(event, arrived.source):
        click.echo(f"  {mapping.name} does not take it, but would make this of it:")
    crm_id = dict(arrived.links).get(f"{mapping.destination}/{mapping.object}")
    change = mapping.translate(event, linked=linked or crm_id is not None, last=None)
    if explain:
        for line in _explained(mapping, event):
            click.echo(f"  {line}")
    if not isinstance(change, Change):
        click.echo(f"  {describe(change)}")
        return True
    for line in _changes(change):
        click.echo(f"  {line}")
    for line in _requests(bench, mapping, change, crm_id or ("LINKED-ID" if linked else None)):
        click.echo(f"  {line}")
    return True


def _shown(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def _changes(change: Change) -> Iterator[str]:
    yield f"{change.verb} in {change.destination}, {change.object}"
    for key in change.match:
        yield f"  match {key.name} = {_shown(key.value)}"
    if change.unmatchable:
        yield f"  not matched by {change.unmatchable}"
    for path, value in change.fields.items():
        only_now = "   (says only `now`: no change by itself)" if path in change.volatile else ""
        yield f"  set {path} = {_shown(value)}{only_now}"
    for path in sorted(change.clears):
        yield f"  clear {path}   (if the CRM had a value from us)"
    for path, value in change.create_fields.items():
        yield f"  on create only {path} = {_shown(value)}"
    for parent in change.parents:
        yield f"  link {parent.relation} to the {parent.object} of {parent.record} ({parent.mapping})"


def _requests(bench: Workbench, mapping: CompiledMapping, change: Change, crm_id: str | None) -> Iterator[str]:
    if not bench.has_config:
        yield "requests: unknown without a configuration (--config)"
        return
    full = {**change.fields, **(dict.fromkeys(sorted(change.clears)) if crm_id else {})}
    write = Write(
        id="preview",
        object=change.object,
        verb=change.verb,
        crm_id=crm_id,
        match=change.match,
        unmatchable=change.unmatchable,
        changed=full,
        full=full,
        create_only=change.create_fields if change.verb is Verb.UPSERT else {},
        when_gone=change.when_gone,
        many=change.many,
    )
    if mapping.destination not in bench.config.destinations:
        known = ", ".join(bench.config.destinations) or "none is configured"
        what = f"there is no destination {mapping.destination!r}"
        raise ProblemsError([bench.config.problem(("destinations",), what, known)])
    yield "requests it would begin with:"
    for request in bench.plan(mapping.destination, write):
        yield f"  {request.method} {request.url}   ({request.why})"
        if request.body is not None:
            yield f"    {_shown(request.body)}"


def _explained(mapping: CompiledMapping, event: Event) -> Iterator[str]:
    scope = Scope(event)
    if mapping.when is not None:
        yield "when"
        for step in mapping.when.explain(scope):
            yield _step(step)
    setters: list[tuple[str, Setter]] = [
        *(("match", setter) for setter in mapping.match),
        *(("set", setter) for setter in mapping.set),
        *(("on create only", setter) for setter in mapping.on_create_only),
    ]
    for top, setter in setters:
        yield f"{top} {setter.path}"
        if setter.expression is None:
            yield f"    the constant {_shown(setter.constant)}"
            continue
        for step in setter.expression.explain(scope):
            yield _step(step)


def _step(step: Step) -> str:
    value = "(not there)" if step.value is MISSING else repr(step.value)
    return f"    {step.text}  →  {step.error or value}"
