"""The mapping files of a simulated customer, as they change over the years. Read by the product's own loader."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from connector.mapping.load import load_mappings
from connector.mapping.mapping_set import Mappings

_CUSTOMERS = """name: NAME
from: {database: 1}
to: {crm: crm, object: contacts}
match: [{email: email | trim | lower}]
set:
  pid: profile.id
  email: email | trim | lower
  firstname: name
  city: city
MOREon_delete: erase
guard: {deletes: GUARD, share: 0.01}
"""
_DEALS = """name: deals
from: {collection: 2}
to: {crm: crm, object: deals}
match: [{code: code}]
link: {contact: NAME}
set:
  sid: subprofile.id
  code: code
  title: title
on_delete: erase
when_gone: recreate
guard: {deletes: 50, share: 0.01}
"""
_CLICKS = """name: clicks
from: {email: [click]}
to: {crm: crm, object: contacts}
match: [{email: recipient | trim | lower}]
set: {clicked: message.id}
"""
_LETTERS = """name: letters
from: {database: 1}
when: opt == 'yes'
otherwise: delete
to: {crm: crm, object: letters}
match: [{lid: profile.id}]
set:
  lid: profile.id
  address: email
on_delete: erase
when_gone: recreate
guard: {deletes: 50, share: 0.01}
"""

STAGES = ("first", "a field added", "a mapping added", "renamed", "a mapping removed")
"""What is in force, in this order. No stage comes back: that is what a restart with other mappings means here."""


def customers_name(stage: int) -> str:
    return "clients" if stage >= 3 else "customers"


@functools.cache
def mappings(stage: int, *, strict_guard: bool) -> Mappings:
    """The mappings of that stage, compiled once for all seeds."""
    name = customers_name(stage)
    more = "  phone: phone\n" if stage >= 1 else ""
    texts = [_CUSTOMERS.replace("MORE", more).replace("GUARD", "3" if strict_guard else "50"), _DEALS, _CLICKS]
    if stage in (2, 3):
        texts.append(_LETTERS)
    with tempfile.TemporaryDirectory() as folder:
        for i, text in enumerate(texts):
            (Path(folder) / f"m{i}.yaml").write_text(text.replace("NAME", name))
        return load_mappings(Path(folder))
