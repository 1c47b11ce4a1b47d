"""Preset files: every mistake at its place, parts overridden, presets built on others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from connector.config.model import Config, Destination
from connector.crm.presets.facts import facts_of
from connector.crm.presets.load import examine_preset, list_presets, load_preset, schema, text_of
from connector.crm.presets.reference import reference, renewed
from connector.files.problem import ProblemsError
from connector.mapping.load import examine
from tests.crm.helpers import make

GOOD = """\
about: a CRM
verified: {how: not verified, on: 2026-11-21}
secrets: {token: {about: the token}}
connection: {base_url: "https://crm.example", auth: {type: bearer}}
objects:
  contact:
    find: {method: GET, path: /c, query: {q: "{key.value}"}, items: hits}
    update: {path: "/c/{id}", body: "{fields}"}
    create: {path: /c, body: "{fields}", capture: {id: id}}
"""


def said(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    try:
        return [str(problem).removeprefix(str(file)) for problem in examine_preset(str(file))[1]]
    except ProblemsError as error:
        return [str(problem).removeprefix(str(file)) for problem in error.problems]


def test_a_good_preset_has_no_problems(tmp_path: Path) -> None:
    """Nothing is said about nothing."""
    assert said(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("path: /c, body", "pathh: /c, body", "unknown key `pathh`; try `path`"),
        ("path: /c, body", "path: c, body", ":9:20: objects.contact.create[1].path: a path begins with /"),
        (
            "capture: {id: id}",
            "capture: {id: id, other: x}",
            "warning: objects.contact.create[1].capture.other: nothing after this step uses",
        ),
        ("capture: {id: id}", "capture: {no: id}", "no step captures `id`"),
        ("capture: {id: id}", "capture: {id: 'a..b'}", "is not a path like a.b[0].c"),
        ("capture: {id: id}", "capture: {id: {text: '('}}", "this is no regular expression"),
        ("capture: {id: id}", "capture: {id: {text: 'a', header: b}}", "exactly one of json, header and text"),
        ('"/c/{id}"', '"/c/{idd}"', "there is no {idd} here (there are: fields, id); try {id}"),
        ('"/c/{id}"', '"/c/{id|upper}"', "there is no filter 'upper'"),
        ('"/c/{id}"', '"/c/{id"', "a brace that is no placeholder"),
        ('q: "{key.value}"', "q: x", "the search does not use {key.value}"),
        ("items: hits}", "items: hits, body: {}}", "a GET has no body"),
        ("items: hits}", "items: hits, rules: [{outcome: ok}]}", "a rule needs a condition"),
        ("items: hits}", "items: hits, rules: [{status: 4x, outcome: ok}]}", "'4x' is no status"),
        ("items: hits}", "items: hits, rules: [{status: 404, outcome: gone}]}", "gone"),
        ("type: bearer", "type: bearer, secret: key", "the secret 'key' is not described under `secrets`"),
        ("type: bearer", "type: digest", "digest"),
        ("auth: {", "timeouts: {total: 15, send: 15}, auth: {", "timeouts.send: a change whose first request took"),
        ("    update:", "    max_requests: 2\n    update:", "one change can need 4 requests"),
        ("    update:", "    like: person\n    update:", "there is no other object 'person'"),
        ("    update:", "    vars: {x: y}\n    update:", "nothing uses this word"),
        ("    update:", "    links: {firm: {object: firm, field: x}}\n    update:", "there is no object 'firm'"),
        (
            "    update:",
            "    links: {self: {object: contact}}\n    update:",
            "either a `field` of the write or a `request`",
        ),
        ("    update:", "    needs_link: [firm]\n    update:", "there is no link 'firm'; there are: none"),
        (
            "    update:",
            "    needs_link: [a]\n    links: {a: {object: contact, request: {path: /l}}}\n    update:",
            "this link is made after the record: it cannot be what a new one needs",
        ),
        (
            "    update:",
            "    needs_link: [a]\n    links: {a: {object: contact, field: f}}\n    upsert: {path: /u, body: '{fields}'}\n    update:",
            "an upsert cannot tell whether it makes a record",
        ),
        ("    update: {", "    erase: {", "no `update`: a linked record could not be written"),
        ('    find: {method: GET, path: /c, query: {q: "{key.value}"}, items: hits}\n', "", "can never be looked for"),
        ("about: a CRM", "extends: nothing", "cannot be extended"),
        ("objects:\n  contact:", "objects:\n  contact: 5\n  x:", "objects.contact"),
    ],
)
def test_each_mistake_is_told(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """With what is wrong, where, and what to try."""
    assert old in GOOD
    problems = said(tmp_path, GOOD.replace(old, new))
    assert any(expected in problem for problem in problems), problems


def test_a_mistake_in_an_object_that_others_are_like_is_told_once(tmp_path: Path) -> None:
    """Nobody reads the same line three times."""
    text = GOOD.replace('"/c/{id}"', '"/c/{di}"') + "  company: {like: contact}\n  deal: {like: contact}\n"
    assert len(said(tmp_path, text)) == 1


def test_an_object_can_be_like_another(tmp_path: Path) -> None:
    """It takes everything that it does not say, and null takes a part away."""
    file = tmp_path / "p.yaml"
    file.write_text(
        GOOD
        + "    links: {firm: {object: firm, field: f}}\n  firm: {like: contact, links: {firm: null}, visible_after: 9}\n"
    )
    preset = load_preset(str(file))
    assert preset.objects["firm"].update == preset.objects["contact"].update
    assert preset.objects["firm"].links == {}
    assert preset.objects["firm"].visible_after == 9


def test_a_preset_of_ones_own_can_be_built_on_a_shipped_one(tmp_path: Path) -> None:
    """Only what differs is written; it is found by its name."""
    (tmp_path / "ours.yaml").write_text(
        "extends: hubspot\nlimits: {per_day: 5}\nobjects: {ticket: {like: company, vars: {path: tickets, link: ticket}}}\n"
    )
    preset = load_preset("ours", tmp_path)
    assert preset.limits.per_day == 5
    assert preset.limits.concurrency == load_preset("hubspot").limits.concurrency
    assert set(preset.objects) == {"company", "contact", "deal", "ticket"}
    assert list_presets(tmp_path)[0].name == "ours"


def test_presets_in_a_circle_are_told(tmp_path: Path) -> None:
    """a extends b extends a."""
    (tmp_path / "a.yaml").write_text("extends: b\n")
    (tmp_path / "b.yaml").write_text("extends: a\n")
    with pytest.raises(ProblemsError, match="circle"):
        load_preset("a", tmp_path)


def test_the_configuration_can_override_a_part() -> None:
    """By the same keys; another way to authenticate replaces the first one."""
    auth = {
        "type": "oauth2",
        "grant": "refresh_token",
        "token_url": "https://api.hubapi.com/oauth/v1/token",
        "client_id": "cid",
    }
    override: dict[str, Any] = {
        "connection": {"auth": auth},
        "secrets": {"client_secret": {"about": "x"}, "refresh_token": {"about": "x"}, "token": None},
    }
    preset = load_preset("hubspot", None, override)
    assert preset.connection.auth.type == "oauth2"
    assert preset.connection.base_url == "https://api.hubapi.com"


def test_a_mistake_in_an_override_is_told_as_one() -> None:
    """The shipped file is not blamed."""
    with pytest.raises(ProblemsError, match=r"override.*limitz"):
        load_preset("hubspot", None, {"limitz": {}})


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"settings": {"extra": 1}}, "asks for no `extra`"),
        ({"secrets": {}}, "`token` is missing"),
        ({"base_url": "http://crm.example"}, "not encrypted"),
    ],
)
def test_what_a_destination_lacks_is_told(tmp_path: Path, how: dict[str, Any], expected: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ProblemsError, match=expected):
        make("sample", state=tmp_path, **how)


@pytest.mark.parametrize("name", [shipped.name for shipped in list_presets(None)])
def test_the_json_schema_knows_every_shipped_preset(name: str) -> None:
    """Editors find no mistake where the loader finds none."""
    data = YAML(typ="safe").load(text_of(name))
    plain = json.loads(json.dumps(data, default=str))
    assert [error.message for error in Draft202012Validator(schema()).iter_errors(plain)] == []


def test_the_schema_in_the_documentation_is_this_one() -> None:
    """`connector schema preset` prints it; editors may take the file."""
    file = Path(__file__).parents[2] / "docs" / "schema" / "preset.schema.json"
    assert json.loads(file.read_text()) == schema()


def test_the_json_schema_finds_a_mistake() -> None:
    """Unknown keys are refused there, too."""
    data = {**json.loads(json.dumps(YAML(typ="safe").load(GOOD), default=str)), "abuot": "x"}
    assert len(list(Draft202012Validator(schema()).iter_errors(data))) == 1


def test_the_documentation_has_every_key() -> None:
    """docs/presets.md is what the model is, with a meaning for each key."""
    page = (Path(__file__).parents[2] / "docs" / "presets.md").read_text()
    assert renewed(page) == page
    assert not [line for line in reference().splitlines() if line.endswith("|  |")]


@pytest.mark.parametrize("name", ["hubspot", "salesforce", "pipedrive", "odoo", "teamleader"])
def test_each_crm_has_a_page(name: str) -> None:
    """It names every setting and secret that the preset asks for, and what is known not to work."""
    page = (Path(__file__).parents[2] / "docs" / "crm" / f"{name}.md").read_text()
    preset = load_preset(name)
    for key in [*preset.settings, *preset.secrets, *preset.objects]:
        assert key in page, key
    assert "## Known not to work" in page


@pytest.mark.parametrize("name", ["hubspot", "salesforce", "pipedrive", "odoo", "teamleader"])
def test_the_mappings_of_each_page_fit_their_preset(name: str, tmp_path: Path) -> None:
    """What a page says to start from passes every check, against what the preset knows."""
    page = (Path(__file__).parents[2] / "docs" / "crm" / f"{name}.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        (tmp_path / f"m{number}.yaml").write_text(block)
    config = Config(destinations={"crm": Destination(preset=name)})
    examined = examine(tmp_path, crm_objects=facts_of(config))
    assert [str(problem) for problem in examined.problems] == []
    assert examined.mappings is not None
    assert set(examined.mappings.mappings) == {"people", "orders"}
