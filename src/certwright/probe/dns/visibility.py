"""Waits until TXT records can be seen on every server of their zones, and through given resolvers.

A server is asked directly (no recursion, RFC 1035 section 4.1.1), at each of its addresses, because an authority may
meet any of them. A given resolver is asked for a record only once the zone's own servers show it: asked too early, it
would remember that nothing is there (RFC 2308).
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat

from certwright.domain.errors import SolverError
from certwright.probe.dns.query import CONCLUSIVE, DNS_PORT, SILENT, Answer, Kind, ask, canonical
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.zones import Zone
from certwright.probe.observation import Endpoint

PAUSES = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0)
GRACE_SECONDS = 10.0
_WORKERS = 32
_SECONDS = 3.0
_MAX_CAUSES = 40
_IN_PLACE = "a resolver answers in its place"
_NOWHERE = (
    "No name server of the zone has these records, so they may have been written elsewhere: see that the DNS provider "
    "writes in the zone that these servers serve. Where inside and outside have DNS of their own, let "
    "CERTWRIGHT_RESOLVERS name a resolver that sees the public DNS, such as 9.9.9.9. A provider that publishes late "
    "needs a longer --timeout."
)
_LATE = (
    "If these servers get the records later than the others, wait longer; else look at the zone transfer to them "
    "(notify, serial number)."
)


class NotSeen(SolverError):
    """Records are not to be seen everywhere; of the names in `nowhere` no server of the zone shows them all."""

    nowhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Expected:
    """A TXT record that must be seen: `value` whole, at `name`, which is in `zone` and no alias."""

    name: str
    value: str
    zone: Zone


@dataclass(eq=False)
class _Seat:
    """One address of a server, or one resolver, asked again and again.

    `missing` has the names that it has not shown yet, with all values expected there. `last` has what it said last,
    by name.
    """

    label: str
    zone: str
    ask: Callable[[str], Answer]
    missing: dict[str, frozenset[str]]
    is_resolver: bool = False
    last: dict[str, Answer] = field(default_factory=dict)

    @property
    def is_silent(self) -> bool:
        """Whether it was asked and never answered."""
        return bool(self.last) and all(answer.kind in SILENT for answer in self.last.values())

    @property
    def is_veiled(self) -> bool:
        """Whether what answers is a resolver: a proxy on the way, or a server that does not serve the zone."""
        return bool(self.last) and all(answer.is_in_place_of for answer in self.last.values())

    @property
    def is_beyond_reach(self) -> bool:
        """Whether it has an IPv6 address to which there is no route from here."""
        return bool(self.last) and all(
            answer.kind is Kind.UNROUTABLE and ":" in answer.server.host for answer in self.last.values()
        )

    def hear(self, answer: Answer) -> None:
        """Take note of `answer`."""
        self.last[answer.name] = answer
        if (self.is_resolver or answer.is_authoritative) and self.missing[answer.name] <= answer.texts:
            del self.missing[answer.name]


def await_visible(
    expected: Sequence[Expected],
    *,
    resolvers: Sequence[Resolver] = (),
    timeout: float,
    note: Callable[[str], None],
    guard: Callable[[], None] = lambda: None,
    pauses: Sequence[float] = PAUSES,
    grace: float = GRACE_SECONDS,
) -> None:
    """Return once all of `expected` are seen everywhere.

    A server of which an address never answers is waited for only `grace` seconds longer than the others, as resolvers
    go on to the next; an IPv6 address that cannot be reached from here is passed over.

    Args:
        expected: what to look for; several values may stand at one name.
        resolvers: which recursive resolvers must see it, too.
        timeout: seconds for all of it.
        note: told, in a sentence, how it goes.
        guard: called before each round; what it raises ends the wait.
        pauses: seconds between rounds; the last goes on.
        grace: seconds that an address may stay silent once all others have shown everything.

    Raises:
        NotSeen: with one cause for each name and server that lacks it.
        SolverError: if no server of a zone can be asked.
    """
    if expected:
        _Wait(expected, resolvers, note, grace).until(time.monotonic() + timeout, timeout, guard, pauses)


class _Wait:
    """All who are asked, and how far it is."""

    def __init__(
        self, expected: Sequence[Expected], resolvers: Sequence[Resolver], note: Callable[[str], None], grace: float
    ) -> None:
        self._zones = {item.zone.name: item.zone for item in expected}
        self._names = len({item.name for item in expected})
        self._servers = _server_seats(expected)
        self._resolvers = _resolver_seats(expected, resolvers)
        self._note = note
        self._grace = grace
        self._noted = ""
        self._quiet_since: float | None = None

    def until(self, end: float, timeout: float, guard: Callable[[], None], pauses: Sequence[float]) -> None:
        """Ask in rounds until everybody has shown everything, or `end` (monotonic)."""
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="dns") as pool:
            for pause in chain(pauses, repeat(pauses[-1])):
                guard()
                _ask_all(pool, {seat: list(seat.missing) for seat in self._servers})
                _ask_all(pool, {seat: self._ripe(seat) for seat in self._resolvers})
                left = end - time.monotonic()
                if self._is_over(patient=left > 0):
                    return
                if left <= 0:
                    break
                self._tell()
                time.sleep(min(pause, left))
        raise self._lacking_error(timeout)

    def _ripe(self, resolver: _Seat) -> list[str]:
        """The names that `resolver` may be asked for: all servers that answer at all show them."""
        lacking = {name for seat in self._servers if self._counts(seat) for name in seat.missing}
        return [name for name in resolver.missing if name not in lacking]

    def _counts(self, seat: _Seat) -> bool:
        """Whether what `seat` shows is the zone's own answer, or else its own fault."""
        return not seat.is_silent and seat.zone not in self._blind

    @property
    def _lacking(self) -> list[_Seat]:
        """Who must still show something: servers that answer, and resolvers in any case."""
        return [
            *(seat for seat in self._servers if seat.missing and self._counts(seat)),
            *(seat for seat in self._resolvers if seat.missing),
        ]

    @property
    def _silent(self) -> list[_Seat]:
        """The addresses that never answer; those of IPv6 that have no route from here are not counted."""
        return [seat for seat in self._servers if seat.is_silent and not seat.is_beyond_reach]

    @property
    def _blind(self) -> list[str]:
        """The zones of which no server itself answers at all."""
        heard = {seat.zone for seat in self._servers if not seat.is_silent and not seat.is_veiled}
        return [zone for zone in self._zones if zone not in heard]

    def _is_over(self, *, patient: bool) -> bool:
        """Whether everything is shown by everybody who counts; those that are silent count while there is time.

        Raises:
            SolverError: if a zone has no server that can be asked, and there is no resolver to ask instead.
        """
        if self._lacking:
            self._quiet_since = None
            return False
        if self._silent and patient:
            now = time.monotonic()
            self._quiet_since = self._quiet_since or now
            if now - self._quiet_since < self._grace:
                return False
        if self._blind and not self._resolvers:
            raise self._unreachable()
        for sentence in self._passed_over():
            self._note(sentence)
        return True

    def _passed_over(self) -> Iterator[str]:
        """Whom the wait did not wait for, in sentences."""
        for zone in self._blind:
            yield f"No name server of {zone} answers here; the given resolvers show the records."
        for seat in self._servers:
            if seat.zone in self._blind or not seat.is_silent:
                continue
            answer = next(iter(seat.last.values()))
            yield f"{seat.label} was passed over: {answer.told()}."
        for served in self._zones.values():
            for server in served.servers:
                if not server.addresses:
                    yield f"{server.host}, a name server of {served.name}, was passed over: it has no address."
                if server.beyond:
                    yield f"Of {server.host}, a name server of {served.name}, {_unasked('addresses', server.beyond)}"
            if served.beyond:
                yield f"Of the name servers of {served.name}, {_unasked('hosts', served.beyond)}"

    def _tell(self) -> None:
        """Say how far it is, if that has changed."""
        waiting = [*self._lacking, *self._silent]
        seats = [*self._servers, *self._resolvers]
        done = sum(not seat.missing for seat in seats)
        first = waiting[0] if waiting else None
        if first is None or not first.last:
            return
        name = next(name for name in (*first.missing, *first.last) if name in first.last)
        more = f", and {len(waiting) - 1} more wait" if len(waiting) > 1 else ""
        sentence = (
            f"{done} of {len(seats)} servers and resolvers show all records; "
            f"{first.label} does not yet: {name}: {first.last[name].told()}{more}."
        )
        if sentence != self._noted:
            self._noted = sentence
            self._note(sentence)

    def _unreachable(self) -> SolverError:
        return SolverError(
            f"No name server of {', '.join(self._blind)} can be asked from here, so nobody can say whether the records "
            "are visible.",
            causes=self._blind_causes()[:_MAX_CAUSES] or ["None of its name servers has an address."],
            hint="Let this machine reach port 53 (UDP and TCP) of these servers, or name resolvers that can be asked "
            "instead.",
        )

    def _blind_causes(self) -> list[str]:
        seats = [seat for seat in self._servers if seat.zone in self._blind]
        firsts = [(seat, answer) for seat in seats for answer in list(seat.last.values())[:1]]
        return [f"{seat.label}: {_IN_PLACE if seat.is_veiled else answer.told()}" for seat, answer in firsts]

    def _lacking_error(self, timeout: float) -> NotSeen:
        lacks = [_Lack(seat, name) for seat in self._lacking for name in seat.missing]
        told = [*(lack.sentence for lack in lacks), *self._blind_causes()]
        more = [f"and {len(told) - _MAX_CAUSES} more"] if len(told) > _MAX_CAUSES else []
        seats = [seat for seat in self._servers if self._counts(seat)]
        shown = {name for seat in seats for name in seat.last if name not in seat.missing}
        absent = {name for seat in seats for name in seat.missing} - shown
        names = len({lack.name for lack in lacks})
        error = NotSeen(
            f"The TXT records of {names} of {self._names} names are not visible everywhere after {timeout:g} s, "
            "so the authority was not asked.",
            causes=[*told[:_MAX_CAUSES], *more],
            hint=_hint(lacks, absent),
            retryable=True,
        )
        error.nowhere = frozenset(absent)
        return error


@dataclass(frozen=True, slots=True)
class _Lack:
    """That `seat` does not show what is expected at `name`."""

    seat: _Seat
    name: str

    @property
    def answer(self) -> Answer | None:
        return self.seat.last.get(self.name)

    @property
    def sentence(self) -> str:
        answer = self.answer
        if answer is None:
            return f"{self.name}: {self.seat.label} was not asked, because others lack it still or it does not answer."
        if answer.kind in CONCLUSIVE and not self.seat.is_resolver and not answer.is_authoritative:
            return f"{self.name}: {self.seat.label} answers without authority: it does not serve {self.seat.zone}."
        if answer.kind is Kind.RECORDS:
            missing = len(self.seat.missing[self.name] - answer.texts)
            return f"{self.name}: {self.seat.label} lacks {missing} of the values; it has {answer.told()}."
        if answer.kind in {Kind.REFUSED, Kind.REFERRAL}:
            return f"{self.name}: {self.seat.label} does not serve {self.seat.zone}: {answer.told()}."
        return f"{self.name}: {self.seat.label}: {answer.told()}."


def _hint(lacks: Sequence[_Lack], nowhere: Collection[str]) -> str:
    """What to do, by what is most telling; `nowhere` are the names of which no server has everything."""
    kinds = {lack.answer.kind for lack in lacks if lack.answer and not lack.seat.is_resolver}
    if kinds & {Kind.REFUSED, Kind.REFERRAL}:
        return (
            "A name server that does not serve the zone confuses authorities, too: correct the zone's NS records, "
            "or let that server load the zone."
        )
    if Kind.SERVFAIL in kinds:
        return "That server cannot load the zone, or its copy has expired: look at its log and at the zone transfer."
    if kinds & {Kind.NXDOMAIN, Kind.NODATA, Kind.RECORDS}:
        return _NOWHERE if nowhere else _LATE
    seconds = max((lack.answer.negative_ttl for lack in lacks if lack.answer), default=0)
    if seconds:
        return (
            f"The name servers have the records, but these resolvers remember for up to {seconds} s that they were "
            "not there: wait as long, or leave these resolvers out."
        )
    return "Let this machine reach port 53 (UDP and TCP) of these servers, or leave out those that it cannot reach."


def _unasked(what: str, beyond: Sequence[str]) -> str:
    return f"{len(beyond)} more {what} were not asked, because they are too many: {', '.join(beyond[:_MAX_CAUSES])}."


def _server_seats(expected: Sequence[Expected]) -> list[_Seat]:
    """One for each zone and address of its servers."""
    seats = []
    for zone, wanted in _by_zone(expected):
        for server in zone.servers:
            for address in server.addresses:
                question = partial(ask, Endpoint(address, DNS_PORT), kind="TXT", timeout=_SECONDS, recursive=False)
                seats.append(_Seat(f"{server.host} ({address})", zone.name, question, dict(wanted)))
    return seats


def _resolver_seats(expected: Sequence[Expected], resolvers: Sequence[Resolver]) -> list[_Seat]:
    wanted = {name: values for _, part in _by_zone(expected) for name, values in part.items()}
    return [
        _Seat(f"the resolver {resolver}", "", partial(resolver.ask, kind="TXT"), dict(wanted), is_resolver=True)
        for resolver in resolvers
    ]


def _by_zone(expected: Sequence[Expected]) -> Iterable[tuple[Zone, dict[str, frozenset[str]]]]:
    found: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    zones = {item.zone.name: item.zone for item in expected}
    for item in expected:
        names = found[item.zone.name]
        names[canonical(item.name)] = names.get(canonical(item.name), frozenset()) | {item.value}
    return [(zones[zone], names) for zone, names in found.items()]


def _ask_all(pool: ThreadPoolExecutor, due: dict[_Seat, list[str]]) -> None:
    """Ask each for one name, and for the others if it answers that."""
    first = [(seat, names[0]) for seat, names in due.items() if names]
    heard = {seat for seat, answer in zip((s for s, _ in first), _ask(pool, first), strict=True) if answer}
    _ask(pool, [(seat, name) for seat, names in due.items() if seat in heard for name in names[1:]])


def _ask(pool: ThreadPoolExecutor, questions: Sequence[tuple[_Seat, str]]) -> list[bool]:
    """Ask, and let each hear its answer; whether each did answer."""
    answers = list(pool.map(lambda question: question[0].ask(question[1]), questions))
    for (seat, _), answer in zip(questions, answers, strict=True):
        seat.hear(answer)
    return [answer.kind not in SILENT for answer in answers]
