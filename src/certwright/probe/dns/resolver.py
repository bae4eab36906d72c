"""Recursive resolvers: those that are named, or the system's."""

import copy
import ipaddress
from collections.abc import Sequence

import dns.exception
import dns.resolver

from certwright.domain.errors import ConfigurationError
from certwright.probe.dns.query import CONCLUSIVE, DNS_PORT, Answer, LookupFailure, ask
from certwright.probe.observation import Endpoint, FailureKind, ProbeError
from certwright.probe.wire import Deadline, Resolve, resolve

_MAX_SYSTEM_SERVERS = 4


class Resolver:
    """Asks recursive resolvers, one after the other until one knows.

    Nothing is remembered here; the servers remember what they were told, also that something is not there.

    Args:
        servers: each `ADDRESS`, `ADDRESS:PORT` or `[IPV6]:PORT`; none takes the system's.
        timeout: seconds for one question to one server.

    Raises:
        ConfigurationError: if one of `servers` is no address, or the system names no resolver.
    """

    def __init__(self, servers: Sequence[str] = (), *, timeout: float = 5.0) -> None:
        self.servers = tuple(_server(text) for text in servers) or _system_servers()
        self.timeout = timeout
        self.checking_disabled = False

    @property
    def unchecked(self) -> "Resolver":
        """The same, but shall answer what DNSSEC finds fault with, too (CD, RFC 4035 section 3.2.2)."""
        other = copy.copy(self)
        other.checking_disabled = True
        return other

    def __str__(self) -> str:
        return ", ".join(server.host if server.port == DNS_PORT else str(server) for server in self.servers)

    def ask(self, name: str, kind: str, *, dnssec: bool = False) -> Answer:
        """What the first server says that knows; if none does, what the first one said.

        Args:
            name: absolute, with or without its last dot.
            kind: a record type, such as TXT.
            dnssec: whether signatures are wanted, too (DO).
        """
        failed: Answer | None = None
        for server in self.servers:
            answer = ask(
                server,
                name,
                kind,
                timeout=self.timeout,
                recursive=True,
                checking_disabled=self.checking_disabled,
                dnssec=dnssec,
            )
            if answer.kind in CONCLUSIVE:
                return answer
            failed = failed or answer
        assert failed is not None  # noqa: S101 - there is at least one server
        return failed

    def records(self, name: str, kind: str) -> Answer:
        """The records of type `kind` at `name`; aliases are followed.

        Raises:
            LookupFailure: if there are none, or nobody knows.
        """
        answer = self.ask(name, kind)
        if not answer.records:
            raise LookupFailure(answer)
        return answer

    def txt(self, name: str) -> tuple[str, ...]:
        """The TXT records of `name`, each with its strings joined, in order.

        Raises:
            LookupFailure: if there are none, or nobody knows.
        """
        return tuple(sorted(self.records(name, "TXT").texts))

    def addresses(self, name: str) -> tuple[str, ...]:
        """The IPv4 and IPv6 addresses of `name`.

        Raises:
            LookupFailure: if it has neither.
        """
        answers = [self.ask(name, kind) for kind in ("A", "AAAA")]
        found = tuple(value for answer in answers for value in answer.values)
        if not found:
            raise LookupFailure(next((a for a in answers if a.kind not in CONCLUSIVE), answers[0]))
        return found


def as_outsider(servers: Sequence[str]) -> Resolve:
    """How names are resolved by `servers`, each as for `Resolver`; by the system if there are none.

    What is returned raises ProbeError where there is no address, as `probe.wire.resolve` does.
    """
    if not servers:
        return resolve
    resolver = Resolver(servers)

    def look_up(endpoint: Endpoint, deadline: Deadline) -> list[Endpoint]:
        try:
            return [Endpoint(str(ipaddress.ip_address(endpoint.host)), endpoint.port)]
        except ValueError:
            pass
        try:
            found = resolver.addresses(endpoint.host)
        except LookupFailure as failure:
            kind = FailureKind.DNS if failure.kind in CONCLUSIVE else FailureKind.LOOKUP
            raise ProbeError(kind, failure.message) from failure
        deadline.remaining()
        return [Endpoint(address, endpoint.port) for address in found]

    return look_up


def _server(text: str) -> Endpoint:
    address = text.strip()
    try:
        return Endpoint(str(ipaddress.ip_address(address.strip("[]"))), DNS_PORT)
    except ValueError:
        pass
    try:
        server = Endpoint.parse(address)
        ipaddress.ip_address(server.host)
    except (ConfigurationError, ValueError):
        raise ConfigurationError(
            f"{text[:80]!r} is no address of a resolver.",
            hint="Write ADDRESS, ADDRESS:PORT or [IPV6]:PORT, for example 9.9.9.9 or [2620:fe::fe]:53.",
        ) from None
    return server


def _system_servers() -> tuple[Endpoint, ...]:
    try:
        system = dns.resolver.Resolver()
    except dns.exception.DNSException as error:
        raise ConfigurationError(
            f"This system names no DNS resolver that can be read: {error}.",
            hint="Name one, for example 9.9.9.9, or correct the system's network settings.",
        ) from error
    found = [str(address) for address in system.nameservers if isinstance(address, str) and "://" not in address]
    if not found:
        raise ConfigurationError("This system names no DNS resolver.", hint="Name one, for example 9.9.9.9.")
    return tuple(Endpoint(address, system.port) for address in found[:_MAX_SYSTEM_SERVERS])
