"""A conversation with one SMTP server (RFC 5321), bounded in time and size, its failures in words."""

import base64
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from certwright.domain.errors import CertwrightError, NotificationError, Unreachable

SECONDS = 60.0
"""For the whole conversation."""
_MOST_BYTES = 256 * 1024
_SIGNED_IN, _SIGN_IN_FIRST = 235, 530
_WORDS_SHOWN = 300


class Security(StrEnum):
    """How the connection is protected.

    `starttls` and `tls` (from the first byte) verify the server's certificate. `opportunistic` takes what the server
    offers and verifies nothing, as mail servers do among each other (RFC 7435).
    """

    STARTTLS = "starttls"
    TLS = "tls"
    OPPORTUNISTIC = "opportunistic"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect to, and as whom.

    `address` is where `host` is, if that is known already; `ca_file` are PEM certificates to trust instead of the
    system's.
    """

    host: str
    port: int
    security: Security = Security.STARTTLS
    address: str = ""
    ca_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"The mail server {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server said when it took a message, and to the recipients that it did not take it for."""

    answer: str
    refused: Mapping[str, str]


class Session:
    """A server that lets us send."""

    def __init__(self, client: smtplib.SMTP, server: Server) -> None:
        self._client = client
        self._server = server

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> Receipt:
        """Hand over one message; lines end as SMTP wants them, the addresses are bare.

        Raises:
            NotificationError: if the server takes it for nobody, or puts off one of the recipients; sent again, it
                reaches those who have it already a second time.
            Unreachable: if the conversation breaks.
        """
        with _in_words(self._server):
            plain = all(address.isascii() for address in (sender, *recipients))
            if not plain and "smtputf8" not in self._client.esmtp_features:
                raise NotificationError(
                    f"{self._server} takes no addresses with letters beyond ASCII (SMTPUTF8).",
                    hint="Name recipients whose addresses are plain.",
                )
            self._demand(*self._client.mail(sender, [] if plain else ["SMTPUTF8", "BODY=8BITMIME"]), "the sender")
            answers = {address: self._client.rcpt(address) for address in recipients}
            refused = {a: _words(code, told) for a, (code, told) in answers.items() if not _is_positive(code)}
            late = [a for a, (code, _) in answers.items() if _is_temporary(code)]
            if late or len(refused) == len(recipients):
                self._demand(*answers[(late or list(refused))[0]], f"the recipient {(late or list(refused))[0]}")
            code, told = self._client.data(message)
            self._demand(code, told, "the message")
        return Receipt(_words(code, told), refused)

    def _demand(self, code: int, told: bytes, what: str) -> None:
        if not _is_positive(code):
            raise _refusal(self._server, code, told, what)


@contextmanager
def opened(server: Server, seconds: float = SECONDS) -> Iterator[Session]:
    """Connect, protect the connection, sign in; `seconds` are for all that is said until the block ends.

    Raises:
        NotificationError: if the server is not trusted, offers no TLS, or refuses us.
        Unreachable: if it does not answer, or not as an SMTP server does.
    """
    client = _Client(server, time.monotonic() + seconds)
    try:
        with _in_words(server):
            _begin(client, server)
        yield Session(client, server)
    finally:
        client.leave()


def _begin(client: "_Client", server: Server) -> None:
    code, told = client.connect(server.address or server.host, server.port)
    if not _is_positive(code):
        raise _refusal(server, code, told, "the connection")
    client.name_itself()
    client.ehlo_or_helo_if_needed()
    if server.security in {Security.STARTTLS, Security.OPPORTUNISTIC}:
        if client.has_extn("starttls"):
            client.protect()
            client.ehlo_or_helo_if_needed()
        elif server.security is Security.STARTTLS:
            raise NotificationError(
                f"{server} offers no STARTTLS: the connection cannot be protected.",
                hint="Use another port (465 with --security tls), or --security none within your own network.",
            )
    if server.username:
        _sign_in(client, server)


def _sign_in(client: smtplib.SMTP, server: Server) -> None:
    """By PLAIN (RFC 4616) or LOGIN; smtplib's own way knows ASCII only."""
    offered = client.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in offered:
        code, told = client.docmd("AUTH", f"PLAIN {_encoded('', server.username, server.password)}")
    elif "LOGIN" in offered:
        client.docmd("AUTH", f"LOGIN {_encoded(server.username)}")
        code, told = client.docmd(_encoded(server.password))
    else:
        raise NotificationError(
            f"{server} offers no sign-in that we know (it offers {' '.join(offered) or 'none'}).",
            hint="Use its port for submission, usually 587; or leave out the user name, if it knows this machine.",
        )
    if code != _SIGNED_IN:
        raise _refusal(server, code, told, f"the sign-in of {server.username!r}")


def _encoded(*parts: str) -> str:
    return base64.b64encode("\0".join(parts).encode()).decode()


class _Client(smtplib.SMTP):
    """smtplib's, on a socket that bounds what it reads."""

    def __init__(self, server: Server, ends: float) -> None:
        super().__init__(local_hostname="localhost", timeout=max(ends - time.monotonic(), 1))
        self._host = server.host  # the name in the certificate; smtplib sets it only when it connects at once
        self._is_wrapped = server.security is Security.TLS
        self._ends = ends
        self.context = ssl.create_default_context(cafile=server.ca_file)
        self.context.sslsocket_class = _BoundedTLSSocket
        if server.security is Security.OPPORTUNISTIC:
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE

    def name_itself(self) -> None:
        """The name of this machine if it is a full one, else its address (RFC 5321 section 4.1.3); nothing is asked."""
        own = socket.gethostname()
        address = self.sock.getsockname()[0] if self.sock else ""
        literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        self.local_hostname = own if "." in own and own.isascii() else literal

    def protect(self) -> None:
        """STARTTLS; the new socket is bounded as the old one was."""
        self.starttls(context=self.context)
        _bound(self.sock, self._ends)

    def leave(self) -> None:
        """Say goodbye where that is possible, and close."""
        try:
            if self.sock:
                self.quit()
        except (OSError, smtplib.SMTPException):
            pass
        finally:
            self.close()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        made = _BoundedSocket(plain.family, plain.type, plain.proto, plain.detach())
        made.settimeout(timeout)
        if self._is_wrapped:
            return _bound(self.context.wrap_socket(made, server_hostname=self._host), self._ends)
        return _bound(made, self._ends)


class _BoundedSocket(socket.socket):
    """Bounds all that is read, in time and size: who drips lines, or never stops, gains nothing."""

    ends = 0.0
    left = _MOST_BYTES

    def recv_into(self, *arguments: Any) -> int:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the conversation took too long")
        if self.left <= 0:
            raise ConnectionError("the server does not stop talking")
        self.settimeout(left)
        got = super().recv_into(*arguments)
        self.left -= got
        return got


class _BoundedTLSSocket(_BoundedSocket, ssl.SSLSocket):
    """As above, for TLS."""


def _bound(sock: Any, ends: float) -> socket.socket:
    """`sock`, a bounded one, from now on until `ends`."""
    sock.ends = ends
    bounded: socket.socket = sock
    return bounded


@contextmanager
def _in_words(server: Server) -> Iterator[None]:
    try:
        yield
    except CertwrightError:
        raise
    except ssl.SSLCertVerificationError as error:
        raise NotificationError(
            f"{server} is not trusted: {error.verify_message}",
            hint="Name it by the name in its certificate; for an authority of your own give its root with --ca-file.",
        ) from error
    except smtplib.SMTPResponseException as error:
        told = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        raise _refusal(server, error.smtp_code, told, "to go on") from error
    except (OSError, smtplib.SMTPException) as error:
        raise Unreachable(
            f"{server} broke off, or does not answer: {_reason(error)}.",
            hint="Check host, port and firewall; port 465 wants --security tls, 587 and 25 starttls.",
        ) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "no complete answer in time"
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    return str(getattr(error, "strerror", None) or error).rstrip(".") or type(error).__name__


def _refusal(server: Server, code: int, told: bytes, what: str) -> CertwrightError:
    if code < 0:  # smtplib's sign for a line without one
        return Unreachable(
            f"{server} does not speak SMTP: it says {told[:_WORDS_SHOWN].decode('latin-1')!a}.",
            hint="Check host and port.",
        )
    if _is_temporary(code):
        hint = "It asks to come back later: that is done by itself."
    elif what.startswith("the sign-in"):
        hint = "Store the right user name and password, by adding the channel again under the same name."
    elif code == _SIGN_IN_FIRST or not server.username:
        hint = "Give --username and --password-file if it wants a sign-in, or let it take mail from this machine."
    else:
        hint = "Ask who runs it; the answer says what it objects to."
    return NotificationError(f"{server} refused {what}: {_words(code, told)}", hint=hint, retryable=_is_temporary(code))


def _words(code: int, told: bytes) -> str:
    text = " ".join(told.decode("utf-8", "replace").split())[:_WORDS_SHOWN]
    return f"{code} {text}" if text.isprintable() else f"{code} {text!a}"


def _is_positive(code: int) -> bool:
    return 200 <= code < 300  # noqa: PLR2004 - RFC 5321 section 4.2.1


def _is_temporary(code: int) -> bool:
    return 400 <= code < 500  # noqa: PLR2004 - as above
