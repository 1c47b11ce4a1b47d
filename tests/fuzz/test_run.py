"""A short run of the fuzzer is part of the suite; `make fuzz` is the long one."""

import os
import re
import subprocess
import sys


def test_a_few_thousand_inputs_make_no_crash_no_hang_and_no_5xx() -> None:
    """Decoder, XML, signature, key record, application and the receiver itself: the same inputs each time."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "500", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^(\w+) +([0-9,]+) +0 +0 +0 ", done.stdout, re.MULTILINE)
    assert rows == [(name, "500") for name in ("form", "json", "xml", "signature", "key", "application", "receiver")]


def test_what_goes_wrong_is_found_and_shown(tmp_path) -> None:
    """A decoder that breaks on some inputs is seen to: exit status 1, and the input with its seed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, importlib.abc, importlib.util\n"
        "class Break(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name != 'tests.fuzz.targets':\n"
        "            return None\n"
        "        sys.meta_path.remove(self)\n"
        "        import connector.domain.reading as reading\n"
        "        whole = reading.decode_form\n"
        "        reading.decode_form = lambda body, *rest: 1 / 0 if b'%00' in body else whole(body, *rest)\n"
        "        return None\n"
        "sys.meta_path.insert(0, Break())\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{os.getcwd()}"
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", "200", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert "CRASH in form: ZeroDivisionError" in done.stdout
    assert "b'" in done.stdout
