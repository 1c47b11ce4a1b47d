"""Wrong files, each with what `check` has to say in its own first comments."""

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


def test_there_are_a_hundred_of_many_kinds():
    """The collection does not shrink unseen: a hundred files, ten of them with several mistakes, each with a reason."""
    assert len(FILES) >= 100
    assert sum(len(expected(path)[1]) > 1 for path in FILES) >= 10
    assert all(expected(path)[1] for path in FILES)
    messages = {line.split(": ", 2)[-1].split("; try")[0] for path in FILES for line in expected(path)[1]}
    assert len(messages) >= 60
