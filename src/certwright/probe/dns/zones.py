"""Which zone a name is in, and which servers it has.

Leading labels with an underscore are asked for at the zone's own servers, and at a resolver only where those do not
answer: it would remember that `_acme-challenge` is not there yet, and go on saying so long after the record was written
(RFC 2308). Resolvers are asked not to validate, so that a zone is found also if its DNSSEC is broken.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self, TypeVar

import dns.rdatatype
from dns.rdtypes.ANY.NS import NS

from certwright.domain.errors import SolverError
from certwright.domain.identifiers import is_public_suffix
from certwright.probe.dns.query import (
    CONCLUSIVE,
    DNS_PORT,
    SILENT,
    Answer,
    Kind,
    LookupFailure,
    ask,
    canonical,
    shown_name,
)
from certwright.probe.dns.resolver import Resolver
from certwright.probe.observation import Endpoint

T = TypeVar("T")
WORKERS = 16
_MAX_SERVERS = 16
_MAX_ADDRESSES = 8
_MAX_CUTS = 8
_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class NameServer:
    """A host that serves a zone, and its addresses, IPv4 first; none if they cannot be found.

    `beyond` are addresses that it has beside these, which are too many to be asked.
    """

    host: str
    addresses: tuple[str, ...]
    beyond: tuple[str, ...] = ()

    @classmethod
    def at(cls, host: str, addresses: Sequence[str]) -> Self:
        """The host at `addresses`, of which only so many are asked."""
        return cls(host, tuple(addresses[:_MAX_ADDRESSES]), tuple(addresses[_MAX_ADDRESSES:]))


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone: `name` in lower case without last dot, and the servers that the zone itself names.

    `beyond` are hosts that it names beside these, which are too many to be asked.
    """

    name: str
    servers: tuple[NameServer, ...]
    beyond: tuple[str, ...] = ()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where its servers listen, each once."""
        addresses = dict.fromkeys(address for server in self.servers for address in server.addresses)
        return tuple(Endpoint(address, DNS_PORT) for address in addresses)


def find_zone(resolver: Resolver, name: str) -> Zone:
    """The zone that `name` is in, whether or not `name` exists.

    Raises:
        SolverError: if no zone of its can be found.
    """
    return Survey(resolver).zone(canonical(name))


def find_zones(survey: "Survey", names: Iterable[str]) -> dict[str, Zone]:
    """The zone of each of `names`, found at the same time; by name as it was given.

    Raises:
        SolverError: with one cause for each name of which no zone can be found.
    """
    return of_each(names, lambda name: survey.zone(canonical(name)), "The zone")


def _leads_down(answer: Answer, zone: Zone) -> bool:
    """Whether `answer` refers to a zone below `zone`; lame servers refer to the root, or to where one came from."""
    named = answer.authority("NS") if answer.kind is Kind.REFERRAL else None
    return named is not None and is_within(shown_name(named.name), zone.name) and shown_name(named.name) != zone.name


def ancestors(name: str) -> list[str]:
    """`name` and the names above it, without the root."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def is_within(name: str, zone: str) -> bool:
    """Whether `name` is `zone` or below it."""
    return name == zone or name.endswith(f".{zone}")


class Survey:
    """Finds zones, and asks their own servers; of use to several threads at once.

    It remembers what it has found, what resolvers said of zones, and which servers did not answer, for as long as it
    lives. So many names cost little more than one, and a server that does not answer is waited for once.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver.unchecked
        self._found: dict[str, Zone] = {}  # by name
        self._zones: dict[str, Zone] = {}  # by the zone's own name
        self._said: dict[str, Answer] = {}  # of SOA records
        self._silent: set[Endpoint] = set()

    def __str__(self) -> str:
        return str(self._resolver)

    def ask(self, zone: Zone, name: str, kind: str) -> Answer | None:
        """What the first server of `zone` says that answers for it, or refers further down; None if none does."""
        for server in zone.endpoints:
            if server in self._silent:
                continue
            answer = ask(server, name, kind, timeout=_SECONDS, recursive=False)
            if answer.kind in SILENT:
                self._silent.add(server)
            if (answer.kind in CONCLUSIVE and answer.is_authoritative) or _leads_down(answer, zone):
                return answer
        return None

    def zone(self, name: str) -> Zone:
        """The zone that `name` (lower case, no last dot) is in; as `find_zone`."""
        if name not in self._found:
            start = name
            while start.startswith("_") and "." in start:
                start = start.partition(".")[2]
            cut, proven = self._climb(start)
            zone = self._served(cut)
            self._found[name] = zone if proven and start == name else self._descend(zone, name)
        return self._found[name]

    def ask_directly(self, name: str, kind: str) -> Answer:
        """What the servers of the zone that `name` is in say; or a resolver, if none of them answers.

        Raises:
            SolverError: if no zone of it can be found.
        """
        return self.ask(self.zone(name), name, kind) or self._resolver.ask(name, kind)

    def _climb(self, start: str) -> tuple[str, bool]:
        """The closest name above that a resolver knows as a zone, and whether nothing beneath it was doubtful.

        Doubtful is what is no answer, and an answer that there is nothing without the zone's SOA record, as resolvers
        give it that have met a lame server.
        """
        doubtful: list[Answer] = []
        for candidate in ancestors(start):
            answer = self._said.get(candidate) or self._resolver.ask(candidate, "SOA")
            self._said[candidate] = answer
            cut = _zone_of(answer)
            if cut:
                _refuse_unregistered(answer, cut)
                return cut, not doubtful
            if len(answer.chain) <= 1:
                doubtful.append(answer)
        if failed := next((answer for answer in doubtful if answer.kind not in CONCLUSIVE), None):
            raise LookupFailure(failed)
        raise SolverError(
            f"No DNS zone was found for {start}: {self._resolver} knows nothing of it, nor of any name above it.",
            hint="Correct the name, or name a resolver that knows it.",
        )

    def _descend(self, zone: Zone, name: str) -> Zone:
        """The zone that `name` is in, from `zone` on downwards, by what the zones' own servers say."""
        for _ in range(_MAX_CUTS):
            answer = self.ask(zone, name, "SOA") or self._resolver.ask(name, "SOA")
            referred = answer.authority("NS") if answer.kind is Kind.REFERRAL else None
            cut = shown_name(referred.name) if referred else _zone_of(answer)
            if not cut or cut == zone.name or not is_within(name, cut) or not is_within(cut, zone.name):
                return zone
            zone = self._referred(cut, answer) if referred else self._served(cut)
        return zone

    def _served(self, cut: str) -> Zone:
        """The zone `cut` with the servers that it names itself; what a resolver lacks of them is asked for above it."""
        if cut not in self._zones:
            answer = self._resolver.ask(cut, "NS")
            zone = self._named(cut, answer)
            if not all(server.addresses for server in zone.servers) or not zone.servers:
                zone = _completed(zone, self.delegated(cut))
            if not zone.servers:
                raise LookupFailure(answer)
            self._zones[cut] = zone
        return self._zones[cut]

    def delegated(self, cut: str) -> tuple[NameServer, ...]:
        """The servers of `cut` as those of the zone above have it; none if they cannot be asked."""
        parent = cut.partition(".")[2]
        try:
            answer = self.ask(self.zone(parent), cut, "NS") if parent else None
        except SolverError:
            return ()
        referred = answer.authority("NS") if answer and answer.kind is Kind.REFERRAL else None
        astray = referred is not None and shown_name(referred.name) != cut
        return self._told(answer) if answer and not astray else ()

    def _referred(self, cut: str, referral: Answer) -> Zone:
        """The zone `cut` with the servers that it names itself, or that the referral does if none of those answers."""
        zone = Zone(cut, self._told(referral), _beyond(referral))
        answer = self.ask(zone, cut, "NS")
        self._zones[cut] = _completed(self._named(cut, answer), zone.servers) if answer and answer.records else zone
        return self._zones[cut]

    def _named(self, cut: str, answer: Answer) -> Zone:
        """The zone `cut` with the servers in `answer`, at the addresses that a resolver finds."""
        servers = (NameServer.at(host, _addresses(self._resolver, host)) for host in _asked(answer))
        return Zone(cut, tuple(servers), _beyond(answer))

    def _told(self, answer: Answer) -> tuple[NameServer, ...]:
        """The servers in `answer`, at the addresses that it gives along (glue), or else that a resolver finds."""
        return tuple(
            NameServer.at(host, _glue(answer, host) or _addresses(self._resolver, host)) for host in _asked(answer)
        )


def _hosts(answer: Answer) -> list[str]:
    """The name servers in an answer to a question for NS, or in a referral."""
    named = answer.records or answer.authority("NS") or ()
    return sorted(shown_name(record.target) for record in named if isinstance(record, NS))


def _asked(answer: Answer) -> list[str]:
    return _hosts(answer)[:_MAX_SERVERS]


def _beyond(answer: Answer) -> tuple[str, ...]:
    return tuple(_hosts(answer)[_MAX_SERVERS:])


def _glue(answer: Answer, host: str) -> tuple[str, ...]:
    kinds = {dns.rdatatype.A, dns.rdatatype.AAAA}
    return tuple(
        record.to_text()
        for rrset in (answer.message.additional if answer.message else ())
        if rrset.rdtype in kinds and shown_name(rrset.name) == host
        for record in rrset
    )


def _completed(zone: Zone, delegated: Sequence[NameServer]) -> Zone:
    """`zone` with the addresses that the zone above has of its servers, or with those servers if it names none."""
    glue = {server.host: server for server in delegated}
    servers = [server if server.addresses else glue.get(server.host, server) for server in zone.servers]
    return Zone(zone.name, tuple(servers or delegated), zone.beyond)


def _addresses(resolver: Resolver, host: str) -> tuple[str, ...]:
    try:
        return resolver.addresses(host)
    except LookupFailure:
        return ()


def _zone_of(answer: Answer) -> str | None:
    """The zone that `answer` is from, by its SOA record; None if it does not say, or the name is an alias."""
    if len(answer.chain) > 1 or answer.kind not in CONCLUSIVE:
        return None
    if answer.kind is Kind.RECORDS:
        return answer.name
    soa = answer.authority("SOA")
    owner = shown_name(soa.name) if soa else ""
    return owner if owner and is_within(answer.name, owner) else None


def _refuse_unregistered(answer: Answer, cut: str) -> None:
    if answer.kind is Kind.NXDOMAIN and is_public_suffix(cut):
        domain = ".".join(answer.name.split(".")[-1 - len(cut.split(".")) :])
        raise SolverError(
            f"{domain} is not in the DNS: {answer.server} finds nothing between it and {cut} (NXDOMAIN).",
            hint=f"Correct the name, or register {domain} and let its registrar name its DNS servers.",
        )


def of_each(names: Iterable[str], find: Callable[[str], T], what: str) -> dict[str, T]:
    """What is found for each of `names`, at the same time; `what` calls it in words.

    Raises:
        SolverError: with one cause for each name of which it is not found.
    """
    wanted = list(dict.fromkeys(names))

    def attempt(name: str) -> T | SolverError:
        try:
            return find(name)
        except SolverError as error:
            return error

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="dns") as pool:
        found = dict(zip(wanted, pool.map(attempt, wanted), strict=True))
    failures = [result for result in found.values() if isinstance(result, SolverError)]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise SolverError(
            f"{what} of {len(failures)} of {len(wanted)} names was not found.",
            causes=failures,
            hint=failures[0].hint,
            retryable=any(failure.retryable for failure in failures),
        )
    return {name: result for name, result in found.items() if not isinstance(result, SolverError)}
