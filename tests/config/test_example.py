"""`config.example.toml` is the model, readable."""

import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from connector.config.example import example
from connector.config.load import from_document
from connector.config.model import Config, SecretRef
from connector.files.document import parse
from connector.files.problem import ProblemsError

FILE = Path(__file__).parents[2] / "config.example.toml"
TEXT = FILE.read_text()
OPTION = re.compile(r"#?(\w+) = (.*?)(  # an example; not set by default|  # \d+ \w+)?")


def models(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation leads to."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (dict, Union, UnionType, Annotated):
        return [model for argument in get_args(annotation) for model in models(argument)]
    return []


def options(model: type[BaseModel], table: str = "") -> dict[str, tuple[str, Any, bool]]:
    """Every option below a model: its description, its default, and whether it has one; found by walking the model."""
    found: dict[str, tuple[str, Any, bool]] = {}
    for name, field in model.model_fields.items():
        inner = [one for one in models(field.annotation) if one is not SecretRef]
        if inner:
            key = {"sources": "sources.newsletter", "destinations": "destinations.crm"}.get(name, name)
            found |= options(inner[0], f"{table}{key}.")
        else:
            assert field.description, f"{table}{name} has no line of why"
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            found[table + name] = (field.description, default, default not in (None, {}))
    return found


def shown() -> dict[str, tuple[str, str, bool]]:
    """Every option that the file shows: the line above it, its value, and whether that is said to be an example."""
    found: dict[str, tuple[str, str, bool]] = {}
    table = ""
    above = ""
    for line in TEXT.splitlines():
        if header := re.fullmatch(r"\[([\w.]+)\]", line):
            table = header[1] + "."
        elif option := OPTION.fullmatch(line):
            assert table + option[1] not in found
            found[table + option[1]] = (above.removeprefix("# "), option[2], "an example" in (option[3] or ""))
        else:
            assert line == "" or line.startswith("# ") or line == "#", f"neither option nor words: {line}"
        above = line
    return found


def test_the_example_is_what_the_model_writes() -> None:
    """`python -m connector.config.example` writes the file anew after a change of the model."""
    assert example() == TEXT


def test_every_option_is_in_the_example_with_its_default_and_its_why_and_nothing_else_is() -> None:
    """What the file shows is compared with the model itself, option by option."""
    wanted, there = options(Config), shown()
    assert set(there) == set(wanted)
    for name, (description, default, has_default) in wanted.items():
        why, value, is_example = there[name]
        assert why == description
        data = tomllib.loads(f"value = {value}")["value"]
        if has_default:
            assert data == TypeAdapter(Any).dump_python(default, mode="json"), name
            assert not is_example
        else:
            assert is_example or name in (
                "sources.newsletter.account",
                "destinations.crm.preset",
                "destinations.crm.secrets",
            )


def test_the_example_is_a_configuration_as_it_stands() -> None:
    """It only needs the account, the preset and a credential to be one's own."""
    config = from_document(parse(TEXT, file="config.toml"), Path("/etc/connector"))
    assert config.receiver == Config().receiver
    assert config.outbox == Config().outbox
    assert config.delivery == Config().delivery
    assert config.sources["newsletter"].account == "account-1234"
    assert config.destinations["crm"].mode == "observe"


def test_with_every_option_taken_the_example_says_only_what_does_not_go_together() -> None:
    """Each value is possible; only options for other kinds of proof and sender are refused, at their place."""
    text = re.sub(r"(?m)^#(?=\w+ = )", "", TEXT)
    try:
        from_document(parse(text, file="config.toml"), Path("/etc/connector"))
        told = []
    except ProblemsError as error:
        told = [(problem.where, problem.what) for problem in error.problems]
    assert sorted(told) == [
        ("sources.newsletter.collection", "`collection` is for callbacks only: a webhook says it in each call"),
        ("sources.newsletter.database", "`database` is for callbacks only: a webhook says it in each call"),
        ("sources.newsletter.key_file", "`key_file` is not used: `proof` is copernica"),
        ("sources.newsletter.secret", "`secret` is not used: `proof` is copernica"),
    ]


def test_a_person_in_a_hurry_can_read_it() -> None:
    """No line is wider than a terminal of 120 columns, and an option's why is one line above it."""
    assert max(map(len, TEXT.splitlines())) <= 120
    for name in SecretRef.model_fields:
        assert f"{{ {name} = " in TEXT
