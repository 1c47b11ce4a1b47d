"""What can be wrong in a preset although every key and type is right."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from connector.crm.presets.model import (
    LEAST_LEFT,
    Basic,
    Batch,
    Bearer,
    Capture,
    Find,
    HeaderAuth,
    OAuth2,
    Object,
    Preset,
    Results,
    Rule,
    Step,
    Upsert,
)
from connector.crm.rest import classify, jsonpath, template
from connector.files.document import Document, KeyPath
from connector.files.problem import Problem, Severity

_KEY = ("key.name", "key.value")
_ROLES: dict[str, tuple[str, ...]] = {
    "find": (*_KEY, "limit"),
    "update": ("id", "fields"),
    "create": ("fields",),
    "erase": ("id", "fields"),
    "archive": ("id", "fields"),
    "anonymise": ("id", "fields"),
}


def check(preset: Preset, document: Document) -> Iterator[Problem]:
    """Yield every mistake, and warnings."""
    return _Checker(preset, document).all()


class _Checker:
    def __init__(self, preset: Preset, document: Document) -> None:
        self._preset = preset
        self._document = document
        self._known = {f"settings.{name}" for name in preset.settings}
        self._secrets: set[str] = set()

    def all(self) -> Iterator[Problem]:
        yield from self._connection()
        yield from self._rules(self._preset.rules, ("rules",))
        for index, path in enumerate(self._preset.message):
            yield from self._path(path, ("message", index))
        for index, examine in enumerate(self._preset.examine):
            yield from self._step(examine, ("examine", index), self._known)
        for name, object_ in self._preset.objects.items():
            yield from self._object(name, object_)
        for name in self._preset.secrets:
            if name not in self._secrets:
                yield self._warning(("secrets", name), "nothing uses this secret")

    def _connection(self) -> Iterator[Problem]:
        connection, at = self._preset.connection, ("connection",)
        yield from self._template(connection.base_url, (*at, "base_url"), self._known)
        yield from self._template(connection.headers, (*at, "headers"), self._known)
        least = connection.timeouts.total + LEAST_LEFT
        if connection.timeouts.send < least:
            what = f"a change whose first request took `total` could never go on: at least {least:g} seconds"
            yield self._error((*at, "timeouts", "send"), what)
        auth, here = connection.auth, (*at, "auth")
        wanted: dict[str, str | None] = {}
        if isinstance(auth, (Bearer, HeaderAuth, Basic)):
            wanted["secret"] = auth.secret
        if isinstance(auth, Basic):
            yield from self._template(auth.username, (*here, "username"), self._known)
        if isinstance(auth, OAuth2):
            wanted |= {"client_secret": auth.client_secret, **_needed(auth)}
            yield from self._oauth(auth, here)
        for key, name in wanted.items():
            if name is None:
                continue
            self._secrets.add(name)
            if name not in self._preset.secrets:
                yield self._error((*here, key), f"the secret {name!r} is not described under `secrets`")

    def _oauth(self, auth: OAuth2, at: KeyPath) -> Iterator[Problem]:
        for key in ("token_url", "client_id", "scope", "params", "issuer", "subject", "audience"):
            if key in auth.model_fields_set or key in ("token_url", "client_id"):
                yield from self._template(getattr(auth, key), (*at, key), self._known)
        yield from self._path(auth.base_url_from, (*at, "base_url_from"))

    def _object(self, name: str, object_: Object) -> Iterator[Problem]:
        at: KeyPath = ("objects", name)
        known = self._known | {f"vars.{word}" for word in object_.vars}
        for role, names in _ROLES.items():
            yield from self._steps(getattr(object_, role), (*at, role), known | set(names))
        if object_.upsert is not None:
            yield from self._step(object_.upsert, (*at, "upsert"), known | {*_KEY, "fields"})
        yield from self._whole(object_, at)
        yield from self._links(object_, at, known)
        yield from self._needs(object_, at)
        yield from self._shapes(object_, at)
        for kind, extra in (("update", {"id"}), ("upsert", set(_KEY)), ("erase", {"id"})):
            batch = getattr(object_.batch, kind)
            if batch is not None:
                yield from self._batch(batch, (*at, "batch", kind), known, extra | {"fields", "number"})
        for index, examine in enumerate(object_.examine):
            yield from self._step(examine, (*at, "examine", index), known)
        words = list(self._document.data["objects"].get(name, {}).get("vars", {}))
        used = _used(object_) | {word for other in self._like(name) for word in _used(other)}
        for word in words:
            if f"vars.{word}" not in used:
                yield self._warning((*at, "vars", word), "nothing uses this word")

    def _whole(self, object_: Object, at: KeyPath) -> Iterator[Problem]:
        """Yield what is missing for the flow to keep its promises."""
        if (object_.create or object_.upsert) and not object_.update:
            yield self._error(
                at, "there is `create` or `upsert`, but no `update`: a linked record could not be written"
            )
        if object_.create and not any("id" in step.capture for step in object_.create):
            yield self._error(
                (*at, "create"), "no step captures `id`: the new record's ID would be lost", "capture: {id: id}"
            )
        if object_.upsert is not None and "id" not in object_.upsert.capture:
            yield self._error((*at, "upsert"), "it does not capture `id`")
        if object_.create and not object_.find:
            what = "there is no `find`: a create whose answer is lost can never be looked for (S22)"
            yield self._warning((*at, "create"), what)
        longest = len(object_.find) + len(object_.update) * 2 + len(object_.create) + len(object_.links)
        if longest > object_.max_requests:
            yield self._error((*at, "max_requests"), f"one change can need {longest} requests, which is more than this")

    def _like(self, name: str) -> Iterator[Object]:
        for other in self._preset.objects.values():
            if other.like == name:
                yield other

    def _shapes(self, object_: Object, at: KeyPath) -> Iterator[Problem]:
        for path, shape in object_.shapes.items():
            yield from self._template(shape.value, (*at, "shapes", path, "value"), {"value", "name"})
            yield from self._template(shape.empty, (*at, "shapes", path, "empty"), {"name"})

    def _needs(self, object_: Object, at: KeyPath) -> Iterator[Problem]:
        for index, name in enumerate(object_.needs_link):
            here = (*at, "needs_link", index)
            if name not in object_.links:
                yield self._error(here, f"there is no link {name!r}; there are: {', '.join(object_.links) or 'none'}")
            elif object_.links[name].field is None:
                yield self._error(here, "this link is made after the record: it cannot be what a new one needs")
        if object_.needs_link and (object_.upsert or object_.batch.upsert):
            yield self._error((*at, "needs_link"), "an upsert cannot tell whether it makes a record: leave it out")

    def _links(self, object_: Object, at: KeyPath, known: set[str]) -> Iterator[Problem]:
        for name, link in object_.links.items():
            here = (*at, "links", name)
            if link.object not in self._preset.objects:
                near = get_close_matches(link.object, list(self._preset.objects), 1)
                yield self._error(
                    (*here, "object"), f"there is no object {link.object!r}", f"`{near[0]}`" if near else ""
                )
            if (link.field is None) == (link.request is None):
                yield self._error(here, "a link is either a `field` of the write or a `request` after it")
            yield from self._template(link.value, (*here, "value"), known | {"link.id"})
            if link.request is not None:
                yield from self._step(link.request, (*here, "request"), known | {"id", "link.id"})

    def _steps(self, steps: Iterable[Step], at: KeyPath, known: set[str]) -> Iterator[Problem]:
        listed = list(steps)
        got: set[str] = set()
        for index, step in enumerate(listed):
            here = (*at, index)
            yield from self._step(
                step, here, known | {f"got.{name}" for name in got} | ({"id"} if "id" in got else set())
            )
            later = {name for other in listed[index + 1 :] for name in _names(other)}
            for name in step.capture:
                got.add(name)
                if name != "id" and f"got.{name}" not in later:
                    yield self._warning((*here, "capture", name), "nothing after this step uses what it captures")

    def _step(self, step: Step, at: KeyPath, known: set[str]) -> Iterator[Problem]:
        if not step.path.startswith("/"):
            yield self._error((*at, "path"), "a path begins with /, and stands below the base URL")
        for key in ("path", "query", "headers", "body", "form"):
            yield from self._template(getattr(step, key), (*at, key), known)
        if step.body is not None and step.form is not None:
            yield self._error(at, "a request has either a `body` or a `form`")
        if step.method == "GET" and (step.body is not None or step.form is not None):
            yield self._error((*at, "method"), "a GET has no body")
        yield from self._rules(step.rules, (*at, "rules"))
        for name, wanted in step.capture.items():
            yield from self._capture(wanted, (*at, "capture", name))
        if isinstance(step, Find):
            for key in ("items", "id", "confirm", "order_by"):
                yield from self._path(getattr(step, key), (*at, key))
            if "key.value" not in set(_names(step)):
                yield self._error(at, "the search does not use {key.value}")
        if isinstance(step, Upsert) and "key.value" not in set(_names(step)) and "fields" not in set(_names(step)):
            yield self._error(at, "the request uses neither {key.value} nor {fields}")

    def _batch(self, batch: Batch, at: KeyPath, known: set[str], item: set[str]) -> Iterator[Problem]:
        shared = {"items", "key.name"} if "key.name" in item else {"items"}
        yield from self._step(batch, at, known | shared)
        if "items" not in set(template.names_in(batch.body)):
            yield self._error((*at, "body"), "the body does not use {items}")
        yield from self._template(batch.item, (*at, "item"), known | item)
        for key in ("results", "errors"):
            results: Results | None = getattr(batch, key)
            if results is None:
                continue
            for part in ("items", "field", "id", "status"):
                yield from self._path(getattr(results, part), (*at, key, part))
            if results.match == "field":
                yield from self._template(results.equals, (*at, key, "equals"), known | item)
            yield from self._rules(results.rules, (*at, key, "rules"))

    def _rules(self, rules: Iterable[Rule], at: KeyPath) -> Iterator[Problem]:
        for index, rule in enumerate(rules):
            here = (*at, index)
            if not (rule.status or rule.header or rule.json_is or rule.text):
                yield self._error(here, "a rule needs a condition: status, header, json or text")
            for number, spec in enumerate(rule.status):
                text = str(spec)
                if not (
                    re.fullmatch(r"[1-5]\d\d", text) or classify.CLASS.fullmatch(text) or classify.SPAN.fullmatch(text)
                ):
                    yield self._error((*here, "status", number), f"{text!r} is no status", "409, 4xx or 500-599")
            for name, pattern in rule.header.items():
                yield from self._pattern(pattern, (*here, "header", name))
            for path, wanted in rule.json_is.items():
                yield from self._path(path, (*here, "json", path))
                if isinstance(wanted, str) and len(wanted) > 1 and wanted[0] == wanted[-1] == "/":
                    yield from self._pattern(wanted[1:-1], (*here, "json", path))
            if rule.text is not None:
                yield from self._pattern(rule.text, (*here, "text"))
            if rule.existing is not None:
                yield from self._capture(rule.existing, (*here, "existing"))

    def _capture(self, wanted: Capture, at: KeyPath) -> Iterator[Problem]:
        given = [value for value in (wanted.json_path, wanted.header, wanted.text) if value is not None]
        if len(given) != 1:
            yield self._error(at, "a capture is exactly one of json, header and text")
        yield from self._path(wanted.json_path, (*at, "json"))
        yield from self._pattern(wanted.text, (*at, "text"))
        yield from self._pattern(wanted.pattern, (*at, "pattern"))

    def _path(self, path: str | None, at: KeyPath) -> Iterator[Problem]:
        try:
            jsonpath.parse(path or "")
        except ValueError as error:
            yield self._error(at, str(error))

    def _pattern(self, pattern: str | None, at: KeyPath) -> Iterator[Problem]:
        try:
            re.compile(pattern or "")
        except re.error as error:
            yield self._error(at, f"this is no regular expression: {error}")

    def _template(self, value: Any, at: KeyPath, known: set[str]) -> Iterator[Problem]:
        try:
            names = list(template.names_in(value))
        except template.TemplateError as error:
            yield self._error(at, str(error))
            return
        for name in names:
            if name in known:
                continue
            near = get_close_matches(name, sorted(known), 1)
            hint = f"{{{near[0]}}}" if near else ""
            yield self._error(
                at, f"there is no {{{name}}} here (there are: {', '.join(sorted(known)) or 'none'})", hint
            )

    def _error(self, at: KeyPath, what: str, hint: str = "") -> Problem:
        return self._document.problem(at, what, hint)

    def _warning(self, at: KeyPath, what: str) -> Problem:
        return self._document.problem(at, what, severity=Severity.WARNING)


def _needed(auth: OAuth2) -> dict[str, str]:
    if auth.grant == "refresh_token":
        return {"refresh_token": auth.refresh_token}
    return {"private_key": auth.private_key} if auth.grant == "jwt_bearer" else {}


def _names(step: Step) -> Iterator[str]:
    parts: list[Any] = [step.path, step.query, step.headers, step.body, step.form]
    if isinstance(step, Batch):
        parts += [step.item, *(each.equals for each in (step.results, step.errors) if each)]
    for part in parts:
        try:
            yield from template.names_in(part)
        except template.TemplateError:
            continue


def _used(object_: Object) -> set[str]:
    steps: list[Step] = [
        *object_.find,
        *object_.update,
        *object_.create,
        *object_.erase,
        *object_.archive,
        *object_.anonymise,
        *object_.examine,
        *(link.request for link in object_.links.values() if link.request),
        *(batch for batch in (object_.batch.update, object_.batch.upsert, object_.batch.erase) if batch),
        *([object_.upsert] if object_.upsert else []),
    ]
    used = {name for step in steps for name in _names(step)}
    for link in object_.links.values():
        used |= set(template.names_in(link.value))
    return used
