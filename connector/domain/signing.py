"""Signs a call as Copernica does: for `connector simulate`, the demonstration and tests."""

import base64
from collections.abc import Sequence
from email.utils import formatdate

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from connector.domain.clock import SECOND, Instant
from connector.domain.digest import digest_header
from connector.domain.request import by_name
from connector.domain.signature import ALGORITHMS, signing_string

COVERED = "(request-target) Host Date Content-length Content-type X-Copernica-ID Digest X-nonce"
"""What Copernica covers, spelled as Copernica spells it."""


def sign(
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    key: RSAPrivateKey,
    key_id: str,
    date: Instant,
    account: int,
    nonce: str | None,
    host: str,
    algorithm: str = "rsa-sha256",
    covered: str | None = None,
) -> list[tuple[str, str]]:
    """Return all headers of a signed call, `headers` (Content-Type and the like) among them.

    `target` is the path and query as they will be sent, `host` the value of the Host header, `date` is cut to seconds.
    Without a `nonce` there is no X-Nonce. `covered` replaces the list of signed headers (default: COVERED, less what
    the call does not have). Raises KeyError for an algorithm that is not in ALGORITHMS, CoverageError for a covered
    header that the call does not have.
    """
    complete = [
        ("Host", host),
        ("Date", formatdate(date // SECOND, usegmt=True)),
        ("X-Copernica-ID", f"account-{account}"),
        ("Digest", digest_header(body)),
        *headers,
        ("Content-Length", str(len(body))),
    ]
    if nonce is not None:
        complete.append(("X-Nonce", nonce))
    if covered is None:
        there = {name.lower() for name, _ in complete} | {"(request-target)"}
        covered = " ".join(name for name in COVERED.split() if name.lower() in there)
    text = signing_string(method, target, by_name(complete), covered.lower().split())
    signature = base64.b64encode(key.sign(text, padding.PKCS1v15(), ALGORITHMS[algorithm]())).decode()
    value = f'keyId="{key_id}",algorithm="{algorithm}",headers="{covered}",signature="{signature}"'
    return [*complete, ("Signature", value)]
