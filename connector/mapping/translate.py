"""From an event to the wanted change: what a mapping file means, at run time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connector.domain.change import Change, Defect, JsonValue, Many, MatchKey, Parent, Skip, Translation, Verb, WhenGone
from connector.domain.clock import Millis
from connector.domain.event import Event, EventType
from connector.domain.record import Record, RecordKind
from connector.mapping.compiled import Run
from connector.mapping.expression import Expression
from connector.mapping.port import Deliver, Write
from connector.mapping.scope import Scope
from connector.mapping.typed import MisfitError, is_empty
from connector.mapping.value import CLEARED, Setter
from connector.mapping.values import MISSING, EvaluationError

MAX_MATCH_VALUE = 500
_VERBS = {"erase": Verb.ERASE, "archive": Verb.ARCHIVE, "anonymise": Verb.ANONYMISE}


@dataclass(frozen=True, slots=True)
class Origin:
    """Which events a mapping takes. `scope` is the database's or collection's number, or None for any."""

    kind: RecordKind | None
    scope: str | None
    source: str | None
    events: frozenset[EventType]

    def takes(self, event: Event, source: str) -> bool:
        """Tell whether the event is one of these."""
        record = event.record
        return (
            event.type in self.events
            and (self.kind is None or record.kind is self.kind)
            and (self.scope is None or record.scope == self.scope)
            and (self.source is None or self.source == source)
        )


@dataclass(frozen=True, slots=True)
class Relation:
    """A link to make. `database` is given when the parent is a subprofile's profile; else it is the same record."""

    relation: str
    mapping: str
    object: str
    database: str | None

    def parent(self, event: Event) -> Parent | None:
        """Return the parent that this event names, or None when the event does not say."""
        if self.database is None:
            return Parent(self.relation, self.mapping, self.object, event.record)
        if event.profile is None:
            return None
        record = Record(RecordKind.PROFILE, self.database, event.profile)
        return Parent(self.relation, self.mapping, self.object, record)


@dataclass(frozen=True, slots=True)
class Action:
    """What is done other than setting the mapping's fields: a word, or fields to change (`set`, `clear`)."""

    do: str
    set: tuple[Setter, ...] = ()
    clear: frozenset[str] = frozenset()

    @property
    def acts(self) -> bool:
        """Whether it does anything at the CRM."""
        return self.do not in ("ignore", "leave")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledMapping:
    """One mapping file, checked and compiled: a `connector.mapping.port.Mapping`."""

    name: str
    version: str
    destination: str
    object: str
    deliver: Deliver
    write: Write
    linger: Millis
    guard: tuple[int, float]
    origin: Origin
    when: Expression | None = None
    otherwise: Action | None = None
    match: tuple[Setter, ...] = ()
    set: tuple[Setter, ...] = ()
    on_create_only: tuple[Setter, ...] = ()
    on_delete: Action | None = None
    links: tuple[Relation, ...] = ()
    create: bool = True
    when_gone: WhenGone = WhenGone.STOP
    many: Many = Many.DEAD
    strict: bool = True
    volatile: frozenset[str] = field(default_factory=frozenset)

    def takes(self, event: Event, source: str) -> bool:
        """Whether the mapping wants this event."""
        return self.origin.takes(event, source)

    def translate(self, event: Event, *, linked: bool, last: Event | None) -> Translation:
        """Return what becomes of the event. Never raises for what the event holds."""
        try:
            if event.type is EventType.DELETE:
                known = event if event.fields else last  # older senders give a delete no fields
                return self._remove(self.on_delete or Action("ignore"), event, known, linked=linked)
            scope = Scope(event)
            if self.when is not None and not self._wanted(self.when, scope):
                return self._otherwise(self.when, event, scope, linked=linked)
            return self._change(event, scope)
        except MisfitError as misfit:
            return self._misfit(str(misfit))

    def _misfit(self, reason: str) -> Translation:
        return Defect(reason) if self.strict else Skip(f"does not fit: {reason}")

    def _wanted(self, when: Expression, scope: Scope) -> bool:
        try:
            found = when.evaluate(scope)
        except EvaluationError as error:
            raise MisfitError(f"when: {error.reason}") from None
        if isinstance(found, bool):
            return found
        if found == "" or found is None:  # an empty field says no more than one that says no
            return False
        if found is MISSING:
            why = _absent(when, scope) or "what it reads is not there"
            raise MisfitError(f"when: is neither true nor false, as {why}")
        raise MisfitError("when: has to give true or false, and gives something else; try == or | bool")

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _change(self, event: Event, scope: Scope) -> Change:
        fields, clears = _values(self.set, scope)
        create_fields: Mapping[str, JsonValue] = {}
        if self.on_create_only:
            create_fields, _ = _values(self.on_create_only, scope)
        match, unmatchable = self._match(scope)
        parents = tuple(parent for relation in self.links if (parent := relation.parent(event)) is not None)
        return Change(
            destination=self.destination,
            object=self.object,
            record=event.record,
            verb=Verb.UPSERT if self.create else Verb.UPDATE,
            match=match,
            unmatchable=unmatchable,
            fields=fields,
            clears=clears,
            create_fields=create_fields,
            volatile=self.volatile,
            parents=parents,
            when_gone=self.when_gone,
            many=self.many,
        )

    def _match(self, scope: Scope) -> tuple[tuple[MatchKey, ...], str]:
        """Return the usable match values, and why the others are not (S12)."""
        usable: list[MatchKey] = []
        unusable: list[str] = []
        for setter in self.match:
            try:
                found = setter.value(scope)
            except MisfitError as misfit:
                unusable.append(str(misfit))
                continue
            why = _unusable(found)
            if why:
                unusable.append(f"{setter.path}: {why}")
            else:
                assert isinstance(found, str | int)
                usable.append(MatchKey(setter.path, found.strip() if isinstance(found, str) else found))
        return tuple(usable), "; ".join(unusable)

    # ── taking away ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _otherwise(self, when: Expression, event: Event, scope: Scope, *, linked: bool) -> Translation:
        """Do what is to be done when the condition is false.

        A misspelt or removed field must not end in deletes: false is believed only when all was there to read.
        """
        action = self.otherwise
        assert action is not None, "a condition has an `otherwise`: the check saw to it"
        absent = _absent(when, scope)
        if action.do == "leave":
            if absent:  # in words of its own: an example that expects another reason does not hold
                return Skip(f"the condition is not true, as {absent}")
            return Skip("`when` does not hold, and `otherwise` says leave")
        if absent:
            raise MisfitError(f"when: is false, but {absent}; nothing is taken away because of that")
        if action.do == "delete":
            action = self.on_delete or Action("ignore")
        return self._remove(action, event, event, linked=linked, why="`when` does not hold")

    def _remove(
        self,
        action: Action,
        event: Event,
        known: Event | None,
        *,
        linked: bool,
        why: str = "it is deleted",
    ) -> Translation:
        """Erase, archive, anonymise or change a record that exists: by its link, else as `known` has it (S15)."""
        if not action.acts:
            return Skip(f"{why}, and `on_delete` says {action.do}")
        match: tuple[MatchKey, ...] = ()
        unmatchable = ""
        if not linked:
            if known is None:
                return Skip(f"{why}: it has no link, and no earlier call is kept that tells how it is recognised")
            match, unmatchable = self._match(Scope(known))
            if not match:
                return Skip(f"{why}: it has no link, and nothing by which it could be recognised: {unmatchable}")
        fields: Mapping[str, JsonValue] = {}
        clears: frozenset[str] = frozenset()
        if action.set or action.clear:
            fields, clears = _values(action.set, Scope(event))
            clears |= action.clear
        return Change(
            destination=self.destination,
            object=self.object,
            record=event.record,
            verb=_VERBS.get(action.do, Verb.UPDATE),
            match=match,
            unmatchable=unmatchable,
            fields=fields,
            clears=clears,
            volatile=frozenset(setter.path for setter in action.set if setter.volatile),
            when_gone=WhenGone.STOP,
            many=self.many,
        )


def _values(setters: Sequence[Setter], scope: Scope) -> tuple[dict[str, JsonValue], frozenset[str]]:
    fields: dict[str, JsonValue] = {}
    clears: list[str] = []
    for setter in setters:
        found = setter.value(scope)
        if found is CLEARED:
            clears.append(setter.path)
        elif found is not MISSING:
            fields[setter.path] = found  # type: ignore[assignment]
    return fields, frozenset(clears)


def _absent(when: Expression, scope: Scope) -> str:
    """Say what a condition reads that the event does not have at all; empty when there is none.

    A field may be misspelt, and is told of whatever the condition does about it. A name of the language may be absent
    from one call and not from the next: it is told of when the condition does not say what that means.
    """
    subject = "e-mail event" if scope.event.type.is_email else "record"
    absent = sorted(name for name in when.fields if name not in scope.fields)
    if absent:
        return f"the {subject} does not have the field {absent[0]!r}"
    for name, read in when.needed.items():
        if _is_missing(read, scope):
            return f"the {subject} does not have `{name}` (`{name} | default('')` reads it as empty)"
    return ""


def _is_missing(read: Run, scope: Scope) -> bool:
    try:
        return read(scope) is MISSING
    except EvaluationError:  # there is too much of it
        return False


def _unusable(found: object) -> str:
    """Return why this cannot be a match value; empty when it can."""
    if found is MISSING:
        return "the record does not have it"
    if found is CLEARED or is_empty(found):
        return "it is empty"
    if isinstance(found, bool) or not isinstance(found, str | int):
        return "a match value is a text or a whole number, and this is not"
    if isinstance(found, str):
        if len(found) > MAX_MATCH_VALUE:
            return f"it is longer than {MAX_MATCH_VALUE} characters"
        if not found.strip().isprintable():
            return "it has characters that cannot be printed"
    return ""
