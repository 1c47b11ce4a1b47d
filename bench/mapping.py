"""What mapping costs: processor time per event of 30 fields, and loading 200 files.

python bench/mapping.py
"""

import sys
import tempfile
import time
from pathlib import Path

from connector.domain.change import Change
from connector.domain.event import Event, EventType, TimeFrom
from connector.domain.record import Record, RecordKind
from connector.mapping.load import load_mappings

FIELDS = 30
EVENTS = 5_000
FILES = 200
MOST_MICROSECONDS = 150
MOST_SECONDS = 1.0

KINDS = (
    "f{n}",
    "f{n} | trim",
    "f{n} | trim | lower",
    "fields['f{n}']",
    "f{n} | bool",
    "f{n} | money",
    "f{n} | date",
    "f{n} ~ ' ' ~ f0",
    "{{from: f{n}, type: integer, zero: empty}}",
    "{{lookup: landen, from: f{n}, default: NL}}",
)
VALUES = ("Anna", " Anna ", " ANNA@Example.com", "Straat 1", "ja", "1.234,50", "31-12-2025", "van", "42", "Nederland")


def file(number: int) -> str:
    """Return a mapping file that sets 30 fields."""
    said = "".join(f"  c{n}: {KINDS[n % len(KINDS)].format(n=n)}\n" for n in range(FIELDS))
    return f"""name: mapping-{number}
from: {{database: {number + 1}}}
when: f4 == 'ja'
otherwise: leave
to: {{crm: crm, object: contact}}
match: [{{c_id: profile.id}}, {{c2: f2 | trim | lower}}]
set:
  c_id: profile.id
{said}on_delete: archive
tables: {{landen: {{Nederland: NL, België: BE}}}}
"""


def main() -> int:
    """Print the figures; return 1 when one is above its limit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(FILES):
            (folder / f"m{number}.yaml").write_text(file(number), encoding="utf-8")
        begin = time.process_time()
        mappings = load_mappings(folder)
        loading = time.process_time() - begin
    fields = {f"f{n}": VALUES[n % len(VALUES)] for n in range(FIELDS)}
    event = Event(
        type=EventType.UPDATE,
        record=Record(RecordKind.PROFILE, "1", "7"),
        at=1_769_857_200_000,
        at_from=TimeFrom.TIME,
        profile="7",
        database="1",
        fields=fields,
        interests=frozenset(),
    )
    change = mappings.mappings["mapping-0"].translate(event, linked=False, last=None)
    assert isinstance(change, Change), change
    assert len(change.fields) == FIELDS + 1, change
    begin = time.process_time()
    for _ in range(EVENTS):
        for mapping in mappings.taking(event, "shop"):
            mapping.translate(event, linked=False, last=None)
    each = (time.process_time() - begin) / EVENTS * 1e6
    print(f"{each:8.1f} µs of processor time for an event of {FIELDS} fields (at most {MOST_MICROSECONDS})")
    print(f"{loading:8.2f} s for loading {FILES} files of {FIELDS} fields (at most {MOST_SECONDS})")
    return int(each > MOST_MICROSECONDS or loading > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
