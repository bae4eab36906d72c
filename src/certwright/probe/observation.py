"""What a probe is asked for, and what it has seen."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Self

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import ConfigurationError, Unreachable
from certwright.domain.identifiers import Identifier
from certwright.domain.web_address import is_address

StartTls = Literal["smtp", "imap", "pop3", "ldap"]
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_EHLO = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_MAX_PORT = 65_535
_DEPRECATED = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP port on a host; `host` is a name or an address, without brackets."""

    host: str
    port: int

    def __post_init__(self) -> None:
        _check_host(self.host)
        if not 0 < self.port <= _MAX_PORT:
            raise ConfigurationError(f"{self.port} is not a port: ports are numbers from 1 to {_MAX_PORT}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST:PORT`, `ADDRESS:PORT` or `[IPV6]:PORT`.

        Raises:
            ConfigurationError: with what to write instead.
        """
        host, colon, port = text.strip().rpartition(":")
        bracketed = re.fullmatch(r"\[(.*:.*)\]", host)
        bare = bracketed[1] if bracketed else host
        if not (colon and port.isascii() and port.isdigit() and len(port) <= len(str(_MAX_PORT))):
            raise ConfigurationError(f"{text[:80]!r} names no port.", hint="Write HOST:PORT, or [IPV6]:PORT.")
        if ":" in bare and not bracketed and is_address(bare):
            raise ConfigurationError(f"{text[:80]!r} is ambiguous.", hint="Write an IPv6 address as [ADDRESS]:PORT.")
        return cls(bare if bare.isascii() else Identifier.parse(bare).value, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _check_host(host: str) -> None:
    if not _HOST.fullmatch(host) and not is_address(host):
        raise ConfigurationError(f"{host[:80]!r} is neither a host name nor an address.")


@dataclass(frozen=True, slots=True)
class Target:
    """One TLS service to look at.

    `host` is a name, or an address of the one server that is meant. `starttls` is the protocol that is spoken before
    TLS; None is TLS from the first byte. `server_name` is sent as SNI (RFC 6066), None sends none. `expected_name` is
    the name that the certificate should cover; None expects `server_name`, or else `host`. `ehlo_name` is how an SMTP
    server is greeted; None greets with our address as a literal, as RFC 5321 section 4.1.4 asks of hosts without a
    name.
    """

    host: str
    port: int
    starttls: StartTls | None = None
    server_name: str | None = None
    ehlo_name: str | None = None
    expected_name: str | None = None

    def __post_init__(self) -> None:
        Endpoint(self.host, self.port)
        for name in (self.server_name, self.expected_name):
            if name is not None:
                _check_host(name)
        if self.ehlo_name is not None and not _EHLO.fullmatch(self.ehlo_name):
            raise ConfigurationError(f"{self.ehlo_name[:80]!r} is not a name to greet an SMTP server with.")

    @property
    def endpoint(self) -> Endpoint:
        """Where to connect."""
        return Endpoint(self.host, self.port)

    @property
    def name(self) -> str:
        """The name that the certificate should cover."""
        return self.expected_name or self.server_name or self.host


class FailureKind(StrEnum):
    """Why nothing could be observed.

    `DNS`: the name has no address. `LOOKUP`: whether it has one could not be found out.
    """

    DNS = "dns"
    LOOKUP = "lookup"
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    BAD_GREETING = "bad_greeting"
    NO_STARTTLS = "no_starttls"
    HANDSHAKE = "handshake"
    BAD_CERTIFICATE = "bad_certificate"
    TOO_MUCH = "too_much"


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A failure as a value, so that a table can show it; `message` is one sentence."""

    kind: FailureKind
    message: str


class ProbeError(Unreachable):
    """A `ProbeFailure` on its way out of a conversation; `probe` itself never raises it."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.failure = ProbeFailure(kind, message)


class ProblemKind(StrEnum):
    """Why a client would not accept a certificate."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    NAME_MISMATCH = "name_mismatch"
    SELF_SIGNED = "self_signed"
    MISSING_INTERMEDIATE = "missing_intermediate"
    UNKNOWN_ISSUER = "unknown_issuer"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a client would not accept what is served; `message` is one sentence."""

    kind: ProblemKind
    message: str


@dataclass(frozen=True, slots=True)
class Greeting:
    """How a mail server introduces itself before TLS: short, printable, and said by whoever answered.

    `banner` is its first line, `ehlo_name` the name in an SMTP server's answer to EHLO. Of several receive connectors
    on one port they tell which one answered.
    """

    banner: str
    ehlo_name: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a service serves, or why that could not be seen.

    `address` is the address that was really connected to. `greeting` is there if the service speaks before TLS.
    `protocol` is as OpenSSL names it, such as `TLSv1.3`. `chain` is DER, leaf first, exactly as sent. `failure` and
    `leaf` are both set when the server broke off after it had sent its certificate, for instance because it wants a
    client certificate. `trusted` is None when no roots were given, `matches_expected` when nothing was expected.
    `problems` are all reasons why a client would refuse.
    """

    target: Target
    address: Endpoint | None = None
    greeting: Greeting | None = None
    protocol: str | None = None
    cipher: str | None = None
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    leaf: CertificateFacts | None = None
    trusted: bool | None = None
    covers_name: bool | None = None
    matches_expected: bool | None = None
    problems: tuple[Problem, ...] = ()
    failure: ProbeFailure | None = None

    @property
    def is_deprecated(self) -> bool:
        """Whether the server could agree on nothing newer than a protocol that no client should use (RFC 8996)."""
        return self.protocol in _DEPRECATED
