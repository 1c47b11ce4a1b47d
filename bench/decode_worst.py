"""What the worst bodies cost: time, and memory at its peak, for each hostile input of the largest size that is taken.

Run: .venv/bin/python bench/decode_worst.py [MEGABYTES]    (default: 4, as `max_body`)
"""

import sys
import time
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

from connector.domain.decode import decode
from connector.domain.event import Event
from connector.domain.request import UnverifiedRequest, VerifiedRequest
from connector.domain.source import Source

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
XML = "application/xml"
HEAD = b"type=update&profile=1&database=1&time=1714550400&"
NOW = 1_714_550_401_000
SOURCE = Source(name="shop", path="/shop", host="hooks.example.org")


def hostile(size: int) -> Iterator[tuple[str, bytes, str]]:
    """Give (what it is, body, content type), the harmless ones to compare with first."""
    yield "30 fields", form_of(30), FORM
    yield "5,000 fields", form_of(5_000), FORM
    yield "one long value, plain", filled(HEAD + b"fields[a]=", b"x", size), FORM
    yield "one long value, every character escaped", filled(HEAD + b"fields[a]=", b"%41", size), FORM
    yield (
        "49,000 fields, every character escaped",
        HEAD + b"&".join(b"fields[%%%x]=%s" % (65 + n % 26, b"%41" * (size // 49_000 // 3)) for n in range(49_000)),
        FORM,
    )
    yield "percent signs only", filled(HEAD + b"fields[a]=", b"%", size), FORM
    yield "invalid UTF-8 only", filled(HEAD + b"fields[a]=", b"\xe9", size), FORM
    yield "a million keys", filled(HEAD, b"a&", size), FORM
    yield "just as many keys as are taken", (HEAD + b"&".join(b"a%d=1" % n for n in range(49_900)))[:size], FORM
    yield "just as many branches as are taken", (HEAD + b"&".join(b"a[][]=" for _ in range(24_900)))[:size], FORM
    yield "deep brackets", filled(HEAD + b"a", b"[]", size) + b"=1", FORM
    yield "brackets as deep as is taken, often", filled(HEAD, b"a" + b"[]" * 16 + b"=&", min(size, 49_000 * 35)), FORM
    yield "open brackets only", filled(HEAD + b"a", b"[", size) + b"=1", FORM
    yield "keys as long as is taken", filled(HEAD, b"a" * 8_000 + b"&", size), FORM
    yield "fields of brackets as long as is taken", filled(HEAD, b"fields[" + b"[]" * 4_000 + b"&", size), FORM
    yield (
        "numbers as keys (their hash is the number)",
        (HEAD + b"&".join(b"a[%d]=1" % (n << 40) for n in range(49_900)))[:size],
        FORM,
    )
    yield "JSON: deep arrays", b"[" * size, JSON
    yield "JSON: deep objects", filled(b"", b'{"a":', size), JSON
    yield "JSON: empty arrays", filled(b'{"a":[', b"[],", size) + b"0]}", JSON
    yield (
        "JSON: as many fields as are taken",
        b'{"fields":{' + b",".join(b'"a%d":"1"' % n for n in range(49_000)) + b"}}",
        JSON,
    )
    yield "JSON: one field, often", filled(b'{"fields":{', b'"a":1,', size) + b'"a":1}}', JSON
    yield "JSON: a number of that size", filled(b'{"id":', b"9", size) + b"}", JSON
    yield "JSON: quotes escaped, never closed, and deep", filled(b"[" * 20 + b'"', b'\\"', size), JSON
    yield "JSON: half characters", filled(b'{"fields":{"a":"', b"\\ud83d", size) + b'"}}', JSON
    yield "XML: billion laughs", billion_laughs(), XML
    yield (
        "XML: quadratic blow-up",
        b'<!DOCTYPE x [<!ENTITY a "' + b"a" * (size // 2) + b'">]><x>' + b"&a;" * (size // 6) + b"</x>",
        XML,
    )
    yield "XML: deep elements", b"<a>" * (size // 3), XML
    yield "XML: many elements", filled(b"<a>", b"<a/>", size) + b"</a>", XML
    yield "XML: as many elements as are taken", b"<a><fields>" + b"<f/>" * 49_990 + b"</fields></a>", XML
    yield "XML: a million attributes", b"<a " + b"".join(b'a%d="" ' % n for n in range(size // 12)) + b"/>", XML
    yield "XML: character references only", filled(b"<a><b>", b"&#65;", size) + b"</b></a>", XML
    yield "XML: quotes never closed", filled(b"<a ", b"<a \"'", size), XML
    yield "XML: one long comment", filled(b"<a><!--", b"- ", size) + b"--></a>", XML
    yield "XML: never a tag", filled(b"<", b"a", size), XML


def form_of(count: int) -> bytes:
    """Return a harmless form of so many fields."""
    return HEAD + b"&".join(b"fields%%5BVeld+%d%%5D=waarde+%d+%%C3%%A9" % (n, n) for n in range(count))


def filled(head: bytes, piece: bytes, size: int) -> bytes:
    """Return the head and as many pieces as the size allows."""
    return head + piece * ((size - len(head)) // len(piece))


def billion_laughs() -> bytes:
    """Return the classic: thirteen entities, each ten times the one before."""
    names = "abcdefghijklm"
    entities = b"".join(b'<!ENTITY %s "%s">' % (new.encode(), f"&{old};".encode() * 10) for old, new in pairwise(names))
    return b'<!DOCTYPE x [<!ENTITY a "ha">' + entities + b"]><x>&m;</x>"


def call(body: bytes, content_type: str) -> VerifiedRequest:
    """Return a call as the door hands it on."""
    headers = (("Content-Type", content_type),)
    request = UnverifiedRequest("shop", "POST", "/shop", headers, body, NOW, "192.0.2.1", True)
    return VerifiedRequest(request, None, NOW)


def main() -> None:
    """Print a line for each input."""
    size = round(float(sys.argv[1] if len(sys.argv) > 1 else 4) * 1024 * 1024)
    print(f"{'input':48} {'bytes':>9} {'ms':>9} {'peak MiB':>9}  answer")
    for name, body, content_type in hostile(size):
        request = call(body, content_type)
        taken = min(timed(request) for _ in range(3))
        tracemalloc.start()
        answer = decode(request, SOURCE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        shown = "understood" if isinstance(answer, Event) else f"{answer.fault}: {answer.reason}"
        print(f"{name:48} {len(body):9} {taken * 1000:9.2f} {peak / 2**20:9.1f}  {shown}")


def timed(request: VerifiedRequest) -> float:
    """Return the seconds that one decoding takes."""
    start = time.perf_counter()
    decode(request, SOURCE)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
