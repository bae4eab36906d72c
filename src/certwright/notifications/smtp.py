"""E-mail, by a mail server of yours or, without one, straight to the recipients' own servers.

Name the server with `host` and sign in with `username` and its password; the connection is protected by STARTTLS (port
587), or by TLS from the first byte (`security` `tls`, port 465), and the server's certificate is verified. Within your
own network a server may take mail without a sign-in: `security` `none`, port 25. A password is sent only where the
server was verified.

Without recipients, messages go to the e-mail addresses of the issuers' accounts.

A mail server that is broken cannot report itself. So where the named one cannot be used, the message goes straight to
the servers that the recipients' domains name (MX), by TLS where they offer it, unverified, as mail servers do among
each other. Many of them refuse machines that they do not know: that is a fallback, and a second channel of another
kind is better.
"""

from contextlib import ExitStack
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from certwright import __version__
from certwright.domain.errors import CertwrightError, ConfigurationError, NotificationError, Unreachable
from certwright.domain.identifiers import Identifier
from certwright.domain.messages import Message
from certwright.domain.web_address import is_this_machine
from certwright.mail.exchangers import Exchanger, exchangers
from certwright.mail.session import SECONDS, Receipt, Security, Server, opened
from certwright.probe.dns.query import LookupFailure
from certwright.probe.dns.resolver import Resolver
from certwright.sdk.notifier import Notifier
from certwright.sdk.params import ExistingFile, OnlyWith
from certwright.sdk.params import Params as PluginParams

_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


def _mailbox(text: str) -> str:
    """`text`, with its domain as DNS knows it."""
    local, _, domain = text.rpartition("@")
    if not local or not local.isprintable() or set(local) & set(' "(),:;<>@[\\]'):
        raise ValueError("it is no e-mail address: write it as name@domain, alone")
    try:
        return f"{local}@{Identifier.parse(domain)}"
    except CertwrightError as error:
        raise ValueError(f"its domain is none: {error.message}") from None


Mailbox = Annotated[str, AfterValidator(_mailbox)]


class Params(PluginParams):
    """A mail server, and who writes to whom."""

    sender: Mailbox = Field(description="The address that the messages come from.")
    to: tuple[Mailbox, ...] = Field(default=(), description="Who gets them; without, the issuers' accounts.")
    host: str | None = Field(default=None, description="The mail server; without, the recipients' own are used.")
    port: Annotated[int | None, OnlyWith("host")] = Field(
        default=None, ge=1, le=65535, description="Its port; by `security` 587, 465 or 25."
    )
    security: Annotated[Security, Field(description="starttls, tls or none.")] = Security.STARTTLS
    username: Annotated[str | None, OnlyWith("host")] = Field(default=None, description="Who signs in there.")
    password: Annotated[SecretStr | None, OnlyWith("host")] = Field(default=None, description="The password.")
    ca_file: ExistingFile | None = Field(default=None, description="PEM certificates to trust instead of the system's.")
    direct: Annotated[bool, OnlyWith("host")] = Field(
        default=True, description="Use the recipients' own servers when the named one is broken, or refuses a message."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.security is Security.OPPORTUNISTIC:
            raise ValueError("security: must be starttls, tls or none")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.username and self.security is Security.NONE and not is_this_machine(self.host or ""):
            raise ValueError("a password is not sent without TLS: choose starttls or tls")
        return self


class Smtp(Notifier[Params]):
    """Each message has a Message-ID of its own, the same however often it is sent."""

    Params = Params
    seconds: ClassVar[float] = SECONDS
    exchanger_port: ClassVar[int] = 25

    def check(self) -> str:
        """Sign in; without a server, see who takes the recipients' mail."""
        recipients = self._recipients()
        server = self._server()
        if server is None:
            hosts = [self._exchangers(domain)[0].host for domain in sorted({a.rpartition("@")[2] for a in recipients})]
            return f"Mail goes straight to {', '.join(hosts)}."
        with opened(server, self.seconds):
            return f"{server} lets us send."

    def send(self, message: Message) -> str:
        """By the named server, or by the recipients' own."""
        recipients = self._recipients()
        mail = self._mail(message, recipients).as_bytes(policy=SMTP)
        server = self._server()
        if server is None:
            return self._straight(recipients, mail)
        try:
            with opened(server, self.seconds) as session:
                return _told(server, session.send(self.params.sender, recipients, mail))
        except (NotificationError, Unreachable) as failure:
            if not self.params.direct:
                raise
            return self._instead(failure, recipients, mail)

    def _instead(self, failure: CertwrightError, recipients: tuple[str, ...], mail: bytes) -> str:
        try:
            return f"{failure.message} So: {self._straight(recipients, mail)}"
        except CertwrightError as second:
            raise type(failure)(
                failure.message,
                causes=[*failure.causes, f"Nor did it go straight to the recipients. {second.message}"],
                hint=failure.hint,
                retryable=failure.retryable or second.retryable,
            ) from failure

    def _straight(self, recipients: tuple[str, ...], mail: bytes) -> str:
        """To the servers of each recipient's domain."""
        domains = sorted({address.rpartition("@")[2] for address in recipients})
        return " ".join(
            self._to_domain(domain, [a for a in recipients if a.endswith(f"@{domain}")], mail) for domain in domains
        )

    def _to_domain(self, domain: str, recipients: list[str], mail: bytes) -> str:
        """To the first of its servers that lets us; what one answers to the message is the answer."""
        failures: list[CertwrightError] = []
        for found in self._exchangers(domain):
            server = Server(found.host, self.exchanger_port, Security.OPPORTUNISTIC, found.address)
            with ExitStack() as stack:
                try:
                    session = stack.enter_context(opened(server, self.seconds))
                except (NotificationError, Unreachable) as failure:
                    failures.append(failure)
                    continue
                return _told(server, session.send(self.params.sender, recipients, mail))
        raise Unreachable(
            f"No mail server of {domain} takes mail from here.",
            causes=failures,
            hint="Let this machine reach port 25, or name a mail server of yours with --host.",
        )

    def _exchangers(self, domain: str) -> tuple[Exchanger, ...]:
        try:
            return exchangers(domain, Resolver(self.context.resolvers))
        except LookupFailure as failure:
            raise Unreachable(failure.message, hint=failure.hint) from failure

    def _recipients(self) -> tuple[str, ...]:
        given = self.params.to or tuple(_mailbox(address) for address in self.context.recipients)
        if not given:
            raise ConfigurationError(
                f"The channel {self.context.channel!r} has no recipients: no issuer has an e-mail address.",
                hint="Give them with --to.",
            )
        return given

    def _server(self) -> Server | None:
        params = self.params
        if params.host is None:
            return None
        return Server(
            params.host,
            params.port or _PORTS[params.security],
            params.security,
            ca_file=params.ca_file,
            username=params.username or "",
            password=params.password.get_secret_value() if params.password else "",
        )

    def _mail(self, message: Message, recipients: tuple[str, ...]) -> EmailMessage:
        mail = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        mail["From"] = Address("Certwright", addr_spec=self.params.sender)
        mail["To"] = ", ".join(recipients)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(message.at)
        mail["Message-ID"] = f"<{message.id}.certwright@{self.params.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["User-Agent"] = f"certwright/{__version__}"
        if message.urgent:
            mail["Importance"] = "high"
        mail.set_content(message.text, cte="quoted-printable")
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail


def _told(server: Server, receipt: Receipt) -> str:
    refused = "".join(f" It refused {address}: {words}." for address, words in receipt.refused.items())
    return f"{server} answered: {receipt.answer}.{refused}"
