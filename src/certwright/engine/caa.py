"""CAA, looked at before an authority is asked: it would refuse, and count the attempt."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from certwright.domain.errors import CertwrightError, SolverError
from certwright.domain.identifiers import IdentifierType
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.validation import choose
from certwright.engine.context import Engine
from certwright.probe.dns.caa import Applicant, CaaSet, Judgement, Verdict, find_caa, judge
from certwright.probe.dns.cause import Cause
from certwright.probe.dns.causes import find_zone_faults
from certwright.probe.dns.query import Kind
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.trace import trace
from certwright.sdk.journal import Journal

_WORKERS = 8
_MOST = 4  # zones that are looked into
_PAUSE = 6.0  # seconds: resolvers go on saying SERVFAIL for up to five without asking again
_INSIDE = (
    "If only the DNS inside cannot find them out, set CERTWRIGHT_RESOLVERS to a resolver that sees the public DNS, "
    "such as 9.9.9.9."
)


def applicant(issuer: Issuer, challenge: str) -> Applicant:
    """Who asks to issue, as CAA records are judged for it."""
    return Applicant(issuer.capabilities.caa_identities, challenge, issuer.account.get("url"))


def refuse_forbidden(engine: Engine, managed: ManagedCertificate, issuer: Issuer, journal: Journal) -> None:
    """Return unless CAA keeps `issuer` from issuing for one of the names: by records, or as they cannot be found out.

    What cannot be asked here is left to the authority, and so is all of it where the authority may see another DNS or
    does not say which identity it goes by.

    Raises:
        SolverError: with one cause for each name that it may not issue, and the fix.
    """
    names = [i for i in managed.identifiers if i.type is IdentifierType.DNS]
    if not issuer.capabilities.caa_identities or issuer.capabilities.internal_names or not names:
        return
    try:
        resolver = Resolver(engine.resolvers)
    except CertwrightError:
        return
    found = _look(resolver, list(dict.fromkeys(name.base for name in names)))
    refused: list[Judgement] = []
    for name in names:
        asking = applicant(issuer, choose(managed.validations, name).challenge)
        judged = judge(found[name.base], asking, wildcard=name.is_wildcard) if name.base in found else None
        if judged and (judged.verdict is Verdict.FORBIDDEN or found[name.base].failure):
            refused.append(judged)
    if refused:
        unread = [caa for caa in found.values() if caa.failure]
        faults = list(_faults(engine, resolver, unread, journal))
        inside = [_INSIDE] if unread and not engine.resolvers else []
        raise SolverError(
            f"CAA does not let {issuer.title} issue for {len(refused)} of {len(names)} names, so it was not asked.",
            causes=[*(judged.sentence for judged in refused), *(f"{f.sentence} [{f.id}]" for f in faults)],
            hint=" ".join(dict.fromkeys([*(f.remedy for f in faults), *(judged.fix for judged in refused), *inside])),
        )


def _look(resolver: Resolver, bases: Sequence[str]) -> dict[str, CaaSet]:
    """The records for each of `bases`, or that the resolver cannot find them out, as it has said twice.

    Names of which it says nothing are left out; where that is the first, the others are not tried.
    """
    first = find_caa(resolver, bases[0])
    if first.failure and first.kind is not Kind.SERVFAIL:
        return {}
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="caa") as pool:
        found = {caa.name: caa for caa in (first, *pool.map(partial(find_caa, resolver), bases[1:]))}
        if failed := [name for name, caa in found.items() if caa.kind is Kind.SERVFAIL]:
            time.sleep(_PAUSE)
            found |= {caa.name: caa for caa in pool.map(partial(find_caa, resolver), failed)}
    return {name: caa for name, caa in found.items() if caa.kind in {None, Kind.SERVFAIL}}


def _faults(engine: Engine, resolver: Resolver, unread: Sequence[CaaSet], journal: Journal) -> Iterator[Cause]:
    """What is wrong with the zones that do not answer, the first of them."""
    for zone in list(dict.fromkeys(caa.at for caa in unread))[:_MOST]:
        with journal.step(f"Look for the reason why {zone} does not answer"):
            yield from find_zone_faults(trace(resolver, zone, engine.now(), by_record=False))
