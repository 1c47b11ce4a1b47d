"""Which commands there are, where each one lives, and the line that tells them apart.

A command's module is imported only when the command is run: `connector --help` and `connector status` start at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: its function as `module:name` below connector.cli, and its line in `connector --help`."""

    where: str
    line: str


GROUPS: Mapping[str, Mapping[str, Entry]] = {
    "Set up": {
        "init": Entry("init:init", "Write a first configuration and mapping."),
        "draft-mapping": Entry("draft_mapping:draft_mapping", "Draft a mapping from a call, or from what is stored."),
        "check": Entry("check:check", "Find every mistake in the configuration and the mappings."),
        "preset": Entry("preset:preset", "Show the CRM presets and what they ask for."),
        "schema": Entry("schema:schema", "Print a JSON Schema for editors."),
        "doctor": Entry("doctor:doctor", "Call each CRM, harmlessly, and look at the outbox."),
        "install-units": Entry("install_units:install_units", "Put the systemd units in place."),
        "own-url": Entry("own_url:own_url", "Prove to Copernica that an address is yours."),
    },
    "Run": {
        "run": Entry("run:run", "Take calls and deliver them, in one."),
        "serve": Entry("serve:serve", "Take Copernica's calls, and have them on disk before answering."),
        "deliver": Entry("deliver:deliver", "Bring what is stored to the CRM."),
    },
    "Look": {
        "status": Entry("status:status", "Say how it stands, at a glance."),
        "list": Entry("list:list_", "List events and their deliveries, newest first."),
        "show": Entry("show:show", "Tell all that is known of one event."),
        "links": Entry("links:links", "Show, export and import which CRM record is whose."),
    },
    "Act": {
        "replay": Entry("replay:replay", "Deliver again, through the mappings as they are now."),
        "hold": Entry("hold:hold", "Keep deliveries back until they are released."),
        "release": Entry("release:release", "End holds: the newest state of each becomes due."),
        "discard": Entry("discard:discard", "Throw away what is pending, held or dead."),
        "pause": Entry("pause:pause", "Send nothing to a destination, or for a mapping."),
        "resume": Entry("resume:resume", "End a pause."),
        "erase": Entry("erase:erase", "Remove a person from the outbox, and on request from the CRM."),
        "backup": Entry("backup:backup", "Copy the outbox while it is in use."),
    },
    "Try": {
        "demo": Entry("demo:demo", "Show the whole way on this machine, with a sample CRM."),
        "preview": Entry("preview:preview", "Show what a mapping would send, and send nothing."),
        "test": Entry("test:test", "Run the examples that stand in mapping files."),
        "simulate": Entry("simulate:simulate", "Send a genuine, signed sample call."),
        "verify": Entry("verify:verify", "Explain step by step why a call is or is not genuine."),
        "sample-crm": Entry("sample_crm:sample_crm", "Start a small CRM to try things against."),
    },
}

COMMANDS: Mapping[str, Entry] = {name: entry for group in GROUPS.values() for name, entry in group.items()}
