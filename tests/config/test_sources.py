"""The configured senders are what the door expects; weak choices are said aloud."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from connector.config.load import from_document
from connector.config.model import Config, SecretRef
from connector.config.secrets import SecretError
from connector.config.sources import sources
from connector.config.weak import warnings
from connector.domain.event import EventType
from connector.domain.record import RecordKind
from connector.domain.source import Dialect, Proof, Source
from connector.files.document import parse
from connector.files.problem import ProblemsError

SECRET = "correct-horse-battery-staple"


def configured(text: str) -> Config:
    return from_document(parse(text, file="config.toml"), Path("/etc/connector"))


def no_secret(ref: SecretRef) -> str:
    raise AssertionError("nothing here has a secret")


def test_a_source_has_the_host_and_prefix_of_the_public_url() -> None:
    """Whatever slashes stand where; the path is the source's name unless it says another."""
    for url, prefix in (("https://Example.com:8443", ""), ("https://example.com:8443/in/here/", "/in/here")):
        config = configured(
            f'[receiver]\npublic_url = "{url}"\ndate_past = 30\nmax_body = 2000\n[sources.shop]\naccount = "account-1234"\n'
            '[sources.two]\naccount = "1"\npath = "/a/b/"\nrequire_https = false\ndecline = ["open", "click"]\naddresses = ["10.0.0.0/8"]'
        )
        found = sources(config, no_secret)
        assert found["shop"] == Source(
            name="shop", path=f"{prefix}/shop", host="example.com:8443", account=1234, past=30, max_body=2000
        )
        assert found["two"] == Source(
            name="two",
            path=f"{prefix}/a/b",
            host="example.com:8443",
            account=1,
            require_https=False,
            declined=frozenset({EventType.OPEN, EventType.CLICK}),
            addresses=(ip_network("10.0.0.0/8"),),
            past=30,
            max_body=2000,
        )


@pytest.mark.parametrize(
    "account", ['"account-1234"', '"account_1234"', '"environment-1234"', '"environment_1234"', '"1234"', "1234"]
)
def test_an_account_may_be_written_in_every_way_that_copernica_did(account: str) -> None:
    """What counts is the number."""
    assert sources(configured(f"[sources.shop]\naccount = {account}\n"), no_secret)["shop"].account == 1234


def test_a_callback_says_what_its_ids_belong_to() -> None:
    """With a collection they are subprofiles, with a database alone profiles."""
    config = configured(
        '[sources.a]\naccount = "1"\ndialect = "callback"\ndatabase = 5\n[sources.b]\naccount = "1"\ndialect = "callback"\ndatabase = 5\ncollection = 7\n'
    )
    found = sources(config, no_secret)
    assert (found["a"].dialect, found["a"].kind, found["a"].scope, found["a"].database) == (
        Dialect.CALLBACK,
        RecordKind.PROFILE,
        "5",
        "5",
    )
    assert (found["b"].kind, found["b"].scope, found["b"].database) == (RecordKind.SUBPROFILE, "7", "5")


WITH_SECRET = '[sources.old]\nproof = "secret"\nsecret = { env = "OLD" }\n'


def test_the_secret_of_a_path_is_in_the_source_but_not_in_its_words() -> None:
    """It is known to the door, and shown to nobody."""
    found = sources(configured(WITH_SECRET), lambda ref: SECRET if ref.env == "OLD" else "")["old"]
    assert found.proof is Proof.SECRET
    assert found.secret == SECRET
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("short", "a secret in a path needs at least 16 characters, to be no guess"),
        (SECRET + "/x", "a secret in a path can only have letters, digits, `-`, `.`, `_` and `~`"),
        (None, "the environment variable OLD is not set"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_at_its_place(secret: str | None, why: str) -> None:
    """In the words of a configuration mistake, without the secret."""

    def resolve(ref: SecretRef) -> str:
        if secret is None:
            raise SecretError("the environment variable OLD is not set")
        return secret

    with pytest.raises(ProblemsError) as caught:
        sources(configured(WITH_SECRET), resolve)
    assert str(caught.value) == f"config.toml:3:10: sources.old.secret: {why}"


def test_what_is_as_safe_as_it_can_be_has_no_warnings() -> None:
    """A plain configuration starts silently."""
    assert (
        warnings(
            configured(
                '[receiver]\npublic_url = "https://e.com"\n[sources.shop]\naccount = "1"\n[destinations.crm]\npreset = "x"'
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("[receiver]\nrequire_https = false", ["receiver.require_https is false: "]),
        ('[receiver]\ntrusted_proxies = ["10.0.0.0/8", "0.0.0.0/0"]', ["receiver.trusted_proxies has 0.0.0.0/0: "]),
        ('[receiver]\ntrusted_proxies = ["10.0.0.0/8", "::1", "fd00::/16"]', []),
        ('[dns]\nzone = "example.com"', ["dns.zone is example.com, not copernica.com: "]),
        ('[dns]\nzone = "Copernica.com."', []),
        ('[sources.a]\naccount = "1"\nproof = "key-file"\nkey_file = "x"', ["sources.a: keys come from a file"]),
        ('[sources.a]\nproof = "secret"\nsecret = { env = "X" }', ["sources.a: calls are not signed"]),
        ('[sources.a]\nproof = "none"\naddresses = ["10.0.0.0/8"]', ["sources.a: calls are not proven at all"]),
        (
            '[sources.a]\nproof = "none"\naddresses = ["::/0"]',
            ["sources.a: calls are not proven", "sources.a: addresses has ::/0, "],
        ),
        ('[sources.a]\naccount = "1"\nrequire_https = false', ["sources.a: require_https is false: "]),
        ('[destinations.a]\npreset = "x"\nallow_http = true', ["destinations.a: allow_http is true: "]),
        ('[alert]\nurl = "http://e.com"', ["alert.url begins with http://"]),
    ],
)
def test_every_choice_that_weakens_security_is_said_in_a_sentence(text: str, starts: list[str]) -> None:
    """What is logged at start names the option and what it means."""
    found = warnings(configured(text))
    assert len(found) == len(starts)
    assert all(
        sentence.startswith(start) and sentence.endswith(".") for sentence, start in zip(found, starts, strict=True)
    )
