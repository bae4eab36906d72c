"""Why an authority did not find the TXT record of a challenge, in a zone that answers: pure."""

import re
from collections.abc import Collection, Iterator, Sequence

from certwright.domain.delegation import how_to_lead
from certwright.probe.dns.cause import Attempt, Cause, CauseId
from certwright.probe.dns.query import CONCLUSIVE, Kind
from certwright.probe.dns.trace import Seen, Trace, View

_SHOWN = 4
_TELLING = 8  # characters by which a value is known again
_DIGEST = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 8555 section 8.4: SHA-256 in base64url


def find_record_causes(trace: Trace, attempt: Attempt) -> Iterator[Cause]:
    """What is wrong with the TXT records of the challenge."""
    if attempt.ruled and attempt.ruled not in trace.chain:
        yield _unseen(trace, attempt)
        return
    name, zone = trace.record_name, trace.zone_of(trace.record_name)
    servers = [view for view in (zone.servers if zone else ()) if not (view.is_veiled or view.is_lame)]
    shown = _knowing(servers, name) or _knowing(trace.resolvers, trace.challenge_name)
    lacking = [(view, seen) for view, seen in shown if not _has(seen, attempt.expected)]
    if shown and not lacking:
        yield from _forgetful(trace, attempt)
    elif len(lacking) < len(shown):
        serials = ", ".join(f"{view.host} has serial {view.serial or 'unknown'}" for view, _ in shown)
        yield Cause(
            CauseId.SERVERS_DIFFER,
            f"Only some name servers show the TXT record of {name}: "
            f"{'; '.join(f'{view}: {seen.told()}' for view, seen in lacking[:_SHOWN])} ({serials}).",
            "Wait longer before the authority is asked, or mend the zone transfer to these servers.",
        )
    elif lacking:
        yield _missing(trace, attempt, [seen for _, seen in lacking])


def _unseen(trace: Trace, attempt: Attempt) -> Cause:
    ends = f"leads to {trace.record_name}" if len(trace.chain) > 1 else "is no alias"
    return Cause(
        CauseId.RULE_UNSEEN,
        f"By a delegation rule the TXT record of {trace.challenge_name} is written at {attempt.ruled}, but "
        f"{trace.challenge_name} {ends}, so the authority never looks there.",
        how_to_lead(trace.challenge_name, attempt.ruled),
    )


def _knowing(views: Sequence[View], name: str) -> list[tuple[View, Seen]]:
    """Who of `views` knows of TXT at `name`: servers of the zone, or resolvers."""
    return [(view, seen) for view in views if (seen := view.at(name, "TXT")) and seen.kind in CONCLUSIVE]


def _missing(trace: Trace, attempt: Attempt, seen: Sequence[Seen]) -> Cause:
    """Why no server at all has the record."""
    name = trace.record_name
    values = sorted({value for answer in seen for value in answer.values})
    told = seen[0].told()
    if slip := next((found for found in trace.elsewhere if _is_ours(found, attempt.expected)), None):
        return _slipped(slip, name, trace)
    if altered := [value for value in values if _is_altered(value, attempt.expected)]:
        return Cause(
            CauseId.ALTERED_TXT,
            f"The TXT record of {name} is not what was asked for, but nearly: {altered[0]!r} instead of "
            f"{_wanted(attempt)}.",
            "Write the value exactly: whole, without quotes or spaces in it, and in its own upper and lower case.",
        )
    if wildcard := next(wildcard_alias(trace), None) or _wildcard_text(trace, values):
        return wildcard
    if values:
        return _other_values(name, told, attempt, attempt.expected & set(values))
    if seen[0].kind is Kind.NXDOMAIN:
        return Cause(
            CauseId.NO_NAME,
            f"{name} does not exist for anybody (NXDOMAIN).",
            f"Write a TXT record at {name}; see that the DNS provider's zone is the one that is delegated to.",
        )
    return Cause(
        CauseId.NO_TXT,
        f"{name} has no TXT record anywhere: {told}.",
        f"Write a TXT record at {name}, of this type and no other.",
    )


def _other_values(name: str, told: str, attempt: Attempt, kept: Collection[str]) -> Cause:
    if kept:
        return Cause(
            CauseId.LOST_TXT,
            f"{name} has only {len(kept)} of the {len(attempt.expected)} values that were asked for: {told}.",
            "Let the DNS provider keep several TXT values at one name, and add one without removing the others; or "
            "request the wildcard and the name without it in certificates of their own, one after the other.",
        )
    return Cause(
        CauseId.WRONG_TXT,
        f"{name} has other TXT records than the one that was asked for: {told} instead of {_wanted(attempt)}.",
        "Remove what an earlier run or another client left there, and see that both do not write at the same time.",
    )


def _slipped(slip: Seen, name: str, trace: Trace) -> Cause:
    zone = trace.zone_of(name)
    if zone and slip.name == f"{name}.{zone.name}":
        return Cause(
            CauseId.DOUBLED_ZONE,
            f"The TXT record stands at {slip.name}: the zone's name was added twice.",
            f"Write the name without {zone.name}, or with a dot at its end, as the DNS provider wants it.",
        )
    return Cause(
        CauseId.MISPLACED_TXT,
        f"The TXT record stands at {slip.name}, and not at {name}, where the authority looks.",
        f"Write it at {name}.",
    )


def _forgetful(trace: Trace, attempt: Attempt) -> Iterator[Cause]:
    """That the resolver does not show what all servers show; others may rightly see another DNS."""
    for view in trace.resolvers[:1]:
        seen = view.at(trace.challenge_name, "TXT")
        if seen and seen.kind in CONCLUSIVE and not _has(seen, attempt.expected):
            yield Cause(
                CauseId.RESOLVER_REMEMBERS,
                f"All name servers show the TXT record of {trace.record_name}, but {view} does not: {seen.told()}.",
                "It remembers an earlier answer, and so may the authority's: try again when the TTL has passed, or "
                "lower the zone's negative TTL (the last number of its SOA record).",
            )
        elif seen and seen.kind is Kind.SERVFAIL:
            yield Cause(
                CauseId.SERVFAIL,
                f"All name servers show the TXT record of {trace.record_name}, but {view} cannot: {seen.told()}.",
                "Look at the delegation and the DNSSEC of the zone and of those above it.",
            )


def wildcard_alias(trace: Trace) -> Iterator[Cause]:
    """That the challenge's name is an alias only because everything there is."""
    target = trace.wildcard.chain[1] if trace.wildcard and len(trace.wildcard.chain) > 1 else None
    zone = trace.zone_of(trace.challenge_name)
    aliases = [seen for view in (zone.servers if zone else ()) if (seen := view.at(trace.challenge_name, "CNAME"))]
    if target and any(f"{target}." in seen.values for seen in aliases):
        yield Cause(
            CauseId.WILDCARD,
            f"A wildcard CNAME record makes {trace.challenge_name} an alias of {target}, as every name beside it.",
            f"Write the TXT record at {trace.challenge_name} itself, where it has precedence, or remove the wildcard.",
        )


def _wildcard_text(trace: Trace, values: Sequence[str]) -> Cause | None:
    if not trace.wildcard or not values or list(trace.wildcard.values) != list(values):
        return None
    return Cause(
        CauseId.WILDCARD,
        f"A wildcard TXT record answers for {trace.challenge_name}, as for every name beside it: "
        f"{trace.wildcard.told()}.",
        f"Write the TXT record at {trace.challenge_name} itself, where it has precedence.",
    )


def _has(seen: Seen, expected: frozenset[str]) -> bool:
    return expected <= set(seen.values) and bool(seen.values)


def _is_ours(seen: Seen, expected: frozenset[str]) -> bool:
    if expected:
        return bool(expected & set(seen.values))
    return any(_DIGEST.fullmatch(value) for value in seen.values)


def _is_altered(value: str, expected: frozenset[str]) -> bool:
    """Whether `value` was meant to be one of `expected`, but for quotes, spaces, case or length."""
    bare = re.sub(r"[\s\"'\\]", "", value).lower()
    return any(
        value != wanted and len(bare) >= _TELLING and (wanted.lower().startswith(bare) or wanted.lower() in bare)
        for wanted in expected
    )


def _wanted(attempt: Attempt) -> str:
    return " and ".join(repr(value) for value in sorted(attempt.expected)) or "the challenge's answer"
