"""A mapping file as a model: every key, what it means, its default. The reference and the JSON Schema come from here.

Short forms (`firstname: voornaam` for `firstname: {from: voornaam}`) are written out by `normal` before the model sees
a file, so that the model is plain. What keys mean together is judged by `check`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from connector.domain.change import Many, WhenGone
from connector.domain.event import EventType
from connector.mapping.port import Deliver, Write
from connector.mapping.scope import EMAIL_NAMES

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def _name(said: str) -> str:
    if not _NAME.fullmatch(said):
        words = re.findall(r"[A-Za-z0-9]+", said)
        what = "a name has letters, digits, - and _ only, begins with a letter, and has at most 64 of them"
        raise PydanticCustomError("name", what, {"hint": "-".join(words)[:64] or "a word"})
    return said


RecordEvent: TypeAlias = Literal[EventType.CREATE, EventType.UPDATE, EventType.DELETE]
EmailEvent: TypeAlias = Literal[
    EventType.CLICK, EventType.OPEN, EventType.DELIVERY, EventType.BOUNCE, EventType.FAILURE
]
ValueType: TypeAlias = Literal["string", "integer", "number", "boolean", "date", "datetime", "list", "object"]
Name: TypeAlias = Annotated[
    str, AfterValidator(_name), Field(json_schema_extra={"pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"})
]
Expression: TypeAlias = Annotated[str, Field(min_length=1, max_length=2000)]
Number: TypeAlias = Annotated[int, Field(ge=1)]

MAX_TABLE_ROWS = 20_000
MAX_FIELDS = 500


class Section(BaseModel):
    """Unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)

    MEANT: ClassVar[Mapping[str, str]] = {}
    """Keys that people write for something else: what to try."""


class From(Section):
    """Which records or events the mapping takes: exactly one of `database`, `collection`, `callback`, `email`."""

    MEANT = dict.fromkeys(
        ("event", "type", "types"),
        "`email: [failure]` for e-mail events, `events: [create, update]` for those of records",
    )

    database: Number | None = Field(None, description="profiles of this database, by its number")
    collection: Number | None = Field(None, description="subprofiles of this collection, by its number")
    callback: str | None = Field(None, description="records that come in by this source, a Publisher callback")
    email: tuple[EmailEvent, ...] | None = Field(
        None, min_length=1, description="e-mail events of these types: click, open, delivery, bounce, failure"
    )
    events: tuple[RecordEvent, ...] = Field(
        (EventType.CREATE, EventType.UPDATE, EventType.DELETE),
        min_length=1,
        description="what has to happen to the record: create, update, delete (default: all three); not with `email`",
    )
    source: str | None = Field(None, description="take only what comes in by this source of the configuration")


class To(Section):
    """Where it goes."""

    crm: str = Field(description="the destination's name in the configuration")
    object: str = Field(description="the kind of record there, as the preset calls it: contact, company, deal")


class Value(Section):
    """One value: `from` an expression, or a constant `value`; and what to do when it is not there or does not fit."""

    MEANT = dict.fromkeys(
        ("only", "create", "on_create", "once", "new"),
        "`on_create_only: {…}` beside `set`: it is for values that only a new record gets",
    )

    from_: Expression | None = Field(None, alias="from", description="an expression, as in `voornaam | trim`")
    value: Any = Field(None, description="a constant, as it stands here")
    lookup: Name | None = Field(None, description="a table: what `from` gives is looked up in it")
    default: Any = Field(None, description="goes out when nothing comes out: missing, empty, or not in the table")
    type: ValueType | None = Field(
        None,
        description="what goes out has to be this: string, integer, number, boolean, date, datetime, list or object",
    )
    empty: Literal["omit", "clear", "keep"] = Field(
        "clear",
        description="when the value is empty: `clear` empties the field if the CRM had a value from us, `omit` leaves "
        'it alone, `keep` sends "" as it is',
    )
    zero: Literal["keep", "empty"] = Field("keep", description="`empty`: 0 means that there is nothing")
    required: bool = Field(False, description="a record without this value does not fit (see `strict`)")
    fallback: Any = Field(None, description="goes out instead of a value that does not fit")
    volatile: bool | None = Field(
        None,
        description='the value only says "now" and is no change by itself; by itself true for what is made of nothing '
        "but `time` and `modified`",
    )

    def says(self, key: str) -> bool:
        """Whether the file itself has this key (`value: null` is said, too)."""
        return key in self.model_fields_set


Values: TypeAlias = dict[str, Value]


class OnDelete(Section):
    """What happens to the CRM's record when the Copernica record is deleted. Short: one word."""

    do: Literal["erase", "archive", "anonymise", "ignore", "set"]
    set: Values = Field(default_factory=dict, max_length=MAX_FIELDS)


class Otherwise(Section):
    """What happens when `when` does not hold. Short: one word, or `{clear: […]}`, or `{set: {…}}`."""

    do: Literal["leave", "delete", "erase", "archive", "anonymise", "change"]
    set: Values = Field(default_factory=dict, max_length=MAX_FIELDS)
    clear: tuple[str, ...] = ()


class Guard(Section):
    """The guard against mass deletes: what goes beyond both limits within an hour is held until it is released."""

    deletes: int = Field(50, ge=0, description="so many within an hour")
    share: float = Field(0.01, ge=0, le=1, description="and this share of the mapping's records (0.01 is 1 %)")


class CsvTable(Section):
    """A lookup table in a CSV file beside the mapping file."""

    file: str = Field(
        min_length=1, description="the file's name; UTF-8, comma or semicolon, headings in the first line"
    )
    key: str = Field(min_length=1, description="heading of the column that is looked in")
    value: str = Field(min_length=1, description="heading of the column that is taken")


class Table(Section):
    """A lookup table: in the mapping file itself (key: value), or in a CSV file. Keys are compared as text."""

    rows: dict[str, Any] | None = Field(None, max_length=MAX_TABLE_ROWS)
    csv: CsvTable | None = None


class Given(Section):
    """The event of an example, in an easy form. What is left out follows from the mapping's `from`."""

    MEANT: ClassVar[Mapping[str, str]] = {
        "event": "`type: failure`; without it, it is the first that the mapping takes",
        "email": "`variables: {recipient: …}` for an e-mail event, `fields: {email: …}` for a record",
        "url": "`variables: {original: …}`",
        "field": "`fields: {…}`",
        **{name: f"`variables: {{{name}: …}}`" for name in EMAIL_NAMES},
    }

    type: EventType | None = Field(None, description="default: update, or the first that the mapping takes")
    source: str | None = Field(None, description="the source that it comes in by")
    profile: int | str | None = Field(None, description="the profile's ID; default 1")
    subprofile: int | str | None = Field(None, description="the subprofile's ID; default 1")
    database: int | None = Field(None, description="the database's number")
    collection: int | None = Field(None, description="the collection's number")
    fields: dict[str, str | int | float] | None = Field(None, description="name: value, as Copernica has them")
    interests: tuple[str, ...] | None = Field(None, description="those that are on")
    parameters: dict[str, str | int | float] | None = Field(None, description="what the action was called with")
    variables: dict[str, str | int | tuple[str, ...]] | None = Field(
        None, description="an e-mail event's own: recipient, code, original, …"
    )
    time: str | int | None = Field(None, description="Unix seconds, or a date and time with a zone")
    created: str | int | None = Field(None, description="as `time`")
    modified: str | int | None = Field(None, description="as `time`")
    linked: bool = Field(False, description="the record has its CRM record already")
    last: dict[str, str | int | float] | None = Field(None, description="fields as they last came, for a delete")


class Expect(Section):
    """What must become of it. Only what is said is compared, but that exactly."""

    MEANT: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("leave", "skipped", "nothing", "ignore"), "`skip: leave`, with a part of the reason"),
        **dict.fromkeys(("fields", "change"), "`set: {…}`"),
        **dict.fromkeys(("delete", "action", "do"), "`verb: …`: upsert, update, erase, archive or anonymise"),
    }

    verb: Literal["upsert", "update", "erase", "archive", "anonymise"] | None = Field(
        None, description="what is done: `update` changes only what is there, `upsert` makes it if need be"
    )
    set: dict[str, Any] | None = Field(None, description="all fields that go out, with their values")
    clear: tuple[str, ...] | None = Field(None, description="all fields that are emptied")
    on_create_only: dict[str, Any] | None = Field(None, description="all fields for new records only")
    match: tuple[dict[str, str | int], ...] | None = Field(None, description="the usable match values, in their order")
    link: dict[str, str] | None = Field(None, description="relation: the record, as `profile/7616/1`")
    skip: str | None = Field(None, description="it is skipped; this is part of the reason")
    dead: str | None = Field(None, description="it does not fit; this is part of the reason")
    taken: bool | None = Field(None, description="false: the mapping does not want such an event at all")


class Example(Section):
    """An example in the file: what comes in, what goes out. `connector test` runs it."""

    name: str = Field("", description="a few words for the report")
    given: Given
    expect: Expect


class MappingFile(Section):
    """The whole file."""

    MEANT: ClassVar[Mapping[str, str]] = {
        "on_new": "`on_create_only: {…}`",
        "update_only": "`create: false`",
        "if": "`when`",
        "condition": "`when`",
        "else": "`otherwise`",
        "fields": "`set`",
        "events": "`from: {database: …, events: […]}`",
    }

    name: Name = Field(description="the mapping's own name; the outbox knows its records by it, so do not change it")
    from_: From = Field(alias="from", description="which records or events it takes")
    to: To = Field(description="where they go")
    when: Expression | None = Field(None, description="a condition: true or false")
    otherwise: Otherwise | None = Field(
        None,
        description="what happens when `when` is false: `leave` does nothing, `clear: [fields]` or `set: {…}` changes "
        "an existing record, `delete` does as `on_delete` (or say `erase`, `archive`, `anonymise`)",
    )
    match: tuple[Values, ...] = Field(
        (),
        max_length=10,
        description="how the CRM's record is recognised: CRM field and value, in their order",
    )
    set: Values = Field(default_factory=dict, max_length=MAX_FIELDS, description="CRM field: value")
    on_create_only: Values = Field(
        default_factory=dict, max_length=MAX_FIELDS, description="the same, only for a record that is new in the CRM"
    )
    on_delete: OnDelete | None = Field(
        None,
        description="when the record is deleted in Copernica: `erase`, `archive`, `anonymise`, `ignore`, or `set: {…}`",
    )
    link: dict[str, str] = Field(
        default_factory=dict, description="relation in the CRM: the mapping whose record is at its other end"
    )
    create: bool | None = Field(
        None, description="whether a record that is not there is made; default yes, but no for e-mail events"
    )
    deliver: Deliver | None = Field(
        None,
        description="`state`: the newest is what matters; `each`: every event, in order (default for e-mail events)",
    )
    write: Write = Field(
        Write.CHANGED, description="`changed`: only fields that differ; `all`: all, if anything differs"
    )
    when_gone: WhenGone = Field(
        WhenGone.STOP, description="when a person deleted the record in the CRM: `stop`, or `recreate` it"
    )
    many: Many = Field(
        Many.DEAD, description="when several CRM records match: `dead` (ask a person), or take the `newest` or `oldest`"
    )
    linger: float = Field(
        0, ge=0, le=86400, description="seconds that a change waits for a newer one, or for others to go with it"
    )
    guard: Guard = Field(default_factory=Guard, description="holds mass deletes: `{deletes: 50, share: 0.01}`")
    strict: bool = Field(
        True, description="a record that does not fit is dead, for a person to look at; false: it is skipped"
    )
    tables: dict[Name, Table] = Field(default_factory=dict, description="lookup tables, by name")
    examples: tuple[Example, ...] = Field((), max_length=1000, description="what comes in and what must go out")


class DefaultTo(Section):
    """Where it goes, if a file does not say."""

    crm: str = Field(description="the destination's name in the configuration")


class DefaultFrom(Section):
    """Where it comes from, if a file does not say."""

    source: str = Field(description="take only what comes in by this source of the configuration")


class Defaults(Section):
    """`_defaults.yaml` (or `.toml`): what all files of the folder say unless they say otherwise themselves."""

    from_: DefaultFrom | None = Field(None, alias="from", description="only `source`")
    to: DefaultTo | None = Field(None, description="only `crm`")
    on_delete: OnDelete | None = Field(None, description="as in a file; not for e-mail events")
    write: Write | None = Field(None, description="as in a file")
    when_gone: WhenGone | None = Field(None, description="as in a file")
    many: Many | None = Field(None, description="as in a file")
    linger: float | None = Field(None, ge=0, le=86400, description="as in a file")
    guard: Guard | None = Field(None, description="as in a file")
    strict: bool | None = Field(None, description="as in a file")
    tables: dict[Name, Table] = Field(default_factory=dict, description="tables for all files")
