"""Reads a folder of mapping files: all of them are good, or none is taken."""

import gc
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connector.files.problem import Problem, ProblemsError, Severity
from connector.mapping.assemble import assemble
from connector.mapping.check import check_all
from connector.mapping.draft import Draft, draft, read_defaults
from connector.mapping.facts import CrmObjects, nothing_known
from connector.mapping.mapping_set import Mappings
from connector.mapping.model import Example

ENDINGS = (".yaml", ".yml", ".toml")
DEFAULTS = "_defaults"


@dataclass(frozen=True, slots=True)
class FileExamples:
    """The examples that stand in one mapping file."""

    file: str
    mapping: str
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of reading a folder: the mappings (None when there are errors), their examples, and every problem."""

    mappings: Mappings | None
    examples: Sequence[FileExamples]
    problems: Sequence[Problem]

    @property
    def errors(self) -> Sequence[Problem]:
        """The problems that make the files unusable."""
        return [problem for problem in self.problems if problem.severity is Severity.ERROR]


def load_mappings(
    folder: Path, *, crm_objects: CrmObjects = nothing_known, sources: Collection[str] | None = None
) -> Mappings:
    """Return all mappings of a folder. Raises ProblemsError with every error of every file: all are good, or none.

    `crm_objects` tells what the CRM's presets know, `sources` which sources are configured; None: do not look.
    """
    examined = examine(folder, crm_objects=crm_objects, sources=sources)
    if examined.mappings is None:
        raise ProblemsError(examined.errors)
    return examined.mappings


def examine(
    folder: Path, *, crm_objects: CrmObjects = nothing_known, sources: Collection[str] | None = None
) -> Examined:
    """Read all mapping files of a folder: `*.yaml`, `*.yml` and `*.toml` whose names begin with a letter or number."""
    if not folder.is_dir():
        what = "there is no such folder" if not folder.exists() else "this is a file; mappings live in a folder"
        return Examined(None, (), [Problem(str(folder), 1, 1, "", what, "`connector init`, which makes one")])
    return examine_files(files_of(folder), defaults_of(folder), crm_objects=crm_objects, sources=sources)


def files_of(folder: Path) -> list[Path]:
    """Return the mapping files of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.name[0] not in "._")


def defaults_of(folder: Path) -> Path | None:
    """Return the file with the folder's defaults, if there is one."""
    return next((path for ending in ENDINGS if (path := folder / f"{DEFAULTS}{ending}").is_file()), None)


def examine_files(
    files: Sequence[Path],
    defaults: Path | None = None,
    *,
    crm_objects: CrmObjects = nothing_known,
    sources: Collection[str] | None = None,
) -> Examined:
    """Read these mapping files, and no others."""
    with _uncollected():
        return _examined(files, defaults, crm_objects, sources)


def _examined(
    files: Sequence[Path], defaults: Path | None, crm_objects: CrmObjects, sources: Collection[str] | None
) -> Examined:
    shared, problems = read_defaults(defaults)
    drafts: list[Draft] = []
    for path in files:
        made, more = draft(path, shared)
        problems = [*problems, *more]
        if made is not None:
            drafts.append(made)
    problems = [*problems, *check_all(drafts, shared, crm_objects, sources, whole=len(drafts) == len(files))]
    problems = sorted(set(problems))
    if any(problem.severity is Severity.ERROR for problem in problems):
        return Examined(None, (), problems)
    by_name = {made.model.name: made for made in drafts}
    examples = [FileExamples(str(made.path), made.model.name, made.model.examples) for made in drafts]
    return Examined(Mappings(assemble(made, by_name) for made in drafts), examples, problems)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nearly all that loading makes is there to stay: looking through it for garbage would take a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
