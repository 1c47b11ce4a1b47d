"""The same targets, guided by coverage: `python -m tests.fuzz.guided SECONDS` (see `make fuzz-guided`).

Needs atheris (libFuzzer for Python), which is no dependency of the project: it has a venv of its own. The bytes that
libFuzzer makes are the body, the header or the record itself; the corpus that it starts from is that of the tests.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["connector.domain"]):
    from tests.fuzz import targets
    from tests.fuzz.making import FORM, JSON, XML, dkim_records, seeds

from connector.domain.dkim import parse_records
from connector.domain.signature import SignatureError, parse_signature
from tests.decode.calls import SIGNED_AT

CONTENT = {"form": FORM, "json": JSON, "xml": XML}


def decoding(content_type: str) -> object:
    """Return a function that decodes bytes as a body; the first byte chooses the source."""

    def decode(data: bytes) -> None:
        source = targets.DECODERS[data[0] % 4] if data else targets.SHOP
        targets.check_decoding(data[1:], content_type, source, SIGNED_AT)

    return decode


def signature(data: bytes) -> None:
    """Read bytes as a Signature header."""
    try:
        parse_signature(data.decode("latin-1"))
    except SignatureError:
        pass


def key(data: bytes) -> None:
    """Read lines of bytes as TXT records."""
    parse_records(data.split(b"\n"), "fuzz")


def one(title: str, seconds: str) -> None:
    """Hand over to libFuzzer, which ends the process."""
    bodies = {name: [b"\0" + body for body in seeds(kind)] for name, kind in CONTENT.items()}
    header = targets.GENUINE.header("signature") or ""
    begin = {**bodies, "signature": [header.encode("latin-1")], "key": list(dkim_records())}[title]
    folder = Path(tempfile.mkdtemp(prefix="connector-fuzz-"))
    for number, data in enumerate(begin):
        (folder / str(number)).write_bytes(data)
    run = {"signature": signature, "key": key}.get(title) or decoding(CONTENT[title])
    limits = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=20000", f"-max_total_time={seconds}"]
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/", "-print_final_stats=1", str(folder)], run)
    atheris.Fuzz()


def main() -> int:
    """Fuzz each target in a process of its own; print a line for each, and all of what one said that failed."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    failed = 0
    for title in (*CONTENT, "signature", "key"):
        command = [sys.executable, "-m", "tests.fuzz.guided", seconds, title]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        inputs = re.search(r"number_of_executed_units: *([0-9]+)", done.stderr)
        reached = re.findall(r"cov: ([0-9]+) ft: ([0-9]+)", done.stderr)
        edges, features = reached[-1] if reached else ("?", "?")
        count = f"{int(inputs[1]):,}" if inputs else "?"
        print(f"{title:10} {count:>11} inputs, {edges} edges, {features} features, exit {done.returncode}")
        if done.returncode:
            failed += 1
            print(done.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        one(sys.argv[2], sys.argv[1])
    else:
        sys.exit(main())
