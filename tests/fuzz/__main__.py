"""Fuzzes decoder, XML, signature, key record and HTTP edge: `python -m tests.fuzz --seconds 60`.

Prints how many inputs each target took and what came of them, then the branch coverage of what they reached. A crash, a
hang (an input that takes longer than its deadline) or a 5xx is shown with its input, and makes the exit status 1.
"""

import argparse
import faulthandler
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import coverage
import structlog

if TYPE_CHECKING:
    from tests.fuzz.making import Maker

ROOT = Path(__file__).parents[2]
DEADLINE = 20
"""Seconds that one input may take: the largest takes a fiftieth, but machines can be busy."""
STUCK = 60
"""Seconds after which even C code that never returns is shown, and ended."""
MEASURED = (
    "form", "charset", "reading", "document", "decode", "dutchtime", "jsondocument", "xmldocument", "signature", "judgement", "digest",
    "keyname", "dkim",
)  # fmt: skip
SHOWN = 6


class HangError(Exception):
    """An input took longer than its deadline."""


@dataclass
class Result:
    """What a target came to."""

    inputs: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: int = 0
    hangs: int = 0
    fives: int = 0
    slowest: float = 0.0


def main() -> int:
    """Fuzz, print, return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together (default: %(default)s)")
    parser.add_argument("--inputs", type=int, help="for each target, instead of a time")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _hang)
    measure = coverage.Coverage(
        data_file=None,
        branch=True,
        config_file=False,
        include=[str(ROOT / f"connector/domain/{name}.py") for name in MEASURED],
    )
    measure.start()
    # Late: what is imported before is not measured.
    from tests.fuzz import targets
    from tests.fuzz.making import Maker
    from tests.fuzz.wire import wire

    memory = Path("/dev/shm")
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folders = [Path(name) / one for one in ("app", "wire")]
        for folder in folders:
            folder.mkdir()
        parts: dict[str, Callable[[], object]] = {
            one.__name__: lambda one=one: _still(one)
            for one in (targets.form, targets.json, targets.xml, targets.signature, targets.key)
        }
        parts["application"] = lambda: targets.application(folders[0])
        parts["receiver"] = lambda: wire(folders[1])
        print(f"seed {options.seed}")
        for number, (title, opened) in enumerate(parts.items()):
            maker = Maker(options.seed + number)
            with opened() as target:  # type: ignore[attr-defined]
                results[title] = _fuzz(title, target, maker, options.seconds / len(parts), options.inputs)
    measure.stop()
    _show(results)
    _show_coverage(measure)
    return int(any(result.crashes or result.hangs or result.fives for result in results.values()))


@contextmanager
def _still(target: Callable[["Maker"], str]) -> Iterator[Callable[["Maker"], str]]:
    yield target


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise HangError


def _fuzz(title: str, target: Callable[["Maker"], str], maker: "Maker", seconds: float, inputs: int | None) -> Result:
    from tests.fuzz import targets

    result = Result()
    began = time.monotonic()
    limit = DEADLINE if title != "receiver" else 2 * DEADLINE
    while result.inputs < inputs if inputs else time.monotonic() - began < seconds:
        result.inputs += 1
        started = time.monotonic()
        if result.inputs % 100 == 1:
            faulthandler.dump_traceback_later(STUCK * 2, exit=True)
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            result.outcomes[target(maker)] += 1
        except HangError:
            result.hangs += 1
            print(f"HANG in {title}: {str(targets.LAST.value)[:4000]}")
        except targets.FiveError as error:
            result.fives += 1
            print(f"5XX in {title}: {error}\n  {str(targets.LAST.value)[:4000]}")
        except Exception as error:
            result.crashes += 1
            print(f"CRASH in {title}: {type(error).__name__}: {error}\n  {str(targets.LAST.value)[:4000]}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        result.slowest = max(result.slowest, time.monotonic() - started)
    faulthandler.cancel_dump_traceback_later()
    result.seconds = time.monotonic() - began
    return result


def _show(results: dict[str, Result]) -> None:
    print(
        f"\n{'target':12} {'inputs':>9} {'crashes':>8} {'hangs':>6} {'5xx':>4} {'slowest ms':>11} {'seconds':>8}  what came of them"
    )
    for title, result in results.items():
        most = [f"{word} {count:,}" for word, count in result.outcomes.most_common(SHOWN)]
        rest = sum(result.outcomes.values()) - sum(count for _, count in result.outcomes.most_common(SHOWN))
        words = ", ".join([*most, *([f"others {rest:,}"] if rest else [])])
        print(
            f"{title:12} {result.inputs:9,} {result.crashes:8} {result.hangs:6} {result.fives:4} {result.slowest * 1000:11.1f}"
            f" {result.seconds:8.1f}  {words}"
        )
    print(f"{'all':12} {sum(result.inputs for result in results.values()):9,}")


def _show_coverage(measure: coverage.Coverage) -> None:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        measure.json_report(outfile=file.name)
        report = json.loads(Path(file.name).read_text("utf-8"))
    print(f"\n{'module':16} {'lines':>6} {'branches':>9} {'reached':>8}  not reached (line, or line->line of a branch)")
    for path, found in sorted(report["files"].items()):
        summary = found["summary"]
        missing = [str(line) for line in found["missing_lines"]]
        missing += [f"{start}->{'exit' if end < 0 else end}" for start, end in found["missing_branches"]]
        reached = f"{summary['covered_branches']}/{summary['num_branches']}"
        print(
            f"{Path(path).stem:16} {summary['num_statements']:6} {reached:>9} {summary['percent_covered']:7.1f}%  {' '.join(missing)}"
        )
    total = report["totals"]
    share = f"{total['covered_branches']}/{total['num_branches']}"
    print(f"{'all':16} {total['num_statements']:6} {share:>9} {total['percent_covered']:7.1f}%")


if __name__ == "__main__":
    sys.exit(main())
