"""Why an authority did not find what it should: from a trace to causes, each with evidence and one remedy.

Pure. What is most fundamental comes first: where a zone cannot be found, nothing is said of its records.
"""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from certwright.domain.validation import BY_DNS
from certwright.probe.dns.caa import Verdict, judge
from certwright.probe.dns.cause import Attempt, Cause, CauseId
from certwright.probe.dns.query import CONCLUSIVE, Kind
from certwright.probe.dns.record_causes import find_record_causes, wildcard_alias
from certwright.probe.dns.trace import ObstacleKind, Seen, Trace, View, ZoneView
from certwright.probe.wire import harmless

_SHOWN = 4
SEE_OUTSIDE = "set CERTWRIGHT_RESOLVERS to a resolver that sees the public DNS, such as 9.9.9.9"


def find_causes(trace: Trace, attempt: Attempt) -> tuple[Cause, ...]:
    """What `trace` has that explains why `attempt` failed, most fundamental first; nothing if all is well."""
    if all(view.is_silent for view in trace.resolvers):
        return (_deaf(trace),)
    broken = list(_broken(trace))
    if any(cause.id in _FATAL for cause in broken):
        return tuple(broken)
    found = [*broken, *_dnssec(trace), *_caa(trace, attempt)]
    if attempt.challenge == "dns-01":
        found += find_record_causes(trace, attempt)
    elif attempt.challenge not in BY_DNS:
        found += _addresses(trace)
    found += _horizon(trace)
    return tuple(found or _in_hindsight(trace, attempt))


def find_zone_faults(trace: Trace) -> tuple[Cause, ...]:
    """What is wrong with the zones of a name, whatever is to be proved there."""
    return (*_broken(trace), *_dnssec(trace))


_FATAL = frozenset({CauseId.ALIAS_LOOP, CauseId.ALIAS_DEAD, CauseId.NO_ZONE, CauseId.DELEGATION_DEAD})
_NO_ANSWER = frozenset({CauseId.DELEGATION_DEAD, CauseId.SERVER_SILENT, CauseId.LAME_SERVER, CauseId.SERVFAIL})
_OBSTACLES = {
    ObstacleKind.ALIAS_LOOP: (CauseId.ALIAS_LOOP, "Let the CNAME record at {} name its target directly, or remove it."),
    ObstacleKind.ALIAS_DEAD: (CauseId.ALIAS_DEAD, "Correct or remove the CNAME record at {}."),
    ObstacleKind.NO_ANSWER: (
        CauseId.SERVFAIL,
        "Let the name servers above {} answer, and look at its delegation.",
    ),
    ObstacleKind.NO_ZONE: (
        CauseId.NO_ZONE,
        "Correct {}, or have its domain registered and delegated.",
    ),
}


def _deaf(trace: Trace) -> Cause:
    return Cause(
        CauseId.RESOLVER_SILENT,
        f"Nothing can be looked up from here: {_each(trace.resolvers)}.",
        "Let this machine reach its resolver at port 53 by UDP and TCP, or name another one.",
    )


def _broken(trace: Trace) -> Iterator[Cause]:
    """Why a zone or the end of aliases was not found, and what is wrong with the servers of those that were."""
    by_server = [cause for zone in trace.zones for cause in _servers(zone, trace)]
    follows = any(cause.id in _NO_ANSWER for cause in by_server)
    harms_nobody = trace.challenge_name == trace.name and _resolves(trace)
    for obstacle in trace.obstacles:
        if obstacle.kind is ObstacleKind.NO_ANSWER and (follows or harms_nobody):
            continue
        which, remedy = _OBSTACLES[obstacle.kind]
        yield Cause(which, obstacle.sentence, remedy.format(obstacle.name or trace.challenge_name))
        if obstacle.kind is ObstacleKind.ALIAS_DEAD:
            yield from wildcard_alias(trace)
    yield from by_server


def _servers(zone: ZoneView, trace: Trace) -> Iterator[Cause]:
    """What is wrong with the servers of `zone`, whatever they are asked."""
    counted = [view for view in zone.servers if not view.is_beyond_reach]
    silent = [view for view in counted if view.is_silent]
    if len(silent) == len(zone.servers) and not _resolves(trace):
        yield Cause(
            CauseId.DELEGATION_DEAD,
            f"None of the name servers of {zone.name} answers: {_each(silent)}.",
            "Let them run and be reachable at port 53 by UDP and TCP, or have the registrar name others.",
        )
        return
    if silent:
        yield Cause(
            CauseId.SERVER_SILENT,
            f"Some name servers of {zone.name} do not answer here: {_each(silent)}.",
            "Let them answer at port 53 by UDP and TCP, or take them out of the zone and of the registrar's entries.",
        )
    heard = [view for view in counted if not view.is_silent]
    if heard and all(view.is_veiled for view in heard):
        yield Cause(
            CauseId.INTERCEPTED,
            f"Whoever asks the name servers of {zone.name} from here is answered by a resolver in their place: "
            f"{_each(heard)}.",
            "Let this machine reach port 53 of any address directly; a firewall or proxy leads its questions astray.",
        )
    elif lame := [view for view in heard if view.is_lame]:
        yield Cause(
            CauseId.LAME_SERVER,
            f"Name servers are named for {zone.name} that do not serve it: {_each(lame)}.",
            "Let them load the zone, or take them out of its NS records and of the registrar's entries.",
        )
    if failing := [view for view in heard if view.answers and view.answers[0].kind is Kind.SERVFAIL]:
        yield Cause(
            CauseId.SERVFAIL,
            f"Name servers of {zone.name} cannot answer for it: {_each(failing)}.",
            "Look at their logs: the zone file has an error, or a secondary's copy has expired.",
        )
    if zone.by_parent and zone.by_zone and set(zone.by_parent) != set(zone.by_zone):
        yield Cause(
            CauseId.DELEGATION_MISMATCH,
            f"{zone.name} is delegated to {', '.join(zone.by_parent)}, but names {', '.join(zone.by_zone)} itself.",
            "Let the registrar's entries and the NS records in the zone name the same servers.",
        )


def _dnssec(trace: Trace) -> Iterator[Cause]:
    for found in trace.dnssec:
        if found.is_trouble:
            yield Cause(CauseId.DNSSEC, found.sentence, found.fix)


def _caa(trace: Trace, attempt: Attempt) -> Iterator[Cause]:
    if trace.caa is None or attempt.applicant is None:
        return
    judgement = judge(trace.caa, attempt.applicant, wildcard=attempt.wildcard)
    blamed = attempt.problem == "caa"
    if trace.caa.failure:
        yield Cause(CauseId.CAA_UNREADABLE, judgement.sentence, judgement.fix)
    elif judgement.verdict is Verdict.FORBIDDEN or (blamed and judgement.verdict is Verdict.UNKNOWN):
        yield Cause(CauseId.CAA_FORBIDS, judgement.sentence, judgement.fix)
    elif blamed:
        yield Cause(
            CauseId.CAA_SEEN_ELSEWHERE,
            f"The authority says that CAA forbids it ({harmless(attempt.words, 200)}), but here: {judgement.sentence}",
            "The authority sees other DNS than this machine, or saw an earlier record: look at the CAA records from "
            "outside, and try again when their TTL has passed.",
        )


def _addresses(trace: Trace) -> Iterator[Cause]:
    """What is wrong with where the name leads to, for http-01 and tls-alpn-01."""
    seen = [found for view in trace.resolvers for kind in ("A", "AAAA") if (found := view.at(trace.name, kind))]
    addresses = sorted({value for found in seen if found.kind is Kind.RECORDS for value in found.values})
    if seen and not addresses and all(found.kind in CONCLUSIVE for found in seen):
        yield Cause(
            CauseId.NO_ADDRESS,
            f"{trace.name} has neither an A nor an AAAA record: {seen[0].told()}.",
            f"Create an A record at {trace.name} with the public address of the server, or prove it by dns-01.",
        )
    elif addresses and not any(ip_address(address).is_global for address in addresses):
        yield Cause(
            CauseId.PRIVATE_ADDRESS,
            f"{trace.name} leads to {', '.join(addresses[:_SHOWN])}, which nobody can reach over the internet.",
            "Give the name a public address in the DNS that the internet sees, or prove it by dns-01.",
        )


def _horizon(trace: Trace) -> Iterator[Cause]:
    """Resolvers that live in different worlds."""
    for kind in ("A", "AAAA"):
        views = [(view, seen) for view in trace.resolvers if (seen := view.at(trace.name, kind))]
        known = [(view, seen) for view, seen in views if seen.kind in CONCLUSIVE]
        for view, seen in known[1:]:
            first = known[0][1]
            if not set(first.values) & set(seen.values) and first.values != seen.values and _is_private(first, seen):
                yield Cause(
                    CauseId.SPLIT_HORIZON,
                    f"{trace.name} is not the same everywhere: {known[0][0]} answers {first.told()}; {view} answers "
                    f"{seen.told()}.",
                    "The authority sees what the internet sees: write the records in the outer DNS, and name a public "
                    "resolver for looking.",
                )
                return


def _in_hindsight(trace: Trace, attempt: Attempt) -> Iterator[Cause]:
    """What may have been, where nothing is wrong now."""
    said = harmless(attempt.words, 200)
    if any(word in attempt.words.lower() for word in ("timeout", "timed out", "time-out")):
        yield Cause(
            CauseId.SLOW,
            f"The authority had no answer in time ({said}), though everything answers here.",
            "Let firewalls and rate limits of the name servers let the authority through: it asks from several "
            "countries at once.",
        )
    elif attempt.challenge == "dns-01" and attempt.problem in {"dns", "unauthorized", "incorrectResponse"}:
        yield _seen_inside(trace, attempt) or Cause(
            CauseId.SEEN_NOW,
            f"Every name server shows the TXT record of {trace.record_name} now; the authority came earlier ({said}).",
            "Wait longer before the authority is asked: some servers behind one address get the record late.",
        )


def _seen_inside(trace: Trace, attempt: Attempt) -> Cause | None:
    """That the record is there, but maybe not where the authority looks."""
    zone = trace.zone_of(trace.record_name)
    inside = [view for view in (zone.servers if zone else ()) if view.is_inside]
    if not attempt.outside or not inside:
        return None
    return Cause(
        CauseId.SPLIT_HORIZON,
        f"The TXT record of {trace.record_name} is seen here, but by name servers that nobody can ask over the "
        f"internet: {', '.join(map(str, inside[:_SHOWN]))}. The authority asks the public DNS, and did not find it "
        f"there ({harmless(attempt.words, 200)}).",
        f"If inside and outside have DNS of their own, {SEE_OUTSIDE}, and have the record written in the outer zone.",
    )


def _is_private(*answers: Seen) -> bool:
    """Whether one of `answers` has nothing, or an address that only some can reach."""
    return any(not seen.values or not all(ip_address(value).is_global for value in seen.values) for seen in answers)


def _resolves(trace: Trace) -> bool:
    """Whether the resolver finds what we cannot ask for directly; others may see another DNS."""
    asked = {trace.name, trace.challenge_name}
    return any(s.kind in CONCLUSIVE for view in trace.resolvers[:1] for s in view.answers if s.name in asked)


def _each(views: Sequence[View]) -> str:
    shown = [f"{view}: {view.answers[0].told()}" if view.answers else str(view) for view in views[:_SHOWN]]
    more = [f"and {len(views) - _SHOWN} more"] if len(views) > _SHOWN else []
    return "; ".join([*shown, *more])
