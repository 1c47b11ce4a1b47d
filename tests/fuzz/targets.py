"""What is fuzzed without a network: each target takes a Maker, tries one input, and raises what must not be."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from connector.domain.clock import Instant
from connector.domain.decode import decode, identity, rank
from connector.domain.event import Event, NotUnderstood
from connector.domain.judgement import explain, judge
from connector.domain.keyname import is_below_zone
from connector.domain.keyrecord import Key, KeyAnswer, NoKey, RevokedKey, Silent, WeakKey
from connector.domain.record import Record, RecordKind
from connector.domain.request import Refusal, UnprovenRequest
from connector.domain.signature import MAX_COVERED, SignatureError, parse_signature, signing_string
from connector.domain.source import Dialect, Proof, Source
from connector.http.app import Edge, make_app
from connector.http.ownership import Ownership
from connector.keys.file import read_key
from connector.outbox.port import Inbox
from connector.outbox.sqlite.database import Database, Room
from connector.outbox.sqlite.inbox import SqliteInbox
from connector.receive.committer import Committer
from connector.receive.door import Door, Timing
from connector.receive.readiness import Readiness
from connector.receive.service import Receiving
from tests.decode.calls import PROFILES, SHOP, SIGNED_AT, SUBPROFILES, UNSIGNED, call
from tests.fuzz.making import CHARSETS, Maker
from tests.support.clock import ManualClock
from tests.support.signing import HOST, NOW, SOURCE, find_test_key, signed_request, signing_key

Target = Callable[[Maker], str]
"""Tries one input; returns in a word what came of it. Raises what must not be."""

DECODERS = (SHOP, UNSIGNED, PROFILES, SUBPROFILES)
GENUINE = signed_request()


class FiveError(Exception):
    """The receiver answered 5xx."""


@dataclass
class LastInput:
    """What was tried last, to be shown when it fails."""

    value: object = None


LAST = LastInput()


def _decoded(body: bytes, content_type: str | None, maker: Maker) -> str:
    source = maker.random.choice(DECODERS)
    signed_at = SIGNED_AT if maker.chance(0.7) else None
    LAST.value = (source.name, content_type, body)
    return check_decoding(body, content_type, source, signed_at)


def check_decoding(body: bytes, content_type: str | None, source: Source, signed_at: Instant | None) -> str:
    """Decode, and see that what comes out is whole."""
    found = decode(call(body, content_type, source=source, signed_at=signed_at), source)
    if isinstance(found, NotUnderstood):
        assert found.reason
        assert found.reason.isprintable()
        return f"not understood ({found.fault})"
    assert isinstance(found, Event)
    assert 0 < found.at < 2**53
    assert found.record.id
    assert found.record.scope
    if found.record.kind is not RecordKind.RECIPIENT:
        assert Record.parse(str(found.record)) == found.record
    for part in (found.profile, found.subprofile, found.database, found.collection, found.message):
        assert part is None or part != ""
    assert not (found.interests or frozenset()) & (found.interests_off or frozenset())
    rank(found, 1)
    identity(found)
    repr(found).encode()
    for values in (found.fields, found.parameters, found.variables):
        str(values).encode()  # what cannot be encoded cannot be sent
    return "event"


def form(maker: Maker) -> str:
    """Bodies that are forms, or nearly."""
    body, kind = maker.form()
    return _decoded(body, _with_charset(kind, maker), maker)


def json(maker: Maker) -> str:
    """Bodies that are JSON documents, or nearly."""
    body, kind = maker.json()
    return _decoded(body, _with_charset(kind, maker), maker)


def xml(maker: Maker) -> str:
    """Bodies that are XML documents, or nearly."""
    body, kind = maker.xml()
    return _decoded(body, _with_charset(kind, maker), maker)


def _with_charset(kind: str, maker: Maker) -> str | None:
    content_type = maker.body()[1] if maker.chance(0.05) else kind
    charset = maker.random.choice(CHARSETS)
    return f"{content_type}; charset={charset}" if charset and content_type else content_type


_SOURCES = (
    SOURCE,
    SOURCE,
    SOURCE,
    replace(SOURCE, require_https=False),
    replace(SOURCE, proof=Proof.KEY_FILE),
    replace(SOURCE, account=None),
    replace(SOURCE, addresses=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))),
    replace(SOURCE, proof=Proof.SECRET, secret="s"),
    replace(SOURCE, proof=Proof.NONE, addresses=(ip_network("192.0.2.0/24"),)),
    replace(SOURCE, proof=Proof.NONE),
)
_ANSWERS: tuple[KeyAnswer | None, ...] = (
    None,
    None,
    None,
    None,
    NoKey("n"),
    RevokedKey("r"),
    WeakKey("w"),
    Silent("s"),
)


def signature(maker: Maker) -> str:
    """Signature headers alone, and calls of which anything was changed after signing."""
    genuine = GENUINE.header("signature") or ""
    header = maker.signature_header(genuine)
    LAST.value = header
    try:
        parsed = parse_signature(header)
    except SignatureError:
        word = "refused header"
    else:
        word = "read header"
        assert 0 < len(parsed.headers) <= MAX_COVERED
        assert len(set(parsed.headers)) == len(parsed.headers)
    return word if maker.chance(0.3) else f"{word}, {_judged(maker)}"


def _judged(maker: Maker) -> str:
    choose = maker.random
    sent = (
        maker.signed(date=NOW - choose.choice((0, 0, 0, 0, 30_000, 3_600_000, -3_600_000)), received_at=NOW)
        if maker.chance(0.2)
        else GENUINE
    )
    changed = replace(
        sent,
        headers=maker.headers(sent.headers),
        target=choose.choice((sent.target, sent.target, sent.target, f"{sent.target}?q", f"{sent.target}/s", f"{sent.target}/%ff", "", "/\0", "é€")),
        body=sent.body if maker.chance(0.9) else maker.mutated(sent.body),
        method=sent.method if maker.chance(0.95) else choose.choice(("GET", "", "P\nT", "é")),
        peer=choose.choice(("192.0.2.1", "::ffff:192.0.2.7", "2001:db8::1", "2001:db9::1", "", "x")),
        secure=maker.chance(0.9),
    )  # fmt: skip
    source, answer = choose.choice(_SOURCES), choose.choice(_ANSWERS)
    LAST.value = (source, answer, changed)

    def find(key_id: str) -> KeyAnswer:
        assert key_id.isascii()
        assert key_id.isprintable()
        assert source.proof is not Proof.COPERNICA or is_below_zone(key_id, "copernica.com")
        return answer or find_test_key(key_id)

    verdict = judge(changed, source, find, now=NOW)
    assert sum(1 for _ in explain(changed, source, find, now=NOW)) <= 15
    if isinstance(verdict, Refusal):
        assert len(verdict.detail) < 3000
        assert verdict.detail.isprintable()
        return f"refused ({verdict.reason})"
    if isinstance(verdict, UnprovenRequest):
        return "unproven"
    if source.is_signed:
        # What is taken says what was signed, to the last byte.
        covered = parse_signature(changed.header("signature") or "").headers
        ours = signing_string(sent.method, sent.target, sent.values, covered)
        assert signing_string(changed.method, changed.target, changed.values, covered) == ours
        assert changed.body == sent.body
    return "genuine"


def key(maker: Maker) -> str:
    """TXT records under one name, and files with keys in them."""
    records = maker.records()
    LAST.value = records
    if maker.chance(0.2):
        text = records[0] if maker.chance(0.5) else b'"' + records[0][:200] + b'" "' + records[0][200:] + b'"'
        answer = read_key(b"-----BEGIN PUBLIC KEY-----\n" + text if maker.chance(0.2) else text, "fuzz")
    else:
        from connector.domain.dkim import parse_records

        answer = parse_records(records, "fuzz")
    assert isinstance(answer, Key | NoKey | RevokedKey | WeakKey)
    if isinstance(answer, Key):
        assert 1024 <= answer.public.key_size <= 8192
    else:
        assert answer.detail.isprintable()
    return type(answer).__name__


# ── the application, in this process ────────────────────────────────────────────────────────────────────────────────

_EDGE_SOURCES = (
    replace(SOURCE, proof=Proof.KEY_FILE),
    Source(name="callbacks", path="/copernica/callbacks", host=HOST, proof=Proof.KEY_FILE, account=1234, dialect=Dialect.CALLBACK,
           kind=RecordKind.SUBPROFILE, scope="2", database="1"),
    Source(name="private", path="/private", host=HOST, proof=Proof.SECRET, secret="a-secret-of-some-length", require_https=False),
    Source(name="open", path="/open", host=HOST, proof=Proof.NONE, addresses=(ip_network("127.0.0.0/8"),), require_https=False),
)  # fmt: skip


class TestKeys:
    """Knows one key under every name; silent where a name says so."""

    __test__ = False

    def find(self, key_id: str, *, again: bool = False) -> KeyAnswer:
        return Silent("no answer") if key_id.startswith("silent") else Key(signing_key().public_key(), key_id)


class _Body(BytesIO):
    """A body as the worker hands it to the application: with all headers as they were sent."""

    sent_headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Application:
    """The Flask application over a real door and a real outbox: `with application(folder) as app: app(maker)`."""

    wsgi: Callable[..., Any]
    clock: ManualClock
    stored: dict[str, int] = field(default_factory=dict)

    def __call__(self, maker: Maker) -> str:
        """Send one call; every second one signed after it was made, so that it reaches the decoder."""
        choose = maker.random
        source = choose.choice(_EDGE_SOURCES[:2])
        key_id = choose.choice(("one._domainkey.copernica.com", "silent.copernica.com"))
        sent = maker.signed(source=source, date=self.clock.now(), key_id=key_id)
        is_sound = maker.chance(0.5)
        if not is_sound:
            other = choose.choice(_EDGE_SOURCES)
            target = choose.choice(
                (
                    sent.target,
                    other.path,
                    f"{other.path}/a-secret-of-some-length",
                    "/",
                    "/readyz",
                    "/smtpeter-x.txt",
                    "*",
                    "%",
                    "http://x/open",
                    "é",
                )
            )
            sent = replace(sent, headers=maker.headers(sent.headers), target=target)
            if maker.chance(0.1):
                sent = replace(sent, method=choose.choice(("GET", "HEAD", "PUT", "BREW", "OPTIONS")))
        LAST.value = sent
        status = self._ask(sent)
        if status >= 500:
            raise FiveError(status)
        if is_sound:
            assert status == (202 if key_id.startswith("silent") else 200), status
        return str(status)

    def _ask(self, request: Any) -> int:
        body = _Body(request.body)
        body.sent_headers = request.headers
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method, "RAW_URI": request.target, "PATH_INFO": request.target, "QUERY_STRING": "",
            "SERVER_NAME": "x", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.input": body,
            "wsgi.url_scheme": "https", "wsgi.version": (1, 0), "wsgi.errors": BytesIO(), "wsgi.multithread": True,
            "wsgi.multiprocess": False, "wsgi.run_once": False,
        }  # fmt: skip
        for name, value in request.headers:
            plain = name.upper().replace("-", "_")
            environ[plain if plain in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{plain}"] = value
        found: list[str] = []
        for _ in self.wsgi(environ, lambda status, headers, error=None: found.append(status)):
            pass
        return int(found[0][:3])


@contextmanager
def application(folder: Path) -> Iterator[Application]:
    """Build the application as the receiver does, but for the server and the network."""
    clock = ManualClock()

    @contextmanager
    def opened() -> Iterator[Inbox]:
        database = Database(folder / "outbox.db", room=Room(free_bytes=0, unproven_calls=10**9, unproven_bytes=10**12))
        try:
            yield SqliteInbox(database)
        finally:
            database.close()

    committer = Committer(opened, clock, timeout=60)
    keys: Mapping[str, TestKeys] = {source.name: TestKeys() for source in _EDGE_SOURCES}
    door = Door(_EDGE_SOURCES, keys, committer, clock, zone="copernica.com", timing=Timing(unproven_keep=60_000))
    receiving = Receiving(door, committer, Readiness(committer, clock), None)
    edge = Edge(4 * 1024 * 1024, (ip_network("127.0.0.1/32"),))
    app = make_app(receiving, Ownership(folder, _EDGE_SOURCES), edge, clock)
    receiving.start()
    try:
        yield Application(app, clock)
    finally:
        receiving.stop()
