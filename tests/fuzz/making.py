"""Inputs for fuzzing: grammars that know what the parsers look for, and mutations that break what they make."""

import base64
import json
import random
import runpy
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from connector.domain.decode import VARIABLES
from connector.domain.request import UnverifiedRequest
from tests.support.signing import dkim_text, public_base64, signed_request, signing_key

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "decode" / "corpus"
FORM, JSON, XML = "application/x-www-form-urlencoded", "application/json", "application/xml"
CHARSETS = (
    "",
    "",
    "utf-8",
    "iso-8859-1",
    "windows-1252",
    "iso-8859-15",
    "gbk",
    "shift_jis",
    "koi8-r",
    "x-martian",
    '"utf-8"',
)
OTHER_TYPES = ("", "text/plain", "image/png", "application/ld+json", "image/svg+xml", "a/b;charset", "*/*", "é", ";;")

NAMES = (
    "type", "action", "id", "profile", "subprofile", "database", "collection", "time", "timestamp", "fields", "updated",
    "parameters", "interests", "interest", "tags", "created", "modified", *VARIABLES,
)  # fmt: skip
VALUES = (
    "create", "update", "delete", "click", "open", "delivery", "bounce", "failure", "failed", "merge", "", " ", "0", "1", "-1",
    "7", "007", "123456789012345678901", "1714550400", "1714550400.25", "1714550400123", "99999999999999999", "2024-05-01 10:00:01",
    "2024-03-31 02:30:00", "2024-10-27 02:30:00", "0000-00-00 00:00:00", "0000-00-00", "9999-12-31 23:59:59", "2024-13-45 99:99:99",
    "johny@example.com", "blue", "true", "false", "off", "ON", "é", "€", "ß", "\0", "\ud83d\ude00", "x" * 300, "]]>", "&#0;",
)  # fmt: skip
BRACKETS = (
    "", "", "", "[]", "[a]", "[a][b]", "[a][]", "[a[b]]", "[", "]", "[a", "a]", "[ x]", "[0]", "[1][2][3]", "[]" * 15, "[]" * 20,
    "[x].y", ".z", " w", "[Prénom]", "[9223372036854775807]",
)  # fmt: skip
TOKENS = (
    b"%", b"%4", b"%zz", b"%00", b"%5B", b"%5D", b"%5b", b"%26", b"%3D", b"+", b"&", b"=", b"[", b"]", b"&&", b"\xff", b"\xc3", b"\x80",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"{", b"}", b'"', b"\\", b"\\u", b"\\ud800", b"\\udc00", b",", b":", b"null", b"NaN",
    b"Infinity", b"-", b"1e999", b"1" * 401, b"[" * 20, b'{"a":' * 20, b"<", b">", b"</", b"/>", b"<!--", b"-->", b"<![CDATA[", b"]]>",
    b"<!DOCTYPE x [", b'<!ENTITY a "b">', b"<!ELEMENT a ANY>", b"&a;", b"&#65;", b"&lt;", b"<?xml version='1.0' encoding='utf-16'?>",
    b"<?p?>", b" name='x'", b"xmlns:a='b'", b"<a:b/>", b"fields", b"updated", b"interests", b"parameters", b"type=update", b"profile=1",
    b"\r\n", b"\n", b"\t", b" ", b";", b"'", b"a" * 9000, b"0" * 20,
)  # fmt: skip
SIGNATURE_TOKENS = (
    "keyId", "algorithm", "headers", "signature", "created", "expires", "=", '"', "\\", '\\"', ",", " ", "\r\n ", "\t", "\0", "\n", "é",
    "rsa-sha256", "rsa-sha384", "RSA-SHA512", "hs2019", "hmac-sha256", "(request-target)", "(created)", "(expires)", "host", "date",
    "x-copernica-id", "digest", "x-nonce", "AAAA", "====", "one._domainkey.copernica.com", "evilcopernica.com", "x" * 300, "a=b," * 33,
    ",".join(f"p{number}=1" for number in range(33)), " ".join(f"h{number}" for number in range(70)), " " * 9000,
)  # fmt: skip
HEADERS = (
    ("Date", ("", "Sun, 05 Jan 2014 21:31:40 GMT", "Sat, 31 Jan 2026 12:00:00 +9999", "x" * 100, "0", "Sat, 99 Xyz 2026 99:99:99 GMT",
              "Sat, 31 Jan 99999999999 12:00:00 GMT", "Sat, 31 Jan 2026 12:00:00 -0000", "Sat, 31 Jan 2026 11:00:00 GMT")),
    ("Host", ("", "hooks.example.com", "HOOKS.example.com:443", "hooks.example.com:99999", "other", "[::1]:80", "\xe9")),
    ("X-Copernica-ID", ("", "account-1234", "environment_1234", "account_1", "account-01234", "account-1234 ", "x", "account-" + "9" * 30)),
    ("Digest", ("", "SHA-256=", "SHA-256=AAAA", "sha-512=AAAA,SHA-256=AAAA", "MD5=x", "=", "," * 20, "SHA-256 = \xe9", "SHA-512=" + "A" * 86 + "==")),
    ("Content-Length", ("", "0", "-1", "1", "99999999999999999999", "\u00b2", " 3 ", "0x3", "+3")),
    ("Content-Type", (FORM, JSON, XML, "", "\xe9")),
    ("X-Nonce", ("", "a\r\n b", "\0", "x" * 500)),
    ("X-Forwarded-Proto", ("https", "http", ",", "https,http")),
    ("X-Forwarded-For", ("1.2.3.4", "::1", "nonsense", ",,,", "1.2.3.4, 127.0.0.1")),
)  # fmt: skip
WIRE_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b":", b" ", b"\t", b"\0", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Upgrade: h2c\r\n", b"Host: a\r\nHost: b\r\n", b"X_Y: 1\r\n", b" folded\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"0\r\n\r\n",
    b"1;ext=x\r\n", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"GET ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT x:443 HTTP/1.1\r\n", b"http://x", b"//", b"/../", b"%2e%2e", b"?", b"#", b"\xff", b"\xc3\xa9", b"X: " + b"y" * 40_000,
    b"A: b\r\n" * 70, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
)  # fmt: skip
FLOOD = 0.003
"""How many of the bodies are large: each of them takes as long as a hundred others."""
FLOODS: dict[str, tuple[tuple[bytes, bytes, bytes], ...]] = {
    FORM: (
        (b"type=update&profile=1&database=1&", b"a&", b""), (b"type=update&profile=1&database=1", b"&a[][][]=", b""), (b"fields[x]=", b"%c3%a9", b"%"),
        (b"type=update&profile=1&database=1&fields[x]=", b"%", b""), (b"a", b"[b]", b"=1"), (b"", b"x", b"=1"),
    ),
    JSON: (
        (b'{"tags":[1', b",1", b"]}"), (b'{"fields":{"a":1', b',"a":2', b"}}"), (b"", b"[", b""), (b'{"id":', b"7", b"}"), (b'{"a":"', b"\\u00e9", b'"}'),
    ),
    XML: (
        (b"<x>", b"<a/>", b"</x>"), (b"<x>", b"<a>", b"</x>"), (b"<x ", b"a='1' ", b"/>"), (b"<x><id>", b"&#65;", b"</id></x>"), (b"<x><id>", b"7", b"</id></x>"),
        (b"<x><fields>", b"<a>1</a>", b"</fields></x>"),
    ),
}  # fmt: skip


@cache
def seeds(content_type: str) -> tuple[bytes, ...]:
    """Bodies of the corpus and of the worst that is known, of that content type."""
    found = []
    for path in sorted(CORPUS.glob("*.http")):
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        if content_type.encode() in head.lower():
            found.append(body)
    hostile: Callable[[int], object] = runpy.run_path(str(ROOT / "bench" / "decode_worst.py"))["hostile"]
    found += [body[:4096] for _, body, kind in hostile(4096) if kind == content_type]  # type: ignore[attr-defined]
    return tuple(found)


@cache
def dkim_records() -> tuple[bytes, ...]:
    """TXT records as they come: good, weak, of another kind, revoked, and of something else."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    huge = rsa.RSAPublicNumbers(65537, (1 << 9000) + 1).public_key()
    short = rsa.RSAPublicNumbers(65537, (1 << 700) + 1).public_key()
    others = [ec.generate_private_key(ec.SECP256R1()).public_key(), ed25519.Ed25519PrivateKey.generate().public_key()]
    der = [
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for key in (*others, huge, short)
    ]
    good = dkim_text(signing_key())
    return (
        good.encode(),
        good.replace("k=rsa; ", "").encode(),
        f"p={public_base64(signing_key(1024))}; s=email; t=y; v=DKIM1".encode(),
        *(b"v=DKIM1; k=rsa; p=" + base64.b64encode(one) for one in der),
        b"v=DKIM1; k=ed25519; p=" + base64.b64encode(der[1][-32:]),
        b"v=DKIM1; p=",
        b"v=spf1 include:_spf.example.com ~all",
        b"v=DMARC1; p=reject",
        b"k=rsa; k=rsa; p=AAAA",
    )


class Maker:
    """Makes inputs, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, most: int) -> int:
        return min(int(self.random.expovariate(2 / most)), 4 * most)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def mutated(self, data: bytes, tokens: Sequence[bytes] = TOKENS) -> bytes:
        """Cut, doubled, overwritten, with tokens put in."""
        choose = self.random
        result = bytearray(data)
        for _ in range(1 + self.some(4)):
            at = choose.randrange(len(result) + 1)
            end = min(len(result), at + 1 + self.some(8))
            match choose.randrange(7):
                case 0:
                    del result[at:end]
                case 1:
                    result[at:at] = choose.choice(tokens)
                case 2:
                    result[at:end] = choose.choice(tokens)
                case 3:
                    result[at:end] = choose.randbytes(end - at)
                case 4:
                    result[at:at] = result[at : at + choose.randrange(200)]
                case 5 if at < len(result):
                    result[at] ^= 1 << choose.randrange(8)
                case _:
                    del result[at + choose.randrange(300) :]
        return bytes(result[:200_000])

    def text(self) -> str:
        choose = self.random
        if self.chance(0.8):
            return choose.choice(VALUES)
        return "".join(
            chr(choose.choice((choose.randrange(128), choose.randrange(256), choose.randrange(0xD800))))
            for _ in range(choose.randrange(12))
        )

    # bodies

    def body(self) -> tuple[bytes, str | None]:
        """A body, and the content type that goes with it, or does not."""
        body, kind = self.random.choice((self.form, self.json, self.xml))()
        if self.chance(0.1):
            return body, None
        if self.chance(0.1):
            kind = self.random.choice(OTHER_TYPES)
        charset = self.random.choice(CHARSETS)
        return body, f"{kind}; charset={charset}" if charset else kind

    def flood(self, kind: str) -> bytes:
        """A body that goes over one of the bounds, or just not."""
        choose = self.random
        count = choose.choice((600, 24_900, 25_100, 49_900, 50_100))
        piece, filler, end = choose.choice(FLOODS[kind])
        return piece + filler * count + end

    def form(self) -> tuple[bytes, str]:
        if self.chance(FLOOD):
            return self.flood(FORM), FORM
        if self.chance(0.2):
            body = self.random.choice(seeds(FORM))
        else:
            sound = [f"{quote_plus(name)}={quote_plus(value)}" for name, value in self._sound().items()]
            pairs = [*sound, *(self._pair() for _ in range(self.some(10)))]
            self.random.shuffle(pairs)
            body = "&".join(pairs).encode("latin-1", "replace")
        return (self.mutated(body) if self.chance(0.5) else body), FORM

    def _sound(self) -> dict[str, str]:
        """Variables with which a call would be understood, if nothing else spoils it; sometimes one of them is gone."""
        choose = self.random
        kind = choose.choice(("create", "update", "delete", "click", "open", "delivery", "bounce", "failure", "failed"))
        found = {choose.choice(("type", "type", "action")): kind, "id": "5", "recipient": "johny@example.com"}
        found |= (
            {"profile": "12", "database": "1"}
            if self.chance(0.6)
            else {"profile": "12", "subprofile": "3", "collection": "2"}
        )
        found |= (
            {"timestamp": "2024-10-27 02:30:00"}
            if self.chance(0.5)
            else {"time": "1714550400", "timestamp": "2024-05-01 10:00:01"}
        )
        for _ in range(choose.choice((0, 0, 1, 2))):
            found.pop(choose.choice(list(found)))
        return found if self.chance(0.8) else {}

    def _pair(self) -> str:
        choose = self.random
        name = choose.choice((*NAMES, "", " ", "a.b", "a b", "x")) + choose.choice(BRACKETS)
        value = self.text().encode("utf-8", "surrogatepass")
        if self.chance(0.7):
            name = quote_plus(name, safe="[]" if self.chance(0.3) else "")
        return f"{name}={quote_plus(value)}" if self.chance(0.95) else name

    def json(self) -> tuple[bytes, str]:
        if self.chance(FLOOD):
            return self.flood(JSON), JSON
        if self.chance(0.2):
            body = self.random.choice(seeds(JSON))
        else:
            tree: object = self._node(4)
            if self.chance(0.95):
                tree = self._sound() | {self.random.choice(NAMES): self._node(3) for _ in range(self.some(5))}
            codec = self.random.choice(
                ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1")
            )
            text = json.dumps(tree, ensure_ascii=self.chance(0.5))
            if self.chance(0.1):
                text = text[:1] + text[1:-1] + "," + text[1:]  # each name twice
            body = text.encode(codec, "surrogatepass" if "utf" in codec else "replace")
        return (self.mutated(body) if self.chance(0.4) else body), JSON

    def _node(self, depth: int) -> object:
        choose = self.random
        kind = choose.randrange(9 if depth else 6)
        if kind < 3:
            return self.text()
        if kind < 6:
            return choose.choice((None, True, False, 0, 1, -7, 1.5, 1e30, 10**20, [], {}))
        if kind == 6:
            return [self._node(depth - 1) for _ in range(self.some(4))]
        return {choose.choice((*VALUES, *NAMES)): self._node(depth - 1) for _ in range(self.some(4))}

    def xml(self) -> tuple[bytes, str]:
        if self.chance(FLOOD):
            return self.flood(XML), XML
        if self.chance(0.2):
            body = self.random.choice(seeds(XML))
        else:
            head = self.random.choice(
                ("", "", "<?xml version='1.0'?>", '<?xml version="1.0" encoding="iso-8859-1"?>', "<!DOCTYPE x>", "\n")
            )
            sound = [f"<{name}>{value}</{name}>" for name, value in self._sound().items()]
            inner = "".join([*sound, *(self._element(4) for _ in range(self.some(4)))])
            codec = self.random.choice(("utf-8", "utf-8", "utf-8", "utf-16", "latin-1"))
            body = f"{head}<profile>{inner}</profile>".encode(codec, "replace")
        return (self.mutated(body) if self.chance(0.4) else body), XML

    def _element(self, depth: int) -> str:
        choose = self.random
        name = choose.choice((*NAMES, *NAMES, "field", "item", "tag", "blue", "x:y", "_"))
        label = f' name="{escape(self.text())}"' if self.chance(0.2) else ""
        if depth and self.chance(0.5 if name in ("fields", "updated", "parameters", "interests", "tags") else 0.1):
            inner = "".join(self._element(depth - 1) for _ in range(self.some(4)))
        else:
            inner = choose.choice((escape, escape, escape, str, "<![CDATA[{}]]>".format))(self.text())
        return f"<{name}{label}>{inner}</{name}>"

    # proofs

    def signature_header(self, genuine: str) -> str:
        """A Signature header: taken apart and put together anew, or broken."""
        choose = self.random
        if self.chance(0.4):
            return "".join(choose.choice(SIGNATURE_TOKENS) for _ in range(self.some(20)))
        if self.chance(0.3):
            parts = genuine.split(",")
            choose.shuffle(parts)
            genuine = choose.choice((",", " ", "\r\n ", ", ", "")).join(parts)
        tokens = [token.encode("latin-1") for token in SIGNATURE_TOKENS]
        return self.mutated(genuine.encode("latin-1"), tokens).decode("latin-1")

    def headers(self, given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """A call's headers, some of them replaced, doubled, dropped, in another order or case."""
        choose = self.random
        headers = list(given)
        for _ in range(self.some(3)):
            at = choose.randrange(len(headers)) if headers else 0
            name, values = choose.choice(HEADERS)
            match choose.randrange(6):
                case 0 if headers:
                    del headers[at]
                case 1 if headers:
                    headers.append(headers[at])
                case 2 if headers:
                    headers[at] = (headers[at][0].swapcase(), headers[at][1])
                case 3:
                    headers.append((name, choose.choice(values)))
                case 4:
                    headers = [
                        (key, choose.choice(values) if key.lower() == name.lower() else old) for key, old in headers
                    ]
                case _:
                    headers = [
                        (key, self.signature_header(old) if key.lower() == "signature" else old) for key, old in headers
                    ]
        return tuple(headers)

    def signed(self, **given: object) -> UnverifiedRequest:
        """A call that is genuine, in one of many ways."""
        choose = self.random
        body, content_type = self.body()
        sound = content_type if content_type is None or content_type.isascii() else None
        made: dict[str, object] = {
            "content_type": sound,
            "nonce": choose.choice((None, f"{choose.getrandbits(64):x}")),
            "algorithm": choose.choice(("rsa-sha256", "rsa-sha256", "rsa-sha384", "rsa-sha512")),
        }
        return signed_request(body, **(made | given))  # type: ignore[arg-type]

    def records(self) -> list[bytes]:
        """TXT records under one name."""
        found = []
        for _ in range(1 + self.some(2)):
            record = self.random.choice(dkim_records())
            found.append(
                self.mutated(record, (*TOKENS, b"v=DKIM1", b"k=", b"p=", b"; ")) if self.chance(0.5) else record
            )
        return found if self.chance(0.99) else found * 65
