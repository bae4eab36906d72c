"""Names, addresses and connections for validation, every wait bounded by one deadline."""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import timedelta

import dns.exception
import dns.resolver
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CAA import CAA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.config import ValidationConfig
from certwright.acme_server.problem import ErrorType, Problem


class NoSuchName(Problem):
    """The name does not exist (NXDOMAIN)."""

    def __init__(self, name: str, kind: RdataType) -> None:
        super().__init__(ErrorType.DNS, f"DNS: {name} does not exist (NXDOMAIN for {kind.name}).")


@dataclass(frozen=True, slots=True)
class _Found:
    """The records of a question, CNAMEs followed, and how long they may be kept."""

    records: tuple[Rdata, ...]
    ttl: timedelta


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

    def is_configured(self, host: str) -> bool:
        """Whether the operator has said where ``host`` is, so that no resolver is asked."""
        return host in self.config.hosts or "*" in self.config.hosts

    def connect(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        """A connection to ``host``, by IPv6 first and IPv4 if that fails, as public CAs do.

        Raises:
            Problem: ``dns`` or ``connection``.
        """
        failure = ""
        candidates = self._candidates(host, deadline)
        for left, address in zip(range(len(candidates), 0, -1), candidates, strict=True):
            try:
                # An address that swallows everything must leave time for the next one.
                return socket.create_connection((address, port), timeout=deadline.remaining / left)
            except OSError as error:
                failure = f"{address} port {port}: {error.strerror or 'timed out'}"
        raise Problem(ErrorType.CONNECTION, f"{host} cannot be reached at {failure}.")

    def txt(self, name: str, deadline: Deadline) -> tuple[list[str], timedelta]:
        """All TXT records of ``name``, each with its strings joined, and their TTL; CNAMEs are followed.

        Raises:
            Problem: ``dns``; `NoSuchName` among them.
        """
        found = self._query(name, RdataType.TXT, deadline.remaining)
        texts = [b"".join(record.strings).decode("latin-1") for record in found.records if isinstance(record, TXT)]
        return texts, found.ttl

    def caa(self, name: str, deadline: Deadline) -> list[CAA]:
        """All CAA records of ``name``, none if it does not exist; CNAMEs are followed.

        Raises:
            Problem: ``dns``.
        """
        try:
            found = self._query(name, RdataType.CAA, deadline.remaining)
        except NoSuchName:
            return []
        return [record for record in found.records if isinstance(record, CAA)]

    def _candidates(self, host: str, deadline: Deadline) -> list[str]:
        """At most one IPv6 and one IPv4 address."""
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        addresses = self.config.hosts.get(host) or self.config.hosts.get("*") or self._addresses(host, deadline)
        by_version = {ipaddress.ip_address(address).version: address for address in reversed(addresses)}
        return [by_version[version] for version in (6, 4) if version in by_version]

    def _addresses(self, host: str, deadline: Deadline) -> tuple[str, ...]:
        """What DNS says; one of the two kinds is enough, whatever the other question comes to."""
        addresses: list[str] = []
        problems: list[Problem] = []
        for kind, share in ((RdataType.AAAA, 2), (RdataType.A, 1)):
            try:
                found = self._query(host, kind, deadline.remaining / share)
            except Problem as problem:
                problems.append(problem)
            else:
                addresses += [str(record.address) for record in found.records if isinstance(record, A | AAAA)]
        if addresses:
            return tuple(addresses)
        raise next(iter(problems), Problem(ErrorType.DNS, f"{host} has neither an A nor an AAAA record."))

    def _query(self, name: str, kind: RdataType, seconds: float) -> _Found:
        if self._resolver is None:
            raise Problem(ErrorType.DNS, f"This CA knows no address of {name} and has no resolver to ask.")
        try:
            answer = self._resolver.resolve(f"{name}.", kind, lifetime=seconds, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            raise NoSuchName(name, kind) from error
        except (dns.exception.DNSException, OSError) as error:
            raise Problem(ErrorType.DNS, f"DNS: the question for {kind.name} of {name} failed: {error}") from error
        return _Found(tuple(answer.rrset or ()), timedelta(seconds=answer.chaining_result.minimum_ttl))
