"""The configured senders, as the door needs them."""

import re
from collections.abc import Callable

from connector.config import address
from connector.config import model as configured
from connector.config.model import Config, SecretRef
from connector.config.secrets import SecretError
from connector.domain.limits import Limits
from connector.domain.record import RecordKind
from connector.domain.source import Dialect, Proof, Source
from connector.files.problem import Problem, ProblemsError

SHORTEST_SECRET = 16
_IN_A_PATH = re.compile(r"[A-Za-z0-9._~-]+")


def sources(config: Config, resolve: Callable[[SecretRef], str]) -> dict[str, Source]:
    """Return the sources by name. Raises ProblemsError when a secret is not to be had, or cannot stand in a path."""
    public = address.split(config.receiver.public_url)
    prefix = public.path.strip("/")
    problems: list[Problem] = []
    found: dict[str, Source] = {}
    for name, source in config.sources.items():
        secret = None
        if source.proof == "secret" and source.secret is not None:
            try:
                secret = _path_secret(resolve(source.secret))
            except SecretError as error:
                problems.append(config.problem(("sources", name, "secret"), str(error)))
        path = "/".join(part for part in (prefix, source.path or name) if part)
        found[name] = _source(name, source, config.receiver, host=public.netloc.lower(), path=f"/{path}", secret=secret)
    if problems:
        raise ProblemsError(problems)
    return found


def _source(
    name: str, source: configured.Source, receiver: configured.Receiver, *, host: str, path: str, secret: str | None
) -> Source:
    kind, scope = None, None
    if source.dialect == "callback":
        kind = RecordKind.PROFILE if source.collection is None else RecordKind.SUBPROFILE
        scope = str(source.database if source.collection is None else source.collection)
    return Source(
        name=name,
        path=path,
        host=host,
        proof=Proof(source.proof),
        account=None if source.account is None else address.account(source.account),
        dialect=Dialect(source.dialect),
        kind=kind,
        scope=scope,
        database=None if source.database is None else str(source.database),
        secret=secret,
        addresses=source.addresses,
        require_https=receiver.require_https if source.require_https is None else source.require_https,
        declined=frozenset(source.decline),
        past=receiver.date_past,
        future=receiver.date_future,
        max_body=receiver.max_body,
        limits=Limits(receiver.max_keys, receiver.max_key_bytes, receiver.max_depth),
    )


def _path_secret(secret: str) -> str:
    if not _IN_A_PATH.fullmatch(secret):
        raise SecretError("a secret in a path can only have letters, digits, `-`, `.`, `_` and `~`")
    if len(secret) < SHORTEST_SECRET:
        raise SecretError(f"a secret in a path needs at least {SHORTEST_SECRET} characters, to be no guess")
    return secret
