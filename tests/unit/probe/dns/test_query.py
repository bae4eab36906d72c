"""Questions to servers that answer as they should, and as they should not."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.domain.errors import InvalidIdentifier
from certwright.probe.dns.query import Kind, LookupFailure, ask, phrase
from certwright.probe.observation import Endpoint
from peers.ports import free_port

Reply = Callable[[dns.message.Message], bytes | None]
NAME = "_acme-challenge.contoso.test"


class Datagrams(socketserver.UDPServer):
    reply: Reply


class Streams(socketserver.TCPServer):
    allow_reuse_address = True
    reply: Reply


class OneDatagram(socketserver.BaseRequestHandler):
    server: Datagrams

    def handle(self) -> None:
        wire, sock = self.request
        if reply := self.server.reply(dns.message.from_wire(wire)):
            sock.sendto(reply, self.client_address)


class OneStream(socketserver.BaseRequestHandler):
    server: Streams

    def handle(self) -> None:
        wire = self.request.recv(65_535)
        if wire and (reply := self.server.reply(dns.message.from_wire(wire[2:]))):
            self.request.sendall(len(reply).to_bytes(2, "big") + reply)


@contextmanager
def server(by_udp: Reply, by_tcp: Reply = lambda _: None) -> Iterator[Endpoint]:
    """Answers by UDP and TCP; a reply that is None is none."""
    where = ("127.0.0.1", free_port())
    with Datagrams(where, OneDatagram) as udp, Streams(where, OneStream) as tcp:
        udp.reply, tcp.reply = by_udp, by_tcp
        threads = [threading.Thread(target=each.serve_forever, args=(0.01,)) for each in (udp, tcp)]
        for thread in threads:
            thread.start()
        try:
            yield Endpoint(*where)
        finally:
            udp.shutdown()
            tcp.shutdown()
            for thread in threads:
                thread.join()


def answer(question: dns.message.Message, *records: str, rcode: str = "NOERROR") -> dns.message.Message:
    """A response with `records`, each OWNER TYPE DATA."""
    made = dns.message.make_response(question)
    made.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        owner, kind, data = record.split(" ", 2)
        made.answer.append(dns.rrset.from_text(owner, 60, "IN", kind, data))
    return made


def test_the_answer_to_another_question_is_passed_over() -> None:
    def confused(question: dns.message.Message) -> bytes:
        other = dns.message.make_query("other.test", "TXT", id=question.id)
        return answer(other, "other.test. TXT forged").to_wire()

    with server(confused, lambda q: answer(q, f"{NAME}. TXT right").to_wire()) as where:
        found = ask(where, NAME, "TXT", timeout=1, recursive=False)

    assert found.values == ("right",)


def test_what_is_cut_short_is_asked_for_by_tcp() -> None:
    def short(question: dns.message.Message) -> bytes:
        made = answer(question)
        made.flags |= dns.flags.TC
        return made.to_wire()

    with server(short, lambda q: answer(q, f"{NAME}. TXT whole").to_wire()) as where:
        assert ask(where, NAME, "TXT", timeout=5, recursive=False).values == ("whole",)
    with server(short) as where:
        failed = ask(where, NAME, "TXT", timeout=5, recursive=False)

    assert failed.detail == "the answer is too large for UDP, and TCP does not get through"
    assert failed.kind is Kind.MALFORMED


def test_a_server_that_does_not_know_edns_is_asked_without() -> None:
    def old(question: dns.message.Message) -> bytes:
        if question.edns >= 0:
            return answer(question, rcode="FORMERR").to_wire()
        return answer(question, f"{NAME}. TXT old").to_wire()

    with server(old) as where:
        assert ask(where, NAME, "TXT", timeout=5, recursive=False).values == ("old",)


@pytest.mark.parametrize(
    ("rcode", "kind", "detail"),
    [
        ("SERVFAIL", Kind.SERVFAIL, ""),
        ("REFUSED", Kind.REFUSED, ""),
        ("NXDOMAIN", Kind.NXDOMAIN, ""),
        ("NOTAUTH", Kind.ERROR, "NOTAUTH"),
    ],
)
def test_errors_have_their_kind(rcode: str, kind: Kind, detail: str) -> None:
    with server(lambda q: answer(q, rcode=rcode).to_wire()) as where:
        found = ask(where, NAME, "TXT", timeout=5, recursive=False)

    assert (found.kind, found.detail, found.records) == (kind, detail, ())


def test_aliases_that_go_round_in_an_answer_end() -> None:
    loop = (f"{NAME}. CNAME b.test.", f"b.test. CNAME {NAME}.")
    with server(lambda q: answer(q, *loop).to_wire()) as where:
        found = ask(where, NAME, "TXT", timeout=5, recursive=True)

    assert (found.kind, found.chain) == (Kind.NODATA, (NAME, "b.test"))


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=60))
def test_junk_is_told_as_such(junk: bytes) -> None:
    with server(lambda _: None, lambda q: q.id.to_bytes(2) + junk) as where:
        found = ask(where, NAME, "TXT", timeout=0.02, recursive=False)

    assert found.kind is not Kind.RECORDS
    assert not found.told().endswith(".")


def test_what_a_stranger_writes_is_harmless_on_a_terminal() -> None:
    with server(lambda q: answer(q, f'{NAME}. TXT "\\027[31m\\200{"x" * 240}" "y"').to_wire()) as where:
        found = ask(where, NAME, "TXT", timeout=5, recursive=False)

    assert found.told().isprintable()
    assert next(iter(found.texts)).endswith("xy")


def test_of_many_values_only_some_are_told() -> None:
    told = phrase(Kind.RECORDS, "TXT", tuple(f"v{n}" for n in range(9)), "")

    assert told == "TXT 'v0', 'v1', 'v2', 'v3', 'v4', 'v5' and 3 more"


@pytest.mark.parametrize("name", ["a..b.test", f"{'x' * 64}.test", ".".join(["x" * 60] * 5)])
def test_a_name_that_cannot_be_asked_for_is_refused(name: str) -> None:
    with pytest.raises(InvalidIdentifier, match="no name that DNS can be asked for"):
        ask(Endpoint("127.0.0.1", 53), name, "TXT", timeout=1, recursive=False)


def test_a_failure_tells_server_question_and_answer() -> None:
    with server(lambda q: answer(q, rcode="SERVFAIL").to_wire()) as where:
        failure = LookupFailure(ask(where, NAME, "TXT", timeout=5, recursive=True))

    assert failure.message == f"{where} was asked for TXT of {NAME}: it cannot find out (SERVFAIL)."
    assert failure.retryable
    assert failure.hint
