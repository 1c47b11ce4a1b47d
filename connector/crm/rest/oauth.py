"""OAuth2: a token from the token address, renewed before it ends and after a 401, by one at a time."""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from connector.crm.overlap import alone
from connector.crm.presets.model import OAuth2, Reset
from connector.crm.rest import jsonpath, moments, redact, template
from connector.crm.rest.answer import Answer, NoAnswer
from connector.crm.rest.credentials import Authorised, NoToken
from connector.crm.rest.tokens import Token, TokenFile
from connector.crm.rest.wire import Outgoing, Wire
from connector.domain.clock import MINUTE, SECOND, Clock
from connector.files.problem import ProblemsError

_ASSERTION_LIFE = 3 * MINUTE
_TOKEN_TIME = 30.0
_AFTER_FAILURE = 5 * SECOND
"""Threads that waited for one that failed do not all try at once."""

_TOKEN_LIMIT = 16 * 1024


class OAuth:
    """Gives tokens; safe to use from several threads and processes."""

    def __init__(
        self,
        name: str,
        auth: OAuth2,
        settings: Mapping[str, Any],
        secret: Callable[[str], str | None],
        wire: Wire,
        file: TokenFile,
        clock: Clock,
    ) -> None:
        self._name = name
        self._auth = auth
        self._settings = settings
        self._secret = secret
        self._wire = wire
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._failed: tuple[int, NoToken] | None = None

    def authorise(self) -> Authorised | NoToken:
        """Return the token in force, or get one."""
        token = self._token
        if token is not None and self._is_fresh(token):
            return self._authorised(token)
        return self._get(not_this=None)

    def renew(self, used: Authorised) -> Authorised | NoToken | None:
        """Get another token than the one that was refused."""
        return self._get(not_this=used.headers["Authorization"].removeprefix(self._auth.prefix))

    def private(self) -> Sequence[str]:
        """Return the tokens and the client's secret."""
        token = self._token
        values = [token.access, token.refresh] if token else []
        with contextlib.suppress(ProblemsError):
            values += [self._secret(self._auth.client_secret)] if self._auth.client_secret else []
        return [value for value in values if value]

    def _authorised(self, token: Token) -> Authorised:
        return Authorised({"Authorization": self._auth.prefix + token.access}, token.base_url)

    def _is_fresh(self, token: Token) -> bool:
        return token.expires_at - self._auth.early * SECOND > self._clock.now()

    def _get(self, *, not_this: str | None) -> Authorised | NoToken:
        with alone(), self._lock:
            if self._failed is not None and self._clock.elapsed() - self._failed[0] < _AFTER_FAILURE:
                return self._failed[1]
            try:
                with self._file.locked():
                    got = self._get_alone(not_this)
            except ProblemsError as error:
                got = NoToken(refused=True, reason=f"a secret cannot be read: {error.problems[0].what}")
            except OSError as error:
                where = self._file.path.parent
                got = NoToken(refused=False, reason=f"the token cannot be kept in {where}: {error.strerror}")
            if isinstance(got, NoToken):
                self._failed = (self._clock.elapsed(), got)
                return got
            self._failed = None
            self._token = got
            return self._authorised(got)

    def _get_alone(self, not_this: str | None) -> Token | NoToken:
        seed = self._seed()
        kept = self._file.read()
        if kept is not None and kept.seed != seed:
            kept = None
        if kept is not None and kept.access != not_this and self._is_fresh(kept):
            return kept
        refresh = kept.refresh if kept is not None and kept.refresh else self._secret(self._auth.refresh_token)
        if self._auth.grant == "refresh_token" and not refresh:
            return NoToken(refused=True, reason=f"there is no refresh token: {self._what_to_do()}")
        try:
            outgoing = self._request(refresh)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            return NoToken(refused=True, reason=f"the private key cannot be used: {type(error).__name__}")
        answer = self._wire.exchange(outgoing, _TOKEN_TIME)
        if isinstance(answer, NoAnswer):
            return NoToken(refused=False, reason=f"the token address gives no answer: {answer.why}")
        token = self._read(answer, refresh, seed)
        if isinstance(token, Token):
            self._file.write(token)
        return token

    def _seed(self) -> str:
        """Tell one set of configured credentials from another, so that new ones are used at once."""
        parts = [self._fill(self._auth.client_id)]
        if self._auth.grant == "refresh_token":
            parts.append(self._secret(self._auth.refresh_token) or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def _fill(self, text: str) -> str:
        return template.compile_text(text)(self._settings)

    def _request(self, refresh: str | None) -> Outgoing:
        auth = self._auth
        form: dict[str, str] = {"grant_type": auth.grant}
        if auth.grant == "refresh_token":
            form["refresh_token"] = refresh or ""
        if auth.grant == "jwt_bearer":
            form["grant_type"] = "urn:ietf:params:oauth:grant-type:jwt-bearer"
            form["assertion"] = self._assertion()
        if auth.scope is not None:
            form["scope"] = self._fill(auth.scope)
        form |= {name: self._fill(value) for name, value in auth.params.items()}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client, secret = self._fill(auth.client_id), self._secret(auth.client_secret) if auth.client_secret else None
        if auth.client_auth == "basic" and secret is not None:
            pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif auth.grant != "jwt_bearer":
            form["client_id"] = client
            if secret is not None:
                form["client_secret"] = secret
        return Outgoing("POST", self._fill(auth.token_url), headers, urlencode(form).encode())

    def _assertion(self) -> str:
        key = serialization.load_pem_private_key((self._secret(self._auth.private_key) or "").encode(), None)
        if not isinstance(key, RSAPrivateKey):
            raise TypeError("an RSA key is needed")
        claims = {
            "iss": self._fill(self._auth.issuer),
            "sub": self._fill(self._auth.subject),
            "aud": self._fill(self._auth.audience),
            "exp": (self._clock.now() + _ASSERTION_LIFE) // SECOND,
        }
        text = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_base64(signature)}"

    def _read(self, answer: Answer, refresh: str | None, seed: str) -> Token | NoToken:
        now = self._clock.now()
        if answer.status == 429 or answer.status >= 500:  # noqa: PLR2004 - too many, or its own trouble
            later = moments.retry_at(answer.headers, (Reset(header="Retry-After"),), now)
            return NoToken(refused=False, reason=f"the token address answered {answer.status}", retry_at=later)
        access = jsonpath.find(answer.json, "access_token") if answer.is_json else None
        if answer.status // 100 != 2 or not _is_token(access):  # noqa: PLR2004 - the class of success
            private = [refresh, *self.private()]
            said = redact.message(answer, ("error_description", "error", "message"), private)
            reason = f"the token address answered {answer.status}: {said or 'no token in it'}; {self._what_to_do()}"
            return NoToken(refused=True, reason=reason)
        life = jsonpath.find(answer.json, "expires_in")
        if isinstance(life, str) and life.isascii() and life.isdigit() and len(life) < 10:  # noqa: PLR2004 - a bound
            life = int(life)
        if isinstance(life, bool) or not isinstance(life, (int, float)) or not 0 < life < 10**9:
            life = self._auth.expires_in
        rotated = jsonpath.find(answer.json, "refresh_token")
        base: Any = None
        if self._auth.base_url_from is not None:
            base = jsonpath.find(answer.json, self._auth.base_url_from)
        return Token(
            access=access,
            expires_at=now + int(life * SECOND),
            refresh=rotated if _is_token(rotated) else refresh,
            base_url=base if isinstance(base, str) else None,
            seed=seed,
        )

    def _what_to_do(self) -> str:
        if self._auth.grant == "refresh_token":
            secret = self._auth.refresh_token
            return f"authorise the connector anew and put the new refresh token into the secret {secret!r}"
        return "look at the client's ID, its secret or key, and what it was allowed at the CRM"


def _is_token(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _TOKEN_LIMIT and value.isascii() and value.isprintable()


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())
