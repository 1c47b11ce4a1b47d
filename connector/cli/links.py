"""`connector links`: which CRM record is whose; carry it elsewhere, bring it in."""

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import click

from connector.cli import exits, forms
from connector.cli.linkfile import PlacedLink, as_csv, as_json_lines, head_of_csv, read_links
from connector.cli.moments import both, iso
from connector.cli.options import config_option, json_option
from connector.cli.outbox import configured
from connector.cli.text import clean, count, table
from connector.config.model import Config
from connector.domain.record import Record
from connector.outbox.port import Link, Linkbook, LinkDetail, LinkFate, LinkTaken, SharedRecord
from connector.process.clock import SystemClock

_AT_ONCE = 500
"""Links that are taken in by one transaction: the receiver waits for no longer than that."""

_SHOWN = 20
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}

_destination = click.option("--destination", metavar="NAME", help="Of that destination only.")
_object = click.option("--object", "object_name", metavar="NAME", help="Of that object of the CRM's only.")


@click.group("links")
def links() -> None:
    """Show, export and import record links: which Copernica record is which CRM record.

    The connector learns them by itself. They outlive the retention of events, and nothing else knows them: a CRM that
    cannot be asked for a Copernica ID gets a second record for each one that is lost. A backup of the outbox has them.
    """


@links.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@_destination
@_object
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    help="Default: by FILE's name, else CSV. jsonl: JSON lines.",
)
@config_option
def export(
    file: Path | None, destination: str | None, object_name: str | None, form: str | None, config_file: Path | None
) -> int:
    """Write record links to FILE, or print them: destination, object, record, crm_id.

    Links of e-mail addresses are left out: the outbox knows an address by a hash of its own, which means nothing
    elsewhere. FILE is replaced, as a whole, when everything is written.
    """
    config = configured(config_file)
    chosen = form or (_SUFFIXES.get(file.suffix.lower(), "csv") if file is not None else "csv")
    if file is not None and not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}", param_hint="FILE")
    with _linkbook(config, readonly=True) as book:
        if file is None:
            _write(sys.stdout, book, (destination, object_name), chosen)
            return exits.DONE
        number = _write_file(file, book, (destination, object_name), chosen)
    click.echo(f"{file}: {count(number, 'link')}.")
    return exits.DONE


@links.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--replace", is_flag=True, help="A record that is linked with another CRM record gets this one.")
@json_option
@config_option
def import_(file: BinaryIO, dry_run: bool, replace: bool, as_json: bool, config_file: Path | None) -> int:
    """Take record links in from FILE (- is standard input), as `export` writes them: CSV or JSON lines.

    The file is read as a whole first. With a wrong line in it nothing is imported, and every wrong line is told; with a
    record that is linked with another CRM record nothing is imported without --replace. Receiver and deliverer may run.

    A new link sends nothing by itself: the next change of the record goes to its CRM record, with all its fields.
    Records that waited for that link to be linked with it are sent now.

    Exits 1 when something was left as it is, 78 when the file has mistakes.
    """
    config = configured(config_file)
    name = str(getattr(file, "name", "FILE"))
    placed = read_links(name, file.read(), _objects(config))
    with _linkbook(config, readonly=False) as book:
        expected = [taken for part in _parts(placed) for taken in book.weigh(_links(part), replace=replace)]
        refused = any(taken.fate is LinkFate.CONFLICT for taken in expected)
        result = expected
        if not dry_run and not refused:
            now = SystemClock().now()
            result = [taken for part in _parts(placed) for taken in book.take_in(_links(part), now, replace=replace)]
    fates = Counter(taken.fate for taken in result)
    if as_json:
        forms.show_json(_form(placed, result, fates, changed=not (dry_run or refused)))
    else:
        for line in _told(name, placed, result, fates, dry_run=dry_run, refused=refused):
            click.echo(line)
    left = fates[LinkFate.CONFLICT] + fates[LinkFate.BUSY] + fates[LinkFate.ERASED]
    return exits.NOT_SO if left else exits.DONE


@links.command("show")
@click.argument("record", metavar="RECORD")
@json_option
@config_option
def show(record: str, as_json: bool, config_file: Path | None) -> int:
    """Tell which CRM records a Copernica record is linked with.

    RECORD is profile/DATABASE/ID, subprofile/COLLECTION/ID or recipient/SOURCE/ADDRESS.

    Exits 1 when nothing is known of it.
    """
    try:
        wanted = Record.parse(record)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="RECORD") from None
    config = configured(config_file)
    with _linkbook(config, readonly=True) as book:
        found = book.of_record(wanted)
    if as_json:
        forms.show_json({"record": record, "links": [_detail_form(one) for one in found]})
    elif not found:
        click.echo(f"Nothing is known of {clean(record)}: nothing was ever sent for it.", err=True)
    for line in [] if as_json else [line for one in found for line in _detail(one)]:
        click.echo(line)
    return exits.DONE if found else exits.NOT_SO


@links.command("shared")
@_destination
@_object
@json_option
@config_option
def shared(destination: str | None, object_name: str | None, as_json: bool, config_file: Path | None) -> int:
    """List the CRM records that several Copernica records are linked with.

    Each of these records writes to the one CRM record, and a delete of one only ends its link: the CRM record goes with
    the last. Where that is not meant, give the mapping a match key that tells the records apart. Every link is looked
    at, which takes a second or two for a million of them.
    """
    config = configured(config_file)
    with _linkbook(config, readonly=True) as book:
        found = book.shared(destination, object_name)
    if as_json:
        forms.show_json({"shared": [_shared_form(one) for one in found]})
    elif not found:
        click.echo("No CRM record is shared.")
    else:
        rows = [(f"{one.destination}/{one.object}", clean(one.crm_id), ", ".join(one.records)) for one in found]
        click.echo("\n".join(table(("CRM", "CRM ID", "RECORDS"), rows)))
    return exits.DONE


# ── reading and writing ─────────────────────────────────────────────────────────────────────────────────────────────


def _linkbook(config: Config, *, readonly: bool) -> AbstractContextManager[Linkbook]:
    from connector.compose.desk import open_linkbook  # noqa: PLC0415 - it knows the adapter; a wrong word needs none

    return open_linkbook(config, readonly=readonly)


def _objects(config: Config) -> Mapping[str, Collection[str]]:
    from connector.crm.presets.load import load_preset  # noqa: PLC0415 - only an import needs it

    return {
        name: tuple(load_preset(section.preset, config.presets, section.override).objects)
        for name, section in config.destinations.items()
    }


def _write(out: TextIO, book: Linkbook, wanted: tuple[str | None, str | None], form: str) -> int:
    if form == "csv":
        out.write(head_of_csv())
    number, after = 0, 0
    while True:
        found, after = book.page(*wanted, _AT_ONCE, after)
        out.writelines(as_csv(found) if form == "csv" else as_json_lines(found))
        number += len(found)
        if not after:
            return number


def _write_file(file: Path, book: Linkbook, wanted: tuple[str | None, str | None], form: str) -> int:
    """Write beside it, and put it in its place when it is whole."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            with beside.open("x", encoding="utf-8", newline="") as out:
                number = _write(out, book, wanted, form)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from None
    return number


def _parts(placed: Sequence[PlacedLink]) -> Iterator[Sequence[PlacedLink]]:
    for start in range(0, len(placed), _AT_ONCE):
        yield placed[start : start + _AT_ONCE]


def _links(placed: Sequence[PlacedLink]) -> Sequence[Link]:
    return [each.link for each in placed]


# ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────────


_LEFT = {
    LinkFate.CONFLICT: "linked with another CRM record, {before}",
    LinkFate.BUSY: "a delivery of it is under way: import it again",
    LinkFate.ERASED: "erased by an operator: its link does not come back",
}


def _told(
    name: str,
    placed: Sequence[PlacedLink],
    result: Sequence[LinkTaken],
    fates: Counter[LinkFate],
    *,
    dry_run: bool,
    refused: bool,
) -> Iterator[str]:
    left = [(each, taken) for each, taken in zip(placed, result, strict=True) if taken.fate in _LEFT]
    for each, taken in left[:_SHOWN]:
        why = _LEFT[taken.fate].format(before=taken.before)
        yield clean(f"{name}:{each.line}: {each.link.record} in {each.link.destination}/{each.link.object}: {why}")
    if len(left) > _SHOWN:
        yield f"… and {len(left) - _SHOWN:,} more; --json has them all"
    if refused:
        yield f"{count(fates[LinkFate.CONFLICT], 'record is', 'records are')} linked with another CRM record."
        yield "Nothing was imported. --replace gives them the CRM record of the file."
        return
    make, replace = ("to make", "to replace") if dry_run else ("made", "replaced")
    made, replaced, same = (fates[fate] for fate in (LinkFate.MADE, LinkFate.REPLACED, LinkFate.SAME))
    yield f"Links: {made:,} {make}, {replaced:,} {replace}, {same:,} there already."
    children = sum(taken.children for taken in result)
    if children:
        yield f"{count(children, 'record')} waited for them and {'is' if children == 1 else 'are'} sent now."
    if dry_run:
        yield "Nothing was changed (--dry-run)."
    elif fates[LinkFate.MADE] or fates[LinkFate.REPLACED]:
        yield "Next: the next change of each goes to its CRM record; `connector replay` sends what is there at once."


def _form(
    placed: Sequence[PlacedLink], result: Sequence[LinkTaken], fates: Counter[LinkFate], *, changed: bool
) -> dict[str, Any]:
    return {
        "command": "links import",
        "changed": changed,
        "made": fates[LinkFate.MADE],
        "replaced": fates[LinkFate.REPLACED],
        "same": fates[LinkFate.SAME],
        "children": sum(taken.children for taken in result),
        "left": [
            {
                "line": each.line,
                "destination": each.link.destination,
                "object": each.link.object,
                "record": each.link.record,
                "crm_id": each.link.crm_id,
                "why": taken.fate.value,
                "linked_with": taken.before,
            }
            for each, taken in zip(placed, result, strict=True)
            if taken.fate in _LEFT
        ],
    }


def _detail(one: LinkDetail) -> Iterator[str]:
    now = SystemClock().now()
    yield f"{one.destination}/{one.object}: {clean(one.crm_id) if one.crm_id is not None else 'not linked'}"
    if one.gone_at is not None:
        yield f"  a person deleted the record in the CRM; seen {both(one.gone_at, now)}"
    if one.doubt_at is not None:
        yield f"  in doubt: the answer to a write is missing, of {both(one.doubt_at, now)} at the latest"
    if one.sharers:
        yield f"  shared with {', '.join(map(clean, one.sharers))}"
    if one.waiting:
        yield f"  {count(one.waiting, 'record waits', 'records wait')} to be linked with it"


def _detail_form(one: LinkDetail) -> dict[str, Any]:
    return {
        "destination": one.destination,
        "object": one.object,
        "crm_id": one.crm_id,
        "gone_at": iso(one.gone_at),
        "doubt_at": iso(one.doubt_at),
        "shared_with": list(one.sharers),
        "waiting": one.waiting,
    }


def _shared_form(one: SharedRecord) -> dict[str, Any]:
    return {
        "destination": one.destination,
        "object": one.object,
        "crm_id": one.crm_id,
        "records": list(one.records),
    }
