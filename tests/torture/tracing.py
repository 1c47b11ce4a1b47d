"""What a program did to its files, and what it answered, in the order of its system calls: read from strace."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMAND = (
    "strace",
    "--follow-forks",
    "--decode-fds=path",
    "--strings-in-hex=all",
    "--string-limit=100000",
    "--signal=none",
    "--trace=pwrite64,write,fsync,fdatasync,ftruncate,unlink,sendto,sendmsg,writev",
)
"""To be followed by `--output=FILE` and the program."""


@dataclass(frozen=True, slots=True)
class Step:
    """The begin or the end of a system call. `path` is that of its file; `data` are all bytes it was given.

    A call that failed has no end; `number` is the last of its plain arguments: an offset or a size.
    """

    thread: int
    call: str
    path: str
    data: bytes = b""
    number: int = 0
    handle: int = -1
    is_end: bool = False


_LINE = re.compile(r"(\d+) +(\w+)\((.*)$", re.DOTALL)
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)")
_HANDLE = re.compile(r"(\d+)<([^>]*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_RESULT = re.compile(r"\) += (-?\d+)")
_NUMBER = re.compile(r", (\d+)$")


def read(log: Path) -> Iterator[Step]:
    """Yield each call's begin, and its end once it has done what it was to do."""
    begun: dict[int, Step] = {}
    with log.open(encoding="ascii") as file:
        for line in file:
            resumed = _RESUMED.match(line)
            if resumed:
                step = begun.pop(int(resumed[1]), None)
                if step is not None and int(resumed[3]) >= 0:
                    yield _end(step)
                continue
            found = _LINE.match(line)
            if found is None:
                continue
            thread, call, rest = int(found[1]), found[2], found[3]
            step = _step(thread, call, rest)
            yield step
            result = _RESULT.search(rest, rest.rfind('"') + 1)
            if result is None:
                begun[thread] = step
            elif int(result[1]) >= 0:
                yield _end(step)


def _end(step: Step) -> Step:
    return Step(step.thread, step.call, step.path, step.data, step.number, step.handle, is_end=True)


def _step(thread: int, call: str, rest: str) -> Step:
    handle = _HANDLE.match(rest)
    strings = b"".join(_bytes(one) for one in _STRING.findall(rest))
    if handle is None:  # unlink: its only argument is the path
        return Step(thread, call, strings.decode("utf-8", "replace"))
    path = _bytes(handle[2]).decode("utf-8", "replace") if handle[2].startswith("\\x") else handle[2]
    plain = rest.partition(")")[0].partition("<unfinished")[0].rstrip(" ") if call in ("pwrite64", "ftruncate") else ""
    number = _NUMBER.search(plain[-40:])
    return Step(thread, call, path, strings, int(number[1]) if number else 0, int(handle[1]))


def _bytes(shown: str) -> bytes:
    return bytes.fromhex(shown.replace("\\x", ""))
