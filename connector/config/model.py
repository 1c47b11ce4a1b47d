"""The configuration file as a model: every option, its default, its bounds, and one line of why.

The descriptions are what `config.example.toml` says; a test holds the two together.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, PrivateAttr

from connector.config import address
from connector.domain.event import EventType
from connector.domain.limits import LARGEST_LIMITS
from connector.files.document import Document
from connector.files.problem import Problem

Seconds = Annotated[float, Field(ge=0, le=366 * 86400)]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(address.network, json_schema_input_type=str)]
Name = Annotated[str, AfterValidator(address.name)]
WebAddress = Annotated[str, AfterValidator(address.web)]


class Section(BaseModel):
    """Unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretRef(Section):
    """Where a secret is: exactly one of the three. A secret itself never stands in the configuration."""

    credential: str | None = Field(
        None, examples=["NAME"], description="name of a systemd credential (LoadCredential=)"
    )
    file: Path | None = Field(None, examples=["PATH"], description="a file that only the service can read")
    env: str | None = Field(None, examples=["NAME"], description="an environment variable")


class Receiver(Section):
    """Where Copernica's calls come in."""

    listen: Annotated[str, AfterValidator(address.checked_listen)] = Field(
        "127.0.0.1:8750", description="address and port, or unix:/path; a socket from systemd goes first"
    )
    public_url: WebAddress = Field(
        "http://127.0.0.1:8750/",
        description="what Copernica calls, as it stands in the webhook: host and prefix are verified",
    )
    require_https: bool = Field(
        True, description="refuse calls that did not come over HTTPS, here or at a trusted proxy"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="whose X-Forwarded-For and X-Forwarded-Proto are believed"
    )
    workers: int = Field(1, ge=1, le=16, description="receiving processes; one is enough for most")
    threads: int = Field(16, ge=1, le=256, description="calls taken at the same time, by each process")
    connections: int = Field(1000, ge=1, le=20000, description="open connections, by each process")
    max_body: int = Field(
        4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="bytes of a call's body; larger is answered 413"
    )
    max_header_bytes: int = Field(32768, ge=1024, le=1048576, description="bytes of all headers together")
    max_headers: int = Field(64, ge=8, le=1000, description="number of headers in one call")
    max_keys: int = Field(
        50_000,
        ge=100,
        le=LARGEST_LIMITS.keys,
        description="names in one body (elements, of XML); more is not understood",
    )
    max_key_bytes: int = Field(8192, ge=64, le=LARGEST_LIMITS.key_bytes, description="bytes of one name in a form")
    max_depth: int = Field(16, ge=4, le=LARGEST_LIMITS.depth, description="nesting in a body: brackets, JSON, XML")
    body_timeout: Seconds = Field(20, description="seconds in which a call has to be here whole")
    store_timeout: Seconds = Field(5, description="seconds to wait for the outbox before 503")
    date_past: int = Field(60, ge=1, le=3600, description="seconds that the signed Date may lie back")
    date_future: int = Field(60, ge=1, le=3600, description="seconds that the signed Date may lie ahead")
    unproven_calls: int = Field(10000, ge=0, description="calls kept while DNS is silent; more are answered 503")
    unproven_bytes: int = Field(64 * 1024 * 1024, ge=0, description="bytes of such calls, all together")
    unproven_keep: Seconds = Field(3 * 86400, description="seconds after which such a call is given up, and counted")
    ownership_folder: Path | None = Field(
        None,
        examples=["/var/lib/connector/ownership"],
        description="where verification files (smtpeter-xxxxx.txt) are looked for; default: beside the outbox",
    )


class Dns(Section):
    """Where public keys are looked up."""

    servers: tuple[Annotated[str, AfterValidator(address.dns_server)], ...] = Field(
        (), description="addresses (ADDRESS or ADDRESS:PORT) of resolvers; default: those of the system"
    )
    timeout: Seconds = Field(3, description="seconds for one look-up, all tries together")
    stale: Seconds = Field(86400, description="seconds that a key may be used past its TTL while DNS is silent")
    zone: Annotated[str, AfterValidator(address.zone)] = Field(
        "copernica.com", description="keys have to live below this name"
    )


class Source(Section):
    """A sender, by a name of your choice; as many as there are accounts, or addresses to tell apart."""

    account: Annotated[str, BeforeValidator(address.account_text), AfterValidator(address.checked_account)] | None = (
        Field(
            None, examples=["account-1234"], description="account-1234, as in X-Copernica-ID; required for signed calls"
        )
    )
    path: Annotated[str, AfterValidator(address.below)] | None = Field(
        None, examples=["newsletter"], description="below the public URL; default: the source's name"
    )
    proof: Literal["copernica", "key-file", "secret", "none"] = Field(
        "copernica", description="how calls are proven genuine"
    )
    key_file: Path | None = Field(
        None,
        examples=["keys/sender.pem"],
        description="a public key (PEM, or the text of a DKIM record), for proof = key-file",
    )
    secret: SecretRef | None = Field(
        None,
        examples=[{"credential": "newsletter-secret"}],
        description="the last segment of the path, for proof = secret",
    )
    addresses: tuple[Network, ...] = Field((), description="take calls from these addresses only")
    require_https: bool | None = Field(
        None,
        examples=[True],
        description="whether this source has to call over HTTPS, if other than receiver.require_https",
    )
    dialect: Literal["webhook", "callback"] = Field(
        "webhook", description="Marketing Suite webhook, or Publisher callback"
    )
    database: int | None = Field(None, ge=1, examples=[1], description="callback only: the database of the profiles")
    collection: int | None = Field(
        None, ge=1, examples=[2], description="callback only: the collection, if its IDs are subprofiles"
    )
    decline: tuple[EventType, ...] = Field((), description="types that are answered 2xx, counted, and not kept")


class Outbox(Section):
    """Where calls are kept until the CRM has them."""

    path: Path = Field(
        Path("/var/lib/connector/outbox.db"), description="the SQLite file; its folder also holds its lock and WAL"
    )
    busy_timeout: Seconds = Field(5, description="seconds to wait for another process that writes")
    max_bytes: int = Field(20 * 1024**3, ge=1024 * 1024, description="size at which new calls are answered 503")
    free_bytes: int = Field(512 * 1024**2, ge=0, description="free disk space below which new calls are answered 503")
    keep_settled: Seconds = Field(30 * 86400, description="seconds that settled events are kept, for replay and show")
    keep_dead: Seconds = Field(180 * 86400, description="seconds that dead and held ones are kept")
    keep_unwanted: Seconds = Field(
        90 * 86400, description="seconds for events that no mapping wants or that are not understood"
    )


class Schedule(Section):
    """When a delivery is tried again, and when it is given up: only past both limits."""

    attempts: int = Field(12, ge=1, le=1000, description="tries, counted only while the destination is healthy")
    first: Seconds = Field(2, description="seconds before the second try")
    factor: float = Field(3.0, ge=1, le=10, description="each wait is this many times the one before")
    longest: Seconds = Field(6 * 3600, description="seconds that one wait can be at most")
    jitter: float = Field(0.2, ge=0, le=1, description="each wait is shortened by up to this share, at random")
    give_up_after: Seconds = Field(2 * 86400, description="seconds, counted only while the destination is healthy")


class Delivery(Section):
    """What brings changes to the CRMs."""

    concurrency: int = Field(16, ge=1, le=256, description="requests in flight, all destinations together")
    schedule: Schedule = Schedule()
    idle_poll: Seconds = Field(1, description="seconds between looks when nobody wakes it")
    shutdown: Seconds = Field(20, description="seconds that a stop waits for what is in flight")


class Alert(Section):
    """What happens on a change of state: something dead, a destination paused, the disk floor reached."""

    command: tuple[str, ...] = Field((), description="a command; the alert is JSON on its standard input")
    url: WebAddress | None = Field(
        None,
        examples=["https://alerts.example.com/connector"],
        description="an address that gets the alert by POST as JSON",
    )
    dead: int = Field(1, ge=1, description="`status` exits 1 from this many dead deliveries on")
    oldest_due: Seconds = Field(3600, description="`status` exits 1 when something has been due for longer, in seconds")


class Destination(Section):
    """A CRM, by a name of your choice. What its preset asks for stands under `settings` and `secrets`."""

    preset: str = Field(examples=["sample"], description="a shipped preset's name, or the path of a preset file")
    mode: Literal["live", "observe"] = Field("observe", description="observe: show what would be sent, send nothing")
    base_url: WebAddress | None = Field(
        None,
        examples=["https://crm.example.com/api"],
        description="where the CRM's API is, if the preset does not know it or it is another",
    )
    settings: dict[str, str | int | bool] = Field(
        default_factory=dict, examples=[{"portal": "eu1"}], description="values that the preset asks for"
    )
    secrets: dict[str, SecretRef] = Field(
        default_factory=dict,
        examples=[{"token": {"credential": "connector_crm-token"}}],
        description="secrets that the preset asks for",
    )
    override: dict[str, Any] = Field(
        default_factory=dict,
        examples=[{"limits": {"concurrency": 4}}],
        description="parts of the preset to replace, by the same keys",
    )
    ca_file: Path | None = Field(
        None,
        examples=["ca.pem"],
        description="your own certificate authority (PEM), for a CRM with a private certificate",
    )
    client_cert: Path | None = Field(
        None, examples=["client.pem"], description="a client certificate (PEM), if the CRM asks for one"
    )
    client_key: Path | None = Field(
        None, examples=["client.key"], description="the key of client_cert (PEM), if it is a file of its own"
    )
    proxy: WebAddress | None = Field(
        None, examples=["http://proxy.example.com:3128"], description="an HTTP proxy; the environment's is not used"
    )
    allow_http: bool = Field(False, description="let an unencrypted address be used beyond loopback")


class Log(Section):
    """Logs go to standard error."""

    format: Literal["auto", "json", "text"] = Field("auto", description="auto: text at a terminal, JSON elsewhere")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least important that is shown")


class Config(Section):
    """The whole file."""

    receiver: Receiver = Receiver()
    dns: Dns = Dns()
    sources: dict[Name, Source] = Field(default_factory=dict)
    outbox: Outbox = Outbox()
    delivery: Delivery = Delivery()
    destinations: dict[Name, Destination] = Field(default_factory=dict)
    mappings: Path = Field(Path("mappings"), description="the folder with mapping files, beside the configuration file")
    presets: Path | None = Field(None, examples=["presets"], description="a folder with your own presets, by name")
    state: Path | None = Field(
        None,
        examples=["/var/lib/connector"],
        description="a folder for tokens that CRMs give out; default: beside the outbox",
    )
    alert: Alert = Alert()
    log: Log = Log()

    _document: Document | None = PrivateAttr(None)

    def problem(self, path: Sequence[str | int], what: str, hint: str = "") -> Problem:
        """Return a problem with what the configuration says at that path, at its place in the file."""
        document = self._document or Document("configuration", {}, {}, {})
        return document.problem(path, what, hint)

    @property
    def state_folder(self) -> Path:
        """Where tokens are kept."""
        return self.state or self.outbox.path.parent

    @property
    def ownership_folder(self) -> Path:
        """Where verification files are looked for."""
        return self.receiver.ownership_folder or self.outbox.path.parent
