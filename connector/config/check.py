"""What cannot be right in a configuration although every value by itself is: all of it at once, each at its place."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from pydantic import BaseModel

from connector.config import address
from connector.config.model import Destination, Receiver, Schedule, SecretRef, Source
from connector.files.build import build
from connector.files.document import Document
from connector.files.lines import KeyPath
from connector.files.problem import Problem, ProblemsError

S = TypeVar("S", bound=BaseModel)


def problems(document: Document) -> list[Problem]:
    """Return what does not go together, in every section that could be read at all."""
    found: list[Problem] = []

    def look(model: type[S], path: KeyPath, check: "Callable[[Document, KeyPath, S], Iterator[Problem]]") -> None:
        section = _section(model, document, path)
        if section is not None:
            found.extend(check(document, path, section))

    look(Receiver, ("receiver",), _receiver)
    look(Schedule, ("delivery", "schedule"), _schedule)
    sources = _names(document, "sources")
    for name in sources:
        look(Source, ("sources", name), _source)
    for name in _names(document, "destinations"):
        look(Destination, ("destinations", name), _destination)
    found.extend(_paths(document, sources))
    return found


def _names(document: Document, key: str) -> list[str]:
    entries = document.data.get(key)
    return list(entries) if isinstance(entries, dict) else []


def _section(model: type[S], document: Document, path: KeyPath) -> S | None:
    """Return a section, or None when it is not there or has mistakes that were told already."""
    try:
        document.value(path)
        return build(model, document, at=path)
    except (KeyError, TypeError, ProblemsError):
        return None


def _receiver(document: Document, path: KeyPath, receiver: Receiver) -> Iterator[Problem]:
    if receiver.require_https and address.is_unencrypted(receiver.public_url):
        yield document.problem(
            (*path, "public_url"), "calls have to come over HTTPS, but this address begins with http://", "https://"
        )


def _schedule(document: Document, path: KeyPath, schedule: Schedule) -> Iterator[Problem]:
    if schedule.longest < schedule.first:
        key = "longest" if "longest" in schedule.model_fields_set else "first"
        yield document.problem(
            (*path, key), f"the longest wait ({schedule.longest:g} s) is shorter than the first ({schedule.first:g} s)"
        )


def _source(document: Document, path: KeyPath, source: Source) -> Iterator[Problem]:
    signed = source.proof in ("copernica", "key-file")
    if signed and source.account is None:
        what = "`account` is missing: a signed call says which account it is from, and only yours may pass"
        yield document.problem(path, what, '`account = "account-1234"`', at_key=True)
    for option, proof in (("key_file", "key-file"), ("secret", "secret")):
        given = getattr(source, option) is not None
        if source.proof == proof and not given:
            yield document.problem(path, f"`{option}` is missing: `proof` is {proof}", at_key=True)
        elif given and source.proof != proof:
            what = f"`{option}` is not used: `proof` is {source.proof}"
            yield document.problem((*path, option), what, f'`proof = "{proof}"`, or without it', at_key=True)
    if source.secret is not None:
        yield from _secret(document, (*path, "secret"), source.secret)
    if source.proof == "none" and not source.addresses:
        what = "`addresses` is missing: with `proof` none anybody could send anything"
        yield document.problem(path, what, "the networks that the calls come from", at_key=True)
    if source.dialect == "callback" and source.database is None and source.collection is None:
        what = "`database` or `collection` is missing: a callback does not say what its IDs belong to"
        yield document.problem(path, what, at_key=True)
    for option in ("database", "collection"):
        if source.dialect == "webhook" and getattr(source, option) is not None:
            what = f"`{option}` is for callbacks only: a webhook says it in each call"
            yield document.problem((*path, option), what, "without it", at_key=True)


def _secret(document: Document, path: KeyPath, secret: SecretRef) -> Iterator[Problem]:
    given = [name for name in ("credential", "file", "env") if getattr(secret, name) is not None]
    if len(given) != 1:
        what = "none is given" if not given else f"{' and '.join(given)} are given"
        yield document.problem(path, f"exactly one of credential, file and env is needed, but {what}", at_key=True)


def _destination(document: Document, path: KeyPath, destination: Destination) -> Iterator[Problem]:
    for name, secret in destination.secrets.items():
        yield from _secret(document, (*path, "secrets", name), secret)
    if destination.base_url and address.is_unencrypted(destination.base_url) and not destination.allow_http:
        what = "personal data and credentials would go over the network unencrypted"
        yield document.problem((*path, "base_url"), what, "https://, or `allow_http = true`")
    if destination.client_key is not None and destination.client_cert is None:
        yield document.problem((*path, "client_key"), "a key without `client_cert` is of no use", at_key=True)


def _paths(document: Document, names: list[str]) -> Iterator[Problem]:
    """Two sources at one address, or one where another one's secret is looked for."""
    receiver = _section(Receiver, document, ("receiver",)) or Receiver()
    prefix = address.split(receiver.public_url).path.strip("/")
    taken: dict[str, str] = {}
    secret: dict[str, str] = {}
    sources = {name: _section(Source, document, ("sources", name)) for name in names}
    for name, source in sources.items():
        if source is not None and source.proof == "secret":
            secret[source.path or name] = name
    for name, source in sources.items():
        if source is None:
            continue
        path = source.path or name
        at = ("sources", name, "path")
        if path in taken:
            yield document.problem(at, f"the source {taken[path]} has the path `{path}` too")
        elif path.rpartition("/")[0] in secret:
            owner = secret[path.rpartition("/")[0]]
            yield document.problem(at, f"`{path}` is where the secret of the source {owner} is looked for")
        elif not prefix and path in address.OWN_PATHS:
            yield document.problem(at, f"`/{path}` is answered by the receiver itself", "another path")
        taken.setdefault(path, name)
