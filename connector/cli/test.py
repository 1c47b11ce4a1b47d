"""`connector test`: runs the examples in mapping files."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import click

from connector.cli import exits
from connector.cli.check import examine_beside
from connector.cli.workbench import config_option, give_up, new_workbench
from connector.files.problem import ProblemsError
from connector.mapping.examples import Result, run
from connector.mapping.load import Examined, examine


@click.command("test")
@config_option
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit report into this file.")
@click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path))
@click.pass_context
def test(ctx: click.Context, config_file: Path | None, junit: Path | None, files: tuple[Path, ...]) -> None:
    """Run the examples in FILEs, or in all mapping files of the configuration, and show what came out otherwise.

    Nothing is sent. Exits 0 when every example holds, 1 when one does not, 78 when a file is wrong (see `check`).
    """
    bench = new_workbench(ctx, config_file)
    try:
        examined: list[tuple[Path | None, Examined]] = [(file, examine_beside(file.parent, [file])) for file in files]
        if not files:
            examined = [(None, examine(bench.config.mappings))]
    except ProblemsError as error:
        give_up(error.problems)
    results: list[tuple[str, Result]] = []
    for file, one in examined:
        if one.mappings is None:
            give_up(one.errors)
        results += _run(one, file)
    for where, result in results:
        _show(result, where)
    failed = sum(not result.holds for _, result in results)
    click.echo(
        f"{len(results)} examples, {failed} {'does' if failed == 1 else 'do'} not hold."
        if failed
        else f"{len(results)} examples, all hold."
    )
    if junit is not None:
        junit.write_text(_junit([result for _, result in results]), encoding="utf-8")
    raise SystemExit(exits.NOT_SO if failed else exits.DONE)


def _run(examined: Examined, file: Path | None) -> list[tuple[str, Result]]:
    assert examined.mappings is not None
    return [
        (group.file, run(examined.mappings.mappings[group.mapping], example, number))
        for group in examined.examples
        if file is None or group.file == str(file)
        for number, example in enumerate(group.examples, 1)
    ]


def _show(result: Result, file: str) -> None:
    click.echo(f"ok    {result.mapping}: {result.name}" if result.holds else f"WRONG {file}: {result.name}")
    for difference in result.differences:
        click.echo(f"        {difference.about}")
        click.echo(f"          - {difference.expected}")
        click.echo(f"          + {difference.found}")


def _junit(results: Sequence[Result]) -> str:
    failed = sum(not result.holds for result in results)
    suite = ET.Element("testsuite", name="mappings", tests=str(len(results)), failures=str(failed))
    for result in results:
        case = ET.SubElement(suite, "testcase", classname=result.mapping, name=result.name)
        if result.differences:
            lines = [f"{one.about}: expected {one.expected}, found {one.found}" for one in result.differences]
            failure = ET.SubElement(case, "failure", message=lines[0])
            failure.text = "\n".join(lines)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"
