"""Names, addresses and connections for validation, every wait bounded by one deadline."""

import ipaddress
import socket

import dns.exception
import dns.resolver
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.config import ValidationConfig
from certwright.acme_server.problem import ErrorType, Problem


class Network:
    """The world as the CA sees it: the configured hosts, then the configured resolver."""

    def __init__(self, config: ValidationConfig) -> None:
        self.config = config
        self._resolver: dns.resolver.Resolver | None = None
        if config.resolver is not None:
            host, _, port = config.resolver.rpartition(":")
            self._resolver = dns.resolver.Resolver(configure=False)
            self._resolver.nameservers = [host.strip("[]")]
            self._resolver.port = int(port)

    def connect(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        """A connection to ``host``, by IPv6 first and IPv4 if that fails, as public CAs do.

        Raises:
            Problem: ``dns`` or ``connection``.
        """
        failure = ""
        for address in self._candidates(host, deadline):
            try:
                return socket.create_connection((address, port), timeout=deadline.remaining)
            except OSError as error:
                failure = f"{address} port {port}: {error.strerror or 'timed out'}"
        raise Problem(ErrorType.CONNECTION, f"{host} cannot be reached at {failure}.")

    def txt(self, name: str, deadline: Deadline) -> list[str]:
        """All TXT records of ``name``, each with its strings joined; CNAMEs are followed.

        Raises:
            Problem: ``dns``.
        """
        records = self._query(name, RdataType.TXT, deadline)
        return [b"".join(record.strings).decode("latin-1") for record in records if isinstance(record, TXT)]

    def _candidates(self, host: str, deadline: Deadline) -> list[str]:
        """At most one IPv6 and one IPv4 address."""
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        addresses = self.config.hosts.get(host) or self.config.hosts.get("*")
        if not addresses:
            kinds = (RdataType.AAAA, RdataType.A)
            found = [record for kind in kinds for record in self._query(host, kind, deadline)]
            addresses = tuple(str(record.address) for record in found if isinstance(record, A | AAAA))
        by_version = {ipaddress.ip_address(address).version: address for address in reversed(addresses)}
        if not by_version:
            raise Problem(ErrorType.DNS, f"{host} has neither an A nor an AAAA record.")
        return [by_version[version] for version in (6, 4) if version in by_version]

    def _query(self, name: str, kind: RdataType, deadline: Deadline) -> list[Rdata]:
        if self._resolver is None:
            raise Problem(ErrorType.DNS, f"This CA knows no address of {name} and has no resolver to ask.")
        try:
            answer = self._resolver.resolve(f"{name}.", kind, lifetime=deadline.remaining, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            raise Problem(ErrorType.DNS, f"DNS: {name} does not exist (NXDOMAIN for {kind.name}).") from error
        except (dns.exception.DNSException, OSError) as error:
            raise Problem(ErrorType.DNS, f"DNS: the question for {kind.name} of {name} failed: {error}") from error
        return list(answer.rrset or ())
