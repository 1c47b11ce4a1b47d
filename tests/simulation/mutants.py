"""`python -m tests.simulation.mutants`: does the simulation notice? One-place patches to a copy of the real source.

Each mutant is first run in simulated worlds, then against the tests; the first that fails has caught it. The command
exits 1 when one is caught by nothing, when a patch does not fit any more, or when the unchanged copy fails itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
_TESTS = (
    "tests/simulation/test_rare.py",
    "tests/delivery",
    "tests/outbox",
    "tests/receive",
    "tests/mapping/test_translate.py",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake that somebody could make: in `file`, `old` becomes `new`. `old` stands there exactly once."""

    name: str
    file: str
    old: str
    new: str


_EARLY = """
            for order in group:
                order.result, early, order.signal = Receipt(1, duplicate=False), order.signal, self._signal()
                early.set()
            receipts = self._use(lambda inbox: inbox.append([order.call for order in group]))
"""

MUTANTS = (
    Mutant("settle without looking at the lease", "outbox/sqlite/settling.py",
           "elif state != LEASED or lease != settlement.lease:", "elif state != LEASED:"),
    Mutant("lease what is leased already", "outbox/sqlite/taking.py",
           'f" WHERE d.id {marks} AND d.state = 0 AND d.due_at IS NOT NULL"', 'f" WHERE d.id {marks}"'),
    Mutant("a claim that was decided on an older link is granted", "outbox/sqlite/taking.py",
           "(version or 0) != take.link_version or record in marked:", "False:"),
    Mutant("no superseding when a newer state comes in", "outbox/sqlite/routing.py",
           "superseded = self._lines.supersede(*line, (PENDING, HELD), event_id, now) if supersedes else 0", "superseded = 0"),
    Mutant("no superseding of what is tried again", "outbox/sqlite/settling.py",
           "if state == PENDING and not flags & (Flag.EACH | Flag.EXACT):", "if False:"),
    Mutant("no superseding of what is held when a newer one was delivered (S6)", "outbox/sqlite/settling.py",
           "self._lines.supersede(record, mapping, (DEAD, HELD), event, now)", "pass"),
    Mutant("superseding across mappings", "outbox/sqlite/lines.py",
           "WHERE {OF_LINE} AND state IN ({marks}) AND event <> ?",
           "WHERE record = ? AND (mapping = ? OR 1) AND state IN ({marks}) AND event <> ?"),
    Mutant("the line's newest state is not remembered", "outbox/sqlite/routing.py",
           "is_newest = line is None or (route.rank, event_id) > (line[0], line[1])", "is_newest = True"),
    Mutant("accepted is not marked unknown before a write (S8)", "outbox/sqlite/links.py",
           "self._put_accepted(link, mapping, during)", "pass"),
    Mutant("what was accepted is restored after a failure that wrote", "deliver/conclude.py",
           "if outcome.wrote or outcome.unlinked or outcome.crm_id not in (None, link.crm_id):", "if False:"),
    Mutant("an unanswered write counts as answered", "deliver/conclude.py",
           "in_doubt = kind in (OutcomeKind.RETRY, OutcomeKind.AMBIGUOUS) and outcome.wrote", "in_doubt = False"),
    Mutant("recovery forgets what is in doubt", "outbox/sqlite/settling.py",
           '"UPDATE links SET doubt_at = min(doubt_at, ?) WHERE record = ?"',
           '"UPDATE links SET doubt_at = nullif(?, doubt_at) AND NULL WHERE record = ?"'),
    Mutant("no time is given to the CRM (visible_after)", "deliver/plan.py",
           "ready = doubt + known.visible_after(due.destination, due.object)", "ready = doubt"),
    Mutant("a create in doubt is looked for by the present key only", "deliver/plan.py",
           "found.update(dict.fromkeys(key for key in then.match if key not in change.match))", "pass"),
    Mutant("calls are told apart by their body", "outbox/sqlite/inbox.py",
           "proof_key(call.request.proof, call.request.signed_at)",
           'proof_key(__import__("hashlib").sha256(call.request.request.body).digest(), 0)'),
    Mutant("one happening by two webhooks counts twice", "outbox/sqlite/routing.py",
           "return done.rowcount == 1", "return True"),
    Mutant("events that are delivered each are superseded", "deliver/routes.py",
           "is_state=mapping.deliver is Deliver.STATE", "is_state=True"),
    Mutant("a doubt sends an event of an each mapping again", "outbox/sqlite/lines.py",
           "if row is None or row[2] & Flag.EACH:", "if row is None:"),
    Mutant("a delete without fields is skipped", "mapping/translate.py", "        if not linked:", "        if True:"),
    Mutant("a shared record is erased with the first link", "deliver/plan.py",
           "if crm_id is not None and known.sharers(", "if False and known.sharers("),
    Mutant("a record that a delete finds is erased unseen", "deliver/plan.py",
           "looks = crm_id is None and bool(change.match)", "looks = False"),
    Mutant("the other record's state is not sent again after unlinking (S16)", "outbox/sqlite/settling.py",
           "if settlement.renew_sharers and not self._renew_sharers(record, destination, obj, mapping, now):", "if False:"),
    Mutant("a newer state does not go whole in the place of one that was to", "outbox/sqlite/lines.py",
           "if any(flags & WHOLE for (flags,) in done):", "if False:"),
    Mutant("what another record's unanswered write went into counts as known", "outbox/sqlite/links.py",
           "if change.touched is not None:", "if False:"),
    Mutant("our own erasure is taken for a person's", "deliver/plan.py",
           "if isinstance(then, Change) and then.verb.removes:", "if False:"),
    Mutant("created and deleted before anything left is sent (S5)", "deliver/plan.py",
           "if due.is_delete and due.created_here and not link.attempted and not due.forced:", "if False:"),
    Mutant("the gate is always open", "deliver/work.py",
           "self._is_stopping() or self._clock.elapsed() > self._job.send_by", "self._is_stopping()"),
    Mutant("what was decided by a time of day that was ahead is sent", "deliver/work.py", "return went_back or ", "return "),
    Mutant("what is decided stands although the record is to go whole by then", "outbox/sqlite/lines.py",
           "            self._decide_anew(record)\n        else:", "            pass\n        else:"),
    Mutant("locks are not looked at", "outbox/sqlite/locks.py", "for key in keys:", "for key in keys[:0]:"),
    Mutant("match keys are free before a search shows what was made", "outbox/sqlite/locks.py",
           "for one in lasting]", "for one in ()]"),
    Mutant("children are not linked when their parent comes", "outbox/sqlite/links.py",
           "return self._children(record, destination, obj, change.crm_id) if comes else []", "return []"),
    Mutant("the newest state does not go again after a late answer (S21)", "outbox/sqlite/settling.py",
           "self._lines.doubt(target[0], mapping, now)", "pass"),
    Mutant("no guard against mass deletes", "deliver/guard.py", "if done + wanted <= count:", "if True:"),
    Mutant("a throttle costs an attempt", "deliver/conclude.py",
           "_FREE = {OutcomeKind.THROTTLED, OutcomeKind.UNAUTHORISED, OutcomeKind.NOT_SENT}",
           "_FREE = {OutcomeKind.UNAUTHORISED, OutcomeKind.NOT_SENT}"),
    Mutant("attempts count while the CRM is down", "deliver/conclude.py",
           "counted = healthy and kind not in _FREE", "counted = kind not in _FREE"),
    Mutant("a first contact wipes what the CRM has (S17)", "domain/accepted.py",
           "clears = {path for path in change.clears if last.hashes.get(path, EMPTY) != EMPTY}",
           "clears = set(change.clears)"),
    Mutant("a replay takes the newest by arrival", "outbox/sqlite/desk.py",
           "key=lambda row: (row[7] or 0, row[1])", "key=lambda row: row[1]"),
    Mutant("a full disk loses answers that came back", "deliver/engine.py",
           "for result in self._unsettled:", "for result in [self._unsettled.pop(0) for _ in list(self._unsettled)]:"),
    Mutant("leases are made before the boot is known", "deliver/engine.py",
           "gone = self.queue.gone()\n", "self._recovered_at = elapsed\n        gone = self.queue.gone()\n"),
    Mutant("a turn ends with what is not synced", "deliver/engine.py", "            self.queue.sync()\n", "            pass\n"),
    Mutant("calls are answered before they are on disk", "receive/committer.py",
           "            receipts = self._use(lambda inbox: inbox.append([order.call for order in group]))\n", _EARLY),
    Mutant("recovery ends no lease by its time", "outbox/sqlite/settling.py",
           "(lease_until < ? OR lease >>", "(lease_until < 0 * ? OR lease >>"),
    Mutant("what is pending is pruned", "outbox/sqlite/pruning.py", "if states & _OPEN:", "if False:"),
    Mutant("a replay goes before live traffic", "outbox/sqlite/desk.py",
           "self._lines.renew(record, mapping, now, priority=Priority.REPLAY)", "self._lines.renew(record, mapping, now)"),
    Mutant("a proof is forgotten while it counts", "outbox/sqlite/pruning.py",
           "ORDER BY rowid LIMIT ?) AND until < ?", "ORDER BY rowid LIMIT ?) AND until > ?"),
    Mutant("what waits behind a held head waits for ever", "outbox/sqlite/desk.py",
           "for row in done:\n                    self._lines.unblock(row[4], row[3], now)\n        return Done(len(done), ids",
           "for row in done[:0]:\n                    self._lines.unblock(row[4], row[3], now)\n        return Done(len(done), ids"),
)  # fmt: skip


def _copy(folder: Path) -> None:
    """Copy the source as it is now: all mutants are made from this copy, whoever goes on working on the other."""
    hidden = shutil.ignore_patterns("__pycache__", "*.pyc", "node_modules", ".*")
    for name in ("connector", "tests", "mappings", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=hidden)
    for name in ("pyproject.toml", "config.example.toml"):
        shutil.copy(ROOT / name, folder / name)


def _python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _caught(folder: Path, seeds: int) -> str:
    """Return what notices, empty if nothing does."""
    where = _python(folder, "-c", "import connector; print(connector.__file__)").stdout
    if not where.startswith(str(folder.resolve())):
        return f"!! the copy is not what is run, but {where.strip()}"
    worlds = _python(folder, "-m", "tests.simulation", "--quick", "--seeds", str(seeds))
    if worlds.returncode:
        found = re.search(r"^seed (\d+): (.*)$", worlds.stdout, re.MULTILINE)
        return f"seed {found[1]}: {found[2][:140]}" if found else f"!! {worlds.stderr[-200:]}"
    tests = _python(folder, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *_TESTS)
    if tests.returncode:
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", tests.stdout, re.MULTILINE)
        return f"test {found[1]}" if found else f"!! {tests.stdout[-200:]}"
    return ""


def _try(mutant: Mutant, seeds: int, source: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name) / "copy"
        shutil.copytree(source, folder)
        path = folder / "connector" / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            return f"!! its place is found {text.count(mutant.old)} times in connector/{mutant.file}: mend the mutant"
        path.write_text(text.replace(mutant.old, mutant.new))
        return _caught(folder, seeds)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seeds", default=300, show_default=True, type=click.IntRange(1), help="worlds for each mutant, at most")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="mutants that are tried together")
@click.option("--only", default="", help="those with this in their name")
def main(seeds: int, jobs: int, only: str) -> None:
    """Patch a copy of the real source in one place, and show which seed or test notices."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        source = Path(name) / "source"
        source.mkdir()
        _copy(source)
        wrong = _caught(source, seeds)
        if wrong:
            click.echo(f"the unchanged source fails already, so nothing can be said: {wrong}")
            sys.exit(1)
        click.echo(f"the unchanged source: {seeds} worlds and {len(_TESTS)} folders of tests, nothing fails")
        sys.exit(1 if _try_all(source, seeds, jobs, only) else 0)


def _try_all(source: Path, seeds: int, jobs: int, only: str) -> list[str]:
    """Return the mutants that nothing has caught."""
    chosen = [mutant for mutant in MUTANTS if only in mutant.name]
    escaped = []
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, caught in zip(chosen, pool.map(lambda one: _try(one, seeds, source), chosen), strict=True):
            if not caught or caught.startswith("!!"):
                escaped.append(mutant.name)
            click.echo(f"{mutant.name}\n    {caught or 'NOT CAUGHT'}")
    click.echo(f"{len(chosen)} mutants, {len(chosen) - len(escaped)} caught")
    for name in escaped:
        click.echo(f"not caught: {name}")
    return escaped


if __name__ == "__main__":
    main()
