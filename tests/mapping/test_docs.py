"""Every example in the documentation of mappings is right, and its tables are what the code says."""

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest

from connector.config.model import Config, Destination
from connector.crm.presets.facts import facts_of
from connector.files.document import parse
from connector.mapping import model as model_module
from connector.mapping.examples import run
from connector.mapping.expression import Kind, compile_expression
from connector.mapping.load import examine
from connector.mapping.model import Section
from connector.mapping.reference import documented, filled_in, tables
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


def test_the_reference_has_a_table_for_every_part_of_a_file():
    """Each section of the model is a table of the reference, but those that have one form only and are shown by it."""
    shown = {"OnDelete", "Otherwise", "Table", "Example", "DefaultTo", "DefaultFrom"}
    sections = {
        name: model
        for name, model in vars(model_module).items()
        if isinstance(model, type) and issubclass(model, Section)
    }
    assert set(sections) - shown - {"Section"} == {model.__name__ for model in documented().values()}
    for model in documented().values():
        assert all(field.description for name, field in model.model_fields.items()), model


def test_the_tables_of_the_reference_are_current():
    """If not: `python -m connector.mapping.reference docs/mappings.md`."""
    page = (DOCS / "mappings.md").read_text(encoding="utf-8")
    assert filled_in(page) == page
    assert all(table in page for table in tables().values())


GUIDE = (DOCS / "mapping-guide.md").read_text(encoding="utf-8")
WRITTEN = [
    text.replace("\\|", "|")
    for row in re.findall(
        r"^\| .* \| (`.*`(?:, `.*`)*)(?:, or .*)? \|$",
        GUIDE.partition("| you write |")[2].partition("\n\n")[0],
        re.MULTILINE,
    )
    for text in re.findall(r"`([^`]+)`", row)
]
CONDITIONS = re.findall(
    r"`([^`]+)`", GUIDE.partition("A condition compares:")[2].partition("Every field")[0]
) + re.findall(r"`([^`]+)`", GUIDE.partition("it has to be read first:")[2].partition(". Join")[0])


@pytest.mark.parametrize("value", WRITTEN)
def test_every_value_in_the_table_of_the_guide_can_be_written_so(tmp_path, value):
    """What stands under "you write" is taken as it stands there."""
    rest = "\n".join(line for key, line in REST.items() if key != "set")
    (tmp_path / "block.yaml").write_text(
        f"{rest}\nset: {{copernica_id: profile.id, email: email}}\non_create_only:\n  note: {value}\n"
    )
    assert [str(problem) for problem in examine(tmp_path).problems] == []


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_in_the_guide_is_one(condition):
    """It gives true or false, and can stand after `when:`."""
    said = parse(f"when: {condition}\n", file="x.yaml").data["when"]
    assert compile_expression(said, condition=True).kind is Kind.BOOLEAN


def test_the_guide_shows_enough_of_each():
    """The two tests above see what they are meant to see."""
    assert len(WRITTEN) >= 14
    assert len(CONDITIONS) >= 10


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        *(
            (f"'{word}' | bool", yes)
            for word, yes in [("J", True), ("Nee", False), ("y", True), ("AAN", True), ("0", False)]
        ),
        ("'35,50' | money", Decimal("35.50")),
        ("'€ 1.250,00' | money", 1250),
        ("'€ 12,-' | money", 12),
        ("'+32 470 12 34 56' | e164('NL')", "+32470123456"),
        *(
            (f"'{text}' | date", date)
            for text, date in [
                ("31/12/80", dt.date(1980, 12, 31)),
                ("12 maart 2024", dt.date(2024, 3, 12)),
                ("1980-12-31", dt.date(1980, 12, 31)),
            ]
        ),
        ("'JAN VAN DEN BERG' | proper_name", "Jan van den Berg"),
        ("'McDonald' | proper_name", "McDonald"),
        ("'a' ~ 'b' | upper", "aB"),
    ],
)
def test_what_the_guide_says_that_filters_know_is_so(expression, value):
    """The list below the table of the guide."""
    assert compile_expression(expression).evaluate(None) == value
