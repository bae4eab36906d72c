"""An SMTP server in this process (aiosmtpd), whose answers a test chooses, and what arrived there."""

import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from peers.ports import free_port

USERNAME, PASSWORD = "alerts@contoso.test", "pässwörd: hunter2"
HOST = "localhost"


@dataclass
class Mailbox:
    """What arrived. `replies` are given to RCPT in turn, by command; without any it is OK."""

    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    sign_ins: list[tuple[str, str]] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    replies: dict[str, deque[str]] = field(default_factory=dict)

    def reply(self, command: str, *replies: str) -> None:
        """Answer ``RCPT`` or ``DATA`` so, the next times."""
        self.replies[command] = deque(replies)

    @property
    def mails(self) -> list[EmailMessage]:
        """The messages, parsed."""
        return [message_from_bytes(content, policy=default) for content in self.contents]

    @property
    def contents(self) -> list[bytes]:
        """The messages as they came."""
        return [e.content for e in self.envelopes if isinstance(e.content, bytes)]

    def _next(self, command: str) -> str | None:
        queue = self.replies.get(command)
        return queue.popleft() if queue else None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for this name
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        """Take it, or say what the test says."""
        reply = self._next("RCPT")
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Keep it, or say what the test says."""
        reply = self._next("DATA")
        if reply:
            return reply
        self.envelopes.append(envelope)
        self.tls.append(session.ssl is not None)
        return "250 2.0.0 Ok: queued as 4711"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        """One user."""
        self.sign_ins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.sign_ins[-1] == (USERNAME, PASSWORD), handled=False)


@contextmanager
def mailbox(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, sign_in: bool = False
) -> Iterator[Mailbox]:
    """A server on loopback that offers ``starttls``, or speaks ``tls`` from the first byte."""
    box = Mailbox()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
        authenticator=box.authenticate if sign_in else None,
        auth_required=sign_in and tls is None,  # aiosmtpd warns that it cannot see this TLS
        auth_require_tls=tls is None,
        enable_SMTPUTF8=True,
        server_hostname="mail.contoso.test",
    )
    controller.start()
    try:
        box.port = controller.port
        yield box
    finally:
        controller.stop()
