"""A DNS server on loopback (UDP and TCP) that says what a test wants: `with DnsServer() as dns: dns.txt(NAME, ...)`."""

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.rrset

Answer = Callable[[dns.message.Message, bool], bytes | None]
"""Makes the reply's bytes of a query and of whether it came over TCP; None says nothing."""

POLL = 0.02


class DnsServer:
    """Answers NXDOMAIN for every name that was not set. `address` is ADDRESS:PORT, `asked` counts queries by name.

    While `open` is not set, queries are received and counted, and answered only afterwards.
    """

    def __init__(self, negative_ttl: int = 60) -> None:
        self.negative_ttl = negative_ttl
        self.asked: Counter[str] = Counter()
        self.over_tcp: Counter[str] = Counter()
        self.open = threading.Event()
        self.open.set()
        self._answers: dict[str, Answer] = {}
        self._udp, self._tcp = self._bind()
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True)
            for server in (self._udp, self._tcp)
        ]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._udp.server_address[1]}"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.open.set()
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    # what to say

    def txt(self, name: str, *records: str | list[bytes], ttl: int = 300, truncated: bool = False) -> None:
        """Answer with TXT records: text is split into strings of 255 bytes, a list is taken as it is.

        `truncated` makes UDP say that the answer is only to be had over TCP.
        """

        def answer(query: dns.message.Message, tcp: bool) -> bytes:
            response = dns.message.make_response(query)
            if truncated and not tcp:
                response.flags |= dns.flags.TC
                return response.to_wire()
            datas = [
                dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, _strings(record)) for record in records
            ]
            response.answer.append(dns.rrset.from_rdata_list(dns.name.from_text(name), ttl, datas))
            return response.to_wire(max_size=65535)

        self._answers[_key(name)] = answer

    def cname(self, name: str, target: str, ttl: int = 300) -> None:
        """Answer with an alias, and with what the alias's target answers."""

        def answer(query: dns.message.Message, tcp: bool) -> bytes:
            response = dns.message.make_response(query)
            response.answer.append(dns.rrset.from_text(dns.name.from_text(name), ttl, "IN", "CNAME", f"{target}."))
            real = self._answers[_key(target)](dns.message.make_query(target, "TXT"), True)
            response.answer.extend(dns.message.from_wire(real or b"").answer)
            return response.to_wire(max_size=65535)

        self._answers[_key(name)] = answer

    def missing(self, name: str, ttl: int | None = None) -> None:
        """Answer that the name does not exist, and that this holds for `ttl` seconds (default: negative_ttl)."""
        self._answers[_key(name)] = lambda query, _: self._negative(query, dns.rcode.NXDOMAIN, ttl)

    def empty(self, name: str) -> None:
        """Answer that the name exists, and has no TXT record."""
        self._answers[_key(name)] = lambda query, _: self._negative(query, dns.rcode.NOERROR, None)

    def fails(self, name: str, rcode: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> None:
        def answer(query: dns.message.Message, tcp: bool) -> bytes:
            response = dns.message.make_response(query)
            response.set_rcode(rcode)
            return response.to_wire()

        self._answers[_key(name)] = answer

    def silent(self, name: str) -> None:
        self._answers[_key(name)] = lambda query, tcp: None

    def garbage(self, name: str, data: bytes) -> None:
        self._answers[_key(name)] = lambda query, tcp: query.id.to_bytes(2, "big") + data

    # the network

    def reply(self, data: bytes, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        name = _key(query.question[0].name.to_text())
        self.asked[name] += 1
        self.over_tcp[name] += tcp
        self.open.wait(30)
        answer = self._answers.get(name)
        return answer(query, tcp) if answer else self._negative(query, dns.rcode.NXDOMAIN, None)

    def _negative(self, query: dns.message.Message, rcode: dns.rcode.Rcode, ttl: int | None) -> bytes:
        ttl = self.negative_ttl if ttl is None else ttl
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        soa = f"ns.example. admin.example. 1 3600 600 86400 {ttl}"
        response.authority.append(dns.rrset.from_text(dns.name.from_text("copernica.com"), 3600, "IN", "SOA", soa))
        return response.to_wire()

    def _bind(self) -> tuple[socketserver.ThreadingUDPServer, socketserver.ThreadingTCPServer]:
        while True:
            udp = _Udp(("127.0.0.1", 0), _UdpHandler)
            udp.dns = self
            try:
                tcp = _Tcp(("127.0.0.1", udp.server_address[1]), _TcpHandler)
            except OSError:
                udp.server_close()
                continue
            tcp.dns = self
            return udp, tcp


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    dns: DnsServer


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    dns: DnsServer


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        assert isinstance(self.server, _Udp)
        reply = self.server.dns.reply(data, tcp=False)
        if reply is not None:
            with suppress(OSError):
                sock.sendto(reply, self.client_address)


class _TcpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        sock: socket.socket = self.request
        assert isinstance(self.server, _Tcp)
        with suppress(OSError), sock.makefile("rb") as stream:
            length = int.from_bytes(stream.read(2), "big")
            reply = self.server.dns.reply(stream.read(length), tcp=True)
            if reply is not None:
                sock.sendall(len(reply).to_bytes(2, "big") + reply)


def _key(name: str) -> str:
    return name.lower().rstrip(".")


def _strings(record: str | list[bytes]) -> list[bytes]:
    if isinstance(record, list):
        return record
    data = record.encode("latin-1")
    return [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
