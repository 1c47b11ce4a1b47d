"""`connector erase`: remove a person (S28)."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from connector.cli import exits, forms
from connector.cli.options import config_option, json_option
from connector.cli.text import clean, count
from connector.config.load import load
from connector.config.model import Config
from connector.domain.mentions import addresses
from connector.domain.record import Record, RecordKind
from connector.outbox.erasure import CrmRecord, Erasure, Found, Person, Writers
from connector.outbox.port import OutboxError
from connector.process.clock import SystemClock

_SHOWN = 20
NOT_COVERED = (
    "Not covered: backups of the outbox, logs, what the CRM and Copernica keep themselves, and blocks of the disk that "
    "the file gave back. Copernica has to erase the profile, too: its next call about it would begin anew."
)


@click.command("erase")
@click.option("--profile", metavar="DATABASE/ID", help="That profile, and its subprofiles.")
@click.option("--subprofile", metavar="COLLECTION/ID", help="That subprofile.")
@click.option("--email", metavar="ADDRESS", help="Every record whose stored calls mention the address.")
@click.option(
    "--crm",
    type=click.Choice(["erase", "keep"]),
    required=True,
    help="erase: have the linked CRM records removed, whatever the mappings say about deletes. keep: leave them there.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask. Asked is only at a terminal.")
@click.option(
    "--rewrite", is_flag=True, help="Write a file of more than 256 MiB anew as well; holds calls up meanwhile."
)
@json_option
@config_option
def erase(
    profile: str | None,
    subprofile: str | None,
    email: str | None,
    crm: str,
    dry_run: bool,
    yes: bool,
    rewrite: bool,
    as_json: bool,
    config_file: Path | None,
) -> int:
    """Remove a person from the outbox: calls, links, what the CRM accepted, old addresses, e-mail events.

    Every stored call is searched, decoded, whatever became of it. What is left is a tombstone without personal data,
    which refuses older calls and e-mail events of the address. Look with --dry-run first: with --email, every record
    that mentions the address is erased.

    Exits 1 when nothing is known of that person (the tombstone is set all the same), or when traces are left.
    """
    from connector.compose.erasing import open_eraser, writers  # noqa: PLC0415 - it knows every adapter

    person = _person(profile, subprofile, email)
    config = load(config_file, os.environ)
    if not config.outbox.path.exists():
        raise OutboxError(f"there is no outbox at {config.outbox.path}; the receiver makes it when it starts")
    is_crm = crm == "erase"
    by_mapping: Writers = writers(config) if is_crm else (lambda _destination, _object: ())
    with open_eraser(config, readonly=dry_run) as eraser:
        found = eraser.find(person)
        expected = eraser.preview(found, by_mapping, crm=is_crm)
        if not (dry_run or yes) and sys.stdin.isatty():
            for line in _plan(expected):
                click.echo(line, err=True)
            if not click.confirm("Erase all this? It cannot be undone", err=True):
                click.echo("Nothing was changed.", err=True)
                return exits.NOT_SO
        receipt = expected
        if not dry_run:
            receipt = eraser.erase(found, SystemClock().now(), by_mapping, crm=is_crm, rewrite=rewrite)
    if as_json:
        forms.show_json(_form(receipt, crm, dry_run=dry_run))
    else:
        for line in _plan(receipt) if dry_run else _told(receipt, found, config):
            click.echo(line)
    return exits.NOT_SO if found.is_empty or receipt.traces else exits.DONE


def _person(profile: str | None, subprofile: str | None, email: str | None) -> Person:
    given = [
        (kind, text) for kind, text in (("profile", profile), ("subprofile", subprofile), ("email", email)) if text
    ]
    if len(given) != 1:
        raise click.UsageError("Say whom: exactly one of --profile, --subprofile and --email.")
    kind, text = given[0]
    if kind == "email":
        if addresses(text) != {text.strip().lower()}:
            raise click.BadParameter("that is not one e-mail address", param_hint="--email")
        return Person(address=text.strip())
    scope, slash, identity = text.partition("/")
    if not (slash and scope.isdecimal() and identity.isdecimal()):
        owner = "DATABASE" if kind == "profile" else "COLLECTION"
        raise click.BadParameter(f"it is {owner}/ID, two numbers", param_hint=f"--{kind}")
    return Person(record=Record(RecordKind(kind), str(int(scope)), str(int(identity))))


def _plan(receipt: Erasure) -> Iterator[str]:
    yield from _things("Would be erased:", receipt)
    for title, links in (
        ("Would be removed from the CRM:", receipt.erasing),
        ("Would stay in the CRM:", receipt.kept),
        ("No mapping writes there any more, remove it by hand:", receipt.by_hand),
    ):
        yield from _links(title, links)
    yield from _doubts(receipt)


def _told(receipt: Erasure, found: Found, config: Config) -> Iterator[str]:
    if found.is_empty:
        yield "Nothing is stored of that person. Older calls are refused from now on."
    else:
        yield from _things("Erased:", receipt)
    yield from _links("Waits to be removed from the CRM:", receipt.erasing)
    for link in receipt.erasing:
        if config.destinations[link.destination].mode == "observe":
            yield f'  {link.destination} is only observed (mode = "observe"): nothing is sent before it is live.'
    if receipt.erasing:
        yield "Next: `connector show EVENT` says when it is done; should it fail, `connector status` exits 1."
    yield from _links("Stays in the CRM, not linked any more:", receipt.kept)
    yield from _links("No mapping writes there any more, remove it by hand:", receipt.by_hand)
    yield from _doubts(receipt)
    if not receipt.rewritten:
        yield "The file is large and was not written anew: remains may lie in it. Try --rewrite, at a quiet hour."
    for trace in receipt.traces:
        yield f"Not clean: {trace}. Remove it if it is a copy; else run the same command again."
    yield NOT_COVERED


def _things(title: str, receipt: Erasure) -> Iterator[str]:
    records = [
        key if not key.startswith("recipient/") else "an address that e-mail events name" for key in receipt.records
    ]
    yield title
    for key in list(dict.fromkeys(records))[:_SHOWN]:
        yield f"  {clean(key)}"
    if len(records) > _SHOWN:
        yield f"  … {count(len(records), 'record')} in all"
    yield f"  {count(receipt.events + receipt.unproven, 'stored call')}"
    if receipt.deletes:
        yield f"  {count(receipt.deletes, 'delete')} of Copernica still waiting: kept, with IDs only"
    if receipt.shared:
        others = ", ".join(receipt.shared[:_SHOWN])
        yield f"Left alone: {clean(others)} (an address in common stays with them). Erase them by name."


def _links(title: str, links: Sequence[CrmRecord]) -> Iterator[str]:
    if links:
        yield title
    for link in links:
        event = "" if link.event is None else f" (event {link.event})"
        yield f"  {clean(link.destination)}/{clean(link.object)} {clean(link.crm_id)}{event}"


def _doubts(receipt: Erasure) -> Iterator[str]:
    for place in receipt.in_doubt:
        yield f"In doubt: a create may have reached {clean(place)} whose answer is missing. Look there by hand."


def _form(receipt: Erasure, crm: str, *, dry_run: bool) -> dict[str, Any]:
    def links(found: Sequence[CrmRecord]) -> list[dict[str, Any]]:
        return [
            {"destination": one.destination, "object": one.object, "crm_id": one.crm_id, "event": one.event}
            for one in found
        ]

    return {
        "command": "erase",
        "dry_run": dry_run,
        "crm": crm,
        "records": list(receipt.records),
        "left_alone": list(receipt.shared),
        "calls": receipt.events + receipt.unproven,
        "erasing": links(receipt.erasing),
        "kept": links(receipt.kept),
        "by_hand": links(receipt.by_hand),
        "in_doubt": list(receipt.in_doubt),
        "deletes_waiting": receipt.deletes,
        "rewritten": receipt.rewritten,
        "traces": list(receipt.traces),
        "not_covered": NOT_COVERED,
    }
