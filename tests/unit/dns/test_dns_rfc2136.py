"""What a server answers that is no proper answer, or not signed: a peer that says anything over TCP."""

import base64
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import dns.tsigkeyring
import pytest

from certwright.domain.errors import SolverError, Unreachable
from certwright.sdk.dns import DnsProvider, TxtRecord
from world.dns_accounts import CREDENTIAL, provider, refusal

KEY = base64.b64encode(b"k" * 32).decode()
KEYRING = dns.tsigkeyring.from_text({"certwright.": KEY})
RECORD = TxtRecord("_acme-challenge.contoso.com", "1" * 43)

Answer = Callable[[dns.message.Message], bytes]


@contextmanager
def saying(answer: Answer, zone: str | None = None) -> Iterator[DnsProvider[Any]]:
    """The provider with a server that answers so."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            self.wfile.write(answer(dns.message.from_wire(self.rfile.read(length), keyring=KEYRING)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        params = {"server": "127.0.0.1", "port": server.server_address[1], "key_name": "certwright", "key": KEY}
        try:
            yield provider("rfc2136", {**params, "zone": zone})
        finally:
            server.shutdown()
            thread.join()


def unsigned(code: dns.rcode.Rcode) -> Answer:
    def answer(asked: dns.message.Message) -> bytes:
        reply = dns.message.make_response(asked)
        reply.tsig = None
        reply.set_rcode(code)
        return reply.to_wire(prepend_length=True)

    return answer


def to_another_question(asked: dns.message.Message) -> bytes:
    reply = dns.message.make_response(asked)
    reply.id = asked.id ^ 1
    return reply.to_wire(prepend_length=True)


def with_another_signature(asked: dns.message.Message) -> bytes:
    reply = dns.message.make_response(asked)
    reply.use_tsig(dns.tsigkeyring.from_text({"certwright.": base64.b64encode(b"x" * 32).decode()}))
    return reply.to_wire(prepend_length=True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: b"", "EOF"),
        (lambda _: b"\0\4soon", ""),
        (lambda _: b"\xff\xffHTTP/1.1 400 Bad Request\r\n", "EOF"),
        (unsigned(dns.rcode.NOERROR), "its answer is not signed"),
        (to_another_question, ""),
        (with_another_signature, ""),
    ],
    ids=["nothing", "too short", "another protocol", "not signed", "to another question", "signed by another key"],
)
def test_what_is_no_answer_is_not_believed(answer: Answer, told: str) -> None:
    with saying(answer) as ours:
        for act in (ours.check, lambda: ours.add("contoso.com", [RECORD])):
            with pytest.raises(Unreachable, match="did not answer properly") as raised:
                act()
            assert told in raised.value.message
            assert raised.value.retryable


def test_a_refusal_may_be_unsigned_and_of_the_key_nothing_is_known_then() -> None:
    with saying(unsigned(dns.rcode.REFUSED)) as ours:
        assert "was not tried" in ours.check()
        with pytest.raises(SolverError, match="REFUSED") as raised:
            ours.add("contoso.com", [RECORD])
        assert CREDENTIAL in raised.value.hint


def test_a_zone_that_the_server_does_not_serve_is_told_when_the_key_is_stored() -> None:
    with (
        saying(unsigned(dns.rcode.REFUSED), zone="contoso.com") as ours,
        pytest.raises(SolverError, match=r"shows no zone contoso\.com: REFUSED\.$") as raised,
    ):
        ours.check()
    assert CREDENTIAL in raised.value.hint


def test_an_answer_that_breaks_off_is_told_in_one_sentence() -> None:
    for answer in (lambda _: b"", with_another_signature):
        with saying(answer) as ours, pytest.raises(Unreachable) as raised:
            ours.check()
        assert raised.value.message.endswith(".")
        assert ".." not in raised.value.message


def test_all_addresses_of_the_server_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    found = socket.getaddrinfo

    def two(host: str, *how: Any) -> list[Any]:
        addresses = ["127.0.0.2", "127.0.0.1"] if host == "ns.contoso.com" else [host]
        return [each for address in addresses for each in found(address, *how)]

    with saying(unsigned(dns.rcode.REFUSED)) as ours:
        ours.params = ours.params.model_copy(update={"server": "ns.contoso.com"})
        monkeypatch.setattr(socket, "getaddrinfo", two)
        assert ours.check().startswith("ns.contoso.com answers")


def test_a_server_whose_name_leads_nowhere_is_told() -> None:
    for server in ("a" * 70, "a..b"):
        with saying(unsigned(dns.rcode.REFUSED)) as ours:
            ours.params = ours.params.model_copy(update={"server": server})
            with pytest.raises(Unreachable, match="leads to no address"):
                ours.check()


@pytest.mark.parametrize("name", ["a..b", "a" * 70, ".", " ", ".".join(["a" * 60] * 5)])
def test_a_key_name_that_is_none_is_refused_when_it_is_typed(name: str) -> None:
    assert "key_name: that is not the name of a key" in refusal("rfc2136", server="a", key_name=name, key=KEY)
