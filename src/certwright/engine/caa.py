"""CAA, looked at before an authority is asked: it would refuse, and count the attempt."""

from concurrent.futures import ThreadPoolExecutor

from certwright.domain.errors import CertwrightError, SolverError
from certwright.domain.identifiers import IdentifierType
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.validation import choose
from certwright.engine.context import Engine
from certwright.probe.dns.caa import Applicant, CaaSet, Judgement, Verdict, find_caa, judge
from certwright.probe.dns.resolver import Resolver

_WORKERS = 8


def applicant(issuer: Issuer, challenge: str) -> Applicant:
    """Who asks to issue, as CAA records are judged for it."""
    return Applicant(issuer.capabilities.caa_identities, challenge, issuer.account.get("url"))


def refuse_forbidden(engine: Engine, managed: ManagedCertificate, issuer: Issuer) -> None:
    """Return unless CAA records forbid `issuer` one of the names.

    What cannot be read here is left to the authority, and so is all of it where the authority may see another DNS or
    does not say which identity it goes by.

    Raises:
        SolverError: with one cause for each name that it may not issue, and the fix.
    """
    names = [i for i in managed.identifiers if i.type is IdentifierType.DNS]
    if not issuer.capabilities.caa_identities or issuer.capabilities.internal_names or not names:
        return
    found = _look(engine, list(dict.fromkeys(name.base for name in names)))
    forbidden: list[Judgement] = []
    for name in names:
        asking = applicant(issuer, choose(managed.validations, name).challenge)
        judged = judge(found[name.base], asking, wildcard=name.is_wildcard) if name.base in found else None
        if judged and judged.verdict is Verdict.FORBIDDEN:
            forbidden.append(judged)
    if forbidden:
        raise SolverError(
            f"CAA records do not let {issuer.title} issue for {len(forbidden)} of {len(names)} names, so it was not "
            "asked.",
            causes=[judged.sentence for judged in forbidden],
            hint=" ".join(dict.fromkeys(judged.fix for judged in forbidden)),
        )


def _look(engine: Engine, bases: list[str]) -> dict[str, CaaSet]:
    """The records for each of `bases` that can be read; where those of the first cannot, the others are not tried."""
    try:
        resolver = Resolver(engine.resolvers)
    except CertwrightError:
        return {}
    first = find_caa(resolver, bases[0])
    if first.failure:
        return {}
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="caa") as pool:
        others = pool.map(lambda base: find_caa(resolver, base), bases[1:])
        return {base: found for base, found in zip(bases, [first, *others], strict=True) if not found.failure}
