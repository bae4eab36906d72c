"""All that DNS says of one name that an authority would ask about, as one value that can be shown and kept as JSON.

Made when something failed: every name server of the zone, and resolvers, are asked for the addresses of the name, its
CAA records and the TXT records of its dns-01 challenge. Everything is bounded in number, size and time.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

from dns.rdtypes.ANY.NS import NS

from certwright.domain.delegation import CHALLENGE_LABEL, challenge_name
from certwright.domain.errors import SolverError
from certwright.domain.identifiers import MAX_NAME
from certwright.probe.dns.aliases import AliasDead, AliasLoop, chain_of
from certwright.probe.dns.caa import CaaSet, find_caa
from certwright.probe.dns.dnssec import Dnssec, look_at_dnssec
from certwright.probe.dns.query import (
    CONCLUSIVE,
    DNS_PORT,
    SILENT,
    Answer,
    Kind,
    LookupFailure,
    ask,
    canonical,
    phrase,
    shown_name,
)
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.zones import Survey, Zone, ancestors, is_within
from certwright.probe.observation import Endpoint

_SECONDS = 3.0
_ROOT = ""
_MAX_VIEWS = 24
_MAX_VALUES = 16
_WORKERS = 16

T = TypeVar("T")
Question = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: what was asked for (`type` at `name`), and what came of it; `chain` are the aliases in it.

    `authoritative` and `in_place_of` tell whether a server of the zone says so, or a resolver.
    """

    name: str
    type: str
    kind: Kind
    values: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    detail: str = ""
    authoritative: bool = False
    in_place_of: bool = False

    @classmethod
    def of(cls, answer: Answer) -> "Seen":
        """The part of `answer` that is kept."""
        return cls(
            answer.name,
            answer.type,
            answer.kind,
            answer.values[:_MAX_VALUES],
            answer.chain,
            answer.detail,
            answer.is_authoritative,
            answer.is_in_place_of,
        )

    def told(self) -> str:
        """What was answered, as a phrase."""
        return phrase(self.kind, self.type, self.values, self.detail)


@dataclass(frozen=True, slots=True)
class View:
    """All answers of one server: `host` is its name, or what it is to us."""

    host: str
    address: str
    answers: tuple[Seen, ...]

    def __str__(self) -> str:
        return f"{self.host} ({self.address})"

    @property
    def is_silent(self) -> bool:
        """Whether it answered nothing at all."""
        return all(seen.kind in SILENT for seen in self.answers)

    @property
    def serial(self) -> str:
        """The serial number of its copy of the zone; empty if it has none."""
        soa = next((seen for seen in self.answers if seen.type == "SOA" and seen.authoritative and seen.values), None)
        return soa.values[0].split()[2] if soa else ""

    @property
    def is_inside(self) -> bool:
        """Whether it has an address that nobody can reach over the internet."""
        try:
            return not ip_address(self.address).is_global
        except ValueError:  # none at all
            return False

    @property
    def is_beyond_reach(self) -> bool:
        """Whether it has an IPv6 address to which there is no route from here."""
        return ":" in self.address and bool(self.answers) and all(s.kind is Kind.UNROUTABLE for s in self.answers)

    @property
    def is_lame(self) -> bool:
        """Whether it does not serve the zone that it is named for: by its answer for the zone's SOA record."""
        first = self.answers[0] if self.answers else None
        return first is not None and (
            first.kind in {Kind.REFUSED, Kind.REFERRAL} or (first.kind in CONCLUSIVE and not first.authoritative)
        )

    @property
    def is_veiled(self) -> bool:
        """Whether a resolver answers in its place."""
        return bool(self.answers) and all(seen.in_place_of for seen in self.answers)

    def at(self, name: str, kind: str) -> Seen | None:
        """The answer to one question, if it was asked."""
        return next((seen for seen in self.answers if (seen.name, seen.type) == (name, kind)), None)


@dataclass(frozen=True, slots=True)
class ZoneView:
    """A zone, the hosts that are its servers by the zone above and by itself, and what each of them answers."""

    name: str
    by_parent: tuple[str, ...]
    by_zone: tuple[str, ...]
    servers: tuple[View, ...]


class ObstacleKind(StrEnum):
    """Why a zone, or the end of aliases, could not be found."""

    ALIAS_LOOP = "alias_loop"
    ALIAS_DEAD = "alias_dead"
    NO_ANSWER = "no_answer"
    NO_ZONE = "no_zone"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What could not be found, in a sentence; `name` is the one that nobody answers for, if that is why."""

    kind: ObstacleKind
    sentence: str
    name: str = ""

    @classmethod
    def of(cls, error: SolverError) -> "Obstacle":
        """What `error` says."""
        kinds = {
            AliasLoop: ObstacleKind.ALIAS_LOOP,
            AliasDead: ObstacleKind.ALIAS_DEAD,
            LookupFailure: ObstacleKind.NO_ANSWER,
        }
        sentence = " ".join([error.message, *map(str, error.causes)])
        name = error.answer.name if isinstance(error, LookupFailure) else ""
        return cls(kinds.get(type(error), ObstacleKind.NO_ZONE), sentence, name)


@dataclass(frozen=True, slots=True)
class Trace:
    """What DNS says of `name`.

    `chain` leads from the name of the challenge to where its record must stand. `zones` are that of `name` and that of
    the record, once if they are the same. `obstacles` tell why a zone or the chain could not be found.
    `elsewhere` is what stands where a record for the challenge ends up by a slip, `wildcard` what a name beside the
    challenge's that nobody has made answers.
    """

    name: str
    challenge_name: str
    chain: tuple[str, ...]
    zones: tuple[ZoneView, ...]
    resolvers: tuple[View, ...]
    obstacles: tuple[Obstacle, ...] = ()
    elsewhere: tuple[Seen, ...] = ()
    wildcard: Seen | None = None
    caa: CaaSet | None = None
    dnssec: tuple[Dnssec, ...] = ()

    @property
    def record_name(self) -> str:
        """Where the TXT record of the challenge must stand."""
        return self.chain[-1]

    def zone_of(self, name: str) -> ZoneView | None:
        """The closest of the zones that `name` is in."""
        return max((z for z in self.zones if is_within(name, z.name)), key=lambda z: len(z.name), default=None)

    def as_json(self) -> dict[str, Any]:
        """The same in what JSON knows."""
        return asdict(self)


def trace(
    resolver: Resolver, name: str, now: datetime, *, others: Sequence[Resolver] = (), by_record: bool = True
) -> Trace:
    """Look at `name` from every side.

    Args:
        resolver: by which zones and servers are found, and that is asked itself.
        name: of a certificate; a wildcard label is left out.
        now: with its time zone, for the dates of signatures.
        others: more resolvers to compare with, for instance public ones.
        by_record: whether a TXT record proves the name; else the name itself is all that is looked at.
    """
    base = canonical(name).removeprefix("*.")
    challenge = challenge_name(base) if by_record else base
    heard = _resolver_view(resolver, base, challenge)
    if heard.is_silent:
        return Trace(base, challenge, (challenge,), (), (heard,))
    survey, obstacles = Survey(resolver), list[Obstacle]()
    chain = _attempt(partial(chain_of, survey, challenge), obstacles) or (challenge,)
    found = [_attempt(partial(survey.zone, at), obstacles) for at in dict.fromkeys((base, chain[-1]))]
    zones = {zone.name: zone for zone in found if zone}
    own, written = _closest(zones, challenge), _closest(zones, chain[-1])
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="dns") as pool:
        caa = pool.submit(find_caa, resolver, base)
        signed = pool.map(lambda zone: look_at_dnssec(resolver, zone, _within(zone, base), now), zones.values())
        views = tuple(_zone_view(survey, zone, _questions(zone, zones, base, chain), pool) for zone in zones.values())
        through = (heard, *pool.map(partial(_resolver_view, base=base, challenge=challenge), others))
    return Trace(
        name=base,
        challenge_name=challenge,
        chain=chain,
        zones=views,
        resolvers=through,
        obstacles=tuple(dict.fromkeys(obstacles)),
        elsewhere=_elsewhere(survey, written, base, chain[-1]) if written else (),
        wildcard=_wildcard(survey, own, challenge) if own else None,
        caa=caa.result(),
        dnssec=tuple(signed),
    )


def trace_record(resolver: Resolver, zone: Zone, name: str) -> Trace:
    """Look at the TXT record that was written at `name`, which is in `zone`, and where a slip may have put it."""
    survey, base = Survey(resolver), name.removeprefix(f"{CHALLENGE_LABEL}.")
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="dns") as pool:
        view = _zone_view(survey, zone, [(zone.name, "SOA"), (name, "CNAME"), (name, "TXT")], pool)
    return Trace(
        name=base,
        challenge_name=name,
        chain=(name,),
        zones=(view,),
        resolvers=(),
        elsewhere=_elsewhere(survey, zone, base, name),
        wildcard=_wildcard(survey, zone, name),
    )


def _attempt(find: Callable[[], T], obstacles: list[Obstacle]) -> T | None:
    """What `find` finds; else why it does not, as one more of `obstacles`."""
    try:
        return find()
    except SolverError as error:
        obstacles.append(Obstacle.of(error))
        return None


def _closest(zones: Mapping[str, Zone], name: str) -> Zone | None:
    return next((zones[above] for above in ancestors(name) if above in zones), None)


def _within(zone: Zone, name: str) -> str:
    return name if is_within(name, zone.name) else zone.name


def _questions(zone: Zone, zones: Mapping[str, Zone], base: str, chain: Sequence[str]) -> list[Question]:
    """What the servers of `zone` are asked."""
    wanted = [*((base, kind) for kind in ("A", "AAAA", "CAA")), (chain[0], "CNAME"), (chain[-1], "TXT")]
    return [(zone.name, "SOA"), *((name, kind) for name, kind in wanted if _closest(zones, name) is zone)]


def _zone_view(survey: Survey, zone: Zone, questions: Sequence[Question], pool: ThreadPoolExecutor) -> ZoneView:
    delegated = survey.delegated(zone.name)
    own = survey.ask(zone, zone.name, "NS")
    by_zone = sorted(shown_name(record.target) for record in own.records if isinstance(record, NS)) if own else ()
    servers = {server.host: server for server in (*delegated, *zone.servers)}
    places = [(server.host, address) for server in servers.values() for address in server.addresses][:_MAX_VIEWS]
    views = pool.map(lambda place: _view(place[0], place[1], questions), places)
    homeless = [View(server.host, "no address", ()) for server in servers.values() if not server.addresses]
    return ZoneView(zone.name, tuple(server.host for server in delegated), tuple(by_zone), (*views, *homeless))


def _view(host: str, address: str, questions: Sequence[Question]) -> View:
    put = partial(ask, Endpoint(address, DNS_PORT), timeout=_SECONDS, recursive=False)
    return View(host, address, _answers(questions, put))


def _resolver_view(resolver: Resolver, base: str, challenge: str) -> View:
    # Whoever resolves anything knows the root; of a broken zone it may have no answer in time.
    questions = [(_ROOT, "NS"), (base, "A"), (base, "AAAA"), (base, "CAA"), (challenge, "TXT")]
    return View("the resolver", str(resolver), _answers(questions, resolver.ask))


def _answers(questions: Sequence[Question], put: Callable[[str, str], Answer]) -> tuple[Seen, ...]:
    """The answers to `questions`; who is silent at the first is asked no second."""
    first = put(*questions[0])
    if first.kind in SILENT:
        return (Seen.of(first),)
    with ThreadPoolExecutor(len(questions), thread_name_prefix="dns") as pool:
        rest = pool.map(lambda question: put(*question), questions[1:])
    return tuple(map(Seen.of, (first, *rest)))


def _elsewhere(survey: Survey, zone: Zone, base: str, record_name: str) -> tuple[Seen, ...]:
    """What stands where a slip of the pen puts the record."""
    slips = (
        f"{record_name}.{zone.name}",
        base,
        challenge_name(zone.name),
        challenge_name(record_name),
        f"{CHALLENGE_LABEL.removeprefix('_')}.{base}",
        f"_acme_challenge.{base}",
    )
    asked = [slip for slip in dict.fromkeys(slips) if slip != record_name and is_within(slip, zone.name)]
    answers = [survey.ask(zone, slip, "TXT") for slip in asked if len(slip) <= MAX_NAME]
    return tuple(Seen.of(answer) for answer in answers if answer and answer.records)


def _wildcard(survey: Survey, zone: Zone, name: str) -> Seen | None:
    """What a name beside `name` answers that nobody has made."""
    beside = f"_{secrets.token_hex(8)}.{name.partition('.')[2]}"
    answer = survey.ask(zone, beside, "TXT") if len(beside) <= MAX_NAME else None
    return Seen.of(answer) if answer and (answer.records or len(answer.chain) > 1) else None
