"""Why an authority found no proof: its own words beside what is seen now, while the answers still stand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from certwright.domain.deployment import Finding, Severity
from certwright.domain.errors import CertwrightError, NotProved, Rejection
from certwright.domain.identifiers import IdentifierType
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import BY_DNS, choose
from certwright.engine.caa import applicant
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.validations import ruled
from certwright.probe import http01, http_words, tls_alpn01
from certwright.probe.dns.aliases import follow
from certwright.probe.dns.cause import Attempt
from certwright.probe.dns.causes import find_causes
from certwright.probe.dns.persist import judge_record
from certwright.probe.dns.resolver import Resolver, as_outsider
from certwright.probe.dns.trace import Trace, trace
from certwright.probe.http_causes import UNANSWERED, UNRESOLVED
from certwright.probe.observation import Endpoint
from certwright.sdk.solver import Challenge

_MOST = 8  # names that are looked into; what keeps one from being proved mostly keeps the others
_SECONDS = 10.0
_TRIES = 4  # a balancer may have servers of which one is wrong
_DNS_FIRST = ("dns", "caa")


@contextmanager
def explained(
    engine: Engine, managed: ManagedCertificate, run: ActiveRun, challenges: Sequence[Challenge]
) -> Iterator[None]:
    """Where the authority finds no proof of one of `challenges`, look at once for the cause, and let the error tell it.

    Raises:
        NotProved: with what was found; its hint is what to do.
    """
    try:
        yield
    except NotProved as error:
        findings: dict[tuple[str, str], Finding] = {}
        views = _Views(engine)
        with run.journal.step("Look for the reason") as step:
            for rejection, challenge in _rejected(error.rejections, challenges)[:_MOST]:
                try:
                    for finding in explain(engine, managed, rejection, challenge, views):
                        findings.setdefault((challenge.identifier.base, finding.check), finding)
                except CertwrightError as failure:
                    step.note(f"{rejection.name}: it could not be looked for: {failure.message}")
            for finding in findings.values():
                step.note(f"{finding.subject}: {finding.text} [{finding.check}]")
        if not findings:
            raise
        causes = [*error.causes, *(f"{f.subject}: {f.text} [{f.check}]" for f in findings.values())]
        hint = next((f.remedy for f in findings.values() if f.remedy), error.hint)
        raise NotProved(error.message, error.rejections, causes=causes, hint=hint) from error


class _Views:
    """What DNS shows of each name, looked at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[tuple[str, bool], Trace] = {}

    def of(self, challenge: Challenge) -> Trace:
        """What it shows of the challenge's name."""
        key = challenge.identifier.base, challenge.type in BY_DNS
        if key not in self._seen:
            others = [Resolver()] if self._engine.resolvers else ()  # inside and outside may differ
            outside = Resolver(self._engine.resolvers)
            self._seen[key] = trace(outside, key[0], self._engine.now(), others=others, by_record=key[1])
        return self._seen[key]


def explain(
    engine: Engine, managed: ManagedCertificate, rejection: Rejection, challenge: Challenge, views: _Views
) -> list[Finding]:
    """Why the authority did not accept the answer to `challenge`, the likeliest cause first; empty if nothing is seen.

    Raises:
        CertwrightError: if it cannot be looked.
    """
    if challenge.type == "dns-persist-01":
        by_answer = list(_record(engine, rejection, challenge))
    else:
        by_answer = list(_web(engine, managed, rejection, challenge)) if challenge.type not in BY_DNS else []
    by_dns = (
        [] if challenge.identifier.type is IdentifierType.IP else _dns(engine, managed, rejection, challenge, views)
    )
    if by_dns:  # which says why
        by_answer = [finding for finding in by_answer if finding.check not in {UNANSWERED, UNRESOLVED}]
    return [*by_dns, *by_answer] if rejection.problem in _DNS_FIRST else [*by_answer, *by_dns]


def _record(engine: Engine, rejection: Rejection, challenge: Challenge) -> Iterator[Finding]:
    """What is wrong with a record that stays."""
    for cause in judge_record(challenge, Resolver(engine.resolvers), engine.now()).causes:
        remedy = "See the record that is wanted: certwright certificate persist CERT."
        yield _finding("dns-persist-record", rejection, cause, remedy)


def _web(engine: Engine, managed: ManagedCertificate, rejection: Rejection, challenge: Challenge) -> Iterator[Finding]:
    params: dict[str, Any] = choose(managed.validations, challenge.identifier).params
    via = Endpoint.parse(params["check_via"]) if params.get("check_via") else None
    outside = as_outsider(engine.resolvers)
    if challenge.type == "tls-alpn-01":
        for wrong in tls_alpn01.look(challenge, via, _SECONDS, outside):
            yield _finding(wrong.cause, rejection, wrong.sentence, wrong.remedy)
        return
    for cause in http_words.explain(
        http01.see(challenge, via, _SECONDS, resolver=outside, tries=_TRIES), rejection.words
    ):
        yield _finding(cause.id, rejection, cause.sentence, cause.remedy)


def _dns(
    engine: Engine, managed: ManagedCertificate, rejection: Rejection, challenge: Challenge, views: _Views
) -> Iterator[Finding]:
    with engine.store.read() as unit:
        issuer = unit.issuers.get(managed.issuer)
    attempt = Attempt(
        challenge=challenge.type,
        expected=frozenset({challenge.txt_value} if challenge.type == "dns-01" else ()),
        ruled=_ruled(engine, managed, challenge),
        wildcard=challenge.identifier.is_wildcard,
        applicant=applicant(issuer, challenge.type),
        outside=not issuer.capabilities.internal_names,
        problem=rejection.problem,
        words=rejection.words,
    )
    for cause in find_causes(views.of(challenge), attempt):
        yield _finding(cause.id, rejection, cause.sentence, cause.remedy)


def _ruled(engine: Engine, managed: ManagedCertificate, challenge: Challenge) -> str:
    """Where the record of `challenge` is written by a delegation rule; empty if there is none for it."""
    target = ruled(managed, challenge.identifier)
    return follow(Resolver(engine.resolvers), target)[-1] if target else ""


def _finding(cause: str, rejection: Rejection, sentence: str, remedy: str) -> Finding:
    return Finding(check=cause, severity=Severity.STOP, subject=rejection.name, message=sentence, remedy=remedy)


def _rejected(rejections: Sequence[Rejection], challenges: Sequence[Challenge]) -> list[tuple[Rejection, Challenge]]:
    asked = {(str(c.identifier), c.type): c for c in challenges}
    return [(r, asked[r.name, r.challenge]) for r in rejections if (r.name, r.challenge) in asked]
