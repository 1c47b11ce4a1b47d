"""What expressions cost: microseconds of processor time per evaluation.

.venv/bin/python bench/expressions.py
"""

import time

from connector.domain.event import Event, EventType, TimeFrom
from connector.domain.record import Record, RecordKind
from connector.mapping.expression import Scope, compile_expression

ROUNDS = 20_000
TABLES = {"landen": {"nl": "Nederland", "be": "België"}}

FIELDS = {
    "voornaam": "Jan",
    "Achter naam": " van Dijk ",
    "email": " Jan@Voorbeeld.NL ",
    "telefoon": "06-12345678",
    "geboren": "31-12-1980",
    "saldo": "1.234,56",
    "optin": "ja",
    "land": "nl",
    "postcode": "1234ab",
    "aantal": "12",
    **{f"veld{n}": f"waarde {n}" for n in range(20)},
}

TYPICAL = [
    "voornaam",
    "fields['Achter naam'] | trim",
    "email | trim | lower",
    "email | trim | email",
    "telefoon | e164('NL')",
    "geboren | date",
    "saldo | money",
    "aantal | int",
    "optin | bool",
    "optin == 'ja'",
    "land | lookup('landen')",
    "land | country",
    "postcode | postcode",
    "voornaam ~ ' ' ~ fields['Achter naam']",
    "interests | sort | join(';')",
    "'gold' in interests",
    "profile.id",
    "time | utc",
]


def make_event(turn: int) -> Event:
    """Return an event whose phone, address and date differ, so that no cache answers in place of the work."""
    changing = {
        "telefoon": f"06-12{turn % 1_000_000:06}",
        "email": f" Jan{turn}@Voorbeeld.NL ",
        "geboren": f"{turn % 28 + 1:02}-{turn % 12 + 1:02}-{1900 + turn % 100}",
    }
    return Event(
        type=EventType.UPDATE,
        record=Record(RecordKind.PROFILE, "7616", "12"),
        at=1_719_828_000_000,
        at_from=TimeFrom.TIME,
        profile="12",
        database="7616",
        fields={**FIELDS, **changing},
        interests=frozenset({"gold", "blauw", "rood"}),
    )


def measure(texts: list[str], rounds: int) -> float:
    """Return the microseconds that it takes to evaluate these expressions once, a new event each time."""
    expressions = [compile_expression(text, tables=TABLES) for text in texts]
    events = [make_event(turn) for turn in range(rounds)]
    for expression in expressions:
        expression.evaluate(Scope(events[0]))
    begin = time.process_time()
    for event in events:
        scope = Scope(event)
        for expression in expressions:
            expression.evaluate(scope)
    return (time.process_time() - begin) / rounds * 1e6


def main() -> None:
    """Print the figures."""
    for text in TYPICAL:
        print(f"{measure([text], ROUNDS):8.2f} µs  {text}")
    copies = [f"veld{n}" for n in range(12)]
    print(f"{measure(copies + TYPICAL, ROUNDS // 4):8.2f} µs  30 fields: 12 copies and all of the above, new values")
    plain = [f"veld{n}" for n in range(20)] + [t for t in TYPICAL if "e164" not in t and "| email" not in t][:10]
    print(f"{measure(plain, ROUNDS // 4):8.2f} µs  30 fields: 20 copies and ten of the above, no phone or address")
    begin = time.process_time()
    for text in TYPICAL * 20:
        compile_expression(text, tables=TABLES)
    print(f"{(time.process_time() - begin) / len(TYPICAL) / 20 * 1e6:8.2f} µs  to check and compile one")


if __name__ == "__main__":
    main()
