"""Small stateful stand-ins for the CRMs that presets are shipped for: as much as the presets ask of them."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import requests
import responses

Answer = tuple[int, Any]


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    form: dict[str, list[str]]


@dataclass
class Fake:
    """Routes requests to methods; remembers them all. `fail` answers the next requests in the place of the CRM."""

    seen: list[Seen] = field(default_factory=list)
    fail: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)
    number: int = 100

    def kind(self, name: str) -> dict[str, dict[str, Any]]:
        return self.rows.setdefault(name, {})

    def new_id(self) -> str:
        self.number += 1
        return str(self.number)

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        raise NotImplementedError

    def __call__(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        parts = urlsplit(str(request.url))
        raw = request.body.encode() if isinstance(request.body, str) else request.body or b""
        is_form = "form" in request.headers.get("Content-Type", "")
        seen = Seen(
            str(request.method),
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            dict(request.headers),
            json.loads(raw) if raw and not is_form else None,
            parse_qs(raw.decode()) if is_form else {},
        )
        self.seen.append(seen)
        if self.fail:
            status, headers, body = self.fail.pop(0)
            return status, headers, body if isinstance(body, str) else json.dumps(body)
        for method, pattern, handler in self.routes():
            match = re.fullmatch(pattern, seen.path)
            if match and method == seen.method:
                status, body = handler(seen, *map(unquote, match.groups()))
                return status, {"Content-Type": "application/json"}, "" if body is None else json.dumps(body)
        raise AssertionError(f"the preset asks for something unknown: {seen.method} {seen.path}")

    def install(self, mock: responses.RequestsMock) -> None:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            mock.add_callback(method, re.compile("https?://.*"), callback=self)


class HubSpot(Fake):
    base = r"/crm/v3/objects/(\w+)"

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        yield "GET", self.base, lambda _, __: (200, {"results": []})
        yield "POST", self.base + "/search", self.search
        yield "POST", self.base + "/batch/upsert", self.upserts
        yield "POST", self.base + "/batch/update", self.updates
        yield "POST", "/crm/v3/objects/contacts/gdpr-delete", self.forget
        yield "POST", self.base, self.create
        yield "PATCH", self.base + "/([^/]+)", self.update
        yield "DELETE", self.base + "/([^/]+)", self.delete
        yield "PUT", r"/crm/v4/objects/(\w+)/(\w+)/associations/default/(\w+)/(\w+)", self.link

    def search(self, seen: Seen, kind: str) -> Answer:
        wanted = seen.body["filterGroups"][0]["filters"][0]
        hits = [
            {"id": key, "properties": row, "createdAt": f"2026-01-01T00:00:{int(key) % 60:02}Z"}
            for key, row in self.kind(kind).items()
            if row.get(wanted["propertyName"]) == wanted["value"]
        ]
        return 200, {"total": len(hits), "results": hits}

    def create(self, seen: Seen, kind: str) -> Answer:
        email = seen.body["properties"].get("email")
        for key, row in self.kind(kind).items():
            if email and row.get("email") == email:
                message = f"Contact already exists. Existing ID: {key}"
                return 409, {"status": "error", "message": message, "category": "CONFLICT"}
        key = self.new_id()
        self.kind(kind)[key] = dict(seen.body["properties"])
        return 201, {"id": key, "properties": self.kind(kind)[key]}

    def update(self, seen: Seen, kind: str, key: str) -> Answer:
        if key not in self.kind(kind):
            return 404, {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "resource not found"}
        self.kind(kind)[key].update(seen.body["properties"])
        return 200, {"id": key, "properties": self.kind(kind)[key]}

    def delete(self, _: Seen, kind: str, key: str) -> Answer:
        self.kind(kind).pop(key, None)
        return 204, None

    def forget(self, seen: Seen) -> Answer:
        self.kind("contacts").pop(seen.body["objectId"], None)
        return 204, None

    def upserts(self, seen: Seen, kind: str) -> Answer:
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for item in seen.body["inputs"]:
            if item["properties"].get("email") == "invalid":
                errors.append(
                    {"status": "error", "category": "VALIDATION_ERROR", "message": "Email invalid", "context": {}}
                )
                continue
            found = [key for key, row in self.kind(kind).items() if row.get(item["idProperty"]) == item["id"]]
            key = found[0] if found else self.new_id()
            self.kind(kind).setdefault(key, {item["idProperty"]: item["id"]}).update(item["properties"])
            trace = {name: item[name] for name in ("objectWriteTraceId",) if name in item}
            results.insert(0, {"id": key, "new": not found, "properties": {}, **trace})
        body = {"status": "COMPLETE", "results": results}
        return (207, {**body, "numErrors": len(errors), "errors": errors}) if errors else (200, body)

    def updates(self, seen: Seen, kind: str) -> Answer:
        results, missing = [], []
        for item in seen.body["inputs"]:
            if item["id"] in self.kind(kind):
                self.kind(kind)[item["id"]].update(item["properties"])
                results.append({"id": item["id"]})
            else:
                missing.append(item["id"])
        if missing:
            errors = [{"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": missing}}]
            return 207, {"status": "COMPLETE", "results": results, "errors": errors}
        return 200, {"status": "COMPLETE", "results": results}

    def link(self, _: Seen, *ends: str) -> Answer:
        self.links.add((ends[1], ends[3]))
        return 200, {"status": "COMPLETE", "results": []}


class Pipedrive(Fake):
    base = r"/api/v2/(persons|organizations|deals)"

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        yield "GET", self.base, lambda _, __: (200, {"success": True, "data": []})
        yield "GET", self.base + "/search", self.search
        yield "POST", self.base, self.create
        yield "PATCH", self.base + r"/(\d+)", self.update
        yield "DELETE", self.base + r"/(\d+)", self.delete

    def search(self, seen: Seen, kind: str) -> Answer:
        term, fields = seen.query["term"][0], seen.query["fields"][0]
        items = []
        for key, row in self.kind(kind).items():
            emails = [each["value"] for each in row.get("emails", [])]
            custom = [str(value) for value in row.get("custom_fields", {}).values()]
            values = {"email": emails, "custom_fields": custom}.get(fields, [row.get(fields, "")])
            if any(term.lower() in str(value).lower() for value in values):  # less exact than it says
                shown = {"id": int(key), "emails": emails, "custom_fields": custom}
                items.append({"item": {**shown, "name": row.get("name"), "title": row.get("title")}})
        return 200, {"success": True, "data": {"items": items}}

    def create(self, seen: Seen, kind: str) -> Answer:
        key = self.new_id()
        self.kind(kind)[key] = dict(seen.body)
        return 201, {"success": True, "data": {"id": int(key)}}

    def update(self, seen: Seen, kind: str, key: str) -> Answer:
        if key not in self.kind(kind):
            return 404, {"success": False, "error": "Not found"}
        self.kind(kind)[key].update(seen.body)
        return 200, {"success": True, "data": {"id": int(key)}}

    def delete(self, _: Seen, kind: str, key: str) -> Answer:
        return (200, {"success": True}) if self.kind(kind).pop(key, None) else (404, {"success": False})


class Teamleader(Fake):
    refresh = "refresh-0"
    access = ""

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        yield "POST", "/oauth2/access_token", self.token
        yield "POST", r"/(\w+)\.list", self.list
        yield "POST", r"/(\w+)\.(?:add|create)", self.create
        yield "POST", r"/(\w+)\.update", self.update
        yield "POST", r"/(\w+)\.delete", self.delete
        yield "POST", "/contacts.linkToCompany", self.link

    def token(self, seen: Seen) -> Answer:
        if seen.form["refresh_token"] != [self.refresh]:
            return 400, {"error": "invalid_grant", "error_description": "The refresh token is invalid."}
        number = int(self.refresh.split("-")[1]) + 1
        self.refresh, self.access = f"refresh-{number}", f"access-{number}"
        return 200, {"access_token": self.access, "refresh_token": self.refresh, "expires_in": 3600}

    def checked(self, seen: Seen, answer: Answer) -> Answer:
        known = seen.headers.get("Authorization") == f"Bearer {self.access}"
        return answer if known else (401, {"errors": [{"title": "Unauthorised", "status": 401}]})

    def list(self, seen: Seen, kind: str) -> Answer:
        wanted = seen.body.get("filter", {})
        hits = []
        for key, row in self.kind(kind).items():
            emails = [each["email"] for each in row.get("emails", [])]
            fits = (
                ("email" in wanted and wanted["email"]["email"] in emails)
                or ("term" in wanted and wanted["term"].lower() in str(row).lower())
                or ("vat_number" in wanted and wanted["vat_number"] == row.get("vat_number"))
            )
            if fits:
                hits.append({**row, "id": key})
        return self.checked(seen, (200, {"data": hits}))

    def create(self, seen: Seen, kind: str) -> Answer:
        if kind == "deals" and "customer" not in seen.body.get("lead", {}):
            return 400, {"errors": [{"title": "lead.customer is required", "status": 400}]}
        key = f"00000000-0000-4000-8000-{int(self.new_id()):012}"
        self.kind(kind)[key] = dict(seen.body)
        return self.checked(seen, (201, {"data": {"type": kind, "id": key}}))

    def update(self, seen: Seen, kind: str) -> Answer:
        if seen.body["id"] not in self.kind(kind):
            return 404, {"errors": [{"title": "Not found", "status": 404}]}
        self.kind(kind)[seen.body["id"]].update(seen.body)
        return self.checked(seen, (204, None))

    def delete(self, seen: Seen, kind: str) -> Answer:
        found = self.kind(kind).pop(seen.body["id"], None)
        return self.checked(seen, (204, None) if found else (404, {"errors": [{"title": "Not found"}]}))

    def link(self, seen: Seen) -> Answer:
        pair = (seen.body["id"], seen.body["company_id"])
        if pair in self.links:
            return 400, {"errors": [{"title": "Contact is already linked", "status": 400}]}
        self.links.add(pair)
        return self.checked(seen, (204, None))


class Salesforce(Fake):
    described: ClassVar[dict[str, bool]] = {"createable": True, "updateable": True}
    data = "/services/data/v64.0"

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        yield "POST", "/services/oauth2/token", self.token
        yield "GET", self.data + "/limits", lambda _: (200, {})
        yield "GET", self.data + "/query", self.query
        yield "GET", self.data + r"/sobjects/(\w+)", lambda _, __: (200, {})
        yield "GET", self.data + r"/sobjects/(\w+)/describe", lambda _, __: (200, self.described)
        yield "POST", self.data + r"/sobjects/(\w+)", self.create
        yield "PATCH", self.data + r"/sobjects/(\w+)/(\w+)", self.update
        yield "PATCH", self.data + r"/sobjects/(\w+)/(\w+)/([^/]+)", self.upsert
        yield "DELETE", self.data + r"/sobjects/(\w+)/(\w+)", self.delete
        yield "PATCH", self.data + "/composite/sobjects", self.updates

    def token(self, seen: Seen) -> Answer:
        assert seen.form["grant_type"] == ["client_credentials"]
        return 200, {"access_token": "00D-token", "instance_url": "https://acme.my.salesforce.com"}

    def query(self, seen: Seen) -> Answer:
        match = re.search(r"FROM (\w+) WHERE (\w+) = '((?:[^'\\]|\\.)*)' LIMIT", seen.query["q"][0])
        assert match, seen.query
        kind, name, value = match.groups()
        value = re.sub(r"\\(.)", r"\1", value)
        hits = [{"Id": key} for key, row in self.kind(kind).items() if row.get(name) == value]
        return 200, {"totalSize": len(hits), "records": hits}

    def create(self, seen: Seen, kind: str) -> Answer:
        key = f"003{int(self.new_id()):015}"
        self.kind(kind)[key] = dict(seen.body)
        return 201, {"id": key, "success": True, "errors": []}

    def update(self, seen: Seen, kind: str, key: str) -> Answer:
        if key not in self.kind(kind):
            return 404, [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]
        self.kind(kind)[key].update(seen.body)
        return 204, None

    def upsert(self, seen: Seen, kind: str, name: str, value: str) -> Answer:
        assert name not in seen.body
        for key, row in self.kind(kind).items():
            if row.get(name) == value:
                row.update(seen.body)
                return 200, {"id": key, "success": True, "created": False}
        status, answer = self.create(seen, kind)
        self.kind(kind)[answer["id"]][name] = value
        return status, {**answer, "created": True}

    def delete(self, _: Seen, kind: str, key: str) -> Answer:
        return (204, None) if self.kind(kind).pop(key, None) else (404, [{"errorCode": "NOT_FOUND"}])

    def updates(self, seen: Seen) -> Answer:
        results = []
        for record in seen.body["records"]:
            row = self.kind(record["attributes"]["type"]).get(record["id"])
            if row is None:
                results.append({"success": False, "errors": [{"statusCode": "ENTITY_IS_DELETED"}]})
            else:
                row.update({name: value for name, value in record.items() if name not in ("id", "attributes")})
                results.append({"id": record["id"], "success": True, "errors": []})
        return 200, results


class Odoo(Fake):
    def routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        yield "POST", "/json/2/res.users/context_get", lambda _: (200, {"lang": "en_US"})
        yield "POST", r"/json/2/([\w.]+)/has_access", lambda _, __: (200, True)
        yield "POST", r"/json/2/([\w.]+)/search_read", self.search
        yield "POST", r"/json/2/([\w.]+)/create", self.create
        yield "POST", r"/json/2/([\w.]+)/write", self.write
        yield "POST", r"/json/2/([\w.]+)/(unlink|action_archive)", self.remove

    def search(self, seen: Seen, kind: str) -> Answer:
        def fits(row: dict[str, Any]) -> bool:
            return all(row.get(name) == value for name, _, value in seen.body["domain"])

        return 200, [{"id": int(key)} for key, row in self.kind(kind).items() if fits(row)]

    def create(self, seen: Seen, kind: str) -> Answer:
        if "wrong" in seen.body["vals_list"][0]:
            return 500, {
                "name": "builtins.ValueError",
                "message": "Invalid field 'wrong'",
                "arguments": [],
                "debug": "…",
            }
        key = self.new_id()
        self.kind(kind)[key] = dict(seen.body["vals_list"][0])
        return 200, [int(key)]

    def missing(self) -> Answer:
        return 404, {"name": "odoo.exceptions.MissingError", "message": "Record does not exist or has been deleted."}

    def write(self, seen: Seen, kind: str) -> Answer:
        row = self.kind(kind).get(str(seen.body["ids"][0]))
        if row is None:
            return self.missing()
        row.update(seen.body["vals"])
        return 200, True

    def remove(self, seen: Seen, kind: str, _: str) -> Answer:
        return (200, True) if self.kind(kind).pop(str(seen.body["ids"][0]), None) else self.missing()
