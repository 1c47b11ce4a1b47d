"""Signed calls, made beforehand: each is used once per outbox, and its Date is good for an hour."""

import multiprocessing
import random
import struct
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.making import making
from connector.domain.dkim import key_record
from connector.domain.signing import sign

HOST = "hooks.example.com"
PATH = "/copernica/shop"
ACCOUNT = 1234
KEY_ID = "one._domainkey.copernica.com"
DATABASE = "7620"
FRESH = 2400  # seconds that made calls are used again; the receiver takes them for an hour

FIRST = [
    "Anna",
    "Bram",
    "Chris",
    "Dirk",
    "Eva",
    "Femke",
    "Gijs",
    "Hanna",
    "Iris",
    "Jan",
    "Kees",
    "Lotte",
    "Maarten",
    "Noor",
    "Otto",
    "Pieter",
    "Quinten",
    "Roos",
    "Sanne",
    "Thijs",
]
LAST = "de Vries|van den Berg|Bakker|Jansen|Visser|Smit|Meijer|de Boer|Mulder|de Groot|Bos|Vos|Peters|Hendriks|van Leeuwen|Dekker"
STREET = "Dorpsstraat|Kerkstraat|Molenweg|Stationsstraat|Schoolstraat|Beatrixlaan|Nieuwstraat|Achterweg|Prins Hendrikkade|Lindelaan"
CITY = (
    "Goes|Veere|Axel|Hulst|Sluis|Ede|Zwolle|Assen|Leeuwarden|Groningen|Utrecht|Amersfoort|'s-Hertogenbosch|Middelburg"
)
SHOP = "wijn|boeken|tuin|fietsen|koffie|kaas|reizen|speelgoed"
HEX = "0123456789abcdef"


def pairs(person: int, change: int = 0, kind: str = "update") -> list[tuple[str, str]]:
    """Return what Copernica says of a person: 30 fields that could be anybody's. `change` alters a few of them."""
    r = random.Random(person * 1_000_003)
    first, last = r.choice(FIRST), r.choice(LAST.split("|"))
    street, city = r.choice(STREET.split("|")), r.choice(CITY.split("|"))
    mail = f"{first.lower()}.{last.replace(' ', '').lower()}{person}@{r.choice(['gmail.com', 'hotmail.com', 'ziggo.nl', 'kpnmail.nl'])}"
    day = f"{r.randrange(1940, 2005)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}"
    token = "".join(r.choice(HEX) for _ in range(32))
    fields = {
        "e_mail": mail,
        "voornaam": first,
        "achternaam": last,
        "aanhef": r.choice(["Geachte heer", "Geachte mevrouw", "Beste"]),
        "geslacht": r.choice(["m", "v", "onbekend"]),
        "geboortedatum": day,
        "telefoon": f"06{r.randrange(10**8):08}",
        "straat": f"{street} {r.randrange(1, 250)}",
        "postcode": f"{r.randrange(1000, 9999)} {r.choice('ABCDEFGHJK')}{r.choice('ABCDEFGHJK')}",
        "plaats": city,
        "land": r.choice(["Nederland", "Nederland", "Nederland", "België", "Duitsland"]),
        "taal": "Nederlands",
        "klantnummer": f"K{r.randrange(10**7):07}",
        "punten": str(r.randrange(5000) + change),
        "nieuwsbrief": r.choice(["ja", "nee"]),
        "laatste_aankoop": f"2026-{r.randrange(1, 12):02}-{r.randrange(1, 29):02} {r.randrange(24):02}:{r.randrange(60):02}:00",
        "bedrag_totaal": f"{r.randrange(5000)},{r.randrange(100):02}",
        "aantal_orders": str(r.randrange(60)),
        "winkel": f"{r.choice(CITY.split('|'))} {street}",
        "segment": r.choice(["actief", "slapend", "nieuw", "trouw"]),
        "bron": r.choice(["website", "winkel", "actie voorjaar 2026", "facebook", "beurs"]),
        "voorkeur": r.choice(SHOP.split("|")),
        "afmeldcode": token,
        "kortingscode": f"{r.choice(['ZOMER', 'WELKOM', 'TERUG'])}-{r.randrange(16**6):06X}",
        "bedrijf": r.choice(["", "", f"{last} Advies B.V.", f"Bakkerij {last}"]),
        "laatste_mail": f"{r.choice(['Nieuwsbrief', 'Aanbieding', 'Uitnodiging'])} {r.choice(['november', 'oktober', 'september'])}: {r.choice(SHOP.split('|'))} voor {first}",
        "website": r.choice(["", f"https://www.{last.replace(' ', '').lower()}{person}.example/"]),
        "opmerking": r.choice(["", "Belt liever niet.", "Heeft in de winkel gevraagd naar de voorjaarscatalogus."]),
        "akkoord_op": f"202{r.randrange(6)}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02} 12:{r.randrange(60):02}:{r.randrange(60):02}",
        "ip_adres": f"{r.randrange(1, 224)}.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(256)}",
    }
    said = [("type", kind), ("profile", str(person)), ("id", str(person)), ("database", DATABASE)]
    said += [(f"fields[{name}]", value) for name, value in fields.items()]
    said += [("interests[]", one) for one in r.sample(SHOP.split("|"), r.randrange(3))]
    said.append(("created", "2024-05-06 07:08:09"))
    moment = 1_795_000_000 + person % 100_000 + change  # seconds
    said.append(("modified", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))))
    return [*said, ("time", str(moment))]


_name = cache(quote_plus)


def body(person: int, change: int = 0, kind: str = "update") -> bytes:
    """Return the form as it is posted."""
    return "&".join(f"{_name(k)}={quote_plus(v)}" for k, v in pairs(person, change, kind)).encode()


def headers(said: bytes, key: rsa.RSAPrivateKey, nonce: str) -> list[tuple[str, str]]:
    """Return a signed call's headers."""
    sent = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Forwarded-Proto", "https"),
        ("User-Agent", "Copernica"),
    ]
    return sign(
        "POST",
        PATH,
        sent,
        said,
        key=key,
        key_id=KEY_ID,
        date=round(time.time() * 1000),
        account=ACCOUNT,
        nonce=nonce,
        host=HOST,
    )


def raw(person: int, change: int, key: rsa.RSAPrivateKey) -> bytes:
    """Return a whole signed request."""
    said = body(person, change)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers(said, key, f"{person}-{change}-{time.time_ns()}"))
    return f"POST {PATH} HTTP/1.1\r\n{lines}\r\n".encode() + said


def _some(work: tuple[bytes, int, int, int]) -> bytes:
    pem, first, last, change = work
    key = serialization.load_pem_private_key(pem, None)
    made = (raw(person, change, key) for person in range(first, last))
    return b"".join(struct.pack("<I", len(one)) + one for one in made)


class Calls:
    """A file of signed calls, for persons 1, 2, 3 …; made by all processors, and again when their Date grows old."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key_file = folder / "key.pem"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.key_file.exists():
            key = rsa.generate_private_key(65537, 2048)
            form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            self.key_file.write_bytes(key.private_bytes(*form))

    @property
    def key(self) -> rsa.RSAPrivateKey:
        return serialization.load_pem_private_key(self.key_file.read_bytes(), None)

    def record(self) -> str:
        """Return the public key as the receiver wants it."""
        return key_record(self.key.public_key())

    def file(self, count: int, change: int = 0) -> Path:
        """Return a file with at least `count` calls."""
        for path in self.folder.glob(f"calls-{change}-*.bin"):
            if path.stat().st_mtime < time.time() - FRESH:
                path.unlink()
            elif int(path.stem.rpartition("-")[2]) >= count:
                return path
        path = self.folder / f"calls-{change}-{count}.bin"
        step = 500
        pem = self.key_file.read_bytes()
        work = [(pem, n, min(n + step, count + 1), change) for n in range(1, count + 1, step)]
        pool_of = multiprocessing.get_context("spawn").Pool
        with making(f"{count:,} signed calls"), pool_of() as pool, path.with_suffix(".new").open("wb") as out:
            for made in pool.imap(_some, work):
                out.write(made)
        path.with_suffix(".new").rename(path)
        return path


def read(path: Path) -> Iterator[bytes]:
    """Yield the requests of a file."""
    with path.open("rb") as file:
        while size := file.read(4):
            yield file.read(struct.unpack("<I", size)[0])
