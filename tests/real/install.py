"""Installs the real servers that the suite runs against: `make real-servers`.

Each gets a virtual environment of its own beside the project's, `.venv-tryton` and `.venv-kinto`: nothing of them is
needed to build, test or run the connector. Where one is not installed, its tests are skipped, and say so.
"""

import argparse
import json
import secrets
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "tryton": ("trytond==8.2.*", "trytond-party==8.2.*", "trytond-sale-opportunity==8.2.*"),
    "kinto": ("kinto==26.*",),
}
READY = "ready.json"
"""Written last; what it holds is what the tests have to know of the server."""


def folder(name: str) -> Path:
    """Return where a server is installed, or would be."""
    return ROOT / f".venv-{name}"


def install(name: str) -> None:
    """Install one server. Raises subprocess.CalledProcessError."""
    here = folder(name)
    if (here / READY).exists():
        print(f"{name} is installed in {here}")
        return
    print(f"installing {name} into {here} …", flush=True)
    venv.create(here, with_pip=True)
    python = here / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
    facts = _tryton_database(here) if name == "tryton" else {}
    (here / READY).write_text(json.dumps(facts), encoding="ascii")


def _tryton_database(here: Path) -> dict[str, object]:
    """Make the database that each test starts from: a company, its currency, and a key for the REST API."""
    print("making its database (half a minute) …", flush=True)
    config, database, passwords = here / "trytond.conf", here / "crm.sqlite", here / "password"
    config.write_text(f"[database]\nuri = sqlite://\npath = {here}\n", encoding="utf-8")
    passwords.write_text(secrets.token_urlsafe(16) + "\n", encoding="ascii")
    database.unlink(missing_ok=True)
    database.touch()
    admin = [here / "bin" / "trytond-admin", "-c", config, "-d", "crm"]
    environment = {"TRYTONPASSFILE": str(passwords), "PATH": "/usr/bin:/bin"}
    subprocess.run([*admin, "--all", "--email", "admin@example.com"], check=True, env=environment)
    subprocess.run([*admin, "-u", "sale_opportunity", "--activate-dependencies"], check=True, env=environment)
    made = subprocess.run(
        [here / "bin" / "python", Path(__file__).with_name("tryton_setup.py"), config],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    facts: dict[str, object] = json.loads(made.stdout)
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(PACKAGES)}; all without")
    names = parser.parse_args().names or list(PACKAGES)
    for name in names:
        if name not in PACKAGES:
            sys.exit(f"there is no server {name!r}; there are {', '.join(PACKAGES)}")
        install(name)


if __name__ == "__main__":
    main()
