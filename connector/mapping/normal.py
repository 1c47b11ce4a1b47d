"""Short forms written out: `firstname: voornaam` is `firstname: {from: voornaam}`. The model knows only long ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from connector.domain.event import EventType
from connector.files.document import Document, KeyPath
from connector.files.problem import Problem
from connector.mapping.model import CsvTable, OnDelete, Otherwise, Value

VALUE_KEYS = frozenset(field.alias or name for name, field in Value.model_fields.items())
TABLE_KEYS = frozenset(CsvTable.model_fields)
ON_DELETE = {
    "erase": "deletes the record in the CRM for good",
    "archive": "puts it away, as the preset does that",
    "anonymise": "empties what says who it is",
    "ignore": "leaves it as it is",
    "set": "changes fields of it: {set: {status: {value: gone}}}",
}
"""The words of `on_delete`, and what each does: `check` says it to who left the choice open."""

OTHERWISE = {
    "leave": "does nothing",
    "delete": "does as `on_delete` says",
    "clear": "empties fields of an existing record: {clear: [newsletter]}",
    "set": "changes fields of an existing record: {set: {newsletter: {value: false}}}",
    "erase": "deletes the record in the CRM for good",
    "archive": "puts it away",
    "anonymise": "empties what says who it is",
}
"""The words of `otherwise`, and what each does."""

_EMAIL_EVENTS = frozenset(event.value for event in EventType if event.is_email)
_TYPES_ELSEWHERE = {
    "text": "string",
    "str": "string",
    "int": "integer",
    "float": "number",
    "decimal": "number",
    "bool": "boolean",
    "timestamp": "datetime",
    "array": "list",
    "json": "object",
    "dict": "object",
}

_MEANT = {
    "delete": ("erase",),
    "remove": ("erase",),
    "destroy": ("erase",),
    "nothing": ("ignore", "leave"),
    "none": ("ignore", "leave"),
    "ignore": ("leave",),
    "skip": ("leave", "ignore"),
    "leave": ("ignore",),
    "keep": ("ignore", "leave"),
    "anonymize": ("anonymise",),
}
"""What people say, and mean."""

_OF_EXAMPLES: Mapping[str, tuple[str, str, Any]] = {
    "given": ("this is what comes in", "{fields: {…}}, or for an e-mail event {variables: {…}}", {}),
    "expect": (
        "this is what has to become of it",
        "{set: {…}}, or {skip: leave} when nothing is sent, or {taken: false} when the mapping does not want it",
        {"taken": True},
    ),
}
_REASONS = {"skip": "skip: leave, as `otherwise` says", "dead": "dead: the name of the field"}

assert set(ON_DELETE) <= {*OnDelete.model_fields["do"].annotation.__args__}  # type: ignore[union-attr]
assert "change" in Otherwise.model_fields["do"].annotation.__args__  # type: ignore[union-attr]


def choices(words: Mapping[str, str]) -> str:
    """Return the words of a choice with what each does, for a message."""
    return ", ".join(f"`{word}` ({meaning})" for word, meaning in words.items())


def _one_of(said: Any) -> str:
    names = said if isinstance(said, list) else [said]
    return f"{next((name for name in names if isinstance(name, str) and name.isidentifier()), 'firstname')}: …"


@dataclass(frozen=True, slots=True)
class WrittenOut:
    """A document without short forms; what is wrong with them is left out of it. `broken` names those top keys."""

    document: Document
    problems: Sequence[Problem]
    broken: frozenset[str]


def written_out(document: Document) -> WrittenOut:
    """Return the document with every short form written out, and what is wrong with short forms."""
    work = _Work(document)
    data = work.file()
    return WrittenOut(replace(document, data=data), work.problems, frozenset(work.broken))


class _Work:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.broken: set[str] = set()

    def wrong(self, path: KeyPath, what: str, hint: str = "", *, at_key: bool = False) -> None:
        self.broken.add(str(path[0]))
        self.problems.append(self.document.problem(path, what, hint, at_key=at_key))

    def file(self) -> dict[str, Any]:
        data = dict(self.document.data)
        for key in ("set", "on_create_only"):
            if isinstance(data.get(key), dict):
                data[key] = self.values((key,), data[key])
            elif key in data:
                self.wrong((key,), "this is CRM fields with their values", f"{{{_one_of(data.pop(key))}}}")
        if isinstance(data.get("create"), dict):
            what = "this is true or false: whether a record that is not there is made"
            self.wrong(("create",), what, "`on_create_only: {…}` for values that only a new record gets")
            del data["create"]
        if isinstance(data.get("from"), dict):
            self.origin(data)
        for key, made in (
            ("match", self.match),
            ("on_delete", self.on_delete),
            ("otherwise", self.otherwise),
            ("tables", self.tables),
            ("examples", self.examples),
        ):
            if key in data:
                found = made(data[key])
                if found is None:
                    del data[key]
                else:
                    data[key] = found
        return data

    def origin(self, data: dict[str, Any]) -> None:
        said = data["from"].get("events")
        events = said if isinstance(said, list) else [said]
        ofemail = [event for event in events if isinstance(event, str) and event in _EMAIL_EVENTS]
        for event in ofemail:
            self.wrong(
                ("from", "events", events.index(event)) if events is said else ("from", "events"),
                f"`{event}` is an e-mail event, which knows an address and no record",
                f"a mapping of its own with from: {{email: [{event}]}}",
            )
        if ofemail:  # what is left over may be nothing, and that is no second mistake
            data["from"] = {key: value for key, value in data["from"].items() if key != "events"}
        email = data["from"].get("email")
        if isinstance(email, str) and email in _EMAIL_EVENTS:
            self.wrong(("from", "email"), "this is a list", f"[{email}]")
            data["from"] = {**data["from"], "email": [email]}

    def examples(self, said: Any) -> Any:
        """Say how `given`, `expect`, `skip` and `dead` are written. What is wrong is stood in for: the rest is read."""
        if not isinstance(said, list):
            self.wrong(("examples",), "this is a list", "- given: … on a line of its own, and expect: … below it")
            return None
        return [self.example(index, one) if isinstance(one, dict) else one for index, one in enumerate(said)]

    def example(self, index: int, said: dict[str, Any]) -> dict[str, Any]:
        path: KeyPath = ("examples", index)
        found = dict(said)
        for part, (what, hint, instead) in _OF_EXAMPLES.items():
            if part in said and not isinstance(said[part], dict):
                self.wrong((*path, part), what, hint)
                found[part] = instead
        for key, hint in _REASONS.items():
            if key in found.get("expect", ()) and not isinstance(found["expect"][key], str):
                self.wrong((*path, "expect", key), "this is a part of the reason that is given", hint)
                found["expect"] = {**found["expect"], key: ""}
        return found

    # ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def values(self, path: KeyPath, said: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for field, value in said.items():
            at = (*path, field)
            if not field.strip() or any(not part.strip() for part in field.split(".")):
                self.wrong(at, "this is no field of a CRM", "a name such as firstname, or address.street", at_key=True)
            elif (made := self.value(at, value)) is not None:
                found[field] = made
        return found

    def value(self, path: KeyPath, said: Any) -> dict[str, Any] | None:
        field = str(path[-1])
        if isinstance(said, str):
            if said.strip():
                return {"from": said}
            self.wrong(path, "there is nothing here", "the name of a field, or {value: ''} for an empty text")
        elif isinstance(said, dict):
            return self.long(path, field, said)
        elif said is None:
            self.wrong(path, "there is nothing here", "the name of a field, or {value: null} to empty it", at_key=True)
        else:
            shown = {True: "true", False: "false"}.get(said, "…") if isinstance(said, bool) else "…"
            shown = str(said) if isinstance(said, int) and not isinstance(said, bool) else shown
            shown = "[…]" if isinstance(said, list) else shown
            self.wrong(path, "a constant says that it is one", f"{{value: {shown}}}")
        return None

    def long(self, path: KeyPath, field: str, said: dict[str, Any]) -> dict[str, Any] | None:
        if said and not VALUE_KEYS & set(said):
            inner = next(iter(said))
            near = get_close_matches(inner, VALUE_KEYS, 1, 0.7)
            if near:
                return said
            self.wrong(path, "a field inside another field is written with a dot", f"'{field}.{inner}': …", at_key=True)
            return None
        if "value" in said and "from" in said:
            self.wrong(
                (*path, "value"),
                "both `from` and `value`: it is one or the other",
                "`fallback` or `default`",
                at_key=True,
            )
            return None
        if "value" not in said and "from" not in said:
            self.wrong(path, "neither `from` nor `value`", "{from: …} with the name of a field", at_key=True)
            return None
        word = said.get("type")
        if isinstance(word, str) and word in _TYPES_ELSEWHERE:
            self.wrong((*path, "type"), f"`{word}` is not what it is called here", _TYPES_ELSEWHERE[word])
            return {key: value for key, value in said.items() if key != "type"}
        if "value" in said:
            for key in ("lookup", "default", "type", "fallback", "zero", "required"):
                if key in said:
                    self.wrong((*path, key), f"`{key}` does nothing for a constant", "leaving it out", at_key=True)
                    return None
        return said

    def match(self, said: Any) -> list[Any] | None:
        if isinstance(said, dict):
            first = next(iter(said), "email")
            self.wrong(("match",), "this is a list, tried in its order", f"- {first}: … on a line of its own")
            return None
        if not isinstance(said, list):
            self.wrong(("match",), "this is a list of CRM field and value", "[{email: email | trim | lower}]")
            return None
        found: list[Any] = []
        for index, item in enumerate(said):
            path: KeyPath = ("match", index)
            if not isinstance(item, dict) or not item:
                shown = item if isinstance(item, str) and item.isidentifier() else "email"
                self.wrong(path, "an item is a CRM field and a value", f"{{{shown}: {shown}}}")
            elif len(item) > 1:
                second = list(item)[1]
                self.wrong(
                    (*path, second),
                    "one field for each item: the items are tried one after the other",
                    f"- {second}: … on a line of its own",
                    at_key=True,
                )
            elif made := self.values(path, item):
                found.append(made)
        return found if len(found) == len(said) else None  # places are counted: none may be missing in between

    # ── choices ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def on_delete(self, said: Any) -> dict[str, Any] | None:
        path: KeyPath = ("on_delete",)
        if isinstance(said, str) and said in ON_DELETE and said != "set":
            return {"do": said}
        if isinstance(said, dict) and set(said) == {"set"} and isinstance(said["set"], dict) and said["set"]:
            return {"do": "set", "set": self.values((*path, "set"), said["set"])}
        self.wrong(path, f"this is one of {choices(ON_DELETE)}", self.near(said, ON_DELETE))
        return None

    def otherwise(self, said: Any) -> dict[str, Any] | None:
        path: KeyPath = ("otherwise",)
        if isinstance(said, str) and said in OTHERWISE and said not in ("set", "clear"):
            return {"do": said}
        if isinstance(said, dict) and said and set(said) <= {"set", "clear"}:
            changes = said.get("set", {})
            if isinstance(changes, dict):
                return {**said, "do": "change", "set": self.values((*path, "set"), changes)}
        self.wrong(path, f"this is one of {choices(OTHERWISE)}", self.near(said, OTHERWISE))
        return None

    @staticmethod
    def near(said: Any, words: Mapping[str, str]) -> str:
        if not isinstance(said, str):
            return ""
        meant = [word for word in _MEANT.get(said, ()) if word in words]
        near = next(iter(meant or get_close_matches(said, words, 1, 0.6)), "")
        return f"`{near}`" if near else ""

    # ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def tables(self, said: Any) -> Any:
        if not isinstance(said, dict):
            self.wrong(("tables",), "this is tables by their names", "tables: {countries: {NL: Netherlands}}")
            return None
        found = {}
        for name, table in said.items():
            path: KeyPath = ("tables", name)
            if isinstance(table, str):
                self.wrong(path, "a table in a file says its columns", f"{{file: {table}, key: …, value: …}}")
            elif not isinstance(table, dict):
                self.wrong(path, "a table is key: value, or {file: …, key: …, value: …}")
            elif ("file" in table and set(table) & {"key", "value"}) or set(table) == {"file"}:
                found[name] = {"csv": table}
            elif nested := next((key for key, value in table.items() if isinstance(value, dict | list)), None):
                self.wrong((*path, nested), "a table has one value for each key", "two tables")
            else:
                found[name] = {"rows": table}
        return found
