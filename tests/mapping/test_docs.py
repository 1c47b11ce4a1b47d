"""Every example in the documentation of mappings is right, and its tables are what the code says."""

import re
from pathlib import Path

import pytest

from connector.config.model import Config, Destination
from connector.crm.presets.facts import facts_of
from connector.files.document import parse
from connector.mapping.examples import run
from connector.mapping.load import examine
from connector.mapping.reference import filled_in, tables
from tests.mapping.crm import crm_objects

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in ("mappings.md", "mapping-guide.md")
    for number, block in enumerate(BLOCK.findall((DOCS / page).read_text(encoding="utf-8")), 1)
]
REST = {
    "name": "name: readers",
    "from": "from: {database: 7616}",
    "to": "to: {crm: crm, object: contact}",
    "match": "match: [{copernica_id: profile.id}, {email: email | trim | lower}]",
    "set": "set: {copernica_id: profile.id, email: email | trim | lower, firstname: voornaam}",
    "on_delete": "on_delete: archive",
}
BESIDE = {
    "companies": "name: companies\nfrom: {database: 7620}\nto: {crm: crm, object: company}\nmatch: [{name: b}]\nset: {name: b}\non_delete: ignore\n",
    "readers": "name: readers\nfrom: {database: 7616}\nto: {crm: crm, object: contact}\nmatch: [{email: e}]\nset: {email: e}\non_delete: ignore\n",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_in_the_docs_is_a_file_that_passes(tmp_path, block):
    """A part of a file is completed with what it does not say. Examples in it hold."""
    said = parse(block, file="x.yaml").data
    origin = said.get("from", {"database": 1})
    no_deletes = "email" in origin or "delete" not in origin.get("events", ["delete"])
    absent = {key: line for key, line in REST.items() if key not in said and not (key == "on_delete" and no_deletes)}
    text = block + "".join(f"{line}\n" for line in absent.values())
    name = said.get("name", "readers")
    (tmp_path / "block.yaml").write_text(text)
    (tmp_path / "landen.csv").write_text("naam;code\nNederland;NL\n")
    for beside in said.get("link", {}).values():
        (tmp_path / f"{beside}.yaml").write_text(BESIDE[beside])
    for known in (crm_objects, facts_of(Config(destinations={"crm": Destination(preset="sample")}))):
        examined = examine(tmp_path, crm_objects=known)
        assert list(map(str, examined.problems)) == []
    for group in examined.examples:
        for number, example in enumerate(group.examples, 1):
            assert run(examined.mappings.mappings[name], example, number).differences == ()


def test_the_tables_of_the_reference_are_current():
    """If not: `python -m connector.mapping.reference docs/mappings.md`."""
    page = (DOCS / "mappings.md").read_text(encoding="utf-8")
    assert filled_in(page) == page
    assert all(table in page for table in tables().values())
