"""The names as an authority sees them: do they resolve, may it issue for them (CAA), does DNSSEC stand in the way?

And the records that prove them: do CNAMEs lead to where they will be written, and what of the zone there?
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from certwright.domain.delegation import challenge_name, how_to_lead
from certwright.domain.errors import CertwrightError
from certwright.domain.identifiers import Identifier, IdentifierType
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.readiness import Check, Readiness, failed
from certwright.domain.validation import Validation, choose
from certwright.engine.caa import applicant
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.validations import ruled
from certwright.probe.dns import caa
from certwright.probe.dns.aliases import astray, chain_of
from certwright.probe.dns.caa import CaaSet
from certwright.probe.dns.cause import CauseId
from certwright.probe.dns.causes import SEE_OUTSIDE, find_zone_faults
from certwright.probe.dns.dnssec import DnssecState
from certwright.probe.dns.query import LookupFailure
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.trace import Trace, trace
from certwright.probe.dns.zones import Survey, Zone

_WORKERS = 8
_STOPS = (
    CauseId.NO_ZONE,
    CauseId.DELEGATION_DEAD,
    CauseId.SERVFAIL,
    CauseId.DNSSEC,
    CauseId.ALIAS_LOOP,
    CauseId.ALIAS_DEAD,
)
_CAA = {
    caa.Verdict.ALLOWED: Readiness.OK,
    caa.Verdict.FORBIDDEN: Readiness.FAILED,
    caa.Verdict.UNKNOWN: Readiness.FAILED,
}


def checks(engine: Engine, managed: ManagedCertificate, run: ActiveRun) -> Iterator[Check]:
    """Each DNS name, then each zone once; an IP address has nothing to look up.

    An authority for internal names may see another DNS than the resolvers here: what it would mind is a warning then.
    """
    names = [i for i in managed.identifiers if i.type is IdentifierType.DNS]
    with engine.store.read() as unit:
        issuers = [unit.issuers.get(name) for name in managed.issuers]
    try:
        resolver = Resolver(engine.resolvers)
    except CertwrightError as error:
        yield failed("resolver", "DNS", error)
        return

    def look(name: Identifier) -> list[Check]:
        return list(_name(resolver, issuers, choose(managed.validations, name), name))

    with run.journal.step("Look names up as an authority would"):
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="names") as pool:
            looked = list(pool.map(look, names))
        shared = _is_shared(engine, issuers[0])
        zones = _zones(engine, resolver, managed, names, is_shared=shared)
        found = [*(check for several in looked for check in several), *zones]
    for check in found:
        is_doubt = issuers[0].capabilities.internal_names and check.verdict is Readiness.FAILED
        yield check.model_copy(update={"verdict": Readiness.WARNING}) if is_doubt else check


def inside_alone(engine: Engine, managed: ManagedCertificate, names: Sequence[Identifier]) -> bool:
    """Whether the public DNS, which the authority sees, may have nothing of what proves `names` to us."""
    with engine.store.read() as unit:
        if _is_shared(engine, unit.issuers.get(managed.issuer)):
            return False
    survey = Survey(Resolver(engine.resolvers))

    def look(name: Identifier) -> bool:
        places = _places(survey, managed, name, is_shared=False)
        return any(isinstance(each, Check) and each.check == CauseId.SPLIT_HORIZON for each in places)

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="zones") as pool:
        return any(pool.map(look, [name for name in names if name.type is IdentifierType.DNS]))


def _is_shared(engine: Engine, issuer: Issuer) -> bool:
    """Whether the authority sees the DNS that we do: we ask the public one, or it may ask the one inside."""
    return bool(engine.resolvers) or issuer.capabilities.internal_names


def _name(resolver: Resolver, issuers: Sequence[Issuer], validation: Validation, name: Identifier) -> Iterator[Check]:
    if validation.challenge in ("http-01", "tls-alpn-01"):
        try:
            found = ", ".join(resolver.addresses(name.value))
            yield Check(check="resolves", subject=str(name), verdict=Readiness.OK, evidence=f"It leads to {found}.")
        except CertwrightError as error:
            yield failed("resolves", str(name), error)
    records = caa.find_caa(resolver, name.value)
    yield _caa(records, issuers[0], validation, name)
    for issuer in issuers[1:]:
        check = _caa(records, issuer, validation, name)
        if check.verdict is Readiness.FAILED:
            told = f"{issuer.name} could not stand in. {check.evidence}"
            yield check.model_copy(update={"verdict": Readiness.WARNING, "evidence": told})


def _caa(found: CaaSet, issuer: Issuer, validation: Validation, name: Identifier) -> Check:
    if not issuer.capabilities.caa_identities and found.records:
        return Check(
            check="caa",
            subject=str(name),
            verdict=Readiness.NOT_LOOKED_AT,
            evidence=f"CAA records stand at {found.at}, and the authority does not say which identity it goes by.",
        )
    judged = caa.judge(found, applicant(issuer, validation.challenge), wildcard=name.is_wildcard)
    return Check(
        check="caa",
        subject=str(name),
        verdict=_CAA[judged.verdict],
        evidence=judged.sentence,
        fix=judged.fix,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A zone, and a name in it that resolvers may be asked for."""

    zone: str
    name: str


def _zones(
    engine: Engine, resolver: Resolver, managed: ManagedCertificate, names: Sequence[Identifier], *, is_shared: bool
) -> Iterator[Check]:
    """Where CNAMEs do not lead to the records; then each zone once: its delegation, its servers, its DNSSEC."""
    survey = Survey(resolver)

    def look(name: Identifier) -> list[_Place | Check]:
        return list(_places(survey, managed, name, is_shared=is_shared))

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="zones") as pool:
        found = [each for several in pool.map(look, names) for each in several]
        yield from dict.fromkeys(each for each in found if isinstance(each, Check))
        first = {each.zone: each.name for each in reversed(found) if isinstance(each, _Place)}
        views = pool.map(lambda name: trace(resolver, name, engine.now(), by_record=False), first.values())
        for zone, view in zip(first, views, strict=True):
            yield from _zone(zone, view)


def _places(
    survey: Survey, managed: ManagedCertificate, name: Identifier, *, is_shared: bool
) -> Iterator[_Place | Check]:
    """The zone of `name` and that of the record that proves it, or what is wrong on the way there."""
    try:
        zone = survey.zone(name.base)
        yield _Place(zone.name, name.base)
        if not is_shared:
            yield from _inside(zone)
    except CertwrightError as error:
        yield failed("zone", str(name), error)
        return
    if choose(managed.validations, name).challenge != "dns-01":
        return
    challenge = challenge_name(name.base)
    try:
        target = ruled(managed, name)
        place = _end(survey, target or challenge)
        zone = survey.zone(place)
        yield _Place(zone.name, zone.name)
        if not is_shared:
            yield from _inside(zone)
        if target and (seen := astray(survey, challenge, place)):
            yield _astray(challenge, place, seen, is_outside=is_shared or not _hidden(survey.zone(challenge)))
    except CertwrightError as error:
        yield failed("delegation", str(name), error)
        if isinstance(error.__cause__, LookupFailure):  # at the end of aliases, of whose zone more can be told
            yield from _dead_end(survey, error.__cause__.answer.name)


def _dead_end(survey: Survey, name: str) -> Iterator[_Place]:
    with suppress(CertwrightError):
        zone = survey.zone(name)
        yield _Place(zone.name, zone.name)


def _end(survey: Survey, start: str) -> str:
    """Where a record for `start` is to be written, or the first name on the way there of which nobody answers."""
    try:
        return chain_of(survey, start, by_wildcards=False)[-1]
    except LookupFailure as failure:
        return failure.answer.name


def _astray(challenge: str, place: str, seen: str, *, is_outside: bool) -> Check:
    """A rule without its CNAME; there may be one that only outsiders see."""
    inside = f" If it is there, and only the DNS inside lacks it, {SEE_OUTSIDE}, and test again."
    return Check(
        check=CauseId.RULE_UNSEEN,
        subject=challenge,
        verdict=Readiness.FAILED if is_outside else Readiness.WARNING,
        evidence=f"By a delegation rule its record is written at {place}, but no CNAME leads there: {seen}",
        fix=how_to_lead(challenge, place) + ("" if is_outside else inside),
    )


def _inside(zone: Zone) -> Iterator[Check]:
    """That `zone` may be another one for outsiders, or none."""
    if hidden := _hidden(zone):
        yield Check(
            check=CauseId.SPLIT_HORIZON,
            subject=zone.name,
            verdict=Readiness.WARNING,
            evidence=f"Nobody can ask {', '.join(hidden)} over the internet, so only the DNS inside was looked at. The "
            "authority asks the public DNS, where the same names may have other records.",
            fix=f"If inside and outside have DNS of their own, {SEE_OUTSIDE}, and test again.",
        )


def _hidden(zone: Zone) -> list[str]:
    """The servers of `zone` that outsiders cannot ask: they may not see what we see."""
    return [server.host for server in zone.endpoints if not ip_address(server.host).is_global]


def _zone(name: str, view: Trace) -> Iterator[Check]:
    faults = find_zone_faults(view)
    for fault in faults:
        verdict = Readiness.FAILED if fault.id in _STOPS else Readiness.WARNING
        yield Check(check=fault.id, subject=name, verdict=verdict, evidence=fault.sentence, fix=fault.remedy)
    if not faults:
        signed = " ".join(each.sentence for each in view.dnssec if each.state is not DnssecState.UNSIGNED)
        servers = ", ".join(server.host for zone in view.zones if zone.name == name for server in zone.servers)
        yield Check(
            check="zone",
            subject=name,
            verdict=Readiness.OK,
            evidence=f"Its name servers answer as they are delegated to: {servers}. {signed}".strip(),
        )
