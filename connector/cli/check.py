"""`connector check`: everything that is wrong in configuration, presets and mappings, at once."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click

from connector.cli import exits
from connector.cli.workbench import Workbench, config_option, new_workbench
from connector.config.load import find
from connector.config.weak import warnings
from connector.crm.presets.load import examine_preset
from connector.files.problem import Problem, ProblemsError, Severity
from connector.mapping.facts import CrmObjects, nothing_known
from connector.mapping.load import Examined, defaults_of, examine, examine_files, files_of


@click.command("check")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, config_file: Path | None, as_json: bool, strict: bool, files: tuple[Path, ...]) -> None:
    """Say everything that is wrong in the configuration, its presets and its mappings.

    With FILEs, say what is wrong in those mapping files; the other files of their folder are read for what they link
    to. Without a configuration, mapping files are checked by themselves.

    Each line is `file:line:column: where: what; try …`. Exits 0 when all is well, 78 when something is wrong.
    """
    bench = new_workbench(ctx, config_file)
    facts: dict[str, object] = {}
    problems = _check_files(bench, files) if files else _check_all(bench, facts)
    wrong = [problem for problem in problems if strict or problem.severity is Severity.ERROR]
    if as_json:
        click.echo(
            json.dumps({"ok": not wrong, **facts, "problems": [_plain(problem) for problem in problems]}, indent=2)
        )
    else:
        for problem in problems:
            click.echo(str(problem), err=True)
        if not wrong:
            for name, fact in facts.items():
                click.echo(f"{name}: {fact if isinstance(fact, str) else ', '.join(map(str, _listed(fact)))}")
            click.echo("All is well." if not problems else "It can be used; see the warnings.")
    raise SystemExit(exits.CONFIGURATION if wrong else exits.DONE)


def _listed(fact: object) -> Sequence[object]:
    return list(fact) if isinstance(fact, list | tuple) else [fact]


def _plain(problem: Problem) -> dict[str, str | int]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "where": problem.where,
        "what": problem.what,
        "try": problem.hint,
        "severity": problem.severity.value,
    }


def _check_files(bench: Workbench, files: Sequence[Path]) -> list[Problem]:
    problems: list[Problem] = []
    facts: CrmObjects = nothing_known
    try:
        facts = bench.crm_objects
    except ProblemsError as error:
        problems += error.problems
    for folder in dict.fromkeys(path.parent for path in files):
        wanted = [path for path in files if path.parent == folder]
        found = examine_beside(folder, wanted, facts)
        names = {str(path) for path in wanted}
        defaults = defaults_of(folder)
        names |= {str(defaults)} if defaults else set()
        problems += [problem for problem in found.problems if problem.file in names]
    return sorted(set(problems))


def examine_beside(folder: Path, wanted: Sequence[Path], facts: CrmObjects = nothing_known) -> Examined:
    """Read these files with the others of their folder, which they may link to."""
    beside = [path for path in mapping_files(folder) if path not in wanted]
    return examine_files(sorted([*wanted, *beside]), defaults_of(folder), crm_objects=facts)


def mapping_files(folder: Path) -> list[Path]:
    """Return the mapping files of a folder."""
    return files_of(folder) if folder.is_dir() else []


def _check_all(bench: Workbench, facts: dict[str, object]) -> list[Problem]:
    try:
        config = bench.config
    except ProblemsError as error:
        return error.problems
    file = str(find(bench.config_file, os.environ))
    problems = [Problem(file, 1, 1, "", sentence, severity=Severity.WARNING) for sentence in warnings(config)]
    problems += _check_presets(bench)
    examined = examine(config.mappings, crm_objects=bench.crm_objects, sources=config.sources)
    problems += examined.problems
    if examined.mappings is not None:
        facts["mappings"] = [f"{mapping.name} ({mapping.version})" for mapping in examined.mappings.mappings.values()]
        facts["destinations"] = [f"{name} ({one.preset}, {one.mode})" for name, one in config.destinations.items()]
        facts["sources"] = list(config.sources)
        facts["tries"] = _tries(bench)
    return sorted(set(problems))


def _check_presets(bench: Workbench) -> list[Problem]:
    problems: list[Problem] = []
    config = bench.config
    for destination in config.destinations.values():
        try:
            problems += examine_preset(destination.preset, config.presets, destination.override)[1]
        except ProblemsError as error:
            problems += error.problems
    return problems


def _tries(bench: Workbench) -> str:
    told = bench.config.delivery.schedule
    waits, wait = [], told.first
    for _ in range(told.attempts - 1):
        waits.append(wait)
        wait = min(wait * told.factor, told.longest)
    shown = ", ".join(_span(one) for one in waits)
    over = _span(told.give_up_after)
    return f"{told.attempts}, with these waits: {shown or 'none'}; given up no sooner than after {over}"


def _span(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
