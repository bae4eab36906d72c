"""What Exchange knows of servers, certificates and who uses them, as typed values.

None always means that Exchange did not tell; it never stands for "none".
"""

import enum
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

from certwright.domain.certificates import CertificateFacts

DEFAULT_WEB_SITE, BACK_END = 1, 2
_SITE = re.compile(r"W3SVC/(\d+)/?$", re.IGNORECASE)
_AUTH_SUBJECT = "microsoft exchange server auth certificate"


class Service(enum.Flag, boundary=enum.KEEP):
    """The AllowedServices of Enable-ExchangeCertificate, with Exchange's numbers; unknown bits are kept."""

    NONE = 0
    IMAP = 1
    POP = 2
    UM = 4
    IIS = 8
    SMTP = 16
    FEDERATION = 32
    UM_CALL_ROUTER = 64

    def __str__(self) -> str:
        return ", ".join(spelling for member, spelling in _SPELLINGS.items() if member in self) or "None"

    @classmethod
    def read(cls, text: str) -> Self:
        """Services in any order and spelling, separated by commas or spaces.

        Raises:
            ValueError: naming the word that is no service.
        """
        found = cls.NONE
        for word in re.split(r"[,;\s]+", text.strip()):
            known = next((m for m, spelling in _SPELLINGS.items() if spelling.lower() == word.lower()), None)
            if known is None and word.lower() != "none":
                raise ValueError(f"{word[:40]!r} is no Exchange service")
            found |= cls(known.value) if known else cls.NONE
        return found


_SPELLINGS = {
    Service.IMAP: "IMAP",
    Service.POP: "POP",
    Service.UM: "UM",
    Service.IIS: "IIS",
    Service.SMTP: "SMTP",
    Service.FEDERATION: "Federation",
    Service.UM_CALL_ROUTER: "UMCallRouter",
}
SUPPORTED = Service.IMAP | Service.POP | Service.IIS | Service.SMTP
MAIL_ACCESS = Service.IMAP | Service.POP
NOT_VALID = "not Valid"
REVOKED = "Revoked"
_BAD = frozenset({REVOKED, "DateInvalid", "Invalid", "PendingRequest"})


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate in a server's store, as Exchange tells it.

    `subject` and `issuer` are exactly as Exchange writes them: connectors refer to them in this form and no other.
    `status` is Exchange's word (Valid, DateInvalid, Revoked, ...), or "not Valid (NUMBER)" where only a number arrived
    that is not Valid's. `iis_sites` are numbers of web sites: 1 is the
    Default Web Site, 2 the Exchange Back End.
    """

    thumbprint: str
    services: Service | None = None
    status: str | None = None
    has_private_key: bool | None = None
    is_self_signed: bool | None = None
    subject: str | None = None
    issuer: str | None = None
    friendly_name: str = ""
    identity: str = ""
    iis_sites: frozenset[int] | None = None
    facts: CertificateFacts | None = field(default=None, repr=False)

    @property
    def tls_certificate_name(self) -> str | None:
        """How a connector's TlsCertificateName names this certificate."""
        return f"<I>{self.issuer}<S>{self.subject}" if self.issuer and self.subject else None

    @property
    def on_web_site(self) -> bool:
        """Whether a binding of the Default Web Site uses it; one for a host name or an address may use another one."""
        return DEFAULT_WEB_SITE in (self.iis_sites or ())

    @property
    def is_protected(self) -> bool:
        """Whether it signs tokens or federates: such a certificate is never assigned to anything by us."""
        federated = self.services is not None and Service.FEDERATION in self.services
        return federated or _AUTH_SUBJECT in (self.subject or "").lower()


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be read of `subject`, and why; nothing is guessed in its place."""

    subject: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Connector:
    """A send or receive connector; `server` is empty for send connectors, which belong to the organisation.

    `identity` is what Exchange's cmdlets take for it, `role` the TransportRole of a receive connector, `ports` what
    that listens on and `remote_ranges` who it answers. `source_servers`, `address_spaces`, `smart_hosts` and
    `tls_domain` are a send connector's; `cloud_mail` tells that it is the hybrid one.
    """

    name: str
    kind: str
    fqdn: str = ""
    tls_certificate_name: str | None = None
    server: str = ""
    identity: str = ""
    role: str = ""
    guid: str = ""
    enabled: bool = True
    require_tls: bool = False
    ports: tuple[int, ...] = ()
    remote_ranges: tuple[str, ...] = ()
    source_servers: tuple[str, ...] = ()
    address_spaces: tuple[str, ...] = ()
    smart_hosts: tuple[str, ...] = ()
    tls_domain: str = ""
    tls_auth_level: str = ""
    cloud_mail: bool = False

    @property
    def is_front_end(self) -> bool:
        """Whether clients and other organisations reach it; taken for granted if Exchange does not tell."""
        return self.kind == "receive" and self.role in {"", "FrontendTransport"}

    def setting(self, parameter: str) -> str:
        """The command that sets one parameter, given as PowerShell text, as a person types it."""
        return f"Set-{self.kind.title()}Connector -Identity {quoted(self.identity or self.name)} {parameter}"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server as Get-ExchangeServer tells it; `version` is its AdminDisplayVersion, `site` the last part of its Site.

    An Edge server has no PowerShell endpoint of its own and is listed only.
    """

    name: str
    fqdn: str
    roles: str = ""
    version: str = ""
    site: str = ""
    is_edge: bool = False


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where clients are sent for one service; URLs, or for Outlook Anywhere host names; empty where none is set.

    `service` is OWA, ECP, EWS, ActiveSync, OAB, MAPI, PowerShell, "Outlook Anywhere" or Autodiscover; `identity` is
    what the cmdlets take.
    """

    service: str
    internal: str = ""
    external: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """An https binding of IIS: ``ADDRESS:PORT:HOST`` as IIS writes it, its site, and the thumbprint it serves."""

    information: str
    site: int | None
    thumbprint: str
    sni: bool = False


@dataclass(frozen=True, slots=True)
class KeyStorage:
    """Where Windows keeps a certificate's key.

    `provider` is empty for a key-storage provider (CNG), with which Outlook on the web loops after the sign-in; `spec`
    is Exchange or Signature; `readers` are accounts with access.
    """

    thumbprint: str
    provider: str
    spec: str = ""
    readers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rival:
    """Another ACME client at work on `server`: what was seen of it, and the command that disables it."""

    server: str
    product: str
    evidence: str
    disable: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the host's own PowerShell tells; `updating` names the role whose setup is under way, or is empty."""

    bindings: tuple[Binding, ...] | None = None
    keys: tuple[KeyStorage, ...] = ()
    updating: str = ""


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server at one moment. `server` is the name by which it was asked for.

    `internal_transport` is the thumbprint of the certificate with which servers talk among themselves.
    `pop_name` and `imap_name` are the X509CertificateName of the settings.
    What follows them is read by discovery only: `addresses`, the states of `components` by name, the name of the `dag`,
    `away` (why the server must be left alone now: maintenance, or an update in progress; empty if it need not),
    `host` if there is an address for the host's own PowerShell, `wire_form` (how its certificates could be read:
    "selected", "serialized" or "raw", and "with query" if that was read through the management shell's URL),
    `answered_by` (the server that says it answered, which may be another one), `clock_skew` (how far that one's clock
    is ahead of ours), and what is `unknown` of it.
    """

    server: str
    info: ServerInfo
    certificates: tuple[Certificate, ...]
    internal_transport: str | None = None
    connectors: tuple[Connector, ...] | None = ()
    pop_name: str | None = None
    imap_name: str | None = None
    addresses: tuple[WebAddress, ...] | None = None
    components: Mapping[str, str] | None = None
    dag: str = ""
    away: str = ""
    host: HostFacts | None = None
    wire_form: str = ""
    answered_by: str = ""
    clock_skew: timedelta | None = None
    unknown: tuple[Unknown, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All by which the server is called."""
        return (self.server, self.info.name, self.info.fqdn)

    def certificate(self, thumbprint: str | None) -> Certificate | None:
        """The certificate in this server's store, or None."""
        return next((c for c in self.certificates if c.thumbprint == thumbprint), None)

    def knowing(self, revoked: Collection[str]) -> Self:
        """The same, where these are known to be revoked: Exchange knows those whose lists it can get."""
        known = (replace(c, status=REVOKED) if c.thumbprint in revoked else c for c in self.certificates)
        return replace(self, certificates=tuple(known))

    def web_site_certificate(self) -> Certificate | None:
        """What the Default Web Site is bound to, or None if Exchange did not tell or it is bound to nothing."""
        return next((c for c in self.certificates if c.on_web_site), None)


def quoted(text: str) -> str:
    """A PowerShell string in which nothing is interpolated; every kind of quote that PowerShell takes is doubled."""
    return "'" + "".join(c * 2 if c in "'\u2018\u2019\u201a\u201b" else c for c in text) + "'"


def site_title(number: int) -> str:
    """What a web site of IIS is called on an Exchange server."""
    return {DEFAULT_WEB_SITE: "Default Web Site", BACK_END: "Exchange Back End"}.get(number, f"web site {number}")


def is_bad(status: str | None) -> bool:
    """Whether a certificate with this status must not be put to use again."""
    return status in _BAD or (status or "").startswith(NOT_VALID)


def sites_of(paths: Iterable[str]) -> frozenset[int]:
    """The web site numbers of paths such as ``IIS://EX01/W3SVC/1``; other paths name no site."""
    return frozenset(int(found[1]) for path in paths if (found := _SITE.search(path)))
