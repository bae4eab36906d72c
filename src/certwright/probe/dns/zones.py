"""Which zone a name is in, which servers it has, and where a record must be written.

Leading labels with an underscore are asked for at the zone's own servers, and at a resolver only where those do not
answer: it would remember that `_acme-challenge` is not there yet, and go on saying so long after the record was written
(RFC 2308). Resolvers are asked not to validate, so that a zone is found also if its DNSSEC is broken.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self, TypeVar

import dns.rdatatype
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.NS import NS

from certwright.domain.errors import SolverError
from certwright.domain.identifiers import MAX_NAME, is_public_suffix
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
MAX_ALIASES = 10  # resolvers give up at about as many
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


class AliasLoop(SolverError):
    """Aliases that lead back to themselves, or on and on."""


class AliasDead(SolverError):
    """An alias of a name that is in no zone."""


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
    return _of_each(list(dict.fromkeys(names)), lambda name: survey.zone(canonical(name)), "The zone")


def follow(resolver: Resolver, name: str) -> tuple[str, ...]:
    """`name` and what it is an alias of (CNAME, DNAME), in turn: a record for it must be written at the last.

    What only a wildcard makes an alias is none: a record at the name itself goes before the wildcard.

    Raises:
        AliasLoop: if they go round in circles, or there are too many.
        AliasDead: if one leads to where no zone is.
        SolverError: if the zone of `name` cannot be found, or nobody answers for it.
    """
    return Survey(resolver).chain(canonical(name), by_wildcards=False)


def follow_all(survey: "Survey", names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`follow` for each of `names`, at the same time; by name as it was given.

    Raises:
        SolverError: with one cause for each name that leads nowhere.
    """
    return _of_each(
        list(dict.fromkeys(names)),
        lambda name: survey.chain(canonical(name), by_wildcards=False),
        "The end of the aliases",
    )


def find_astray(survey: "Survey", places: Mapping[str, str]) -> dict[str, str]:
    """The names of `places` from which no aliases lead to where their records are written, each with what is seen.

    `places` tells where the record of each name is written. Names of which nobody can say anything are left out.
    """
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="dns") as pool:
        seen = pool.map(lambda name: survey.astray(canonical(name), canonical(places[name])), places)
        return {name: sentence for name, sentence in zip(places, seen, strict=True) if sentence}


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
    """Finds zones and the ends of aliases; of use to several threads at once.

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

    def chain(self, name: str, *, by_wildcards: bool = True, until: str = "") -> tuple[str, ...]:
        """`name` and what it is an alias of, in turn; as `follow`, but for wildcards, which an authority follows.

        Where it comes to `until`, it ends.
        """
        links = [name]
        while True:
            if links[-1] == until:
                return tuple(links)
            target = self._target(links)
            if target is None or not (by_wildcards or self._is_made(links[-1], target)):
                return tuple(links)
            if target in links:
                raise AliasLoop(
                    f"{name} is an alias that leads back to itself: {' -> '.join([*links, target])}.",
                    hint=f"Correct the CNAME record at {links[-1]}.",
                )
            links.append(target)
            if len(links) > MAX_ALIASES:
                raise AliasLoop(
                    f"{name} is an alias of an alias, {MAX_ALIASES} times over: {' -> '.join(links)}.",
                    hint=f"Let the CNAME record at {name} name its target directly.",
                )

    def astray(self, name: str, place: str) -> str:
        """What is seen, in a sentence, if no aliases lead from `name` to `place`; empty also if nobody can say."""
        try:
            chain = self.chain(name, until=place)
        except (AliasLoop, AliasDead) as error:
            return "" if error.retryable else error.message
        except SolverError:
            return ""
        if chain[-1] == place:
            return ""
        return f"{name} leads to {chain[-1]}." if len(chain) > 1 else f"{name} is no alias."

    def _is_made(self, name: str, target: str) -> bool:
        """Whether an administrator made `name` an alias of `target`.

        A wildcard makes aliases of all names, but not beneath a name that exists (RFC 4592 section 3.3.1).
        """
        beneath = f"_{secrets.token_hex(8)}.{name}"
        if len(beneath) > MAX_NAME:
            return True
        try:
            return _alias(self._ask_directly(beneath)) != target
        except SolverError:
            return True

    def _target(self, links: Sequence[str]) -> str | None:
        """What the last of `links` is an alias of."""
        try:
            return _alias(self._ask_directly(links[-1]))
        except SolverError as error:
            if len(links) == 1:
                raise
            raise AliasDead(
                f"{links[0]} is an alias of {links[-1]}, where no record can be written.",
                causes=[error],
                hint=f"Correct or remove the CNAME record at {links[-2]}.",
                retryable=error.retryable,
            ) from error

    def _ask_directly(self, name: str) -> Answer:
        return self.ask(self.zone(name), name, "CNAME") or self._resolver.ask(name, "CNAME")

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


def _alias(answer: Answer) -> str | None:
    """What the name is an alias of, directly: the answer to a question for CNAME.

    Raises:
        LookupFailure: if that was no answer.
    """
    if answer.kind is Kind.RECORDS and len(answer.chain) == 1:
        return next((shown_name(record.target) for record in answer.records if isinstance(record, CNAME)), None)
    if answer.kind in CONCLUSIVE or answer.kind is Kind.REFERRAL:
        return answer.chain[1] if len(answer.chain) > 1 else None
    raise LookupFailure(answer)


def _refuse_unregistered(answer: Answer, cut: str) -> None:
    if answer.kind is Kind.NXDOMAIN and is_public_suffix(cut):
        domain = ".".join(answer.name.split(".")[-1 - len(cut.split(".")) :])
        raise SolverError(
            f"{domain} is not in the DNS: {answer.server} finds nothing between it and {cut} (NXDOMAIN).",
            hint=f"Correct the name, or register {domain} and let its registrar name its DNS servers.",
        )


def _of_each(names: Sequence[str], find: Callable[[str], T], what: str) -> dict[str, T]:
    def attempt(name: str) -> T | SolverError:
        try:
            return find(name)
        except SolverError as error:
            return error

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="dns") as pool:
        found = dict(zip(names, pool.map(attempt, names), strict=True))
    failures = [result for result in found.values() if isinstance(result, SolverError)]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise SolverError(
            f"{what} of {len(failures)} of {len(names)} names was not found.",
            causes=failures,
            hint=failures[0].hint,
            retryable=any(failure.retryable for failure in failures),
        )
    return {name: result for name, result in found.items() if not isinstance(result, SolverError)}
