"""The language of preset files: a CRM described as data.

A preset names the connection, what its answers mean, and per object the requests that the adapter's fixed flow makes:
`find` by match key, `update` by ID, `create` (or `upsert` by key), `links`, `erase`, and `batch`. The flow itself, and
with it every promise on duplicates and lost answers, is in the adapter and cannot be described away.
"""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Seconds: TypeAlias = Annotated[float, Field(ge=0, le=30 * 86400)]
Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Section(BaseModel):
    """Unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kind(StrEnum):
    """What an answer can mean: the closed set that rules and `on` choose from."""

    OK = "ok"  # it was done (a create made a record, an update changed one)
    CREATED = "created"  # an upsert made a new record
    UPDATED = "updated"  # an upsert changed an existing one
    NOT_FOUND = "not-found"  # there is no such record
    DUPLICATE = "duplicate"  # refused, because another record has the same unique value
    MANY = "many"  # more than one record matches the key
    LINK_GONE = "link-gone"  # refused, because the record to be linked with is not there
    THROTTLED = "throttled"  # the CRM's limit; nothing happened
    RETRY = "retry"  # nothing happened; it may be tried again
    AMBIGUOUS = "ambiguous"  # nobody knows whether it happened
    UNAUTHORISED = "unauthorised"  # the credentials are not accepted
    FORBIDDEN = "forbidden"  # the credentials may not do this with this object
    PERMANENT = "permanent"  # it will never be accepted as it is

    @property
    def is_success(self) -> bool:
        """Whether it was done."""
        return self in (Kind.OK, Kind.CREATED, Kind.UPDATED)


class Capture(Section):
    """Takes one value from an answer. A plain string is the JSON path."""

    json_path: str | None = Field(None, alias="json", description="path in the answer's JSON: a.b[0].c")
    header: str | None = Field(None, description="name of a response header")
    text: str | None = Field(None, description="regular expression over the answer's text; group 1 counts")
    pattern: str | None = Field(None, description="regular expression over what json or header gave; group 1 counts")


class Rule(Section):
    """What an answer means. Every condition that stands here must hold; the first rule that holds decides."""

    status: tuple[int | str, ...] = Field((), description="409, [400, 409], 4xx or 500-599")
    header: dict[str, str] = Field(default_factory=dict, description="header name: regular expression")
    json_is: dict[str, Any] = Field(
        default_factory=dict,
        alias="json",
        description="path: value, a list of values, /regular expression/, '*' (is there) or null (is not)",
    )
    text: str | None = Field(None, description="regular expression over the first 64 KiB of text")
    outcome: Kind = Field(description="what the answer then means")
    existing: Capture | None = Field(None, description="duplicate: where the ID of the existing record is")
    wait: Seconds | None = Field(None, description="seconds to wait when no header says how long")
    whole: bool | None = Field(
        None, description="throttled, forbidden: the whole destination (true) or this object only (false)"
    )
    reason: str = Field("", description="what to tell the user, and what to do")


class Step(Section):
    """One request. Placeholders like {id} may stand in path, query, headers and body."""

    method: Method = Field("POST", description="the HTTP method")
    path: str = Field(description="below the base URL; values are escaped as one segment")
    query: dict[str, Any] = Field(
        default_factory=dict, description="lists repeat the name; see `arrays`, $json, $base64"
    )
    arrays: Literal["repeat", "brackets", "index"] = Field("repeat", description="how lists are written in the query")
    headers: dict[str, str] = Field(default_factory=dict, description="besides those of the connection")
    body: Any = Field(None, description="JSON; the key '*' merges what it holds into the object around it")
    form: dict[str, str] | None = Field(None, description="a form in the place of JSON")
    capture: dict[str, Capture] = Field(default_factory=dict, description="id, and values for later steps: {got.x}")
    rules: tuple[Rule, ...] = Field((), description="before those of the preset")
    on: dict[Kind, Kind] = Field(default_factory=dict, description="take one outcome for another, in this step")
    cost: int = Field(1, ge=0, le=1000, description="in the units of limits.rates")
    repeatable: bool | None = Field(None, description="doing it twice is the same as once; default: all but create")
    reads: bool | None = Field(None, description="changes nothing at the CRM; default: GET, and find")


class Find(Step):
    """Looks for records by a match key."""

    keys: tuple[str, ...] = Field((), description="the match keys it can look for; none: all")
    items: str = Field("", description="JSON path of the list of hits; empty: the answer itself")
    id: str = Field("id", description="JSON path of the ID in a hit")
    confirm: str | None = Field(
        None, description="JSON path in a hit: kept only if it equals the value (for searches that are not exact)"
    )
    order_by: str | None = Field(None, description="JSON path in a hit that tells newest from oldest")
    limit: int = Field(10, ge=2, le=1000, description="hits asked for, as {limit}")


class Upsert(Step):
    """Creates or updates in one request, by a match key."""

    keys: tuple[str, ...] = Field((), description="the match keys it can take; none: all")
    without_key: bool = Field(False, description="leave the key's own field out of {fields}")


class Link(Section):
    """A relation to another record: a field in the write itself, or a request after it (which must be idempotent)."""

    object: str = Field(description="the object on the other side")
    field: str | None = Field(None, description="field path in the write")
    value: Any = Field("{link.id}", description="what stands in that field")
    request: Step | None = Field(None, description="made after the write; has {id} and {link.id}")


class Results(Section):
    """Where the answer to a batch says what became of each item."""

    items: str = Field("", description="JSON path of the list of results; empty: the answer itself")
    match: Literal["index", "field"] = Field("index", description="by position, or by a field")
    field: str = Field("id", description="match by field: JSON path in a result")
    equals: str = Field("{id}", description="match by field: what it equals, for an item")
    id: str | None = Field(None, description="JSON path of the record's ID in a result")
    status: str | None = Field(None, description="JSON path of the item's own status")
    rules: tuple[Rule, ...] = Field((), description="over one result; none holds: done")


class Batch(Step):
    """Several writes in one request."""

    max: int = Field(ge=2, le=10000, description="most items in one request")
    item: Any = Field(description="one item; {items} in the body is the list of them")
    keys: tuple[str, ...] = Field((), description="upsert: the match keys it can take; none: all")
    results: Results | None = Field(None, description="none: a success is a success of all")
    errors: Results | None = Field(None, description="if errors are in a list of their own")


class Batches(Section):
    """The batches that the CRM has."""

    update: Batch | None = Field(None, description="by ID")
    upsert: Batch | None = Field(None, description="by key")
    erase: Batch | None = Field(None, description="by ID")


class FieldFacts(Section):
    """What is known of a field of the CRM's."""

    type: Literal["text", "number", "integer", "boolean", "date", "datetime", "email", "list", "object", "any"] = Field(
        "any", description="what `check` holds mappings to, when the object is not `open`"
    )
    required: bool = Field(False, description="a new record cannot do without it")
    choices: tuple[str, ...] = Field((), description="the only values it can have")


class Examine(Step):
    """A harmless request of `connector doctor`."""

    says: str = Field(description="what it shows, such as: may write contacts")
    expect: tuple[Kind, ...] = Field((Kind.OK,), description="outcomes that mean yes")


class Values(Section):
    """How values are written."""

    clear: str | bool | None = Field(None, description="what empties a field: null, '' or false")
    as_text: bool = Field(False, description="numbers and booleans are sent as text")
    join: str | None = Field(None, description="lists are sent as text, with this between")


class Shape(Section):
    """How the CRM wants a field that a mapping sets plainly: `email` as a list of objects, say."""

    into: str = Field(description="the field path that is written in its place; lists of several shapes are joined")
    value: Any = Field(description="what is written: {value}, and {name} for what stands for the *")
    empty: Any = Field(None, description="what is written to empty it")


class Object(Section):
    """A kind of record: contact, company, deal."""

    about: str = Field("", description="one line for `preset show`")
    like: str | None = Field(
        None, description="another object that this one takes everything from that it does not say"
    )
    vars: dict[str, str | int] = Field(default_factory=dict, description="words for the templates: {vars.x}")
    find: tuple[Find, ...] = Field((), description="by match key")
    update: tuple[Step, ...] = Field((), description="a record whose ID is known")
    create: tuple[Step, ...] = Field((), description="a new record; captures id")
    upsert: Upsert | None = Field(None, description="create or update in one request, by key")
    erase: tuple[Step, ...] = Field((), description="delete it")
    archive: tuple[Step, ...] = Field((), description="put it out of sight")
    anonymise: tuple[Step, ...] = Field((), description="take the person out of it")
    links: dict[str, Link] = Field(default_factory=dict, description="relations to other records")
    needs_link: tuple[str, ...] = Field(
        (), description="a new record has to have one of these links: before there is one, it is not made"
    )
    batch: Batches = Field(default_factory=Batches, description="several at once")
    examine: tuple[Examine, ...] = Field((), description="what `doctor` asks for this object")
    visible_after: Seconds = Field(0, description="seconds before a search surely shows what was created")
    max_requests: int = Field(12, ge=1, le=50, description="most requests for one change")
    values: Values | None = Field(None, description="in the place of the preset's")
    shapes: dict[str, Shape] = Field(
        default_factory=dict, description="by field path, or path.* for all fields below: how the CRM wants it"
    )
    fields: dict[str, FieldFacts] = Field(default_factory=dict, description="what is known of its fields")
    open: bool = Field(True, description="it may have other fields than those")


class Bearer(Section):
    """`Authorization: Bearer TOKEN`."""

    type: Literal["bearer"] = Field(description="`Authorization: Bearer TOKEN`")
    secret: str = Field("token", description="name of the secret")


class HeaderAuth(Section):
    """A token in a header of any name, with any prefix."""

    type: Literal["header"] = Field(description="a token in a header")
    name: str = Field("Authorization", description="the header")
    prefix: str = Field("", description="what stands before the token, its blank included")
    secret: str = Field("token", description="name of the secret")


class Basic(Section):
    """HTTP Basic."""

    type: Literal["basic"] = Field(description="HTTP Basic")
    username: str = Field(description="template: {settings.x} or text")
    secret: str | None = Field("password", description="name of the secret; null: an empty password")
    secret_as_username: bool = Field(False, description="the secret is the user name, as some APIs have it")


class NoAuth(Section):
    """Nothing at all."""

    type: Literal["none"] = Field(description="nothing at all")


class OAuth2(Section):
    """Tokens from a token address, kept in the state folder and renewed by themselves."""

    type: Literal["oauth2"] = Field(description="tokens from a token address")
    grant: Literal["client_credentials", "refresh_token", "jwt_bearer"] = Field(description="the way to a token")
    token_url: str = Field(description="template; https, except on loopback")
    client_id: str = Field("{settings.client_id}", description="template")
    client_secret: str | None = Field("client_secret", description="name of the secret")
    client_auth: Literal["body", "basic"] = Field("body", description="where the client's credentials go")
    scope: str | None = Field(None, description="template")
    params: dict[str, str] = Field(default_factory=dict, description="further form fields, templates")
    refresh_token: str = Field("refresh_token", description="refresh_token: name of the secret with the first one")
    private_key: str = Field("private_key", description="jwt_bearer: name of the secret with the PEM key")
    issuer: str = Field("{settings.client_id}", description="jwt_bearer: template")
    subject: str = Field("", description="jwt_bearer: template")
    audience: str = Field("", description="jwt_bearer: template")
    expires_in: Seconds = Field(3600, description="seconds that a token lives if the answer does not say")
    early: Seconds = Field(60, description="seconds before its end at which it is renewed")
    prefix: str = Field("Bearer ", description="what stands before the token in the Authorization header")
    base_url_from: str | None = Field(None, description="JSON path of the base URL in the token answer")


Auth = Annotated[Bearer | HeaderAuth | Basic | NoAuth | OAuth2, Field(discriminator="type")]


LEAST_LEFT = 1.0
"""Seconds of `timeouts.send` that have to be left for another request of a change to begin."""


class Timeouts(Section):
    """Seconds."""

    connect: float = Field(5, gt=0, le=60, description="to get a connection")
    read: float = Field(30, gt=0, le=600, description="between two bytes of the answer")
    total: float = Field(60, gt=0, le=900, description="for one request, whatever it does")
    send: float = Field(150, gt=0, le=1800, description="for one change with all its requests")


class Connection(Section):
    """How to get there."""

    base_url: str | None = Field(None, description="template: https://{settings.host}/api; none: the user gives it")
    auth: Auth = Field(description="how requests are authenticated")
    headers: dict[str, str] = Field(default_factory=dict, description="with every request; templates")
    timeouts: Timeouts = Field(Timeouts(), description="seconds")
    max_answer: int = Field(4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="bytes, after decompression")


class RateLimit(Section):
    """At most `cost` units in each `seconds`."""

    cost: int = Field(ge=1, description="units; a request is one unless its step says another `cost`")
    seconds: float = Field(gt=0, description="in so many seconds")


class PresetLimits(Section):
    """What the CRM allows us."""

    rates: tuple[RateLimit, ...] = Field((), description="all of them hold at once")
    concurrency: int = Field(8, ge=1, le=256, description="requests at the same time")
    per_day: int | None = Field(None, ge=1, description="units a day")


class Reset(Section):
    """A header that says when to come back."""

    header: str = Field(description="its name")
    form: Literal["auto", "seconds", "milliseconds", "http-date", "epoch", "epoch-ms", "iso"] = Field(
        "auto", description="auto: seconds or an HTTP date, as Retry-After has it"
    )


class Left(Section):
    """A header that says what is left of a limit, for `doctor`."""

    header: str = Field(description="its name")
    says: str = Field(description="what it counts, such as: calls left today")


class Asked(Section):
    """A value that the user has to give (or may)."""

    about: str = Field(description="what it is and where to find it")
    default: str | int | bool | None = Field(None, description="none: it has to be given")


class AskedSecret(Section):
    """A secret that the user has to give."""

    about: str = Field(description="what it is and where to find it")
    optional: bool = Field(False, description="it can be left out")


class Verified(Section):
    """How anybody knows that the preset is right."""

    how: Literal["live server", "vendor's description", "documents only", "not verified"] = Field(
        description="against what it was tried"
    )
    on: dt.date = Field(description="the date")
    notes: str = Field("", description="what was and what was not")


class Preset(Section):
    """The whole file."""

    about: str = Field(description="which CRM, and which version of its API")
    verified: Verified = Field(description="how anybody knows that the preset is right")
    extends: str | None = Field(
        None, description="another preset that this one takes everything from that it does not say"
    )
    settings: dict[str, Asked] = Field(default_factory=dict, description="values that the user gives")
    secrets: dict[str, AskedSecret] = Field(default_factory=dict, description="secrets that the user gives")
    connection: Connection = Field(description="how to get there")
    limits: PresetLimits = Field(PresetLimits(), description="what the CRM allows us")
    resets: tuple[Reset, ...] = Field((Reset(header="Retry-After"),), description="the first that is there counts")
    left: tuple[Left, ...] = Field((), description="headers that `doctor` shows")
    rules: tuple[Rule, ...] = Field((), description="what answers mean; behind them come the defaults")
    message: tuple[str, ...] = Field(
        (
            "message",
            "error.message",
            "error",
            "detail",
            "title",
            "errors[0].message",
            "errors[0].detail",
            "[0].message",
        ),
        description="JSON paths of the text that tells what is wrong",
    )
    values: Values = Field(Values(), description="how values are written")
    examine: tuple[Examine, ...] = Field((), description="what `doctor` asks first")
    objects: dict[str, Object] = Field(description="the kinds of records", min_length=1)
