"""SMTP, IMAP and POP as far as a probe goes: greeting, capabilities, STARTTLS, and a message that is taken.

Each dialogue is a loop over lines.  What a client sent in clear behind its STARTTLS is thrown away (RFC 3207
section 4.2, RFC 8314), as good servers do.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Self

from certwright.exchange_simulator.sockets import start_tls

_LINE_LIMIT = 2048
_LINES_LIMIT = 10_000


class Line:
    """A text connection: CRLF lines, size limits, and the step to TLS, if there is a context for it."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        self._connection = connection
        self._context = context
        self._tls: ssl.SSLSocket | None = None
        self._reader = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        if self._tls is not None:
            self._tls.close()

    @property
    def encrypted(self) -> bool:
        """Whether TLS has been negotiated."""
        return self._tls is not None

    @property
    def may_start_tls(self) -> bool:
        """Whether TLS can be offered."""
        return self._context is not None and self._tls is None

    def start_tls(self) -> None:
        """Negotiate; whatever had been read ahead in clear is dropped with its reader."""
        if self._context is None:
            raise ConnectionError("there is no certificate for TLS")
        self._reader.close()
        self._tls = start_tls(self._connection, self._context)
        self._reader = self._tls.makefile("rb")

    def send(self, *lines: str) -> None:
        """Write lines."""
        data = "".join(f"{line}\r\n" for line in lines).encode()
        (self._tls or self._connection).sendall(data)

    def lines(self) -> Iterator[str]:
        """The lines of the peer, until it leaves, sends one that is too long, or too many."""
        for _ in range(_LINES_LIMIT):
            line = self._reader.readline(_LINE_LIMIT)
            if not line.endswith(b"\n"):
                return
            yield line.rstrip(b"\r\n").decode("latin-1")


_SMTP_REPLIES = {
    "MAIL": "250 2.1.0 Sender OK",
    "RCPT": "250 2.1.5 Recipient OK",
    "RSET": "250 2.0.0 Resetting",
    "NOOP": "250 2.0.0 OK",
}


def serve_smtp(line: Line, fqdn: str) -> None:
    """SMTP on 25 or 587 (RFC 5321, RFC 3207); messages are accepted and forgotten."""
    line.send(f"220 {fqdn} Microsoft ESMTP MAIL Service ready")
    for command in line.lines():
        verb, _, argument = command.strip().partition(" ")
        match verb.upper():
            case "EHLO":
                offers = [f"{fqdn} Hello [{argument}]", "SIZE 37748736", "PIPELINING", "ENHANCEDSTATUSCODES"]
                offers += ["STARTTLS", "8BITMIME"] if line.may_start_tls else ["8BITMIME"]
                line.send(*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}")
            case "HELO":
                line.send(f"250 {fqdn} Hello [{argument}]")
            case "STARTTLS" if line.may_start_tls:
                line.send("220 2.0.0 SMTP server ready")
                line.start_tls()
            case "DATA":
                line.send("354 Start mail input; end with <CRLF>.<CRLF>")
                if "." in line.lines():
                    line.send("250 2.6.0 Queued mail for delivery")
            case "QUIT":
                line.send("221 2.0.0 Service closing transmission channel")
                return
            case other:
                line.send(_SMTP_REPLIES.get(other, "500 5.3.3 Unrecognized command"))


def serve_ldaps(line: Line, _fqdn: str) -> None:
    """LDAP over TLS as far as a probe goes: whatever is said is not answered."""
    for _ in line.lines():
        pass


def serve_imap(line: Line, _fqdn: str) -> None:
    """IMAP4rev1 (RFC 3501) up to the refusal of a sign-in."""
    line.send("* OK The Microsoft Exchange IMAP4 service is ready.")
    for command in line.lines():
        tag, _, rest = command.partition(" ")
        match rest.strip().partition(" ")[0].upper():
            case "CAPABILITY":
                offers = "" if line.encrypted else " STARTTLS LOGINDISABLED"
                line.send(f"* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN{offers} UIDPLUS CHILDREN IDLE NAMESPACE LITERAL+")
                line.send(f"{tag} OK CAPABILITY completed.")
            case "STARTTLS" if not line.encrypted:
                line.send(f"{tag} OK Begin TLS negotiation now.")
                line.start_tls()
            case "NOOP":
                line.send(f"{tag} OK NOOP completed.")
            case "LOGIN" | "AUTHENTICATE":
                line.send(f"{tag} NO {rest.partition(' ')[0].upper()} failed.")
            case "LOGOUT":
                line.send("* BYE Microsoft Exchange Server IMAP4 server signing off.", f"{tag} OK LOGOUT completed.")
                return
            case _:
                line.send(f"{tag or '*'} BAD Command Error. 10")


def serve_pop(line: Line, _fqdn: str) -> None:
    """POP3 (RFC 1939, RFC 2595) up to the refusal of a sign-in."""
    line.send("+OK The Microsoft Exchange POP3 service is ready.")
    for command in line.lines():
        match command.strip().partition(" ")[0].upper():
            case "CAPA":
                offers = [] if line.encrypted else ["STLS"]
                line.send("+OK", "TOP", "UIDL", "SASL PLAIN", "USER", *offers, ".")
            case "STLS" if not line.encrypted:
                line.send("+OK Begin TLS negotiation.")
                line.start_tls()
            case "USER":
                line.send("+OK")
            case "PASS" | "AUTH":
                line.send("-ERR Logon failure: unknown user name or bad password.")
            case "NOOP":
                line.send("+OK")
            case "QUIT":
                line.send("+OK Microsoft Exchange Server POP3 server signing off.")
                return
            case _:
                line.send("-ERR Protocol error. 14")
