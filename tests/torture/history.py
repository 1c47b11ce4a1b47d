"""What Copernica says in the torture of commits: histories of families (a contact and its deals), mixed at random."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Call:
    """One call. `parent` is a deal's contact; None for a contact."""

    kind: str
    number: int
    parent: int | None
    fields: Mapping[str, str]


@dataclass
class Said:
    """What was said last of each record that is not deleted, and every deal's contact."""

    contacts: dict[int, Mapping[str, str]] = field(default_factory=dict)
    deals: dict[int, Mapping[str, str]] = field(default_factory=dict)
    contact_of: dict[int, int] = field(default_factory=dict)

    def hear(self, call: Call) -> None:
        records = self.contacts if call.parent is None else self.deals
        if call.parent is not None:
            self.contact_of[call.number] = call.parent
        if call.kind == "delete":
            records.pop(call.number, None)
        else:
            records[call.number] = call.fields


class Family:
    """A contact and its deals: made (a deal's call may come before its contact's), changed, deleted, made again."""

    def __init__(self, chance: random.Random, contact: int, deals: Sequence[int]) -> None:
        self.chance, self.contact, self.deals = chance, contact, deals
        self.version = 0

    def _contact(self, kind: str) -> Call:
        self.version += 1
        address = f"p{self.contact}{self.chance.choice(('', '.a', '.b'))}@example.com"
        fields = {} if kind == "delete" else {"email": address, "version": f"v{self.version}"}
        return Call(kind, self.contact, None, fields)

    def _deal(self, kind: str, deal: int) -> Call:
        self.version += 1
        fields = {} if kind == "delete" else {"version": f"v{self.version}"}
        return Call(kind, deal, self.contact, fields)

    def _appear(self) -> Iterator[Call]:
        calls = [self._contact("create"), *(self._deal("create", deal) for deal in self.deals)]
        self.chance.shuffle(calls)
        yield from calls

    def _change(self) -> Iterator[Call]:
        for _ in range(self.chance.randint(0, 3)):
            who = self.chance.choice((None, None, *self.deals))
            yield self._contact("update") if who is None else self._deal("update", who)

    def _go(self) -> Iterator[Call]:
        calls = [self._contact("delete"), *(self._deal("delete", deal) for deal in self.deals)]
        self.chance.shuffle(calls)
        yield from calls

    def history(self) -> Iterator[Call]:
        yield from self._appear()
        yield from self._change()
        fate = self.chance.random()
        if fate < 0.3:
            yield from self._go()
        if fate < 0.15:
            yield from self._appear()
            yield from self._change()
        elif fate > 0.9 and self.deals:
            yield self._deal("delete", self.chance.choice(self.deals))


def histories(records: int, seed: int) -> list[Call]:
    """Return the calls about that many records: six contacts to four deals, some with the same contact."""
    chance = random.Random(seed)
    contacts = list(range(1, records * 6 // 10 + 1))
    deals: dict[int, list[int]] = {contact: [] for contact in contacts}
    for deal in range(10_000, 10_000 + records - len(contacts)):
        deals[chance.choice(contacts[: len(contacts) // 2])].append(deal)
    families = [list(Family(chance, contact, deals[contact]).history()) for contact in contacts]
    open_now: list[list[Call]] = []
    mixed: list[Call] = []
    while families or open_now:
        while families and len(open_now) < 50:
            open_now.append(families.pop(0)[::-1])
        one = chance.choice(open_now)
        mixed.append(one.pop())
        if not one:
            open_now.remove(one)
    return mixed
