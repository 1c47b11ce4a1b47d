"""Checks of a mapping of e-mail events: what it reads has to be what such an event says."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from connector.domain.event import EventType
from connector.files.document import KeyPath
from connector.files.problem import Problem, Severity
from connector.mapping.draft import Draft, place_of
from connector.mapping.expression import Expression
from connector.mapping.model import Given
from connector.mapping.port import Deliver
from connector.mapping.scope import EMAIL_NAMES

_MEANT = {
    **dict.fromkeys(("email", "mail", "e-mail", "address", "emailadres", "to"), "recipient"),
    **dict.fromkeys(("url", "link", "href", "target", "page"), "original"),
    **dict.fromkeys(("status", "error", "smtp", "smtp_code", "reason_code"), "code"),
    **dict.fromkeys(("reason", "message_text", "text", "diagnostic"), "description"),
    **dict.fromkeys(("user_agent", "browser", "agent"), "useragent"),
    **dict.fromkeys(("referrer", "from_page"), "referer"),
    **dict.fromkeys(("ip_address", "ipaddress"), "ip"),
    **dict.fromkeys(("tag", "campaign"), "tags"),
    **dict.fromkeys(("date", "timestamp", "moment"), "time"),
}
"""What people call it → what it is called."""


def check_email(draft: Draft) -> Iterator[Problem]:
    """Return what a mapping of e-mail events reads that they do not have; of any other mapping nothing."""
    told = draft.model.from_
    if told.email is None:
        return
    has = sorted(name for name, (events, _) in EMAIL_NAMES.items() if events & set(told.email))
    for path, expression in draft.expressions.items():
        yield from _of_other_events(draft, path, expression, told.email)
        yield from _parameters(draft, path, expression, has)
        yield from _fields(draft, path, expression, has)
    yield from _volatile(draft)
    for index, example in enumerate(draft.model.examples):
        yield from _given(draft, index, example.given, has)


def _of_other_events(
    draft: Draft, path: KeyPath, expression: Expression, taken: Collection[EventType]
) -> Iterator[Problem]:
    for name in sorted(expression.names & EMAIL_NAMES.keys()):
        events, _ = EMAIL_NAMES[name]
        if not events & set(taken):
            yield draft.document.problem(
                place_of(draft, path),
                f"`{name}` is never there: only {_these(events)} has it, and the mapping takes {_these(taken)}",
                _listed([other for other, (having, _) in EMAIL_NAMES.items() if having & set(taken)]),
                offset=max(0, expression.text.find(name)),
            )


def _parameters(draft: Draft, path: KeyPath, expression: Expression, has: list[str]) -> Iterator[Problem]:
    if "parameters" in expression.names:
        meant = [_meant(parameter, has) for parameter in sorted(expression.parameters)]
        yield draft.document.problem(
            place_of(draft, path),
            "an e-mail event has no `parameters`: what it says has names of its own",
            next(filter(None, meant), "") or _listed(has),
            offset=max(0, expression.text.find("parameters")),
        )


def _fields(draft: Draft, path: KeyPath, expression: Expression, has: list[str]) -> Iterator[Problem]:
    """Warn of the profile's fields: the descriptions say that they may come along, and nobody has seen them."""
    for name in sorted(expression.fields):
        if path[0] == "match":
            what = "an e-mail event has the address in `recipient`, and seldom has the profile's fields"
            hint = "recipient | trim | lower"
        else:
            what = f"`{name}` would be a field of the profile, and an e-mail event seldom has those"
            hint = _meant(name, has) or _listed(has)
        offset = max(0, expression.text.find(name))
        yield draft.document.problem(
            place_of(draft, path), what, hint, severity=Severity.WARNING, offset=0 if path[0] == "match" else offset
        )


def _volatile(draft: Draft) -> Iterator[Problem]:
    if draft.model.deliver is Deliver.STATE:
        return
    for top in ("set", "on_create_only"):
        for name, value in getattr(draft.model, top).items():
            if value.volatile:
                yield draft.document.problem(
                    (top, name, "volatile"),
                    "`volatile` does nothing here: of e-mail events every one is delivered",
                    "leaving it out",
                    at_key=True,
                )


def _given(draft: Draft, index: int, given: Given, has: list[str]) -> Iterator[Problem]:
    path: KeyPath = ("examples", index, "given")
    if given.type is not None and not given.type.is_email:
        return
    if given.parameters is not None:
        yield draft.document.problem(
            (*path, "parameters"),
            "an e-mail event has no `parameters`: what it says stands under `variables`",
            f"variables: {{{', '.join(f'{name}: …' for name in _first(given.parameters, has))}}}",
            at_key=True,
        )
    for name in given.variables or ():
        if name not in EMAIL_NAMES:
            yield draft.document.problem(
                (*path, "variables", name),
                f"an e-mail event has no `{name}`",
                _meant(name, has) or _listed(has),
                at_key=True,
            )


def _first(said: Collection[str], has: list[str]) -> list[str]:
    return list(dict.fromkeys(_meant(name, has) or name for name in said))


def _meant(name: str, has: list[str]) -> str:
    word = name.lower()
    if word in has:
        return word
    known = _MEANT.get(word, "")
    return known if known in (*has, "time") else next(iter(get_close_matches(word, has, 1, 0.75)), "")


def _listed(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _these(events: Collection[EventType]) -> str:
    return " and ".join(event.value for event in EventType if event in events)
