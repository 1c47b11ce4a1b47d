"""`status`: what it shows, and when it exits 1."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from connector.cli.health import problems
from connector.cli.overview import lines, sections
from connector.cli.overview_rich import show
from connector.config.model import Alert, Config, Destination, Outbox
from connector.outbox.port import Pause, Status

NOW = 1_769_860_800_000
MINUTE = 60_000
CONFIG = Config()
QUIET = Status(
    deliveries={"pending": 0, "leased": 0, "delivered": 12345, "dead": 0, "held": 0},
    events={"new": 0, "routed": 12345, "unwanted": 0, "not-understood": 0},
    unproven=0,
    oldest_due=None,
    oldest_new=None,
    last_received=NOW - 5000,
    last_delivered=NOW - 4000,
    dead=(),
    held=(),
    pauses=(),
    counters={},
    notes={},
    bytes=1024**2,
    free_bytes=100 * 1024**3,
)


def text(status: Status, config: Config = CONFIG) -> str:
    return "\n".join(lines(sections(status, config, NOW), problems(status, config, NOW)))


def test_all_is_well_when_nothing_is_over_a_threshold():
    """One line says so."""
    assert problems(QUIET, CONFIG, NOW) == []
    said = text(QUIET)
    assert said.startswith("All is well.\n")
    assert "delivered  12,345" in said
    assert "last delivered  2026-01-31 11:59:56Z (4 s ago)" in said


@pytest.mark.parametrize(
    ("changed", "config", "words"),
    [
        ({"deliveries": {"dead": 1}}, Config(), "1 delivery is dead"),
        ({"deliveries": {"dead": 5}}, Config(alert=Alert(dead=5)), "5 deliveries are dead"),
        ({"oldest_due": NOW - 61 * MINUTE}, Config(), "has been due for 1 h 1 min: does the deliverer run?"),
        ({"oldest_due": NOW - 11_000}, Config(alert=Alert(oldest_due=10)), "has been due for 11 s"),
        ({"oldest_new": NOW - 61 * MINUTE}, Config(), "has waited for the deliverer for 1 h 1 min"),
        ({"bytes": 2 * 1024**2}, Config(outbox=Outbox(max_bytes=1024**2)), "The outbox is full"),
        ({"free_bytes": 1}, Config(), "The disk is nearly full"),
        (
            {"notes": {"clock.shop": "+73 s"}},
            Config(),
            "Genuine calls of shop are refused for their Date, which is +73 s off",
        ),
        (
            {"unserved": {"letters": 23}},
            Config(),
            "23 deliveries wait for the mapping letters, which is not there any more: put its file back",
        ),
    ],
)
def test_each_threshold_is_told_with_what_to_do(changed, config, words):
    """What monitoring reports has to be enough to act on."""
    (problem,) = problems(replace(QUIET, **changed), config, NOW)
    assert words in problem
    assert text(replace(QUIET, **changed), config).startswith(f"Needs a person:\n  {problem}\n")


@pytest.mark.parametrize(
    ("changed", "config"),
    [
        ({"deliveries": {"dead": 4}}, Config(alert=Alert(dead=5))),
        ({"oldest_due": NOW - 59 * MINUTE}, Config()),
        ({"oldest_due": NOW + MINUTE}, Config()),
        ({"notes": {"clock.shop": "", "last_test.shop": str(NOW)}}, Config()),
        ({"deliveries": {"held": 7}, "held": (("customers", "by an operator", 7),)}, Config()),
    ],
)
def test_below_the_thresholds_nothing_is_wrong(changed, config):
    """Monitoring is not woken for what is in order."""
    assert problems(replace(QUIET, **changed), config, NOW) == []


def test_everything_that_needs_attention_is_shown():
    """Dead and held with their reasons, pauses, unproven, refused and declined calls, test calls, what is observed."""
    status = replace(
        QUIET,
        deliveries={"pending": 3, "dead": 4, "held": 2, "delivered": 1},
        events={"new": 1, "routed": 1, "unwanted": 6, "not-understood": 5},
        unproven=9,
        oldest_due=NOW - 90_000,
        dead=(("customers", "country: unknown value", 4),),
        held=(("orders", "mass deletes", 2),),
        pauses=(
            Pause("crm", "unreachable", "no connection", NOW - MINUTE, NOW + 8000, 3),
            Pause("orders", "operator", "moving", NOW - MINUTE),
        ),
        counters={"refused.shop.signature": 7, "refused.-.source": 2, "declined.shop.open": 100, "delivered": 1},
        notes={"last_test.shop": str(NOW - 2000)},
    )
    said = text(status, Config(destinations={"new-crm": Destination(preset="hubspot")}))
    for words in (
        "4 × country: unknown value",
        "2 × mass deletes",
        "unreachable: no connection; since 2026-01-31 11:59:00Z (1 min ago); tried again in 8 s",
        "operator: moving; since 2026-01-31 11:59:00Z (1 min ago); until it is resumed",
        'only observed (mode = "observe")',
        "9 wait until DNS gives their key",
        "refused, signature  7 (shop)",
        "refused, source     2 (unknown source)",
        "declined, open      100 (shop)",
        "the last one came 2026-01-31 11:59:58Z (2 s ago)",
        "oldest due      2026-01-31 11:58:30Z (1 min 30 s ago)",
        "unwanted",
    ):
        assert words in said


def test_a_terminal_shows_the_same_facts_in_colour():
    """Readable at a glance: what is wrong comes first, and in red; nothing is taken for markup."""
    status = replace(QUIET, deliveries={"dead": 1, "delivered": 2}, dead=(("customers", "[red]field[/red]", 1),))
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, color_system="standard", highlight=False)
    show(sections(status, CONFIG, NOW), problems(status, CONFIG, NOW), screen)
    said = screen.file.getvalue()
    assert "Needs a person" in said.splitlines()[0]
    assert "\x1b[1;31m1 × [red]field[/red]" in said
    screen = Console(file=io.StringIO(), width=100)
    show(sections(QUIET, CONFIG, NOW), [], screen)
    assert screen.file.getvalue().startswith("● All is well\n")


def test_the_json_of_status_is_what_the_documentation_says(installation, run):
    """A contract: these names."""
    result = run("status", "--json")
    form = json.loads(result.out)
    assert list(form) == [
        "at",
        "ok",
        "problems",
        "deliveries",
        "events",
        "unproven",
        "oldest_due",
        "oldest_new",
        "last_received",
        "last_delivered",
        "dead",
        "held",
        "unserved",
        "pauses",
        "counters",
        "notes",
        "bytes",
        "free_bytes",
    ]
    assert (result.code, form["ok"], form["problems"]) == (0, True, [])
    assert form["deliveries"]["dead"] == 0


def test_status_exits_1_when_something_is_dead(installation, run):
    """Through the real outbox."""
    from connector.domain.outcome import OutcomeKind
    from tests.support.world import answer

    installation.world.crm.faults.append(answer(OutcomeKind.PERMANENT, reason="country: unknown value"))
    installation.world.call("create", 1, email="a@example.com")
    installation.world.settle()
    result = run("status")
    assert result.code == 1
    assert "1 × country: unknown value" in result.out
    form = json.loads(run("status", "--json").out)
    assert form["dead"] == [{"mapping": "customers", "reason": "country: unknown value", "count": 1}]
    assert form["ok"] is False
