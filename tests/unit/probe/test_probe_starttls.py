"""The conversations before TLS, with a peer that has its lines written down."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from certwright.probe import FailureKind, Greeting, StartTls
from certwright.probe.observation import ProbeError
from certwright.probe.starttls import Conversation

PROTOCOLS: tuple[StartTls, ...] = ("smtp", "imap", "pop3", "ldap")
LDAP_OK = bytes.fromhex("300c02010178070a010004000400")
GOOD: dict[StartTls, bytes] = {
    "smtp": b"220-mail ESMTP\r\n220 ready\r\n250-mail\r\n250-SIZE 1\r\n250-starttls\r\n250 HELP\r\n220 go\r\n",
    "imap": b"* OK hello\r\n* CAPABILITY IMAP4rev1 STARTTLS\r\nc OK done\r\nc OK go\r\n",
    "pop3": b"+OK hello\r\n+OK\r\nUSER\r\nSTLS\r\n.\r\n+OK go\r\n",
    "ldap": LDAP_OK,
}


class Peer:
    """Says its pieces one after the other, whatever it hears; then it closes."""

    local_host = "192.0.2.1"

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.heard = b""

    def recv(self) -> bytes:
        return next(self._pieces, b"")

    def send(self, data: bytes) -> None:
        self.heard += data


def talk(protocol: StartTls, *pieces: bytes, ehlo_name: str | None = None) -> bytes:
    peer = Peer(iter(pieces))
    Conversation(peer, protocol).start_tls(ehlo_name)
    return peer.heard


def failure(protocol: StartTls, *pieces: bytes) -> tuple[FailureKind, str]:
    with pytest.raises(ProbeError) as caught:
        talk(protocol, *pieces)
    return caught.value.failure.kind, caught.value.failure.message


@given(st.sampled_from(PROTOCOLS), st.lists(st.integers(1, 100)))
def test_it_does_not_matter_how_the_bytes_are_cut(protocol: StartTls, cuts: list[int]) -> None:
    places = sorted({0, *(cut % len(GOOD[protocol]) for cut in cuts), len(GOOD[protocol])})
    pieces = [GOOD[protocol][begin:end] for begin, end in pairwise(places)]
    assert talk(protocol, *pieces)


def test_what_is_said_to_an_smtp_server() -> None:
    assert talk("smtp", GOOD["smtp"]) == b"EHLO [192.0.2.1]\r\nSTARTTLS\r\n"
    assert talk("smtp", GOOD["smtp"], ehlo_name="probe.contoso.test").startswith(b"EHLO probe.contoso.test\r\n")


def introduced(protocol: StartTls, *pieces: bytes) -> Greeting | None:
    conversation = Conversation(Peer(iter(pieces)), protocol)
    with suppress(ProbeError):
        conversation.start_tls()
    return conversation.greeting


@pytest.mark.parametrize(
    ("protocol", "said", "greeting"),
    [
        ("smtp", GOOD["smtp"], Greeting("mail ESMTP", "mail")),
        (
            "smtp",
            b"220 ex01 ready\r\n250 EX01.contoso.test Hello [192.0.2.1]\r\n",
            Greeting("ex01 ready", "EX01.contoso.test"),
        ),
        ("smtp", b"220 ex01 ready\r\n502 what?\r\n", Greeting("ex01 ready")),
        ("smtp", b"421 too busy\r\n", Greeting("too busy")),
        ("smtp", b"220 \x1b[31mred\r\n", Greeting(".[31mred")),
        ("smtp", b"220 " + b"x" * 5000 + b"\r\n", Greeting("x" * 200 + "...")),
        ("smtp", b"HTTP/1.1 400 Bad Request\r\n", None),
        ("smtp", b"", None),
        ("imap", b"* OK ready [RQBYADAAMQA=]\r\n", Greeting("* OK ready [RQBYADAAMQA=]")),
        ("pop3", b"+OK ready\r\n-ERR\r\n", Greeting("+OK ready")),
        ("ldap", LDAP_OK, None),
    ],
)
def test_how_a_server_introduced_itself_is_told_whatever_came_of_it(
    protocol: StartTls, said: bytes, greeting: Greeting | None
) -> None:
    assert introduced(protocol, said) == greeting


def test_an_ipv6_address_is_a_tagged_literal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "local_host", "::1")
    assert talk("smtp", GOOD["smtp"]).startswith(b"EHLO [IPv6:::1]\r\n")


def test_what_is_said_to_the_others() -> None:
    assert talk("imap", GOOD["imap"]) == b"c CAPABILITY\r\nc STARTTLS\r\n"
    assert talk("pop3", GOOD["pop3"]) == b"CAPA\r\nSTLS\r\n"
    assert talk("ldap", LDAP_OK) == bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"


def test_a_pop3_server_without_capa_is_asked_all_the_same() -> None:
    assert talk("pop3", b"+OK hello\r\n-ERR what?\r\n+OK go\r\n") == b"CAPA\r\nSTLS\r\n"


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("smtp", b"220 mail\r\n250-mail\r\n250 HELP\r\n"),
        ("smtp", b"220 mail\r\n250 STARTTLS\r\n"),
        ("smtp", b"220 mail\r\n502 what?\r\n"),
        ("smtp", b"220 mail\r\n250-mail\r\n250 STARTTLS\r\n454 not now\r\n"),
        ("imap", b"* OK hello\r\n* CAPABILITY IMAP4rev1\r\nc OK done\r\n"),
        ("imap", b"* OK hello\r\n* CAPABILITY STARTTLS\r\nc OK done\r\nc NO not now\r\n"),
        ("imap", b"* OK hello\r\nc BAD what?\r\n"),
        ("pop3", b"+OK hello\r\n+OK\r\nUSER\r\n.\r\n"),
        ("pop3", b"+OK hello\r\n-ERR what?\r\n-ERR what?\r\n"),
        ("ldap", bytes.fromhex("300f020101780a0a01020400040362757379")[:17]),
    ],
)
def test_servers_without_tls(protocol: StartTls, said: bytes) -> None:
    kind, message = failure(protocol, said)
    assert kind is FailureKind.NO_STARTTLS
    assert protocol.upper() in message


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("smtp", b"554 go away\r\n"),
        ("smtp", b"HTTP/1.1 400 Bad Request\r\n"),
        ("smtp", b"220\xff mail\r\n"),
        ("smtp", b"220 mail\r\n250-mail\r\nnonsense\r\n"),
        ("imap", b"* BYE go away\r\n"),
        ("imap", b"* PREAUTH hello\r\n"),
        ("imap", b"* OK hello\r\nx OK done\r\n"),
        ("pop3", b"-ERR go away\r\n"),
        ("pop3", b"+OK hello\r\nnonsense\r\n"),
        ("ldap", b"HTTP/1.1 400 Bad Request\r\n"),
        ("ldap", bytes.fromhex("3003020101")),
        ("ldap", bytes.fromhex("300c02010161070a010004000400")),
        ("ldap", bytes.fromhex("300c02010178070a7f0004000400")),
    ],
)
def test_peers_that_do_not_speak_the_protocol(protocol: StartTls, said: bytes) -> None:
    kind, message = failure(protocol, said)
    assert kind in (FailureKind.BAD_GREETING, FailureKind.CLOSED)
    assert message.isascii()
    assert message.isprintable()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_a_peer_that_closes_early_is_said_to_have_closed(protocol: StartTls, share: float) -> None:
    said = GOOD[protocol][: int(len(GOOD[protocol]) * share)]
    assert failure(protocol, said)[0] is FailureKind.CLOSED


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_text_after_the_agreement_is_refused(protocol: StartTls) -> None:
    kind, message = failure(protocol, GOOD[protocol] + b"250 injected\r\n")
    assert kind is FailureKind.BAD_GREETING
    assert "injected" in message


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
@pytest.mark.parametrize("piece", [b"x" * 1000, b"220-more\r\n", b"* OK more\r\n", b"+OK\r\n", b"\r\n"])
def test_a_peer_that_never_stops_is_left(protocol: StartTls, piece: bytes) -> None:
    kind, _ = failure(protocol, *[piece] * 2000)
    assert kind in (FailureKind.TOO_MUCH, FailureKind.BAD_GREETING)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("smtp", b"220-more\r\n"),
        ("smtp", b"2" * 100),
        ("imap", b"* OK more\r\n"),
        ("pop3", b"+OK\r\n" * 2),
        ("ldap", b"\x30\x84\xff\xff\xff\xff"),
    ],
)
def test_a_peer_that_never_stops_in_its_protocol_says_too_much(protocol: StartTls, said: bytes) -> None:
    assert failure(protocol, *[said] * 2000)[0] is FailureKind.TOO_MUCH


PHRASES = [
    *(line + b"\r\n" for said in GOOD.values() for line in said.split(b"\r\n")),
    *(GOOD[p] for p in PROTOCOLS),
    b"\x30\x84",
    b"\x30\x80\x00\x00",
]


@given(st.sampled_from(PROTOCOLS), st.lists(st.sampled_from(PHRASES) | st.binary(max_size=60), max_size=30))
@example("ldap", [b"\x30\x06\x02\x01\x01\x78\x84\x00"])
@example("ldap", [b"\x30\xff"])
def test_whatever_a_peer_says_there_is_a_verdict(protocol: StartTls, pieces: list[bytes]) -> None:
    words = "agreed"
    try:
        talk(protocol, *(piece for piece in pieces if piece))
    except ProbeError as error:
        words = error.failure.message
    assert words.isprintable()
