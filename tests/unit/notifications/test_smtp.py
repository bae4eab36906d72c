"""E-mail against real SMTP servers (aiosmtpd) that are right, and against some that are wrong."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from certwright.domain.errors import ConfigurationError, NotificationError, Unreachable
from certwright.notifications.smtp import Smtp
from certwright.sdk.notifier import NotifierContext
from peers.mailbox import PASSWORD, USERNAME, Mailbox, mailbox
from peers.nonsense import Behaviour, closes, nonsense, says, silent
from peers.ports import free_port
from peers.zone import zone
from world.channels import channel, problem, refusal

FROM_TO = {"sender": "certwright@contoso.test", "to": ["admin@contoso.test"]}
PLAIN = {**FROM_TO, "security": "none", "direct": False}


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def context(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "mail.contoso.test").configure_cert(context)
    return context


@pytest.fixture
def box(context: ssl.SSLContext) -> Iterator[Mailbox]:
    """STARTTLS and a sign-in, as servers for submission have it."""
    with mailbox(starttls=context, sign_in=True) as served:
        yield served


def submission(box: Mailbox, ca_file: Path | None, **changes: Any) -> Any:
    trust = {"ca_file": str(ca_file)} if ca_file else {}
    account = {"username": USERNAME, "password": PASSWORD}
    return channel(
        "smtp", **{**FROM_TO, "host": "localhost", "port": box.port, **account, **trust, "direct": False, **changes}
    )


def plain(port: int, **changes: Any) -> Any:
    return channel("smtp", **{**PLAIN, "host": "127.0.0.1", "port": port, **changes})


def test_a_message_arrives_signed_in_and_over_tls_with_umlauts_in_every_place(box: Mailbox, ca_file: Path) -> None:
    message = problem("Mailserver Köln: größte Störung")
    told = submission(box, ca_file, to=["admin@contoso.test", "it@bücher.example"]).send(message)
    assert told == f"The mail server localhost:{box.port} answered: 250 2.0.0 Ok: queued as 4711."
    (mail,) = box.mails
    assert box.sign_ins == [(USERNAME, PASSWORD)]
    assert box.tls == [True]
    assert box.envelopes[0].rcpt_tos == ["admin@contoso.test", "it@xn--bcher-kva.example"]
    assert mail["Subject"] == message.subject
    assert mail["From"] == "Certwright <certwright@contoso.test>"
    assert mail["Message-ID"] == f"<{message.id}.certwright@contoso.test>"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == message.text
    assert "größte Störung" in html.get_content()
    assert box.contents[0].isascii()


def test_tls_from_the_first_byte(context: ssl.SSLContext, ca_file: Path) -> None:
    with mailbox(tls=context, sign_in=True) as box:
        submission(box, ca_file, security="tls").send(problem())
        assert box.sign_ins == [(USERNAME, PASSWORD)]
        assert len(box.envelopes) == 1


def test_what_is_urgent_says_so(box: Mailbox, ca_file: Path) -> None:
    submission(box, ca_file).send(problem(urgent=True))
    assert box.mails[0]["Importance"] == "high"
    assert box.mails[0]["Subject"].startswith("Urgent: ")


def test_the_check_signs_in_and_sends_nothing(box: Mailbox, ca_file: Path) -> None:
    assert submission(box, ca_file).check() == f"The mail server localhost:{box.port} lets us send."
    assert box.envelopes == []


def test_a_wrong_password_is_said_and_not_shown(box: Mailbox, ca_file: Path) -> None:
    with pytest.raises(NotificationError, match=r"refused the sign-in of 'alerts@contoso.test': 535") as caught:
        submission(box, ca_file, password="wröng-secret").send(problem())
    assert not caught.value.retryable
    assert "add" in caught.value.hint
    assert "secret" not in "".join(caught.value.explain()) + repr(caught.value.__cause__)


def test_a_server_that_is_not_trusted_gets_no_password(box: Mailbox) -> None:
    with pytest.raises(NotificationError, match="is not trusted") as caught:
        submission(box, None).send(problem())
    assert "--ca-file" in caught.value.hint
    assert box.sign_ins == []


def test_the_certificate_must_name_the_host(box: Mailbox, ca_file: Path) -> None:
    with pytest.raises(NotificationError, match=r"is not trusted: .*127\.0\.0\.1"):
        submission(box, ca_file, host="127.0.0.1").send(problem())


def test_without_starttls_nothing_is_said() -> None:
    with mailbox() as box, pytest.raises(NotificationError, match="offers no STARTTLS"):
        plain(box.port, security="starttls").send(problem())


def test_a_server_that_wants_a_sign_in_is_told_as_such(box: Mailbox, ca_file: Path) -> None:
    with pytest.raises(NotificationError, match="refused the sender: 530") as caught:
        submission(box, ca_file, username=None, password=None).send(problem())
    assert "--username" in caught.value.hint


def test_greylisting_is_tried_again_and_arrives_with_the_same_id() -> None:
    with mailbox() as box:
        box.reply("RCPT", "451 4.7.1 Greylisted, come back in 5 minutes")
        message = problem()
        with pytest.raises(NotificationError, match=r"refused the recipient admin@contoso.test: 451 4.7.1") as caught:
            plain(box.port).send(message)
        assert caught.value.retryable
        plain(box.port).send(message)
        assert [message.id in mail["Message-ID"] for mail in box.mails] == [True]


def test_one_of_two_recipients_that_is_put_off_puts_off_the_message() -> None:
    with mailbox() as box:
        box.reply("RCPT", "250 OK", "450 4.2.1 mailbox busy")
        with pytest.raises(NotificationError, match="busy") as caught:
            plain(box.port, to=["a@contoso.test", "b@contoso.test"]).send(problem())
        assert caught.value.retryable
        assert box.envelopes == []


def test_one_of_two_recipients_that_is_refused_is_named() -> None:
    with mailbox() as box:
        box.reply("RCPT", "550 5.1.1 no such user")
        told = plain(box.port, to=["gone@contoso.test", "b@contoso.test"]).send(problem())
        assert "It refused gone@contoso.test: 550 5.1.1 no such user." in told
        assert box.envelopes[0].rcpt_tos == ["b@contoso.test"]


@pytest.mark.parametrize(("command", "what"), [("RCPT", "the recipient"), ("DATA", "the message")])
def test_a_refusal_is_told_in_the_servers_words(command: str, what: str) -> None:
    with mailbox() as box:
        box.reply(command, "554 5.7.1 not from you")
        with pytest.raises(NotificationError, match=f"refused {what}.*554 5.7.1 not from you") as caught:
            plain(box.port).send(problem())
        assert not caught.value.retryable


def drips(connection: socket.socket, over: threading.Event) -> None:
    """A greeting that never ends, a byte at a time."""
    while not over.wait(0.02):
        connection.sendall(b"2")


def floods(connection: socket.socket, over: threading.Event) -> None:
    """A greeting of a thousand megabytes."""
    while not over.is_set():
        connection.sendall(b"220-welcome\r\n" * 1000)


def breaks_off(connection: socket.socket, _over: threading.Event) -> None:
    """After the first command."""
    connection.sendall(b"220 mail.contoso.test\r\n")
    connection.recv(100)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (silent, "no complete answer in time"),
        (drips, "no complete answer in time"),
        (floods, "the server does not stop talking"),
        (closes, "Connection unexpectedly closed"),
        (breaks_off, "Connection unexpectedly closed"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak SMTP"),
    ],
    ids=["silent", "drips", "floods", "closes", "breaks off", "other protocol"],
)
def test_servers_that_behave_badly(behave: Behaviour, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Smtp, "seconds", 1.0)
    with nonsense(behave) as port, pytest.raises(Unreachable, match=reason) as caught:
        plain(port).send(problem())
    assert caught.value.retryable


def test_nobody_listens() -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        plain(free_port()).send(problem())


RECORDS = {
    ("contoso.test", "MX"): ["20 mx2.contoso.test.", "10 mx1.contoso.test."],
    ("mx1.contoso.test", "A"): ["127.0.0.9"],
    ("mx2.contoso.test", "A"): ["127.0.0.1"],
    ("quiet.test", "MX"): ["0 ."],
    ("bare.test", "A"): ["127.0.0.1"],
}


@pytest.fixture
def straight(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mailbox, NotifierContext]]:
    """The mail server of contoso.test, of which the preferred one is away, and the context that finds it."""
    with mailbox(starttls=context) as box, zone(RECORDS) as resolver:
        monkeypatch.setattr(Smtp, "exchanger_port", box.port)
        yield box, NotifierContext("alerts", ("issuer@contoso.test",), (resolver,))


def test_without_a_server_mail_goes_to_the_recipients_own(straight: tuple[Mailbox, NotifierContext]) -> None:
    box, context = straight
    made = channel("smtp", context, sender="certwright@fabrikam.test")
    assert made.check() == "Mail goes straight to mx1.contoso.test."
    assert "answered: 250" in made.send(problem())
    assert box.envelopes[0].rcpt_tos == ["issuer@contoso.test"]
    assert box.tls == [True]


def test_a_domain_without_mx_record_is_its_own_mail_server(straight: tuple[Mailbox, NotifierContext]) -> None:
    box, context = straight
    channel("smtp", context, sender="certwright@fabrikam.test", to=["x@bare.test"]).send(problem())
    assert box.envelopes[0].rcpt_tos == ["x@bare.test"]


def test_where_the_server_is_broken_mail_goes_straight(straight: tuple[Mailbox, NotifierContext]) -> None:
    box, context = straight
    told = channel("smtp", context, **{**PLAIN, "direct": True, "host": "127.0.0.1", "port": free_port()}).send(
        problem()
    )
    assert "Connection refused" in told
    assert "So: The mail server mx2.contoso.test" in told
    assert len(box.envelopes) == 1


@pytest.mark.parametrize(
    ("command", "answer"), [("RCPT", "451 4.7.1 Come back later"), ("DATA", "554 5.7.1 No relaying")]
)
def test_where_the_server_refuses_the_message_it_goes_straight(
    straight: tuple[Mailbox, NotifierContext], command: str, answer: str
) -> None:
    box, context = straight
    with mailbox() as relay:
        relay.reply(command, answer)
        relayed = {**PLAIN, "host": "127.0.0.1", "port": relay.port}
        told = channel("smtp", context, **{**relayed, "direct": True}).send(problem())
        assert answer in told
        assert "So: The mail server mx2.contoso.test" in told
        assert (len(relay.envelopes), len(box.envelopes)) == (0, 1)
        relay.reply(command, answer)
        with pytest.raises(NotificationError, match=answer):
            channel("smtp", context, **relayed).send(problem())
        assert len(box.envelopes) == 1


def test_where_neither_way_is_open_both_reasons_are_told(straight: tuple[Mailbox, NotifierContext]) -> None:
    _, context = straight
    broken = {**PLAIN, "direct": True, "host": "127.0.0.1", "port": free_port(), "to": ["x@quiet.test"]}
    with pytest.raises(Unreachable, match="Connection refused") as caught:
        channel("smtp", context, **broken).send(problem())
    assert "takes no mail, by its MX record" in "".join(caught.value.explain())


def test_a_domain_that_does_not_exist_is_said(straight: tuple[Mailbox, NotifierContext]) -> None:
    with pytest.raises(NotificationError, match=r"There is no domain gone\.test"):
        channel("smtp", straight[1], sender="a@b.test", to=["x@gone.test"]).send(problem())


def test_a_refusal_of_the_message_is_no_reason_to_try_another_server(straight: tuple[Mailbox, NotifierContext]) -> None:
    box, context = straight
    box.reply("DATA", "550 5.7.1 spam")
    with pytest.raises(NotificationError, match="spam"):
        channel("smtp", context, sender="a@b.test").send(problem())


def test_without_recipients_the_channel_says_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="has no recipients") as caught:
        channel("smtp", sender="a@b.test", host="127.0.0.1").check()
    assert "--to" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sender": "nobody"}, "sender: it is no e-mail address"),
        ({"to": ["a@b.test\r\nBcc: c@d.test"]}, "no e-mail address"),
        ({"to": ["a b@c.test"]}, "no e-mail address"),
        ({"to": ["a@bad_domain!"]}, "its domain is none"),
        ({"host": "mx.test", "username": "u"}, "username and password belong together"),
        ({"username": "u", "password": "geheim"}, "counts only with host"),
        ({"host": "mx.test", "username": "u", "password": "geheim", "security": "none"}, "not sent without TLS"),
        ({"security": "opportunistic"}, "must be starttls, tls or none"),
        ({"security": "ssl"}, "security: "),
        ({"port": 0}, "port: "),
    ],
)
def test_what_does_not_fit_is_refused_in_words(changes: dict[str, Any], told: str) -> None:
    said = refusal("smtp", **{**FROM_TO, **changes})
    assert told in said
    assert "geheim" not in said
