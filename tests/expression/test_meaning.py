"""The syntax that is shared with Jinja2 means the same there and here."""

from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from connector.mapping.expression import ExpressionError, Scope, compile_expression
from tests.expression.events import event

NUMBERS = st.lists(st.sampled_from(["1", "2", "7", "- 3", "(4 - 9)", "2 * 3"]), min_size=1, max_size=6)
SIGNS = st.lists(st.sampled_from([" + ", " - ", " * ", " // ", " % "]), min_size=6, max_size=6)
TRUTHS = st.lists(
    st.sampled_from(["true", "false", "not true", "1 < 2", "2 + 2 == 4", "'a' in ['a', 'b']", "3 not in [1, 2]"]),
    min_size=1,
    max_size=6,
)
WORDS = st.lists(st.sampled_from(["' Ab '", "'c' | upper", "' D ' | trim | lower", "('e' ~ 'f') | upper"]), min_size=1)
ENVIRONMENT = ImmutableSandboxedEnvironment()


def same(text):
    theirs = ENVIRONMENT.compile_expression(text)()
    ours = compile_expression(text).evaluate(Scope(event()))
    assert (float(ours) if isinstance(ours, Decimal) else ours) == theirs


@settings(deadline=None)
@given(NUMBERS, SIGNS)
def test_arithmetic_binds_as_in_jinja(numbers, signs):
    """Multiplication goes before addition, from left to right, and `//` and `%` round as Python does."""
    text = numbers[0] + "".join(sign + number for sign, number in zip(signs, numbers[1:], strict=False))
    try:
        same(text)
    except (ZeroDivisionError, ExpressionError) as error:
        assume("zero" not in str(error))
        raise


@settings(deadline=None)
@given(TRUTHS, st.lists(st.sampled_from([" and ", " or "]), min_size=6, max_size=6))
def test_conditions_bind_as_in_jinja(truths, words):
    """`not` goes before `and`, `and` before `or`."""
    same(truths[0] + "".join(word + truth for word, truth in zip(words, truths[1:], strict=False)))


@settings(deadline=None)
@given(WORDS)
def test_filters_and_joining_bind_as_in_jinja(words):
    """A filter belongs to the value before it."""
    same(" ~ ".join(words))


@settings(deadline=None)
@given(TRUTHS, WORDS)
def test_conditional_values_are_chosen_as_in_jinja(truths, words):
    """`A if CONDITION else B` may be continued with another one."""
    same(" else ".join(f"{word} if {truth}" for word, truth in zip(words, truths, strict=False)) + " else 'z'")
