"""The configuration is found, read, checked whole, and its paths are those of its folder."""

from pathlib import Path

import pytest

from connector.config.address import OWN_PATHS, is_loopback, listen
from connector.config.load import load
from connector.config.model import Config
from connector.files.problem import ProblemsError

GOOD = """\
mappings = "maps"
presets = "/usr/share/presets"
[receiver]
public_url = "https://example.com/copernica/"
[outbox]
path = "data/outbox.db"
[sources.shop]
account = "account_1234"
[sources.test]
account = "1"
proof = "key-file"
key_file = "keys/test.pem"
[sources.old]
proof = "secret"
secret = { file = "old.secret" }
dialect = "callback"
collection = 7
[destinations.crm]
preset = "mine/crm.yaml"
ca_file = "ca.pem"
secrets = { token = { file = "token" }, other = { env = "OTHER" } }
[destinations.second]
preset = "sample"
"""


def write(tmp_path: Path, text: str, name: str = "config.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def complaints(tmp_path: Path, text: str) -> list[str]:
    path = write(tmp_path, text)
    with pytest.raises(ProblemsError) as caught:
        load(path, {})
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_relative_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    """Also deep inside, and for a preset that is a file; absolute paths and names stay."""
    config = load(write(tmp_path, GOOD), {})
    assert config.mappings == tmp_path / "maps"
    assert config.presets == Path("/usr/share/presets")
    assert config.outbox.path == tmp_path / "data/outbox.db"
    assert config.state_folder == config.ownership_folder == tmp_path / "data"
    assert config.sources["test"].key_file == tmp_path / "keys/test.pem"
    assert config.sources["old"].secret is not None
    assert config.sources["old"].secret.file == tmp_path / "old.secret"
    crm = config.destinations["crm"]
    assert crm.preset == str(tmp_path / "mine/crm.yaml")
    assert crm.ca_file == tmp_path / "ca.pem"
    assert crm.secrets["token"].file == tmp_path / "token"
    assert config.destinations["second"].preset == "sample"


def test_the_option_goes_before_the_variable_and_the_variable_before_etc(tmp_path: Path) -> None:
    """One place decides, in this order."""
    first = write(tmp_path, 'mappings = "first"\n', "first.toml")
    second = write(tmp_path, 'mappings = "second"\n', "second.toml")
    env = {"CONNECTOR_CONFIG": str(second)}
    assert load(first, env).mappings == tmp_path / "first"
    assert load(None, env).mappings == tmp_path / "second"


def test_a_configuration_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    """Each way to name it has its own words."""
    missing = tmp_path / "none.toml"
    with pytest.raises(ProblemsError) as caught:
        load(missing, {})
    assert str(caught.value) == f"{missing}:1:1: there is no such file"
    with pytest.raises(ProblemsError) as caught:
        load(None, {"CONNECTOR_CONFIG": str(missing)})
    what = "there is no configuration here, as CONNECTOR_CONFIG says; try `connector init` to make one"
    assert str(caught.value) == f"{missing}:1:1: {what}"


def test_etc_is_where_it_is_looked_for_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without option and variable it is /etc/connector/config.toml; an empty variable counts as none."""
    from connector.config import load as module

    assert Path("/etc/connector/config.toml") == module.DEFAULT_PATH
    monkeypatch.setattr(module, "DEFAULT_PATH", tmp_path / "config.toml")
    with pytest.raises(ProblemsError) as caught:
        load(None, {"CONNECTOR_CONFIG": ""})
    assert "and neither --config nor CONNECTOR_CONFIG names another; try `connector init`" in str(caught.value)
    write(tmp_path, 'mappings = "x"\n')
    assert load(None, {}).mappings == tmp_path / "x"


LISTEN = "is no address to listen on (ADDRESS:PORT, [IPV6]:PORT or unix:/path)"
NAME = (
    "a name is made of small letters, digits, `-` and `_`, begins with a letter or digit, and has at most 64 characters"
)
SOURCE = '[sources.shop]\naccount = "1"\n'


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('[receiver]\nlisten = "8750"', f"2:10: receiver.listen: `8750` {LISTEN}; try `127.0.0.1:8750`"),
        ('[receiver]\nlisten = ":8750"', f"2:10: receiver.listen: `:8750` {LISTEN}; try `127.0.0.1:8750`"),
        ('[receiver]\nlisten = "host:99999"', f"2:10: receiver.listen: `host:99999` {LISTEN}; try `127.0.0.1:8750`"),
        (
            '[receiver]\nlisten = "unix:x"',
            f"2:10: receiver.listen: `unix:x` {LISTEN}; try `unix:/run/connector/receive.sock`",
        ),
        ('[receiver]\npublic_url = "https://"', "2:14: receiver.public_url: the host is missing in this address"),
        (
            '[receiver]\npublic_url = "example.com/x"',
            "2:14: receiver.public_url: expected an address that begins with https:// (or http://)",
        ),
        (
            '[receiver]\npublic_url = "https://e.com/?x"',
            "2:14: receiver.public_url: nothing can follow the path of this address (no `?`, no `#`)",
        ),
        (
            '[receiver]\npublic_url = "https://e..com/"',
            "2:14: receiver.public_url: the host or the port in this address is not possible",
        ),
        (
            '[receiver]\npublic_url = "https://me:hunter2@e.com/"',
            "2:14: receiver.public_url: a user or password cannot stand in an address: nothing secret stands in this file",
        ),
        (
            '[receiver]\npublic_url = "http://example.com/"',
            "2:14: receiver.public_url: calls have to come over HTTPS, but this address begins with http://; try https://",
        ),
        (
            '[receiver]\ntrusted_proxies = ["10.0.0.1/8", "x", 5]',
            (
                "2:20: receiver.trusted_proxies[1]: `10.0.0.1/8` names one address and a network at once; try `10.0.0.0/8`, or the address without `/…`\n"
                "2:34: receiver.trusted_proxies[2]: `x` is not an address or a network such as 10.0.0.0/8\n"
                "2:39: receiver.trusted_proxies[3]: expected an address or a network such as 10.0.0.0/8, in quotes"
            ),
        ),
        (
            '[dns]\nservers = ["dns.example"]',
            "2:12: dns.servers[1]: `dns.example` is not the IP address of a resolver (ADDRESS or ADDRESS:PORT)",
        ),
        ('[dns]\nzone = "copernica..com"', "2:8: dns.zone: `copernica..com` is not a DNS name; try `copernica.com`"),
        (
            "[sources.shop]\n",
            '1:10: sources.shop: `account` is missing: a signed call says which account it is from, and only yours may pass; try `account = "account-1234"`',
        ),
        (
            '[sources.shop]\naccount = "shop-1234"',
            "2:11: sources.shop.account: `shop-1234` does not name an account; try `account-1234`, with the number that Copernica shows",
        ),
        (SOURCE + 'proof = "key-file"', "1:10: sources.shop: `key_file` is missing: `proof` is key-file"),
        ('[sources.shop]\nproof = "secret"', "1:10: sources.shop: `secret` is missing: `proof` is secret"),
        (
            SOURCE + 'secret = { env = "X" }',
            '3:1: sources.shop.secret: `secret` is not used: `proof` is copernica; try `proof = "secret"`, or without it',
        ),
        (
            '[sources.shop]\nproof = "none"',
            "1:10: sources.shop: `addresses` is missing: with `proof` none anybody could send anything; try the networks that the calls come from",
        ),
        (
            SOURCE + 'dialect = "callback"',
            "1:10: sources.shop: `database` or `collection` is missing: a callback does not say what its IDs belong to",
        ),
        (
            SOURCE + "database = 1",
            "3:1: sources.shop.database: `database` is for callbacks only: a webhook says it in each call; try without it",
        ),
        (SOURCE + "database = 0", "3:12: sources.shop.database: this has to be at least 1"),
        (
            SOURCE + 'path = "a//b"',
            "3:8: sources.shop.path: a path is made of letters, digits, `-`, `.`, `_`, `~` and `/`",
        ),
        (
            SOURCE + 'path = "../b"',
            "3:8: sources.shop.path: a path is made of letters, digits, `-`, `.`, `_`, `~` and `/`",
        ),
        (
            SOURCE + '[sources.other]\naccount = "2"\npath = "/shop/"',
            "5:8: sources.other.path: the source shop has the path `shop` too",
        ),
        (
            SOURCE + 'path = "readyz"',
            "3:8: sources.shop.path: `/readyz` is answered by the receiver itself; try another path",
        ),
        (
            SOURCE + 'path = "in/abc"\n[sources.in]\nproof = "secret"\nsecret = { env = "X" }',
            "3:8: sources.shop.path: `in/abc` is where the secret of the source in is looked for",
        ),
        ('[sources."My Shop"]\naccount = "1"', f'1:10: sources."My Shop": {NAME}; try `my-shop`'),
        ('[destinations._]\npreset = "x"', f"1:15: destinations._: {NAME}"),
        (
            '[sources.shop]\nproof = "secret"\nsecret = {}',
            "3:1: sources.shop.secret: exactly one of credential, file and env is needed, but none is given",
        ),
        (
            '[destinations.crm]\npreset = "x"\nsecrets.token = { env = "X", file = "y" }',
            "3:9: destinations.crm.secrets.token: exactly one of credential, file and env is needed, but file and env are given",
        ),
        (
            '[destinations.crm]\npreset = "x"\nsecrets.token = "hunter2"',
            "3:17: destinations.crm.secrets.token: expected keys with values, not text",
        ),
        (
            '[destinations.crm]\npreset = "x"\nbase_url = "http://crm.example.com"',
            "3:12: destinations.crm.base_url: personal data and credentials would go over the network unencrypted; try https://, or `allow_http = true`",
        ),
        (
            '[destinations.crm]\npreset = "x"\nclient_key = "x"',
            "3:1: destinations.crm.client_key: a key without `client_cert` is of no use",
        ),
        (
            "[delivery.schedule]\nfirst = 60\nlongest = 30",
            "3:11: delivery.schedule.longest: the longest wait (30 s) is shorter than the first (60 s)",
        ),
        (
            "[delivery.schedule]\nfirst = 100_000",
            "2:9: delivery.schedule.first: the longest wait (21600 s) is shorter than the first (100000 s)",
        ),
    ],
)
def test_what_cannot_be_right_is_told_at_its_place(tmp_path: Path, text: str, lines: str) -> None:
    """Values that mean nothing, and values that do not go together; passwords in the wrong place are not repeated."""
    assert complaints(tmp_path, text) == lines.splitlines()


def test_all_mistakes_are_told_at_once_also_those_that_need_a_whole_section(tmp_path: Path) -> None:
    """A wrong type in one section does not hide what does not go together in another."""
    text = '[receiver]\nworkers = "x"\n[sources.a]\n[sources.b]\nproof = "none"\n[delivery.schedule]\nfirst = 9\nlongest = 1\n[lgo]\n'
    assert [line.split(":")[0] for line in complaints(tmp_path, text)] == ["2", "3", "4", "8", "9"]


def test_http_is_fine_on_this_machine_and_where_it_is_asked_for(tmp_path: Path) -> None:
    """Loopback needs no TLS; `allow_http` and `require_https = false` are visible choices."""
    text = '[receiver]\nrequire_https = false\npublic_url = "http://example.com"\n[destinations.crm]\npreset = "x"\n'
    load(write(tmp_path, text + 'base_url = "http://crm.example.com"\nallow_http = true\n'), {})
    load(write(tmp_path, text + 'base_url = "http://127.0.0.1:8000/api"\n'), {})
    assert [
        is_loopback(url) for url in ("http://[::1]/", "http://localhost:1", "http://a.localhost", "http://127.9.9.9")
    ] == [True] * 4
    assert not any(
        is_loopback(url) for url in ("http://localhost.example.com/", "http://127.0.0.1.example.com", "http://10.0.0.1")
    )


def test_addresses_to_listen_on() -> None:
    """Host and port, IPv6 in brackets, or a Unix socket."""
    assert listen("127.0.0.1:8750") == ("127.0.0.1", 8750)
    assert listen("localhost:0") == ("localhost", 0)
    assert listen("[::1]:8750") == ("::1", 8750)
    assert listen("unix:/run/x.sock") == Path("/run/x.sock")
    assert OWN_PATHS == ("healthz", "readyz")


def test_later_problems_can_point_into_the_file(tmp_path: Path) -> None:
    """What is only found out when the configuration is used is still shown at its line."""
    path = write(tmp_path, GOOD)
    config = load(path, {})
    problem = config.problem(("destinations", "second", "preset"), "there is no preset of that name", "`sample`")
    assert str(problem) == f"{path}:23:10: destinations.second.preset: there is no preset of that name; try `sample`"
    assert str(Config().problem(("log",), "is wrong")) == "configuration:1:1: log: is wrong"
