"""A configured destination becomes a CRM that can be written to."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connector.config.model import Config, Destination, SecretRef
from connector.config.secrets import SecretError
from connector.crm.presets.load import load_preset
from connector.crm.presets.model import Basic, OAuth2, Preset
from connector.crm.rest import template
from connector.crm.rest.adapter import RestCrm
from connector.crm.rest.credentials import Credentials, Fixed
from connector.crm.rest.oauth import OAuth
from connector.crm.rest.tokens import TokenFile
from connector.crm.rest.wire import Tls, Wire
from connector.domain.clock import Clock
from connector.files.problem import Problem, ProblemsError

_CONTROL = re.compile(r"[\x00-\x20\x7f-\U0010ffff]")


def build_crm(
    name: str,
    destination: Destination,
    secrets: Callable[[SecretRef], str],
    state_folder: Path,
    clock: Clock,
    *,
    presets: Path | None = None,
    config: Config | None = None,
) -> RestCrm:
    """Return the destination's CRM. `presets` is the folder with the user's own presets; problems point into `config`.

    Raises ProblemsError: a preset with mistakes, a setting or secret that is missing or unknown, an address that cannot
    be used.
    """
    preset = load_preset(destination.preset, presets, destination.override)
    at = _Place(config or Config(), ("destinations", name))
    settings = _settings(at, preset, destination)
    fixed = {f"settings.{key}": value for key, value in settings.items()}

    def allowed(url: str) -> str | None:
        return refused(url, allow_http=destination.allow_http)

    base = destination.base_url
    if base is None and preset.connection.base_url is not None:
        base = template.compile_text(preset.connection.base_url)(fixed)
    auth = preset.connection.auth
    if base is None and not (isinstance(auth, OAuth2) and auth.base_url_from):
        raise at.error("base_url", what="it is missing: the preset does not know the address")
    if base is not None and (why := allowed(base)):
        raise at.error("base_url", what=why)

    if isinstance(auth, OAuth2) and (why := allowed(template.compile_text(auth.token_url)(fixed))):
        raise at.error("preset", what=f"its token address cannot be used: {why}")

    connection = preset.connection
    wire = Wire(
        connection.timeouts,
        Tls(destination.ca_file, destination.client_cert, destination.client_key),
        destination.proxy,
        connection.max_answer,
        preset.limits.concurrency,
    )
    headers = {"Accept": "application/json"}
    headers |= {key: template.compile_text(value)(fixed) for key, value in connection.headers.items()}

    def secret(key: str) -> str | None:
        reference = destination.secrets.get(key)
        try:
            return secrets(reference).strip() if reference is not None else None
        except SecretError as error:
            raise at.error("secrets", key, what=str(error)) from None

    return RestCrm(
        name,
        preset,
        settings=settings,
        base_url=base,
        headers=headers,
        wire=wire,
        credentials=_credentials(name, preset, fixed, secret, wire, state_folder, clock),
        allowed=allowed,
        clock=clock,
    )


def _credentials(
    name: str,
    preset: Preset,
    fixed: Mapping[str, Any],
    secret: Callable[[str], str | None],
    wire: Wire,
    state_folder: Path,
    clock: Clock,
) -> Credentials:
    auth = preset.connection.auth
    if isinstance(auth, OAuth2):
        return OAuth(name, auth, fixed, secret, wire, TokenFile(state_folder, name), clock)
    username = template.compile_text(auth.username)(fixed) if isinstance(auth, Basic) else ""
    named = getattr(auth, "secret", None)
    return Fixed(auth, username, lambda: (secret(named) or "") if named else "")


def _settings(at: "_Place", preset: Preset, destination: Destination) -> dict[str, str | int | bool]:
    problems = []
    settings: dict[str, str | int | bool] = {}
    for key, asked in preset.settings.items():
        value = destination.settings.get(key, asked.default)
        if value is None:
            problems.append(at.problem("settings", what=f"`{key}` is missing: {asked.about}"))
        else:
            settings[key] = value
    for key in destination.settings.keys() - preset.settings.keys():
        known = ", ".join(preset.settings) or "none"
        problems.append(at.problem("settings", key, what=f"the preset asks for no `{key}` (it asks for: {known})"))
    for key, wanted in preset.secrets.items():
        if key not in destination.secrets and not wanted.optional:
            problems.append(at.problem("secrets", what=f"`{key}` is missing: {wanted.about}"))
    for key in destination.secrets.keys() - preset.secrets.keys():
        known = ", ".join(preset.secrets) or "none"
        problems.append(at.problem("secrets", key, what=f"the preset asks for no `{key}` (it asks for: {known})"))
    if problems:
        raise ProblemsError(problems)
    return settings


def refused(url: str, *, allow_http: bool) -> str | None:
    """Return why an address cannot be used; None if it can."""
    if _CONTROL.search(url) or len(url) > 2000:  # noqa: PLR2004 - no address is longer
        return "it is not a plain address"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is not an address"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "it has to begin with https:// and name a host"
    if parts.username is not None or parts.password is not None:
        return "credentials do not belong into it: put them under `secrets`"
    if parts.query or parts.fragment:
        return "it may not have a query or a fragment"
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname):
        return "http:// is not encrypted: use https://, or say allow_http = true"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Place:
    """A section of the configuration, to point at."""

    config: Config
    path: tuple[str, ...]

    def problem(self, *path: str, what: str) -> Problem:
        return self.config.problem((*self.path, *path), what)

    def error(self, *path: str, what: str) -> ProblemsError:
        return ProblemsError([self.problem(*path, what=what)])
