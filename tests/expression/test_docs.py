"""docs/expressions.md says what is true."""

import ast
import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest

from connector.mapping.expression import MISSING, EvaluationError, ExpressionError, Scope, compile_expression
from connector.mapping.filters import FILTERS
from connector.mapping.filters.reference import render
from tests.expression.events import event

PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"
LINES = [
    tuple(map(str.strip, line.rsplit("  #", 1)))
    for block in re.findall(r"```expressions\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for line in block.splitlines()
]


def test_the_page_is_current():
    """The tables of names and filters are those that the program has."""
    text = PAGE.read_text("utf-8")
    assert render(text) == text, "run: python -m connector.mapping.filters.reference docs/expressions.md"


def test_every_filter_is_explained():
    """Each filter has a docstring, an example, and a row on the page."""
    text = PAGE.read_text("utf-8")
    for each in FILTERS.values():
        assert each.doc, each.name
        assert each.examples, each.name
        assert f"| `{each.signature}` |" in text


@pytest.mark.parametrize(("text", "wanted"), LINES, ids=[line[0] for line in LINES])
def test_every_line_of_the_page_is_true(text, wanted):
    """An example on the page gives the value, or the error, that stands behind it."""
    if wanted.startswith("error: "):
        with pytest.raises((ExpressionError, EvaluationError)) as caught:
            compile_expression(text).evaluate(Scope(event()))
        assert wanted.removeprefix("error: ") in str(caught.value)
        return
    value = compile_expression(text).evaluate(Scope(event()))
    if wanted == "missing":
        assert value is MISSING
    else:
        expected = eval(wanted, {"Decimal": Decimal, "date": dt.date}) if "(" in wanted else ast.literal_eval(wanted)
        assert value == expected
        assert type(value) is type(expected)
