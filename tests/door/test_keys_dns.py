"""Keys from a real DNS server on loopback (S32)."""

import threading

import dns.rcode
import pytest
from dns import resolver as dns_resolver

from connector.domain.keyrecord import Key, KeyAnswer, NoKey, RevokedKey, Silent, WeakKey
from connector.keys.dns import KEY_FRESH, MAX_NAMES, SECOND_LOOK, WAITING_CALLS, WAITING_NAMES, DnsKeys
from connector.keys.query import Absent, NoAnswer, Reply, Texts, TxtQuery
from tests.support.clock import ManualClock
from tests.support.dns import DnsServer
from tests.support.signing import KEY_ID, dkim_text, signing_key

DKIM = dkim_text(signing_key())


@pytest.fixture
def keys(dns: DnsServer, clock: ManualClock) -> DnsKeys:
    return DnsKeys(clock, servers=[dns.address], timeout=2, stale=3600)


def impatient(dns: DnsServer, clock: ManualClock, stale: float = 3600) -> DnsKeys:
    return DnsKeys(clock, servers=[dns.address], timeout=0.3, stale=stale)


def is_the_key(answer: KeyAnswer, which: int = 0) -> bool:
    expected = signing_key(which=which).public_key().public_numbers()
    return isinstance(answer, Key) and answer.public.public_numbers() == expected


def test_a_key_is_found_and_asked_for_once_per_ttl(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """DNS is asked once, and again only when the record's TTL is over."""
    dns.txt(KEY_ID, DKIM, ttl=300)
    for _ in range(5):
        assert is_the_key(keys.find(KEY_ID))
    clock.advance(299)
    assert is_the_key(keys.find(KEY_ID.upper() + "."))
    assert dns.asked[KEY_ID] == 1
    clock.advance(2)
    assert is_the_key(keys.find(KEY_ID))
    assert dns.asked[KEY_ID] == 2


def test_a_record_may_be_split_odd_and_in_company(dns: DnsServer, keys: DnsKeys) -> None:
    """Split character strings are joined; unrelated TXT records beside it are ignored."""
    text = DKIM.encode()
    dns.txt(
        KEY_ID, "v=spf1 -all", [text[:7], b"", text[7:100], text[100:300], text[300:]], "google-site-verification=abc"
    )
    assert is_the_key(keys.find(KEY_ID))


def test_an_alias_is_followed(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """A CNAME leads to the key, and the shorter of both TTLs counts."""
    dns.txt("real.example.net", DKIM, ttl=900)
    dns.cname(KEY_ID, "real.example.net", ttl=60)
    assert is_the_key(keys.find(KEY_ID))
    clock.advance(61)
    assert is_the_key(keys.find(KEY_ID))
    assert dns.asked[KEY_ID] == 2


def test_a_truncated_answer_is_asked_for_over_tcp(dns: DnsServer, keys: DnsKeys) -> None:
    """A record too large for UDP is no obstacle."""
    dns.txt(KEY_ID, DKIM, "x" * 2000, truncated=True)
    assert is_the_key(keys.find(KEY_ID))
    assert dns.over_tcp[KEY_ID] == 1


def test_a_key_rotates_without_a_restart(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """A new key under a new name is there at once, one under the same name after the TTL."""
    other = dkim_text(signing_key(which=1))
    dns.txt(KEY_ID, DKIM, ttl=300)
    assert is_the_key(keys.find(KEY_ID))
    dns.txt("two._domainkey.copernica.com", other)
    assert is_the_key(keys.find("two._domainkey.copernica.com"), which=1)
    dns.txt(KEY_ID, other, ttl=300)
    assert is_the_key(keys.find(KEY_ID))
    clock.advance(301)
    assert is_the_key(keys.find(KEY_ID), which=1)


def test_a_revoked_key_is_refused_after_the_ttl(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """An empty p= ends a key, as soon as its TTL is over."""
    dns.txt(KEY_ID, DKIM, ttl=60)
    assert is_the_key(keys.find(KEY_ID))
    dns.txt(KEY_ID, "v=DKIM1; p=")
    clock.advance(61)
    assert isinstance(keys.find(KEY_ID), RevokedKey)


def test_a_weak_key_is_no_key(dns: DnsServer, keys: DnsKeys) -> None:
    """A record with another kind of key is refused, and does not wait for anything."""
    dns.txt(KEY_ID, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert isinstance(keys.find(KEY_ID), WeakKey)


@pytest.mark.parametrize("ttl", [0, 1])
def test_a_ttl_of_nothing_does_not_mean_a_query_per_call(
    dns: DnsServer, clock: ManualClock, keys: DnsKeys, ttl: int
) -> None:
    """However short the TTL, DNS is asked at most twice a minute for a key."""
    dns.txt(KEY_ID, DKIM, ttl=ttl)
    for _ in range(10):
        assert is_the_key(keys.find(KEY_ID))
    assert dns.asked[KEY_ID] == 1
    clock.advance(KEY_FRESH[0] / 1000)
    assert is_the_key(keys.find(KEY_ID))
    assert dns.asked[KEY_ID] == 2


def test_a_ttl_of_years_is_cut_to_a_day(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """A revocation is seen after a day, whatever the TTL said."""
    dns.txt(KEY_ID, DKIM, ttl=2_000_000_000)
    assert is_the_key(keys.find(KEY_ID))
    dns.txt(KEY_ID, "v=DKIM1; p=")
    clock.advance(86_400)
    assert isinstance(keys.find(KEY_ID), RevokedKey)


# silence


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_a_server_that_fails_is_silence_not_a_refusal(
    dns: DnsServer, clock: ManualClock, rcode: dns.rcode.Rcode
) -> None:
    """SERVFAIL and REFUSED say nothing about the key; other names are not held up by it."""
    keys = impatient(dns, clock)
    dns.fails(KEY_ID, rcode)
    dns.txt("two._domainkey.copernica.com", DKIM)
    assert isinstance(keys.find(KEY_ID), Silent)
    assert is_the_key(keys.find("two._domainkey.copernica.com"))
    dns.txt(KEY_ID, DKIM)
    clock.advance(30)
    assert is_the_key(keys.find(KEY_ID))


def test_a_dead_dns_does_not_make_every_call_wait(dns: DnsServer, clock: ManualClock) -> None:
    """After a time-out nobody is asked for a while, whatever the name; then one call tries again."""
    keys = impatient(dns, clock)
    dns.silent(KEY_ID)
    assert isinstance(keys.find(KEY_ID), Silent)
    asked = dns.asked.total()
    for name in (KEY_ID, "two.copernica.com", "three.copernica.com"):
        assert isinstance(keys.find(name), Silent)
    assert dns.asked.total() == asked
    dns.txt(KEY_ID, DKIM)
    clock.advance(30)
    assert is_the_key(keys.find(KEY_ID))


def test_no_server_at_all_is_silence(clock: ManualClock) -> None:
    """A resolver that is not there is silence."""
    with DnsServer() as gone:
        address = gone.address
    assert isinstance(DnsKeys(clock, servers=[address], timeout=0.3).find(KEY_ID), Silent)


def test_a_known_key_is_used_past_its_ttl_while_dns_is_silent(dns: DnsServer, clock: ManualClock) -> None:
    """A key may be used for the stated time past its TTL, and no longer."""
    keys = impatient(dns, clock, stale=3600)
    dns.txt(KEY_ID, DKIM, ttl=300)
    assert is_the_key(keys.find(KEY_ID))
    dns.fails(KEY_ID)
    clock.advance(300 + 3599)
    assert is_the_key(keys.find(KEY_ID))
    clock.advance(2)
    assert isinstance(keys.find(KEY_ID), Silent)


@pytest.mark.parametrize("data", [b"", b"\xff" * 10, b"\x81\x80" + b"\0" * 8, b"\x81\x80" + b"\xc0\x0c" * 200])
def test_garbage_from_the_network_is_silence(dns: DnsServer, clock: ManualClock, data: bytes) -> None:
    """An answer that cannot be read never refuses a call, and never raises."""
    keys = impatient(dns, clock)
    dns.garbage(KEY_ID, data)
    assert isinstance(keys.find(KEY_ID), Silent)


def test_a_look_up_that_breaks_is_silence(clock: ManualClock) -> None:
    """Even a defect in the look-up loses no call, and does not block the name for ever."""

    def broken(name: str) -> Reply:
        raise RuntimeError(name)

    keys = DnsKeys(clock, ask=broken)
    assert isinstance(keys.find(KEY_ID), Silent)
    clock.advance(60)
    assert isinstance(keys.find(KEY_ID), Silent)


# names that do not exist


@pytest.mark.parametrize("how", ["missing", "empty", "unrelated"])
def test_a_name_without_a_key_is_refused_only_after_its_second_look(
    dns: DnsServer, clock: ManualClock, keys: DnsKeys, how: str
) -> None:
    """Calls wait until the negative TTL is over; then DNS is asked once more, and that counts."""
    if how == "unrelated":
        dns.txt(KEY_ID, "v=spf1 -all", ttl=60)
    else:
        getattr(dns, how)(KEY_ID)
    assert isinstance(keys.find(KEY_ID), Silent)
    clock.advance(60)
    assert isinstance(keys.find(KEY_ID, again=True), Silent)
    assert dns.asked[KEY_ID] == 1
    clock.advance(2)
    assert isinstance(keys.find(KEY_ID, again=True), NoKey)
    assert isinstance(keys.find(KEY_ID), NoKey)
    assert dns.asked[KEY_ID] == 2


def test_a_key_that_appears_late_costs_no_call(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """A key that was published after somebody had asked for it is found by the second look."""
    dns.missing(KEY_ID, ttl=3600)
    assert isinstance(keys.find(KEY_ID), Silent)
    dns.txt(KEY_ID, DKIM)
    clock.advance(3602)
    assert is_the_key(keys.find(KEY_ID, again=True))


def test_a_name_that_was_refused_is_found_minutes_after_it_appears(
    dns: DnsServer, clock: ManualClock, keys: DnsKeys
) -> None:
    """The negative cache is bounded: a refused name gets its key five minutes after it appears, at the latest."""
    dns.missing(KEY_ID, ttl=60)
    keys.find(KEY_ID)
    clock.advance(62)
    assert isinstance(keys.find(KEY_ID), NoKey)
    dns.txt(KEY_ID, DKIM)
    clock.advance(300)
    assert is_the_key(keys.find(KEY_ID))


def test_the_wait_for_the_second_look_is_bounded(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """A negative TTL of a year makes nobody wait longer than three hours."""
    dns.missing(KEY_ID, ttl=31_536_000)
    assert isinstance(keys.find(KEY_ID), Silent)
    clock.advance(SECOND_LOOK[1] / 1000)
    assert isinstance(keys.find(KEY_ID, again=True), NoKey)


def test_silence_at_the_second_look_refuses_nothing(dns: DnsServer, clock: ManualClock, keys: DnsKeys) -> None:
    """The second look is one that was answered."""
    dns.missing(KEY_ID)
    keys.find(KEY_ID)
    dns.fails(KEY_ID)
    clock.advance(62)
    assert isinstance(keys.find(KEY_ID, again=True), Silent)
    dns.txt(KEY_ID, DKIM)
    clock.advance(30)
    assert is_the_key(keys.find(KEY_ID, again=True))


def test_only_so_many_calls_wait_for_a_second_look(clock: ManualClock) -> None:
    """Calls above the hourly budget are refused at once; those that are kept already are not touched by it."""
    keys = DnsKeys(clock, ask=lambda name: Absent(name, 3000))
    answers = [keys.find(KEY_ID) for _ in range(WAITING_CALLS + 1)]
    assert all(isinstance(answer, Silent) for answer in answers[:-1])
    assert isinstance(answers[-1], NoKey)
    assert isinstance(keys.find(KEY_ID, again=True), Silent)


def test_only_so_many_names_get_a_second_look(clock: ManualClock) -> None:
    """Names that a stranger invents are refused at once when the budget is spent; an hour later there is a new one."""
    keys = DnsKeys(clock, ask=lambda name: Absent(name, 3000))
    answers = [keys.find(f"n{number}.copernica.com") for number in range(WAITING_NAMES + 1)]
    assert all(isinstance(answer, Silent) for answer in answers[:-1])
    assert isinstance(answers[-1], NoKey)
    assert isinstance(keys.find(f"n{WAITING_NAMES}.copernica.com", again=True), Silent)
    clock.advance(3600)
    assert isinstance(keys.find("another.copernica.com"), Silent)


def test_a_refused_name_above_the_budget_is_looked_at_after_minutes(clock: ManualClock) -> None:
    """A genuine new name that came while strangers had spent the budget works five minutes after it appears."""
    there: set[str] = set()
    keys = DnsKeys(clock, ask=lambda name: Texts((DKIM.encode(),), 300) if name in there else Absent(name, 10_000))
    for number in range(WAITING_NAMES):
        keys.find(f"n{number}.copernica.com")
    assert isinstance(keys.find(KEY_ID), NoKey)
    there.add(KEY_ID)
    clock.advance(300)
    assert is_the_key(keys.find(KEY_ID))


def test_a_look_in_between_is_not_the_second_look(clock: ManualClock) -> None:
    """A kept call waits for the look after the negative TTL, however often the name was asked for before."""
    keys = DnsKeys(clock, ask=lambda name: Absent(name, 3000))
    for number in range(WAITING_NAMES):
        keys.find(f"n{number}.copernica.com")
    assert isinstance(keys.find(KEY_ID), NoKey)
    clock.advance(300)
    assert isinstance(keys.find(KEY_ID), NoKey)
    assert isinstance(keys.find(KEY_ID, again=True), Silent)
    clock.advance(2702)
    assert isinstance(keys.find(KEY_ID, again=True), NoKey)


def test_the_pause_after_silence_doubles_and_starts_anew_after_an_answer(clock: ManualClock) -> None:
    """A second at first, at most half a minute; an answer ends it."""
    asked_at: list[int] = []
    silent, second = True, 0

    def ask(name: str) -> Reply:
        asked_at.append(second)
        return NoAnswer("no", everywhere=True) if silent else Texts((DKIM.encode(),), 30)

    keys = DnsKeys(clock, ask=ask, stale=0)

    def calls_of(seconds: int) -> list[int]:
        """One call each second; return the seconds in which DNS was asked."""
        nonlocal second
        asked_at.clear()
        for at in range(seconds):
            second = at
            keys.find(KEY_ID)
            clock.advance(1)
        return asked_at

    assert calls_of(100) == [0, 1, 3, 7, 15, 31, 61, 91]
    silent = False
    clock.advance(30)
    assert calls_of(1) == [0]
    silent = True
    clock.advance(30)
    assert calls_of(9) == [0, 1, 3, 7]


def test_invented_names_do_not_push_out_real_keys(clock: ManualClock) -> None:
    """However many names a stranger invents, memory is bounded and known keys stay known."""
    asked: list[str] = []

    def ask(name: str) -> Reply:
        asked.append(name)
        return Texts((DKIM.encode(),), 86_400) if name == KEY_ID else Absent(name, 60)

    keys = DnsKeys(clock, ask=ask)
    assert is_the_key(keys.find(KEY_ID))
    for number in range(3 * MAX_NAMES):
        keys.find(f"n{number}.copernica.com")
    assert is_the_key(keys.find(KEY_ID))
    assert asked.count(KEY_ID) == 1
    assert len(keys._entries) <= MAX_NAMES


def test_failing_names_are_bounded_too(clock: ManualClock) -> None:
    """Names whose look-up fails are remembered in a bounded number."""
    keys = DnsKeys(clock, ask=lambda name: NoAnswer(name, everywhere=False))
    for number in range(3 * MAX_NAMES):
        assert isinstance(keys.find(f"n{number}.copernica.com"), Silent)
    assert len(keys._silences) <= MAX_NAMES


# many at once


def test_twenty_calls_at_once_make_one_look_up(dns: DnsServer, keys: DnsKeys) -> None:
    """Threads that ask for the same name share one look-up and get the same key."""
    dns.txt(KEY_ID, DKIM)
    dns.open.clear()
    together = threading.Barrier(21)
    answers: list[KeyAnswer] = []

    def ask() -> None:
        together.wait()
        answers.append(keys.find(KEY_ID))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    together.wait()
    dns.open.set()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    assert all(is_the_key(answer) for answer in answers)
    assert dns.asked[KEY_ID] == 1


def test_a_call_does_not_wait_for_ever_for_anothers_look_up(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a look-up hangs against all its limits, the calls behind it are kept."""
    monkeypatch.setattr("connector.keys.dns.GRACE", 0.0)
    hang, asked = threading.Event(), threading.Event()

    def ask(name: str) -> Reply:
        asked.set()
        hang.wait(30)
        return Absent(name, 60)

    keys = DnsKeys(clock, ask=ask, timeout=0.01)
    first = threading.Thread(target=keys.find, args=(KEY_ID,))
    first.start()
    assert asked.wait(30)
    assert isinstance(keys.find(KEY_ID), Silent)
    hang.set()
    first.join()


# the configuration


def test_the_systems_resolvers_are_the_default(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without servers, resolv.conf is read at each look-up; a machine without one is silence, not a crash."""
    with DnsServer() as dns:
        dns.txt(KEY_ID, DKIM)
        address, _, port = dns.address.partition(":")
        made = dns_resolver.Resolver(configure=False)
        made.nameservers = [address]
        made.port = int(port)
        monkeypatch.setattr(dns_resolver, "Resolver", lambda configure: made if configure else None)
        assert is_the_key(DnsKeys(clock, timeout=2).find(KEY_ID))

    def none(configure: bool) -> None:
        raise dns_resolver.NoResolverConfiguration

    monkeypatch.setattr(dns_resolver, "Resolver", none)
    assert isinstance(DnsKeys(clock, timeout=2).find(KEY_ID), Silent)


@pytest.mark.parametrize(
    "server", ["localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "[::1]:x", "", "1.2.3"]
)
def test_a_resolver_that_is_no_address_is_an_error_at_start(server: str) -> None:
    """A name instead of an address is refused when the connector starts, not at the first call."""
    with pytest.raises(ValueError, match="ADDRESS"):
        TxtQuery([server], 1)


@pytest.mark.parametrize("server", ["127.0.0.1", "127.0.0.1:5353", "::1", "[::1]", "[::1]:5353"])
def test_resolvers_are_given_with_or_without_a_port(server: str) -> None:
    """IPv4 and IPv6 addresses, with or without a port, are taken."""
    TxtQuery([server], 1)
