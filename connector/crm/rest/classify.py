"""What an answer means: the step's rules, the preset's, then the defaults; the first that holds decides."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from connector.crm.presets.model import Kind, Rule
from connector.crm.rest import jsonpath
from connector.crm.rest.answer import Answer, as_id, capture

CLASS = re.compile(r"[1-5]xx")
SPAN = re.compile(r"([1-5]\d\d)-([1-5]\d\d)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer's meaning; `existing` is the ID of the record that a duplicate collided with, `wait` in seconds.

    `whole`: a throttle or refusal is about the whole destination (true), about this object (false), or as it
    usually is (None). `reason` is the rule's own words.
    """

    kind: Kind
    reason: str = ""
    existing: str | None = None
    wait: float | None = None
    whole: bool | None = None


def judge(answer: Answer, rules: Iterable[Rule], *, creates: bool) -> Verdict:
    """Return what the answer means. `creates`: the request made a new record, and is not repeatable."""
    for rule in rules:
        if holds(rule, answer):
            existing = as_id(capture(answer, rule.existing)) if rule.existing else None
            return Verdict(rule.outcome, rule.reason, existing, rule.wait, rule.whole)
    return _default(answer, creates=creates)


def holds(rule: Rule, answer: Answer) -> bool:
    """Whether all of a rule's conditions are met."""
    if rule.status and not any(_status(spec, answer.status) for spec in rule.status):
        return False
    for name, pattern in rule.header.items():
        value = answer.headers.get(name.lower())
        if value is None or not re.search(pattern, value):
            return False
    for path, wanted in rule.json_is.items():
        found = list(jsonpath.find_all(answer.json, path)) if answer.is_json else []
        if not _meets(found, wanted):
            return False
    return rule.text is None or re.search(rule.text, answer.text) is not None


def _status(spec: int | str, status: int) -> bool:
    if isinstance(spec, int):
        return spec == status
    if CLASS.fullmatch(spec):
        return status // 100 == int(spec[0])
    match = SPAN.fullmatch(spec)
    return bool(match) and int(match.group(1)) <= status <= int(match.group(2)) if match else spec == str(status)


def _meets(found: Sequence[Any], wanted: Any) -> bool:
    if wanted is None:
        return all(value is None for value in found)
    if wanted == "*":
        return any(value is not None for value in found)
    if isinstance(wanted, (list, tuple)):
        return any(_meets(found, each) for each in wanted)
    if isinstance(wanted, str) and len(wanted) > 1 and wanted[0] == wanted[-1] == "/":
        return any(isinstance(value, (str, int)) and re.search(wanted[1:-1], str(value)) for value in found)
    return any(type(value) is type(wanted) and value == wanted for value in found)


_SUCCESS = 2
_REDIRECT = 3

_SAID: dict[int, Kind] = {
    401: Kind.UNAUTHORISED,
    403: Kind.FORBIDDEN,
    408: Kind.RETRY,
    409: Kind.DUPLICATE,
    410: Kind.NOT_FOUND,
    421: Kind.RETRY,
    423: Kind.RETRY,
    425: Kind.RETRY,
    429: Kind.THROTTLED,
    501: Kind.PERMANENT,
    505: Kind.PERMANENT,
}


def _default(answer: Answer, *, creates: bool) -> Verdict:
    status = answer.status
    if status // 100 == _SUCCESS:
        return Verdict(Kind.CREATED if status == HTTPStatus.CREATED else Kind.OK)
    if status == HTTPStatus.NOT_FOUND:
        if answer.is_json or not answer.body.strip():
            return Verdict(Kind.NOT_FOUND)
        return Verdict(Kind.RETRY, "404 with a page in the place of JSON: is the base URL right?")
    if status // 100 == _REDIRECT:
        return Verdict(Kind.PERMANENT, _redirect(answer))
    if status in _SAID:
        return Verdict(_SAID[status])
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        told = status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in answer.headers
        return Verdict(Kind.AMBIGUOUS if creates and not told else Kind.RETRY)
    return Verdict(Kind.PERMANENT)


def _redirect(answer: Answer) -> str:
    location = answer.headers.get("location", "")
    host = re.match(r"https?://(?:[^/@?#]*@)?([A-Za-z0-9.:\[\]-]{1,255})", location)
    where = f"to {host.group(1)}" if host else "elsewhere"
    return f"the CRM sends us {where}, and redirects are not followed: put the right base URL into the configuration"
