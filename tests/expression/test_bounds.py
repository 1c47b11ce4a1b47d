"""Whatever an expression says, it ends soon and stays small."""

import contextlib
import itertools
import signal
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.domain.event import EventType
from connector.mapping.compiling import DEPTH
from connector.mapping.expression import MISSING, EvaluationError, ExpressionError, Scope, compile_expression
from connector.mapping.filters import FILTERS
from connector.mapping.syntax import EXPRESSION_LIMIT
from connector.mapping.values import NUMBER_LIMIT, RESULT_LIMIT, TEXT_LIMIT
from tests.expression.events import event

BIG = "x" * TEXT_LIMIT
HUGE = "<a " * 1_400_000
FIELDS = {
    "big": BIG,
    "huge": HUGE,
    "wide": "\ufdfa" * TEXT_LIMIT,
    "ligature": "ß" * TEXT_LIMIT,
    "words": "a " * (TEXT_LIMIT // 2),
    "commas": "a," * (TEXT_LIMIT // 2),
    "deep": "[" * 50_000,
    "flat": "[" + "{}," * 30_000 + "{}]",
    "digits": "9" * 5_000,
    "tiny": "1e-99999999",
    "vast": "1e99999999",
    "zero": "0e99999999",
    "numbers": "[" + "9," * 40_000 + "9]",
    "tags": "<" * TEXT_LIMIT,
    "breaks": "<br " * (TEXT_LIMIT // 4),
    "entities": "&amp" * (TEXT_LIMIT // 4),
    "phone": "0" * 90_000,
    "at": "@" * 90_000,
    "name": "Jan",
    "one": "1",
    "day": "9999-12-31",
    "quotes": '"' * TEXT_LIMIT,
    "escapes": '"' + "\\u0041" * 16_000 + '"',
    "surrogate": "\ud800",
}
TABLES = {"t": {"a": "b" * 5_000, "": []}}

HOSTILE = [
    "9**9**9",
    "9*" * 900 + "9",
    "(" * 500 + "1" + ")" * 500,
    "[" * 500 + "]" * 500,
    "not " * 450 + "true",
    "-" * 1_500 + "1",
    "1" + "+1" * 900,
    "1" + " if true else 1" * 120,
    "name" + " | trim" * 250,
    "name" + ".x" * 900,
    "interests" + "[0]" * 600,
    "'a'*10**9",
    "'%999999999d' % one",
    "'{0.__class__}' | format(name)",
    "name.__class__.__mro__[1].__subclasses__()",
    "fields.__class__",
    "fields['__class__'].__init__",
    "interests.append('x')",
    "range(9999999999)",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "self._TemplateReference__context",
    "[a for a in (1)*9]",
    "lambda: 0",
    "name | attr('__class__')",
    "name | replace('J', big) | replace('x', big)",
    "big | replace('x', 'xx')",
    "big | replace('x', 'xx' | replace('x', big))",
    "big ~ big",
    "[" + ",".join(["big"] * 400) + "]",
    "[" + ",".join(["big"] * 400) + "] | join",
    "[" + ",".join(["big ~ ''"] * 200) + "]",
    "[" + ",".join(["big ~ ''"] * 200) + "] | sort | unique | to_json",
    "{" + ",".join(f"'k{n}': big" for n in range(120)) + "}",
    "(big ~ '')" + " ~ (big ~ '')" * 120,
    "name | pad_left(999999999)",
    "name | pad_left(-1)",
    "name | truncate(999999999)",
    "huge | trim",
    "huge | truncate(10)",
    "huge | slice(0, 99999999)",
    "huge ~ huge",
    "huge | strip_tags",
    "[huge]",
    "wide | ascii | upper",
    "wide | slug",
    "ligature | upper | upper",
    "words | proper_name",
    "words | title",
    "words | initials",
    "words | split | sort | unique | join | split",
    "commas | split(',') | join(big)",
    "deep | json",
    "flat | json",
    "numbers | json",
    "quotes | json",
    "escapes | json | json",
    "digits | int",
    "digits | json",
    "digits | number",
    "tiny | json | text",
    "vast | json | text",
    "zero | json | text | int",
    "vast | number",
    "vast | int",
    "tiny | money",
    "999999999999999999999999 * 999999999999999999999999",
    "1 / 3 / 3 / 3 / 3 / 3 / 3 / 3 * 0.0000000000000000000000001",
    "one | int % 0",
    "1.5 // 0.0000000000000000000000000001",
    "999999999999999999999999 | round(-20) | cents",
    "tags | strip_tags",
    "breaks | strip_tags",
    "entities | unescape | unescape",
    "phone | e164",
    "at | email",
    "big | date",
    "big | date('%d-%m-%Y')",
    "big | country",
    "big | postcode",
    "big | language",
    "big | money",
    "big | gender",
    "name | date('" + "%d" * 30 + "')",
    "name | date('(a+)+$%d%m%Y')",
    "day | date | add_days(1)",
    "day | date | add_days(999999999999999999999)",
    "day | datetime('Pacific/Apia') | in_zone('America/New_York') | utc",
    "'999999999999999' | epoch",
    "999999999999999999999999 | epoch('ms')",
    "name | without(" + ",".join(["big"] * 300) + ")",
    "surrogate | sha256",
    "surrogate | email",
    "surrogate | to_json",
    "fields",
    "fields | to_json",
    "name in [" + ",".join(["commas | split(',')"] * 60) + "]",
    "'" + "\\n" * 990 + "'",
    "'" + "a" * 3_000 + "'",
]

RUNNER = """
import resource, sys
sys.path[:0] = {path!r}
import tests.expression.test_bounds as t
from tests.expression.events import event
from connector.mapping.expression import Scope, compile_expression, ExpressionError, EvaluationError
import phonenumbers, email_validator
scope = Scope(event(fields=t.FIELDS))
limit = 64 * 1024 * 1024 + int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for number, text in enumerate(t.HOSTILE):
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    # The soft limit alone: a hard one could not be raised again for the next expression.
    resource.setrlimit(resource.RLIMIT_CPU, (used + 6, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    try:
        value = compile_expression(text, tables=t.TABLES).evaluate(scope)
        del value
    except (ExpressionError, EvaluationError):
        pass
    print(number, flush=True)
"""


def test_hostile_expressions_end_within_bounds():
    """No hostile expression takes more than seconds, or more than 64 MB beside a body of some megabytes."""
    path = [str(Path(__file__).parents[2])]
    done = subprocess.run([sys.executable, "-c", RUNNER.format(path=path)], capture_output=True, text=True, check=False)
    numbers = done.stdout.split()
    stopped = HOSTILE[len(numbers)][:80] if len(numbers) < len(HOSTILE) else ""
    assert done.returncode == 0, f"{stopped}: {done.stderr[-600:]}"
    assert len(numbers) == len(HOSTILE)


REFUSED = [
    "9**9**9",
    "'a'*10**9",
    "name.__class__",
    "range(9)",
    "'%s' % name",
    "[a for a in interests]",
    "name | attr('x')",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_could_run_away_is_refused_when_it_is_loaded(text):
    """Powers, repetitions, formats, calls, loops and walks through attributes never come to run."""
    with pytest.raises(ExpressionError):
        compile_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "1" + "+1" * (DEPTH + 1),
        "name" + " | trim" * (DEPTH + 1),
        "'" + "a" * EXPRESSION_LIMIT + "'",
        "(" * 30 + "1" + ")" * 30,
    ],
)
def test_size_and_depth_are_bounded_when_it_is_loaded(text):
    """What is too long or too deep is an error with its place."""
    with pytest.raises(ExpressionError):
        compile_expression(text)


def size_of(value):
    """Return the characters of a value, computed without the code under test."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return len(value) + sum(map(size_of, value))
    if isinstance(value, dict):
        return len(value) + sum(len(key) + size_of(item) for key, item in value.items())
    return 1


def within_bounds(value):
    if isinstance(value, str):
        return len(value) <= TEXT_LIMIT or value in FIELDS.values()
    if isinstance(value, bool) or value is MISSING:
        return True
    if isinstance(value, int):
        return abs(value) <= NUMBER_LIMIT
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value) <= NUMBER_LIMIT and len(format(value, "f")) < 100
    return size_of(value) <= 2 * RESULT_LIMIT


ATOMS = st.sampled_from(
    [f for f in FIELDS if f != "tags"]
    + ["interests", "fields", "time", "profile.id", "parameters", "nope", "record", "'a'", "''", "0", "1", "-1", "1.5"]
    + ["999999999999999999999999", "0.0000000000000000000000001", "true", "none", "[]", "{}", "','", "'x'", "100000"]
)
ARGUMENTS = st.sampled_from(
    [
        "'x'",
        "''",
        "0",
        "1",
        "-5",
        "100000",
        "99999999999",
        "'t'",
        "'NL'",
        "'nl'",
        "'UTC'",
        "'%d-%m-%Y'",
        "'ms'",
        "big",
        "name",
        "[]",
        "1.5",
        "none",
        "time",
        "day | date",
    ]
)


def extend(inner):
    filtered = st.builds(
        lambda of, name, arguments: f"({of}) | {name}" + (f"({', '.join(arguments)})" if arguments else ""),
        inner,
        st.sampled_from(sorted(FILTERS)),
        st.lists(ARGUMENTS, max_size=3),
    )
    operators = st.sampled_from(["~", "+", "-", "*", "/", "//", "%", "==", "<", "in", "and", "or", "not in", "!="])
    binary = st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, operators, inner)
    listed = st.builds(lambda items: f"[{', '.join(items)}]", st.lists(inner, max_size=6))
    objects = st.builds(lambda a, b: f"{{'a': {a}, 'b': {b}}}", inner, inner)
    conditional = st.builds(lambda a, b, c: f"({a}) if ({b}) else ({c})", inner, inner, inner)
    member = st.builds(lambda a, b: f"({a})[{b}]", inner, ARGUMENTS)
    return filtered | filtered | filtered | binary | listed | objects | conditional | member


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_takes_any_argument_or_refuses_it_in_words(name):
    """Whatever stands in its parentheses, of whatever kind, and whatever it is applied to."""
    given = ["[]", "{}", "[[]]", "none", "true", "''", "'x'", "-1", "0.5", "999999999999999999999999", "big", "nope"]
    values = ["name", "''", "none", "big", "[]", "{}", "time", "1.5", "true", "day | date"]
    scope = Scope(event(fields=FIELDS))
    for arguments in [*given, *(f"{one}, {other}" for one in given for other in given)]:
        for value in values if "," not in arguments else values[:2]:
            with contextlib.suppress(ExpressionError, EvaluationError):
                compile_expression(f"({value}) | {name}({arguments})", tables=TABLES).evaluate(scope)


MEGABYTES = 64


@contextlib.contextmanager
def bounded(text, seconds=6):
    """Fail when more is used inside: seconds of this process's own time (the machine may be busy), or memory."""

    def too_long(*_):
        raise AssertionError(f"more than {seconds} s: {text}")

    before = signal.signal(signal.SIGVTALRM, too_long)
    tracemalloc.start()
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        tracemalloc.stop()
        signal.signal(signal.SIGVTALRM, before)
    assert peak < MEGABYTES * 1024 * 1024, text


def test_the_search_would_see_what_runs_away():
    """The bounds of the search below are bounds."""
    with pytest.raises(AssertionError), bounded("memory"):
        bytearray((MEGABYTES + 1) * 1024 * 1024)
    with pytest.raises(AssertionError), bounded("time", 0.05):
        all(True for _ in itertools.repeat(1))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(ATOMS, extend, max_leaves=8))
def test_no_expression_takes_long_or_much(text):
    """A search for an expression that takes seconds, or more than 64 MB, to compile and to evaluate."""
    scope = Scope(event(fields=FIELDS))
    with bounded(text), contextlib.suppress(ExpressionError, EvaluationError):
        compile_expression(text, tables=TABLES).evaluate(scope)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(ATOMS, extend, max_leaves=8))
def test_no_expression_exceeds_a_bound(text):
    """A search for an expression whose value, at any step, is larger than it may be, or that ends in another error."""
    scope = Scope(event(fields=FIELDS))
    try:
        expression = compile_expression(text, tables=TABLES)
    except ExpressionError:
        return
    for step in expression.explain(scope):
        assert within_bounds(step.value) or step.value == FIELDS, step.text  # `fields` is what the event has already
    with contextlib.suppress(EvaluationError):
        assert within_bounds(expression.evaluate(scope))


def test_a_list_of_a_hundred_thousand_is_refused():
    """An event with absurdly many interests or tags costs no time in expressions."""
    many = frozenset(str(n) for n in range(20_000))
    for scope in (
        Scope(event(interests=many)),
        Scope(event(type=EventType.CLICK, variables={"tags": tuple(many)})),
    ):
        with pytest.raises(EvaluationError, match="at most"):
            compile_expression("interests | sort" if len(scope.event.interests) > 9 else "tags | sort").evaluate(scope)
