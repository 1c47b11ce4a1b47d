"""What is shipped for people to start from: the sample mappings, the schema for editors."""

import json
import re
from pathlib import Path

import pytest

from connector.config.model import Config, Destination
from connector.crm.presets.facts import facts_of
from connector.domain.change import Verb
from connector.domain.event import EventType
from connector.mapping.examples import run
from connector.mapping.load import ENDINGS, examine, load_mappings
from connector.mapping.model import MappingFile, Value
from connector.mapping.schema import mapping_schema
from tests.mapping.crm import crm_objects
from tests.mapping.events import profile

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "mappings"


@pytest.mark.parametrize("facts", ["the sample CRM's fields", "the sample preset"])
def test_the_sample_mappings_are_right(facts):
    """They pass `check` without a warning, against what is known of the sample CRM, and against its preset."""
    known = crm_objects if "fields" in facts else facts_of(Config(destinations={"crm": Destination(preset="sample")}))
    assert list(map(str, examine(FOLDER, crm_objects=known).problems)) == []


def test_every_example_in_the_sample_mappings_holds():
    """Each file has examples, and each says what it says it does."""
    examined = examine(FOLDER)
    for group in examined.examples:
        assert len(group.examples) >= 2, group.file
        for number, example in enumerate(group.examples, 1):
            assert run(examined.mappings.mappings[group.mapping], example, number).differences == ()


def test_the_variant_in_a_comment_is_right_too(tmp_path):
    """For databases whose unsubscribe deletes the profile: as the comment says, and the delete ends the subscription."""
    text = (FOLDER / "subscriptions.yaml").read_text()
    variant = "".join(re.findall(r"^#   (.*\n)", text, re.MULTILINE))
    assert variant.startswith("on_delete:")
    text, _, _ = text.partition("\nexamples:")
    text = re.sub(
        r"^otherwise:\n(?:[ #].*\n)*|^(?:when|otherwise): .*\n|^on_delete: .*\n", "", text, flags=re.MULTILINE
    )
    (tmp_path / "variant.yaml").write_text(f"{text}\n{variant}")
    mapping = load_mappings(tmp_path, crm_objects=crm_objects).mappings["subscriptions"]
    found = mapping.translate(profile(kind=EventType.DELETE, database=mapping.origin.scope), linked=True, last=None)
    assert (found.verb, found.fields["optin"], "custom_ended" in found.fields) == (Verb.UPDATE, False, True)


def test_every_sample_file_names_the_schema_and_explains_itself():
    """An editor helps from the first line; comments speak to who has never seen the tool."""
    files = [path for path in FOLDER.iterdir() if path.suffix in ENDINGS]
    assert len(files) >= 6
    for path in files:
        lines = path.read_text().splitlines()
        assert re.search(r"schema[= ]\.\./docs/schema/mapping\.schema\.json$", lines[0]), path
        assert sum(line.lstrip().startswith("#") for line in lines) >= 8, path


def test_the_schema_for_editors_is_current():
    """docs/schema/mapping.schema.json is what `connector schema mapping` writes."""
    assert json.loads((ROOT / "docs/schema/mapping.schema.json").read_text()) == mapping_schema()


def test_the_reference_names_every_key():
    """docs/mappings.md has a line for each key of a file and of a value."""
    text = (ROOT / "docs/mappings.md").read_text()
    for model in (MappingFile, Value):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in text, name
