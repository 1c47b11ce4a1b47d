"""Checks of one mapping: choices left open, and keys that contradict each other."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from connector.domain.event import EventType
from connector.files.problem import Problem, Severity
from connector.mapping.check_email import check_email
from connector.mapping.draft import Draft, place_of, values_of
from connector.mapping.expression import Kind
from connector.mapping.model import From
from connector.mapping.normal import ON_DELETE, OTHERWISE, choices
from connector.mapping.port import Deliver

_KINDS = ("database", "collection", "callback", "email")
_TAKING_AWAY = ("delete", "erase", "archive", "anonymise")
_NOT_STATE = ("parameters", "type")


def takes_deletes(told: From) -> bool:
    """Tell whether a mapping takes deletes."""
    return told.email is None and EventType.DELETE in told.events


def takes_states(told: From) -> bool:
    """Tell whether a mapping takes anything but deletes."""
    return told.email is not None or bool(set(told.events) - {EventType.DELETE})


def is_state(draft: Draft) -> bool:
    """Tell whether the mapping delivers the newest state only."""
    model = draft.model
    return model.deliver is Deliver.STATE or (model.deliver is None and model.from_.email is None)


def check_meaning(draft: Draft) -> Iterator[Problem]:
    """Return what is wrong in this file by itself."""
    if "from" not in draft.broken:
        yield from _from(draft)
        yield from _on_delete(draft)
        yield from _names(draft)
        yield from check_email(draft)
    yield from _otherwise(draft)
    yield from _when(draft)
    yield from _contents(draft)
    yield from _paths(draft)
    yield from _state(draft)
    yield from _tables(draft)
    yield from _examples(draft)


def check_source(draft: Draft, sources: Collection[str] | None) -> Iterator[Problem]:
    """Return whether the file names a source that is not configured; `sources` None: it is not known which are."""
    if sources is None or "from" in draft.broken:
        return
    for key in ("callback", "source"):
        said = getattr(draft.model.from_, key)
        if said is not None and said not in sources:
            near = get_close_matches(said, sources, 1, 0.6)
            hint = near[0] if near else ", ".join(sorted(sources)[:12])
            yield draft.document.problem(("from", key), f"there is no source {said!r} in the configuration", hint)


def _from(draft: Draft) -> Iterator[Problem]:
    told = draft.model.from_
    said = [kind for kind in _KINDS if getattr(told, kind) is not None]
    if not said:
        yield draft.document.problem(
            ("from",),
            "does not say where records come from",
            "{database: 7616}, with its number in Copernica",
            at_key=True,
        )
    for extra in said[1:]:
        yield draft.document.problem(
            ("from", extra), f"`{said[0]}` and `{extra}`: a mapping takes one kind of record", "two files", at_key=True
        )
    if told.email is not None and "events" in told.model_fields_set:
        yield draft.document.problem(
            ("from", "events"), "e-mail events are named under `email`", "leaving `events` out", at_key=True
        )
    if told.callback is not None and told.source is not None:
        yield draft.document.problem(
            ("from", "source"), "`callback` names the source already", "leaving `source` out", at_key=True
        )


def _on_delete(draft: Draft) -> Iterator[Problem]:
    model = draft.model
    if "on_delete" in draft.broken:
        return
    by_condition = model.otherwise is not None and model.otherwise.do == "delete"
    if model.on_delete is None:
        if takes_deletes(model.from_) and "on_delete" not in draft.broken:
            yield draft.document.problem(
                ("on_delete",),
                "must be said: what happens to the CRM's record when the record is deleted in Copernica. "
                f"It is one of {choices(ON_DELETE)}",
                "on_delete: archive",
            )
        elif by_condition:
            yield draft.document.problem(
                ("otherwise",), "`delete` does as `on_delete` says, and that is not there", "archive or erase"
            )
        return
    if model.from_.email is not None:
        yield draft.document.problem(
            ("on_delete",), "e-mail events have no deletes", "leaving `on_delete` out", at_key=True
        )
    elif not takes_deletes(model.from_) and not by_condition and "on_delete" in draft.said:
        yield draft.document.problem(
            ("on_delete",), "is never used: `from.events` has no delete", "delete among the events", at_key=True
        )
    elif by_condition and model.on_delete.do == "ignore":
        yield draft.document.problem(
            ("otherwise",), "`delete` does as `on_delete` says, and that is ignore", "archive, erase, or leave"
        )


def _otherwise(draft: Draft) -> Iterator[Problem]:
    model = draft.model
    if {"when", "otherwise"} & draft.broken and not (model.when and model.otherwise):
        return
    if model.when is not None and model.otherwise is None:
        yield draft.document.problem(
            ("when",),
            f"needs `otherwise`: what happens to a record for which it is false. It is one of {choices(OTHERWISE)}",
            "otherwise: leave",
            at_key=True,
        )
    if model.otherwise is None:
        return
    if model.when is None:
        yield draft.document.problem(
            ("otherwise",), "belongs to a condition, and there is none", "adding `when`", at_key=True
        )
    if model.otherwise.do == "change" and not (model.otherwise.set or model.otherwise.clear):
        yield draft.document.problem(("otherwise",), "changes nothing", "leave", at_key=True)
    if "from" not in draft.broken and model.from_.email is not None and model.otherwise.do in _TAKING_AWAY:
        yield draft.document.problem(
            ("otherwise",), "an e-mail event takes no record away: it only updates what it finds", "leave"
        )


def _when(draft: Draft) -> Iterator[Problem]:
    expression = draft.expressions.get(("when",))
    if expression is None:
        return
    if not expression.names:
        yield draft.document.problem(("when",), "is always the same: it reads nothing", "leaving it out")
    elif expression.kind not in (Kind.BOOLEAN, Kind.ANY, Kind.MISSING):
        yield draft.document.problem(
            ("when",), f"gives a {expression.kind.value}, and has to give true or false", "comparing with == or in"
        )
    elif expression.is_copy:
        yield draft.document.problem(
            ("when",), "a field is a text, and has to be compared: 'nee' is a text, too", f"{expression.text} == 'ja'"
        )


def _contents(draft: Draft) -> Iterator[Problem]:
    model, document = draft.model, draft.document
    changes = takes_states(model.from_) or "from" in draft.broken
    if changes and not (model.set or model.on_create_only or {"set", "on_create_only"} & draft.broken):
        yield document.problem(("set",), "nothing is set", "set: {email: email}")
    if not model.match and "match" not in draft.broken:
        yield document.problem(
            ("match",),
            "must be said: how a record is recognised in the CRM. Without it each one would be made twice",
            "[{copernica_id: profile.id}, {email: email | trim | lower}]",
        )
    creates = model.create if model.create is not None else model.from_.email is None
    if not creates and model.on_create_only and not {"create", "from"} & draft.broken:
        why = "`create` is false" if model.create is False else "e-mail events only update what they find"
        yield document.problem(
            ("on_create_only",), f"is never used: {why}", "create: true, or leaving this out", at_key=True
        )
    if not creates or not changes or not model.set or {"set", "on_create_only", "create"} & draft.broken:
        return
    if "from" in draft.broken and model.create is None:  # it may be about e-mail events, which make nothing
        return
    for index, item in enumerate(model.match):
        for name in item:
            if not any(path == name or path.startswith(f"{name}.") for path in (*model.set, *model.on_create_only)):
                yield document.problem(
                    ("match", index, name),
                    "this field is never set, so what is made new would never be found again",
                    f"{name} under `set`, too",
                    at_key=True,
                )


def _paths(draft: Draft) -> Iterator[Problem]:
    model = draft.model
    places: dict[str, str] = {}
    inner: dict[str, str] = {}  # what a path lies inside of, for each path so far
    for top in ("set", "on_create_only"):
        for name in getattr(model, top):
            parts = name.split(".")
            outer = [".".join(parts[:count]) for count in range(1, len(parts))]
            other = next((path for path in outer if path in places), inner.get(name))
            if name in places:
                yield draft.document.problem(
                    (top, name), f"stands under `{places[name]}` already", f"leaving it out of `{top}`", at_key=True
                )
            elif other is not None:
                yield draft.document.problem(
                    (top, name), f"collides with `{other}`: one lies inside the other", "one of the two", at_key=True
                )
            places[name] = top
            inner |= dict.fromkeys(outer, name)
    seen: set[str] = set()
    for index, item in enumerate(model.match):
        for name in item:
            if name in seen:
                yield draft.document.problem(
                    ("match", index, name), "is tried already", "one value for each field", at_key=True
                )
            seen.add(name)


def _state(draft: Draft) -> Iterator[Problem]:
    origin = draft.document.data.get("from")
    is_email = isinstance(origin, dict) and "email" in origin
    if not is_state(draft) or "deliver" in draft.broken or ("from" in draft.broken and is_email):
        return
    for path, expression in draft.expressions.items():
        if path[0] in ("on_delete", "otherwise"):
            continue
        for name in _NOT_STATE:
            if name in expression.names:
                place = place_of(draft, path)
                yield draft.document.problem(
                    place,
                    f"`{name}` is about one call; of several, only the newest is delivered (deliver: state), "
                    "so the result would be left to chance",
                    "fields, or deliver: each",
                    offset=max(0, expression.text.find(name)),
                )


def _names(draft: Draft) -> Iterator[Problem]:
    told = draft.model.from_
    absent: dict[str, tuple[str, str]] = {}
    if told.database is not None:
        absent = dict.fromkeys(("subprofile", "collection"), ("a profile is in no collection", "profile.id"))
    if told.collection is not None:
        absent |= dict.fromkeys(
            ("interests", "interests_off"), ("a subprofile has no interests", "a field of the subprofile")
        )
    if told.email is None:
        absent["message"] = ("only an e-mail event has a message", "profile.id")
    for path, expression in draft.expressions.items():
        for name, (what, hint) in absent.items():
            if name in expression.names:
                place = place_of(draft, path)
                yield draft.document.problem(
                    place, f"{what}: `{name}` is never there", hint, offset=max(0, expression.text.find(name))
                )


def _tables(draft: Draft) -> Iterator[Problem]:
    used = {name for expression in draft.expressions.values() for name in expression.tables}
    used |= {value.lookup for _, _, value in values_of(draft.model) if value.lookup}
    if draft.broken - {"tables"}:
        return
    own = draft.document.data.get("tables")
    for name in own if isinstance(own, dict) else ():
        if name not in used and draft.tables.get(name):
            yield draft.document.problem(
                ("tables", name),
                "this table is not used",
                f"{{lookup: {name}, from: …}}, or leaving it out",
                at_key=True,
                severity=Severity.WARNING,
            )


def _examples(draft: Draft) -> Iterator[Problem]:
    for index, example in enumerate(draft.model.examples):
        expect = example.expect
        said = expect.model_fields_set
        path = ("examples", index, "expect")
        if not said:
            yield draft.document.problem(
                path, "nothing is expected", "set: {…}, or skip: part of the reason", at_key=True
            )
        alone = [key for key in ("skip", "dead", "taken") if key in said]
        if alone and len(said) > 1 and not (alone == ["taken"] and expect.taken):
            other = next(key for key in said if key != alone[0])
            yield draft.document.problem(
                (*path, other), f"`{other}` and `{alone[0]}` cannot both be", "two examples", at_key=True
            )
