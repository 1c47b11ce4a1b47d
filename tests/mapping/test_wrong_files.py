"""Wrong files, each with what `check` has to say in its own first comments."""

import re
from collections import Counter
from pathlib import Path

import pytest

from connector.mapping.load import examine_files
from tests.mapping.crm import crm_objects

FOLDER = Path(__file__).parent / "wrong"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".yaml", ".toml"))


def expected(path):
    """The first comments: `# beside: …` names files that are read with it, the others are problems."""
    beside, problems = [], []
    for line in path.read_text().splitlines():
        if not line.startswith("# "):
            break
        if line.startswith("# beside: "):
            beside = line.removeprefix("# beside: ").split()
        else:
            problems.append(line.removeprefix("# "))
    return [FOLDER / "beside" / name for name in beside], problems


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_wrong_file_is_explained_at_its_place_with_every_mistake_in_it(path):
    """Each mistake has file, line and column, says what is wrong, and what to try."""
    beside, problems = expected(path)
    found = examine_files(
        sorted([path, *beside], key=lambda file: file.name), crm_objects=crm_objects, sources=["shop"]
    )
    assert [str(problem).replace(f"{FOLDER}/", "") for problem in found.problems] == problems
    assert found.mappings is None or all("warning" in line for line in problems)


def kind(problem):
    """What kind of mistake it is: the message without its place, and without the names and numbers in it."""
    message, _, hint = problem.split(": ", 1)[1].removeprefix("warning: ").partition("; try ")
    message = re.sub(r"^[\w.\[\]\"]+: ", "", message)
    if message.startswith("unknown key") and not re.fullmatch(r"`\w+`", hint):
        message += hint  # a word that means something else here is no slip of the pen
    message = re.sub(r"^expected .*, not `.*`", "expected one of some words", message)
    message = re.sub(r"^expected .*, not .*", "expected another type", message)
    message = re.sub(r"^(there is no (?:filter|table)|only) \w+", r"\1 …", message)
    message = re.sub(r"^.* is never there: only .*", "of another e-mail event", message)
    message = re.sub(r"expected a .*|at (?:most|least) \d+", "…", message)
    return re.sub(r"`[^`]*`|'[^']*'|\([^)]*\)", "…", message)


def test_there_are_a_hundred_of_many_kinds():
    """The collection does not shrink unseen: a hundred files of forty kinds of mistake, at most three files of a kind.

    Ten or more hold several mistakes.
    """
    problems = {path.stem: expected(path)[1] for path in FILES}
    alone = Counter(kind(found[0]) for found in problems.values() if len(found) == 1)
    assert all(problems.values())
    assert len(FILES) >= 100
    assert len(alone) >= 40
    assert {name: count for name, count in alone.items() if count > 3} == {}
    assert sum(len(found) > 1 for found in problems.values()) >= 10
    lines = [line for found in problems.values() for line in found]
    assert [line for line in lines if not re.match(r"[\w./-]+:[1-9]\d*:[1-9]\d*: \S", line)] == []
